/**
 * Sending and receiving random bytes over a connection, in pieces of random sizes. Every byte is compared, none is stored.
 *
 * @module
 */
import type { ConnLike } from "../../conn/conn.ts";
import { check } from "./checks.ts";
import { SeededRandom } from "../seeded_random.ts";

const LARGEST_PIECE = 65536;

/** Compares received bytes with those that a seed gives. */
export class StreamCheck {
  /** The number of bytes received so far. */
  received = 0;
  readonly #expected: SeededRandom;
  readonly #memory = new Uint8Array(LARGEST_PIECE);

  /** @param seed The seed of the sent bytes */
  constructor(seed: number) {
    this.#expected = new SeededRandom(seed);
  }

  /** Fails unless `data` is the next part of the stream. */
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
 * Writes the bytes of a seed, and overwrites the memory of each write when its promise has resolved [M3].
 *
 * @param conn The connection to write to
 * @param size The number of bytes
 * @param seed The seed of the bytes
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
 * Reads bytes and compares them with those of a seed.
 *
 * @param conn The connection to read from
 * @param size The number of bytes to read, unless EOF comes before
 * @param seed The seed of the bytes
 * @returns The number of bytes read
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
