/**
 * Nothing is quadratic: the cost of a byte stays flat as lines, buffers and chunks grow. Only ratios are looked at, with
 * wide margins: what is quadratic grows 16-fold in 16-fold the work, per byte.
 */
import { assert } from "@std/assert";
import { ByteQueue } from "../../src/framing/byte_queue.ts";
import type { Decoder } from "../../src/framing/codec.ts";
import { StreamReader } from "../../src/streams/stream_reader.ts";
import { bytes } from "../support/bytes.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const ROUNDS = 8;
// Caches and fresh memory cost some of it; 16-fold work leaves this far below what a quadratic cost would be.
const MOST = 8;
// A block that doubles copies each byte twice, into four times the memory. What is quadratic copies each a hundred times.
const MOST_COPIES = 24;

/** Compares the cost of a unit in small work with that in work of 16 times the size; the best of several rounds counts. */
async function staysFlat(small: number, work: (size: number) => Promise<void> | void): Promise<void> {
  const large = 16 * small;
  // The same amount of work in both, and once beforehand to be compiled.
  const cost = async (size: number): Promise<number> => {
    const before = performance.now();
    for (let done = 0; done < large; done += size) await work(size);
    return (performance.now() - before) / large;
  };
  await cost(small);
  let [ofSmall, ofLarge] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    ofSmall = Math.min(ofSmall, await cost(small));
    ofLarge = Math.min(ofLarge, await cost(large));
    if (ofLarge < MOST * ofSmall) return;
  }
  assert(false, `a unit costs ${(ofLarge / ofSmall).toFixed(1)} times as much in ${large} as in ${small}`);
}

const letterA = bytes("a");

for (
  const [name, read] of [
    ["readline()", (reader: StreamReader) => reader.readline()],
    ["readuntil() one separator", (reader: StreamReader) => reader.readuntil("\r\n")],
    ["readuntil() several separators", (reader: StreamReader) => reader.readuntil(["\r\n", "END"])],
    ["skipuntil()", (reader: StreamReader) => reader.skipuntil("\r\n")],
  ] as [string, (reader: StreamReader) => Promise<unknown>][]
) {
  Deno.test(`StreamReader.${name} costs the same per byte in a line of 60 KiB as in one of 4, in pieces of 1 byte`, async () => {
    await staysFlat(3.75 * KiB, async (size) => {
      const reader = new StreamReader();
      const line = read(reader);
      for (let i = 0; i < size; i++) reader.feedData(letterA);
      reader.feedData(bytes("\r\n"));
      await line;
    });
  });
}

// Fresh memory of many MiB costs ten times as much on a busy machine, so the measure is a copy into memory that is as fresh.
for (const piece of [1 * KiB, 64 * KiB]) {
  Deno.test(`StreamReader.readexactly() of 1 and of 16 MiB costs a few copies of its bytes, in pieces of ${piece} bytes`, async () => {
    const data = new Uint8Array(piece);
    const copy = (size: number) => {
      const all = new Uint8Array(size);
      for (let at = 0; at < size; at += piece) all.set(data, at);
    };
    const read = async (size: number) => {
      const reader = new StreamReader();
      const read = reader.readexactly(size);
      for (let fed = 0; fed < size; fed += piece) reader.feedData(data);
      await read;
    };
    const cost = async (work: (size: number) => Promise<void> | void, size: number) => {
      const before = performance.now();
      await work(size);
      return performance.now() - before;
    };
    for (const size of [1 * MiB, 16 * MiB]) {
      let [ofRead, ofCopy] = [Infinity, Infinity];
      for (let round = 0; round < ROUNDS && !(ofRead < MOST_COPIES * ofCopy); round++) {
        ofCopy = Math.min(ofCopy, await cost(copy, size));
        ofRead = Math.min(ofRead, await cost(read, size));
      }
      assert(ofRead < MOST_COPIES * ofCopy, `${size} bytes cost ${(ofRead / ofCopy).toFixed(1)} copies`);
    }
  });
}

