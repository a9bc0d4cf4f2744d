// https of node: URL CERTIFICATE COPY.
const fs = require('fs');
const https = require('https');
const {pipeline} = require('stream');

const [url, certificate, copy] = process.argv.slice(2);
https.get(url, {ca: fs.readFileSync(certificate), agent: false}, (response) => {
  if (response.statusCode !== 200) throw new Error('HTTP ' + response.statusCode);
  pipeline(response, fs.createWriteStream(copy), (error) => {
    if (error) throw error;
  });
});
