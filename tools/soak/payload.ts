/**
 * Cheap random bytes, and the checksums that verify them.
 *
 * @module
 */
import { SeededRandom } from "../../src/testing/mod.ts";

const BLOCK = 1 << 20;
const block = new SeededRandom(7).fill(new Uint8Array(BLOCK));

/** Returns random bytes: a view of a shared block, not to be written to. */
export function randomPiece(random: SeededRandom, size: number): Uint8Array {
  const start = random.integer(0, BLOCK - size);
  return block.subarray(start, start + size);
}

/** A checksum of bytes (FNV-1a, 32 bits), and their number. */
export class Checksum {
  #sum = 0x811c9dc5;
  #length = 0;

  /** Adds bytes. */
  add(bytes: Uint8Array): void {
    let sum = this.#sum;
    for (let i = 0; i < bytes.length; i++) sum = Math.imul(sum ^ bytes[i]!, 0x01000193);
    this.#sum = sum;
    this.#length += bytes.length;
  }

  /** The number of bytes. */
  get length(): number {
    return this.#length;
  }

  /** The checksum and the number as text, for comparison. */
  toString(): string {
    return `${(this.#sum >>> 0).toString(16)} over ${this.#length} bytes`;
  }
}
