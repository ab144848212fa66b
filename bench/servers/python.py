"""The same with Python: --loop asyncio|uvloop, --api protocol|buffered|streams|lines."""

import argparse
import asyncio
import json
import socket
import ssl

BUFFER = 65536


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    def __init__(self):
        self.memory = memoryview(bytearray(BUFFER))

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, size_hint):
        return self.memory

    def buffer_updated(self, n):
        self.transport.write(bytes(self.memory[:n]))


def no_delay(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def echo_stream(reader, writer):
    no_delay(writer)
    try:
        while data := await reader.read(BUFFER):
            writer.write(data)
            await writer.drain()
        writer.close()
    except ConnectionError:
        pass


async def echo_lines(reader, writer):
    no_delay(writer)
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()
    except ConnectionError:
        pass


async def main(args):
    context = None
    if args.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(f"{args.tls}/localhost.crt", f"{args.tls}/localhost.key")
    if args.api in ("protocol", "buffered"):
        factory = Echo if args.api == "protocol" else BufferedEcho
        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", args.port, ssl=context)
    else:
        handler = echo_stream if args.api == "streams" else echo_lines
        server = await asyncio.start_server(handler, "127.0.0.1", args.port, ssl=context)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
parser.add_argument("--api", choices=["protocol", "buffered", "streams", "lines"], default="protocol")
parser.add_argument("--tls")
parser.add_argument("--mode", default="echo")
args = parser.parse_args()
if args.loop == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(main(args))
