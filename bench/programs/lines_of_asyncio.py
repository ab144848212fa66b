"""Lines per second of asyncio's `await reader.readline()`, fed from memory. Prints {"value": ...}."""

import asyncio
import json
import sys
import time

BLOCK = 65536
data = (b"x" * 19 + b"\n") * BLOCK
chunks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
counts = [chunk.count(b"\n") for chunk in chunks]


async def run(reader, seconds):
    lines, start = 0, time.perf_counter()
    while True:
        for chunk, count in zip(chunks, counts):
            reader.feed_data(chunk)
            for _ in range(count):
                assert len(await reader.readline()) == 20
            lines += count
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return lines / elapsed


async def main():
    option = lambda name: int(sys.argv[sys.argv.index(name) + 1]) / 1000
    reader = asyncio.StreamReader()
    await run(reader, option("--warmup"))
    print(json.dumps({"value": await run(reader, option("--duration"))}), flush=True)


asyncio.run(main())
