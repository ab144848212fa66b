"""A peer that behaves badly on command: one command per line, one reply per line, both as JSON."""

import json
import socket
import ssl
import struct
import sys

sock = None
listener = None
BLOCK = bytes(65536)


def adopt(connected, secure):
    """Takes a connected socket for the one to misbehave with, after the handshake if there is one."""
    global sock
    sock = connected
    if secure is None:
        return
    server_side = "cert" in secure
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    if server_side:
        context.load_cert_chain(secure["cert"], secure["key"])
    else:
        context.load_verify_locations(secure["ca"])
    name = None if server_side else "localhost"
    sock = context.wrap_socket(sock, server_side=server_side, server_hostname=name, suppress_ragged_eofs=False)


def connect(address, secure=None):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connected = socket.socket(family, socket.SOCK_STREAM)
    connected.connect(address if isinstance(address, str) else tuple(address))
    adopt(connected, secure)


def listen():
    global listener
    listener = socket.create_server(("127.0.0.1", 0))
    return listener.getsockname()[1]


def accept(secure=None):
    adopt(listener.accept()[0], secure)


def send(size):
    while size > 0:
        size -= sock.send(BLOCK[:size])


def sendhex(data):
    sock.sendall(bytes.fromhex(data))


def recv(size):
    """Receives `size` bytes, or up to EOF; returns how many."""
    received = 0
    while received < size:
        n = len(sock.recv(min(size - received, 65536)))
        if n == 0:
            break
        received += n
    return received


def shutdown():
    sock.shutdown(socket.SHUT_WR)


def reset():
    """SO_LINGER 0: close() sends RST instead of FIN, at once."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def close():
    """Of the socket alone: without close_notify over TLS."""
    sock.close()


commands = {f.__name__: f for f in (connect, listen, accept, send, sendhex, recv, shutdown, reset, close)}

for line in sys.stdin:
    name, *args = json.loads(line)
    try:
        reply = {"result": commands[name](*args)}
    except Exception as error:
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
