/**
 * The cost of each call of a stream, over memory: no system call, no network.
 *
 * @module
 */
import { TextLineStream } from "@std/streams";
import { type ConnLike, type Decoder, openConnection, StreamReader } from "../mod.ts";
import { countLines, lineChunks } from "./programs/timing.ts";

const BLOCK = 65536;
const chunk = lineChunks()[0]!;
const lines = countLines(chunk);
const blank = new Uint8Array(BLOCK);
const decoder = new TextDecoder();

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
  name: `tryreadline, the same`,
  group: "lines",
  fn: () => {
    const reader = new StreamReader();
    reader.feedData(chunk);
    while (reader.tryreadline() !== undefined) { /* counted by the clock */ }
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

for (
  const [name, read] of [
    ["readline({ encoding })", (reader: StreamReader) => reader.readline({ encoding: "utf-8" })],
    ["readline and a TextDecoder", async (reader: StreamReader) => decoder.decode(await reader.readline())],
  ] as [string, (reader: StreamReader) => Promise<string>][]
) {
  Deno.bench({
    name: `${name}, ${lines} lines of 20 bytes`,
    group: "text",
    baseline: name.startsWith("readline("),
    fn: async () => {
      const reader = new StreamReader();
      reader.feedData(chunk);
      for (let i = 0; i < lines; i++) await read(reader);
    },
  });
}

for (const [name, text] of [["ASCII", "x".repeat(19)], ["UTF-8", "naïve café 日本語"]] as const) {
  const line = new TextEncoder().encode(`${text}\n`);
  const block = new Uint8Array(lines * line.length);
  for (let i = 0; i < lines; i++) block.set(line, i * line.length);
  Deno.bench({
    name: `lines(), ${lines} lines of ${name}`,
    group: "text",
    fn: async () => {
      const reader = new StreamReader();
      reader.feedData(block);
      reader.feedEof();
      for await (const _ of reader.lines()) { /* counted by the clock */ }
    },
  });
}

for (const size of [16, 1024, BLOCK]) {
  Deno.bench({
    name: `tryreadexactly(${size}), 64 KiB in all`,
    group: "exact sizes",
    fn: () => {
      const reader = new StreamReader();
      reader.feedData(blank);
      for (let left = BLOCK; left > 0; left -= size) reader.tryreadexactly(size);
    },
  });
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
  const asBytes = new TextEncoder().encode(separator);
  for (const [kind, given] of [["a string", separator], ["bytes", asBytes]] as const) {
    Deno.bench({
      name: `readuntil ${separator.length} bytes as ${kind}, 256 pieces of 256 bytes`,
      group: "separators",
      baseline: given === "\r\n",
      fn: async () => {
        const reader = new StreamReader();
        reader.feedData(pieces);
        for (let i = 0; i < 256; i++) await reader.readuntil(given);
      },
    });
  }
  Deno.bench({
    name: `tryreaduntil ${separator.length} bytes, the same`,
    group: "separators",
    fn: () => {
      const reader = new StreamReader();
      reader.feedData(pieces);
      for (let i = 0; i < 256; i++) reader.tryreaduntil(separator);
    },
  });
}

/** Messages of 18 bytes behind their length in two. */
const messages: Decoder<Uint8Array> = {
  decode(queue) {
    if (queue.length < 2) return undefined;
    const length = queue.getUint16(0);
    if (queue.length < 2 + length) return undefined;
    queue.drop(2);
    return queue.take(length);
  },
};
const frames = new Uint8Array(20 * lines);
for (let i = 0; i < lines; i++) frames[20 * i + 1] = 18;

Deno.bench({
  name: `readline, ${lines} lines of 20 bytes`,
  group: "messages",
  baseline: true,
  fn: async () => {
    const reader = new StreamReader();
    reader.feedData(chunk);
    for (let i = 0; i < lines; i++) await reader.readline();
  },
});

Deno.bench({
  name: `readframe, ${lines} messages of 20 bytes`,
  group: "messages",
  fn: async () => {
    const reader = new StreamReader();
    reader.feedData(frames);
    for (let i = 0; i < lines; i++) await reader.readframe(messages);
  },
});

Deno.bench({
  name: `tryframe, the same`,
  group: "messages",
  fn: () => {
    const reader = new StreamReader();
    reader.feedData(frames);
    while (reader.tryframe(messages) !== undefined) { /* counted by the clock */ }
  },
});

Deno.bench({
  name: `readUint16 and readexactly, the same`,
  group: "messages",
  fn: async () => {
    const reader = new StreamReader();
    reader.feedData(frames);
    for (let i = 0; i < lines; i++) await reader.readexactly(await reader.readUint16());
  },
});

for (const [name, read] of [["readexactly(1)", false], ["peek(1)", true]] as const) {
  Deno.bench({
    name: `${name}, ${BLOCK} times`,
    group: "a byte",
    baseline: !read,
    fn: async () => {
      const reader = new StreamReader();
      reader.feedData(blank);
      for (let i = 0; i < BLOCK; i++) await (read ? reader.peek(1) : reader.readexactly(1));
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
