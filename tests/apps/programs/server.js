// https of node: PORT CERTIFICATE KEY; serves the current folder.
const fs = require('fs');
const https = require('https');

const [port, certificate, key] = process.argv.slice(2);
https.createServer({cert: fs.readFileSync(certificate), key: fs.readFileSync(key)},
                   (request, response) => fs.createReadStream('.' + request.url).pipe(response))
    .listen(Number(port), '0.0.0.0');
