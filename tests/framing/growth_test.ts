// A byte and a message cost the same, however many there are and however they come: ratios of work, not times.
import { assertLess } from "@std/assert";
import { ByteQueue, type Decoder, delimited, lengthPrefixed, lines } from "../../src/framing/mod.ts";
import { concat } from "../support/bytes.ts";

/** The least time of a few runs. */
function time(run: () => void): number {
  let least = Infinity;
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

/** Feeds a wire in pieces of a size, and decodes after each; returns the number of messages. */
function feed(decoder: Decoder<unknown>, wire: Uint8Array, size: number): number {
  const queue = new ByteQueue();
  let messages = 0;
  for (let at = 0; at < wire.length; at += size) {
    queue.append(wire.subarray(at, at + size));
    while (decoder.decode(queue) !== undefined) messages++;
  }
  return messages;
}

const limit = 1 << 22;
const filled = (n: number) => new Uint8Array(n).fill(97);
const decoders: [name: string, decoder: Decoder<unknown>, message: (n: number) => Uint8Array][] = [
  ["lines()", lines({ limit }), (n) => concat([filled(n), new Uint8Array([10])])],
  ["lines(strict CRLF)", lines({ limit, ending: "\r\n" }), (n) => concat([filled(n), new Uint8Array([13, 10])])],
  ["delimited(byte)", delimited("\0", { limit }), (n) => concat([filled(n), new Uint8Array([0])])],
  ["delimited(sequence)", delimited("aab", { limit }), (n) => concat([filled(n), new Uint8Array([98])])],
  ["delimited(several)", delimited(["aab", "xy"], { limit }), (n) => concat([filled(n), new Uint8Array([98])])],
  [
    "lengthPrefixed()",
    lengthPrefixed({ bytes: 4, limit }),
    (n) => concat([new Uint8Array([n >>> 24, n >>> 16, n >>> 8, n]), filled(n)]),
  ],
];

for (const [name, decoder, message] of decoders) {
  Deno.test(`${name} costs the same per byte, however long a message that comes byte by byte`, () => {
    const [short, long] = [message(4096), message(65536)];
    feed(decoder, short, 1);
    const unit = time(() => feed(decoder, short, 1));
    assertLess(time(() => feed(decoder, long, 1)) / unit, 16 * 4);
  });

  Deno.test(`${name} costs the same per message, however many come in one block`, () => {
    const few = concat(Array.from({ length: 2000 }, () => message(10)));
    const many = concat(Array.from({ length: 32_000 }, () => message(10)));
    feed(decoder, few, few.length);
    const unit = time(() => feed(decoder, few, few.length));
    assertLess(time(() => feed(decoder, many, many.length)) / unit, 16 * 4);
  });
}
