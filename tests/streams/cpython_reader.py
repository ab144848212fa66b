"""Runs lists of operations on asyncio.StreamReader: a case per line of JSON in, its outcomes per line of JSON out."""

import asyncio
import json
import sys


class Transport:
    """Records whether it is paused."""

    def __init__(self):
        self.paused = False

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False


async def outcome(read):
    try:
        return ["bytes", (await read).decode("latin1")]
    except asyncio.IncompleteReadError as error:
        return ["incomplete", error.partial.decode("latin1"), error.expected]
    except asyncio.LimitOverrunError as error:
        return ["overrun", error.consumed]
    except asyncio.CancelledError:
        return ["aborted"]
    except RuntimeError:
        return ["busy"]
    except ConnectionResetError:
        return ["lost"]
    except ValueError as error:
        return ["overrun", None] if "hunk" in str(error) else ["refused"]


async def integer(reader, size, order):
    return str(int.from_bytes(await reader.readexactly(size), order)).encode()


def start(reader, operation):
    name, *arguments = operation
    if name == "read":
        return reader.read(arguments[0])
    if name == "readline":
        return reader.readline()
    if name == "readuint":
        return integer(reader, *arguments)
    if name == "readexactly":
        return reader.readexactly(arguments[0])
    separators = tuple(one.encode("latin1") for one in arguments[0])
    return reader.readuntil(separators if len(separators) > 1 else separators[0])


async def attempt(reader, transport, operation):
    """What a read comes to if it need not wait, else nothing: it is cancelled, and what it resumed is paused again."""
    paused = transport.paused
    task = asyncio.ensure_future(outcome(start(reader, operation)))
    await settle()
    if task.done():
        return ["none"] if task.result() == ["busy"] else task.result()
    task.cancel()
    await settle()
    reader._paused = transport.paused = paused
    return ["none"]


async def settle():
    for _ in range(6):
        await asyncio.sleep(0)


async def run(case):
    reader = asyncio.StreamReader(limit=case["limit"])
    transport = Transport()
    reader.set_transport(transport)
    tasks = []
    states = []
    for operation in case["operations"]:
        name = operation[0]
        if name == "feed":
            reader.feed_data(operation[1].encode("latin1"))
        elif name == "eof":
            reader.feed_eof()
        elif name == "lost":
            reader.set_exception(ConnectionResetError())
        elif name == "abort":
            for task in tasks:
                task.cancel()
        elif name == "try":
            tasks.append(asyncio.ensure_future(attempt(reader, transport, operation[1])))
            await tasks[-1]
        else:
            tasks.append(asyncio.ensure_future(outcome(start(reader, operation))))
        await settle()
        states.append({
            "reads": [task.result() if task.done() else ["pending"] for task in tasks],
            "atEof": reader.at_eof(),
            "paused": transport.paused,
        })
    for task in tasks:
        task.cancel()
    await settle()
    return states


async def main():
    print(json.dumps({"version": sys.version_info[:2]}), flush=True)
    for line in sys.stdin:
        print(json.dumps(await run(json.loads(line))), flush=True)


asyncio.run(main())
