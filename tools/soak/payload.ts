/**
 * Random bytes that cost little, and the sums that tell whether they arrived.
 *
 * @module
 */
import { SeededRandom } from "../../src/testing/mod.ts";

const BLOCK = 1 << 20;
const block = new SeededRandom(7).fill(new Uint8Array(BLOCK));

/** A piece of random bytes: a view of a block that nobody may write to. */
export function randomPiece(random: SeededRandom, size: number): Uint8Array {
  const start = random.integer(0, BLOCK - size);
  return block.subarray(start, start + size);
}

/** A sum over bytes in their order (FNV-1a, 32 bits), and their number. */
export class Checksum {
  #sum = 0x811c9dc5;
  #length = 0;

  /** Goes on with more bytes. */
  add(bytes: Uint8Array): void {
    let sum = this.#sum;
    for (let i = 0; i < bytes.length; i++) sum = Math.imul(sum ^ bytes[i]!, 0x01000193);
    this.#sum = sum;
    this.#length += bytes.length;
  }

  /** How many bytes there were. */
  get length(): number {
    return this.#length;
  }

  /** Sum and number, to be compared. */
  toString(): string {
    return `${(this.#sum >>> 0).toString(16)} over ${this.#length} bytes`;
  }
}
