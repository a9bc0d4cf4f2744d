# Four TLS connections of asyncio's streams at once, each of which says a file and compares what comes
# back: ADDRESS PORT CERTIFICATE FILE.
import asyncio
import ssl
import sys

address, port, certificate, file = sys.argv[1:]


async def say(context, data):
    reader, writer = await asyncio.open_connection(address, int(port), ssl=context)
    heard = asyncio.create_task(reader.readexactly(len(data)))
    for at in range(0, len(data), 65536):
        writer.write(data[at:at + 65536])
        await writer.drain()
    equal = await heard == data
    writer.close()
    await writer.wait_closed()
    return equal


async def main():
    context = ssl.create_default_context(cafile=certificate)
    with open(file, "rb") as opened:
        data = opened.read()
    results = await asyncio.gather(*(say(context, data) for _ in range(4)))
    print(sum(results), "echoes equal")


asyncio.run(main())
