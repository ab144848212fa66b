/**
 * Bytes sent and received over a conn in pieces of random sizes, each byte accounted for, none stored.
 *
 * @module
 */
import type { ConnLike } from "../../conn/conn.ts";
import { check } from "./checks.ts";
import { SeededRandom } from "../seeded_random.ts";

const LARGEST_PIECE = 65536;

/** Compares bytes with those of a seed, as they come. */
export class StreamCheck {
  /** How many bytes came so far. */
  received = 0;
  readonly #expected: SeededRandom;
  readonly #memory = new Uint8Array(LARGEST_PIECE);

  /** @param seed The seed of what was sent */
  constructor(seed: number) {
    this.#expected = new SeededRandom(seed);
  }

  /** Fails if the bytes are not those that come next. */
  take(data: Uint8Array): void {
    for (let at = 0; at < data.length;) {
      const expected = this.#expected.fill(this.#memory.subarray(0, data.length - at));
      for (let i = 0; i < expected.length; i++, at++) {
        if (data[at] === expected[i]) continue;
        throw new Error(`byte ${this.received + at} of the stream is ${data[at]}, not ${expected[i]}`);
      }
    }
    this.received += data.length;
  }
}

/**
 * Writes the bytes of a seed, and spoils the memory of each write once it is done (SPEC M3).
 *
 * @param conn Where to
 * @param size How many, in bytes
 * @param seed Which
 */
export async function send(conn: ConnLike, size: number, seed: number): Promise<void> {
  const bytes = new SeededRandom(seed);
  const sizes = new SeededRandom(~seed);
  const memory = new Uint8Array(LARGEST_PIECE);
  let rest = memory.subarray(0, 0);
  for (let sent = 0; sent < size;) {
    if (rest.length === 0) rest = bytes.fill(memory.subarray(0, Math.min(sizes.size(LARGEST_PIECE), size - sent)));
    const n = await conn.write(rest);
    check(n >= 1 && n <= rest.length, `write() took ${n} of ${rest.length} bytes`);
    rest.fill(0xee, 0, n);
    rest = rest.subarray(n);
    sent += n;
  }
}

/**
 * Reads bytes, and compares them with those of a seed.
 *
 * @param conn Where from
 * @param size How many, in bytes; fewer if the stream ends before
 * @param seed Which
 * @returns How many came
 */
export async function receive(conn: ConnLike, size: number, seed: number): Promise<number> {
  const stream = new StreamCheck(seed);
  const sizes = new SeededRandom(seed + 1);
  const memory = new Uint8Array(LARGEST_PIECE + 1);
  while (stream.received < size) {
    const length = Math.min(sizes.size(LARGEST_PIECE), size - stream.received);
    memory[length] = 0xdd;
    const n = await conn.read(memory.subarray(0, length));
    if (n === null) break;
    check(n >= 1 && n <= length, `read() gave ${n} of ${length} bytes`);
    check(memory[length] === 0xdd, "read() wrote beyond what it was given");
    stream.take(memory.subarray(0, n));
  }
  return stream.received;
}
