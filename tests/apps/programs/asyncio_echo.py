# A TLS server of asyncio's streams that says what it hears: PORT CERTIFICATE KEY.
import asyncio
import ssl
import sys

port, certificate, key = sys.argv[1:]


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(echo, "0.0.0.0", int(port), ssl=context)
    await server.serve_forever()


asyncio.run(serve())