Deno.test("StreamReader.read() until the end costs the same per byte from 256 KiB to 4 MiB", async () => {
  const data = new Uint8Array(4 * KiB);
  await staysFlat(256 * KiB, async (size) => {
    const reader = new StreamReader();
    const read = reader.read();
    for (let fed = 0; fed < size; fed += data.length) reader.feedData(data);
    reader.feedEof();
    await read;
  });
});

for (const separator of ["aaaaaaaaaaaaaaab", ["aaaaaaaaaaaaaaab", "aaaab"], ["ab".repeat(20) + "c", "aaac"]]) {
  Deno.test(`StreamReader.readuntil(${JSON.stringify(separator)}) costs the same per byte over a nasty text, whole or cut`, async () => {
    for (const piece of [1, 1000, Infinity]) {
      const unit = typeof separator === "string" || separator.includes("aaaab") ? "aaaa" : "abab";
      const shortest = typeof separator === "string"
        ? separator
        : separator.toSorted((a, b) => a.length - b.length)[0]!;
      const texts = new Map<number, Uint8Array>();
      await staysFlat(8 * KiB, async (size) => {
        let text = texts.get(size);
        if (text === undefined) texts.set(size, text = bytes(unit.repeat(size / 4) + shortest));
        const reader = new StreamReader({ limit: 2 * MiB });
        const read = reader.readuntil(separator);
        for (let at = 0; at < text.length; at += piece) reader.feedData(text.subarray(at, at + piece));
        await read;
      });
    }
  });
}

Deno.test("StreamReader.readuntil() with a long separator costs the same per byte as it gets longer", async () => {
  await staysFlat(256, async (size) => {
    const separator = "a".repeat(size) + "b";
    const reader = new StreamReader();
    reader.feedData(bytes("a".repeat(size) + separator));
    await reader.readuntil(separator);
  });
});

Deno.test("StreamReader.readuntil() with a separator that never comes costs the same per line, however much is buffered", async () => {
  // A search for each separator in turn would look through all that is buffered, for each line.
  for (const separators of [["\n", "never"], ["never", "\n"]]) {
    await staysFlat(4 * KiB, async (size) => {
      const line = bytes("some line\n");
      const lines = size / 16;
      const reader = new StreamReader();
      const all = new Uint8Array(lines * line.length);
      for (let i = 0; i < lines; i++) all.set(line, i * line.length);
      reader.feedData(all);
      for (let i = 0; i < lines; i++) await reader.readuntil(separators);
    });
  }
});

Deno.test("StreamReader.readline() costs the same per line, however many are buffered", async () => {
  const line = bytes("some line\n");
  await staysFlat(4 * KiB, async (size) => {
    const reader = new StreamReader();
    for (let i = 0; i < size / 8; i++) reader.feedData(line);
    for (let i = 0; i < size / 8; i++) await reader.readline();
  });
});

Deno.test("ByteQueue costs the same per byte, however much lies in it while bytes come and go", () => {
  const piece = new Uint8Array(100);
  return staysFlat(16 * KiB, (size) => {
    const buffer = new ByteQueue();
    for (let i = 0; i < size / 100; i++) buffer.append(piece);
    for (let i = 0; i < size / 100; i++) {
      buffer.append(piece);
      buffer.take(100);
    }
  });
});

/** Messages with their length in front, in four bytes. */
const lengthPrefixed: Decoder<Uint8Array> = {
  decode(queue) {
    if (queue.length < 4) return undefined;
    const length = queue.getUint32(0);
    if (queue.length < 4 + length) return undefined;
    queue.drop(4);
    return queue.take(length);
  },
};

function frameOf(length: number): Uint8Array {
  const frame = new Uint8Array(4 + length);
  new DataView(frame.buffer).setUint32(0, length);
  return frame;
}

