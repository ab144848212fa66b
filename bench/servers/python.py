"""The same with Python: --loop asyncio|uvloop, --api protocol|streams|lines|sockets."""

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


async def echo_socket(sock):
    loop = asyncio.get_running_loop()
    memory = memoryview(bytearray(BUFFER))
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while n := await loop.sock_recv_into(sock, memory):
                await loop.sock_sendall(sock, memory[:n])
        except ConnectionError:
            pass


async def serve_sockets(port):
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", port))
    listener.setblocking(False)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    tasks = set()
    while True:
        sock, _ = await loop.sock_accept(listener)
        task = loop.create_task(echo_socket(sock))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def main(args):
    if args.api == "sockets":
        return await serve_sockets(args.port)
    context = None
    if args.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(f"{args.tls}/localhost.crt", f"{args.tls}/localhost.key")
    if args.api == "protocol":
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", args.port, ssl=context)
    else:
        handler = echo_stream if args.api == "streams" else echo_lines
        server = await asyncio.start_server(handler, "127.0.0.1", args.port, ssl=context)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
parser.add_argument("--api", choices=["protocol", "streams", "lines", "sockets"], default="protocol")
parser.add_argument("--tls")
parser.add_argument("--mode", default="echo")
args = parser.parse_args()
if args.loop == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(main(args))
