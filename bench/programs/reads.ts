/**
 * Reads per second in one of several ways, fed from memory with 20-byte lines, or frames of 20 bytes: `reads.ts WAY`. Prints `{"value": …}`.
 *
 * @module
 */
import { StreamReader } from "../../mod.ts";
import { lengthPrefixed } from "../../src/framing/mod.ts";
import { countLines, frameChunks, lineChunks, rateOf } from "./timing.ts";

const reader = new StreamReader();
const chunks = Deno.args[0]!.endsWith("frame") ? frameChunks() : lineChunks();
const codec = lengthPrefixed({ bytes: 4 });
const newline = new Uint8Array([10]);

/** Reads what there is of one chunk; returns the number of reads. */
type Way = (chunk: Uint8Array) => number | Promise<number>;

const ways: Record<string, Way> = {
  "tryreadline": () => {
    let reads = 0;
    while (reader.tryreadline() !== undefined) reads++;
    return reads;
  },
  "tryreadexactly": () => {
    let reads = 0;
    while (reader.tryreadexactly(16) !== undefined) reads++;
    return reads;
  },
  "tryframe": () => {
    let reads = 0;
    while (reader.tryframe(codec) !== undefined) reads++;
    return reads;
  },
  "readframe": async ({ length }) => {
    for (let i = 0; i < length; i += 20) await reader.readframe(codec);
    return length / 20;
  },
  "readuntil-text": async (chunk) => {
    const reads = countLines(chunk);
    for (let i = 0; i < reads; i++) await reader.readuntil("\n");
    return reads;
  },
  "readuntil-bytes": async (chunk) => {
    const reads = countLines(chunk);
    for (let i = 0; i < reads; i++) await reader.readuntil(newline);
    return reads;
  },
  "readexactly": async ({ length }) => {
    for (let i = 0; i < length; i++) await reader.readexactly(1);
    return length;
  },
  "peek": async ({ length }) => {
    for (let i = 0; i < length; i++) await reader.peek(1);
    await reader.readexactly(length);
    return length;
  },
};

const read = ways[Deno.args[0]!]!;

if (Deno.args[0] === "lines") {
  await rateOf(async () => {
    const lines = new StreamReader();
    let reads = 0;
    const feeding = (async () => {
      for (const chunk of chunks) {
        lines.feedData(chunk);
        while (lines.buffered > lines.limit) await null;
      }
      lines.feedEof();
    })();
    for await (const line of lines.lines()) reads += line.length === 19 ? 1 : NaN;
    await feeding;
    return reads;
  });
} else {
  await rateOf(async () => {
    let reads = 0;
    for (const chunk of chunks) {
      reader.feedData(chunk);
      reads += await read(chunk);
    }
    return reads;
  });
}