for (
  const [name, poll] of [
    ["tryreadline()", (reader: StreamReader) => reader.tryreadline()],
    ["tryreaduntil() one separator", (reader: StreamReader) => reader.tryreaduntil("\r\n")],
    ["tryreaduntil() an array made anew each time", (reader: StreamReader) => reader.tryreaduntil(bytes("\r\n"))],
    ["tryreaduntil() several separators", (reader: StreamReader) => reader.tryreaduntil(["\r\n", "END"])],
  ] as [string, (reader: StreamReader) => unknown][]
) {
  Deno.test(`StreamReader.${name} polled after every byte costs the same per byte in a line of 60 KiB as in one of 4`, async () => {
    await staysFlat(3.75 * KiB, (size) => {
      const reader = new StreamReader();
      for (let i = 0; i < size; i++) {
        reader.feedData(letterA);
        poll(reader);
      }
      reader.feedData(bytes("\r\n"));
      assert(poll(reader) !== undefined);
    });
  });
}

Deno.test("StreamReader.tryreadline() polled over the limit costs the same, however long the line was by then", async () => {
  await staysFlat(2 * KiB, (size) => {
    const reader = new StreamReader({ limit: size });
    reader.feedData(new Uint8Array(size + 1));
    for (let i = 0; i < size / 16; i++) {
      try {
        reader.tryreadline();
      } catch {
        reader.feedData(letterA);
        continue;
      }
      throw new Error("the limit was not overrun");
    }
  });
});

for (
  const [name, poll] of [
    ["readframe() that waits", null],
    ["tryframe() polled after every byte", (reader: StreamReader) => reader.tryframe(lengthPrefixed)],
  ] as [string, ((reader: StreamReader) => unknown) | null][]
) {
  Deno.test(`StreamReader.${name} costs the same per byte in a message of 1 MiB as in one of 64 KiB, byte by byte`, async () => {
    const frames = new Map([64 * KiB, MiB].map((size) => [size, frameOf(size)]));
    await staysFlat(64 * KiB, async (size) => {
      const frame = frames.get(size)!;
      const reader = new StreamReader();
      const waiting = poll === null ? reader.readframe(lengthPrefixed) : null;
      let polled: unknown;
      for (let i = 0; i < frame.length; i++) {
        reader.feedData(frame.subarray(i, i + 1));
        polled = poll?.(reader);
      }
      assert(((await waiting) ?? polled) !== undefined);
    });
  });
}

for (
  const [name, readAll] of [
    ["tryframe()", (reader: StreamReader) => {
      let count = 0;
      while (reader.tryframe(lengthPrefixed) !== undefined) count++;
      return Promise.resolve(count);
    }],
    ["readframe()", async (reader: StreamReader) => {
      let count = 0;
      while (await reader.readframe(lengthPrefixed) !== null) count++;
      return count;
    }],
    ["tryreadexactly()", (reader: StreamReader) => {
      let count = 0;
      while (reader.tryreadexactly(20) !== undefined) count++;
      return Promise.resolve(count);
    }],
  ] as [string, (reader: StreamReader) => Promise<number>][]
) {
  Deno.test(`StreamReader.${name} costs the same per message, 100,000 of them in one block or 6,250`, async () => {
    const blocks = new Map([6_250, 100_000].map((count) => {
      const frame = frameOf(16);
      const block = new Uint8Array(count * frame.length);
      for (let i = 0; i < count; i++) block.set(frame, i * frame.length);
      return [count, block];
    }));
    await staysFlat(6_250, async (count) => {
      const reader = new StreamReader();
      reader.feedData(blocks.get(count)!);
      reader.feedEof();
      assert(await readAll(reader) === count);
    });
  });
}

Deno.test("StreamReader.lines() costs the same per line, however many are buffered, and per byte of a long line", async () => {
  const line = bytes("some line, naïve\r\n");
  await staysFlat(4 * KiB, async (size) => {
    const reader = new StreamReader();
    for (let i = 0; i < size / 8; i++) reader.feedData(line);
    reader.feedEof();
    for await (const _ of reader.lines()) { /* counted by the clock */ }
  });
  await staysFlat(3.75 * KiB, async (size) => {
    const reader = new StreamReader();
    const lines = reader.lines();
    const next = lines.next();
    for (let i = 0; i < size; i++) reader.feedData(letterA);
    reader.feedData(bytes("\n"));
    await next;
  });
});
