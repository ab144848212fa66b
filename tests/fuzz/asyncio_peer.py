"""One or both ends of a conversation, as CPython's asyncio has them: does what each line of JSON on stdin says.

{"op": "listen"} gives a port; {"op": "connect", "port": …} and {"op": "accept"} give the number of an end, and every other
operation names the end it is for. Each is answered by one line of JSON, in order.
"""

import asyncio
import json
import sys


class Ends:
    def __init__(self, limit):
        self.limit = limit
        self.ends = {}
        self.accepted = asyncio.Queue()

    def add(self, reader, writer):
        number = len(self.ends)
        self.ends[number] = (reader, writer)
        return number

    async def do(self, op, end=None, **rest):
        if end is None:
            return await getattr(self, op)(**rest)
        return await getattr(self, op)(*self.ends[end], **rest)

    async def listen(self):
        async def accept(reader, writer):
            await self.accepted.put((reader, writer))

        self.server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=self.limit)
        return self.server.sockets[0].getsockname()[1]

    async def connect(self, port):
        return self.add(*await asyncio.open_connection("127.0.0.1", port, limit=self.limit))

    async def accept(self):
        return self.add(*await self.accepted.get())

    async def arrived(self, reader, writer, n):
        """Waits until n bytes, or the end, are buffered."""
        while len(reader._buffer) < n and not reader._eof:
            await asyncio.sleep(0.0005)
        return None

    async def write(self, reader, writer, data):
        writer.write(data.encode("latin1"))
        return None

    async def drain(self, reader, writer):
        await writer.drain()
        return None

    async def write_eof(self, reader, writer):
        writer.write_eof()
        return None

    async def close(self, reader, writer):
        writer.close()
        await writer.wait_closed()
        return None

    async def read(self, reader, writer, n):
        return text(await reader.read(n))

    async def readline(self, reader, writer):
        return text(await reader.readline())

    async def readexactly(self, reader, writer, n):
        return text(await reader.readexactly(n))

    async def readuntil(self, reader, writer, separator):
        return text(await reader.readuntil(separator.encode("latin1")))


def text(data):
    return bytes(data).decode("latin1")


def outcome_of(error):
    match error:
        case asyncio.IncompleteReadError():
            return {"incomplete": text(error.partial), "expected": error.expected}
        case asyncio.LimitOverrunError():
            return {"overrun": True}
        case ConnectionError():
            return {"lost": True}
        case RuntimeError():
            return {"misuse": True}
        case _:
            return {"error": repr(error)}


async def main():
    ends = Ends(int(sys.argv[1]))
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        try:
            answer = {"result": await asyncio.wait_for(ends.do(**json.loads(line)), 10)}
        except Exception as error:
            answer = outcome_of(error)
        print(json.dumps(answer), flush=True)


asyncio.run(main())
