/**
 * The cost of each call of a stream, over memory: no system call, no network.
 *
 * @module
 */
import { TextLineStream } from "@std/streams";
import { type ConnLike, openConnection, StreamReader } from "../mod.ts";
import { countLines, lineChunks } from "./programs/timing.ts";

const BLOCK = 65536;
const chunk = lineChunks()[0]!;
const lines = countLines(chunk);
const blank = new Uint8Array(BLOCK);

Deno.bench({
  name: `readline, ${lines} lines of 20 bytes`,
  group: "lines",
  baseline: true,
  fn: async () => {
    const reader = new StreamReader();
    reader.feedData(chunk);
    for (let i = 0; i < lines; i++) await reader.readline();
  },
});

Deno.bench({
  name: `lines(), the same as text`,
  group: "lines",
  fn: async () => {
    const reader = new StreamReader();
    reader.feedData(chunk);
    reader.feedEof();
    for await (const _ of reader.lines()) { /* counted by the clock */ }
  },
});

Deno.bench({
  name: `TextLineStream, the same`,
  group: "lines",
  fn: async () => {
    const stream = ReadableStream.from([chunk]).pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    for await (const _ of stream) { /* counted by the clock */ }
  },
});

for (const size of [16, 1024, BLOCK]) {
  Deno.bench({
    name: `readexactly(${size}), 64 KiB in all`,
    group: "exact sizes",
    baseline: size === 16,
    fn: async () => {
      const reader = new StreamReader();
      reader.feedData(blank);
      for (let left = BLOCK; left > 0; left -= size) await reader.readexactly(size);
    },
  });
}

for (const separator of ["\r\n", "-".repeat(15) + "+", "-".repeat(63) + "+"]) {
  const piece = new TextEncoder().encode("x".repeat(256 - separator.length) + separator);
  const pieces = new Uint8Array(BLOCK);
  for (let at = 0; at < BLOCK; at += 256) pieces.set(piece, at);
  Deno.bench({
    name: `readuntil ${separator.length} bytes, 256 pieces of 256 bytes`,
    group: "separators",
    baseline: separator === "\r\n",
    fn: async () => {
      const reader = new StreamReader();
      reader.feedData(pieces);
      for (let i = 0; i < 256; i++) await reader.readuntil(separator);
    },
  });
}

for (const size of [64, 1024, BLOCK]) {
  const piece = new Uint8Array(size);
  Deno.bench({
    name: `feedData(${size}) and read(), 64 KiB in all`,
    group: "feed",
    baseline: size === 64,
    fn: async () => {
      const reader = new StreamReader();
      for (let fed = 0; fed < BLOCK; fed += size) reader.feedData(piece);
      while (reader.buffered > 0) await reader.read(BLOCK);
    },
  });
}

/** A peer that takes everything and sends nothing. */
const taker: ConnLike = { read: () => new Promise(() => {}), write: (p) => Promise.resolve(p.length), close: () => {} };
const { writer } = await openConnection({ conn: taker });

for (const size of [64, 1024, 10240]) {
  const piece = new Uint8Array(size);
  Deno.bench({
    name: `write(${size}) and drain()`,
    group: "writes",
    baseline: size === 64,
    fn: async () => {
      writer.write(piece);
      await writer.drain();
    },
  });
}

Deno.bench({
  name: "sendall(10240)",
  group: "writes",
  fn: () => writer.sendall(blank.subarray(0, 10240)),
});
