/**
 * Pseudo-random numbers that are the same in each run.
 *
 * @module
 */
import { describe } from "../common/describe.ts";

/**
 * A small generator of pseudo-random numbers, for random tests that can be repeated: the same seed gives the same numbers
 * on every machine and in every version of this package.
 *
 * The algorithm is Mulberry32: a 32-bit counter that grows by 0x6D2B79F5, each value being mixed by two rounds of
 * xor-shift and multiply. Its period is 2³². It is not secure.
 *
 * @example The same sizes in each run
 * ```ts
 * import { SeededRandom } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const one = new SeededRandom(7);
 * const other = new SeededRandom(7);
 * assertEquals(one.integer(1, 100), other.integer(1, 100));
 * assertEquals(one.fill(new Uint8Array(8)), other.fill(new Uint8Array(8)));
 * ```
 */
export class SeededRandom {
  #state: number;
  /** The bytes of the last number that `fill` has not used. */
  #word = 0;
  #wordBytes = 0;

  /**
   * Makes a generator.
   *
   * @param seed An integer; its low 32 bits are used
   * @throws {RangeError} If the seed is not an integer
   */
  constructor(seed = 1) {
    if (!Number.isSafeInteger(seed)) {
      throw new RangeError(`Cannot make random numbers: the seed must be an integer, not ${describe(seed)}`);
    }
    this.#state = seed | 0;
  }

  /**
   * Returns the next number.
   *
   * @returns A number from 0 to 1, 1 excluded
   */
  next(): number {
    return this.#step() / 2 ** 32;
  }

  /**
   * Returns an integer; all are equally likely.
   *
   * @param min The least
   * @param max The greatest
   * @returns An integer from `min` to `max`, both included
   */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  /**
   * Returns a size with a logarithmic distribution: 1 to 9 is as likely as 1000 to 9999.
   *
   * @param max The greatest, in bytes
   * @returns An integer from 1 to `max`
   */
  size(max: number): number {
    return Math.floor((max + 1) ** this.next());
  }

  /**
   * Fills an array with the next random bytes. Filling 3 and then 5 bytes gives the same bytes as filling 8.
   *
   * @param p The array to fill
   * @returns The same array
   */
  fill<T extends Uint8Array>(p: T): T {
    let word = this.#word;
    let left = this.#wordBytes;
    for (let i = 0; i < p.length; i++) {
      if (left === 0) {
        word = this.#step();
        left = 4;
      }
      p[i] = word;
      word >>>= 8;
      left--;
    }
    this.#word = word;
    this.#wordBytes = left;
    return p;
  }

  #step(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }
}
