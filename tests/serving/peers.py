"""asyncio's end of the tests in peers_test.ts: a server or a client, plain, Unix or TLS."""

import asyncio
import hashlib
import ssl
import sys


def pattern(size):
    return bytes((i * 31 + (i >> 8)) & 255 for i in range(size))


async def server(address, context):
    """Echoes all it gets until EOF, half-closes, and tells how many bytes it was."""

    async def echo(reader, writer):
        total = 0
        while data := await reader.read(65536):
            total += len(data)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        print(total, flush=True)
        writer.close()
        await writer.wait_closed()

    if address.startswith("/"):
        serving = await asyncio.start_unix_server(echo, address, ssl=context)
        print(address, flush=True)
    else:
        serving = await asyncio.start_server(echo, address, 0, ssl=context)
        print(serving.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    serving.close()


async def client(address, port, context, mode):
    name = "localhost" if context else None
    if port == "unix":
        reader, writer = await asyncio.open_unix_connection(address, ssl=context, server_hostname=name)
    else:
        reader, writer = await asyncio.open_connection(address, int(port), ssl=context, server_hostname=name)
    if mode == "bulk":
        data = pattern(1 << 20)

        async def send():
            writer.write(data)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

        sending = asyncio.create_task(send())
        received = await (reader.read() if not context else reader.readexactly(len(data)))
        await sending
        assert received == data, (len(received), hashlib.sha1(received).hexdigest())
    else:
        for i in range(200):
            writer.write(b"line %d\n" % i)
            assert await reader.readline() == b"line %d\n" % i
    writer.close()
    await writer.wait_closed()
    print("ok", flush=True)


def main():
    role, address, *rest = sys.argv[1:]
    if role == "server":
        context = None
        if rest:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(rest[0], rest[1])
        asyncio.run(server(address, context))
    else:
        port, mode, *ca = rest
        context = ssl.create_default_context(cafile=ca[0]) if ca else None
        asyncio.run(client(address, port, context, mode))


main()
