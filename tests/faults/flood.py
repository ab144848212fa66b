"""Clients that flood a server, and one that asks it questions meanwhile. Its argument is a JSON object.

{"role": "send", "address", "ca", "data", "connections"}: sends the data for ever on each connection.
{"role": "take", "address", "ca", "data"}: sends the data once, and takes whatever comes, for ever.
{"role": "connect", "address"}: connects and leaves, for ever.
{"role": "ask", "address", "ca", "questions"}: connects and prints a line; for each line that it reads it asks "ask!\\n" so many
times, each after the answer to the one before, and prints how long the answers took, in milliseconds, as a JSON array.

All but the last end after 20 seconds, so that a server that serves nobody else has its test fail, and not hang.
"""

import json
import selectors
import signal
import socket
import ssl
import sys
import time

options = json.loads(sys.argv[1])
if options["role"] != "ask":
    signal.alarm(20)


def connected():
    address = options["address"]
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(address)
    else:
        sock = socket.create_connection(tuple(address))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if options.get("ca") is not None:
        context = ssl.create_default_context(cafile=options["ca"])
        sock = context.wrap_socket(sock, server_hostname="localhost")
    return sock


def send():
    # A piece that is a whole number of times the data, so that its parts stay in step when a send takes a part of it.
    data = options["data"].encode()
    block = data * max(1, 65536 // len(data))
    selector = selectors.DefaultSelector()
    for _ in range(options.get("connections", 1)):
        sock = connected()
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_WRITE, [block])
    print("begun", flush=True)
    while selector.get_map():
        for key, _ in selector.select():
            rest = key.data[0]
            try:
                n = key.fileobj.send(rest)
                key.data[0] = rest[n:] or block
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            except OSError:
                selector.unregister(key.fileobj)


def take():
    sock = connected()
    sock.sendall(options["data"].encode())
    print("begun", flush=True)
    while sock.recv(1 << 20):
        pass


def connect():
    print("begun", flush=True)
    while True:
        connected().close()


def ask():
    sock = connected()
    print("connected", flush=True)
    while sys.stdin.readline():
        print(json.dumps([answered(sock) for _ in range(options["questions"])]), flush=True)


def answered(sock):
    begun = time.monotonic()
    sock.sendall(b"ask!\n")
    answer = b""
    while len(answer) < 5:
        part = sock.recv(5 - len(answer))
        if not part:
            raise EOFError("the server ended the connection")
        answer += part
    return (time.monotonic() - begun) * 1000


try:
    {"send": send, "take": take, "connect": connect, "ask": ask}[options["role"]]()
except (ConnectionError, BrokenPipeError):
    # The server is gone.
    pass
