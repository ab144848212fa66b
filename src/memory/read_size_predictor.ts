/**
 * How much the next read will bring: a guess from those before it.
 *
 * A read that fills its memory left something behind, as far as one can tell: the next one is expected to bring eight times
 * as much. Otherwise what counts is the largest of the last few reads, so that a small message between large ones changes
 * nothing.
 *
 * @module
 */

/** What an idle connection has ready, in bytes: room for a segment of TCP, and for a message of 1 KiB. */
export const LEAST_EXPECTED = 1536;
/** The most that is read at once, in bytes. */
export const MOST_EXPECTED = 262144;
const GROWTH = 8;
const MEMORABLE_READS = 8;

/** A guess, which follows what reads bring. */
export class ReadSizePredictor {
  #size = LEAST_EXPECTED;
  #largest = 0;
  #reads = 0;

  /** How many bytes to be ready for, from {@linkcode LEAST_EXPECTED} to {@linkcode MOST_EXPECTED}. */
  get size(): number {
    return this.#size;
  }

  /**
   * Takes note of a read.
   *
   * @param n How many bytes it brought
   * @param room How many there was room for
   */
  note(n: number, room: number): void {
    // Where there was less room than was expected, for want of memory, that it is full tells nothing.
    if (n === room && n >= this.#size) return this.#set(GROWTH * n);
    if (n > this.#largest) this.#largest = n;
    if (++this.#reads === MEMORABLE_READS) this.#set(this.#largest);
  }

  #set(size: number): void {
    this.#size = Math.min(Math.max(size, LEAST_EXPECTED), MOST_EXPECTED);
    this.#largest = this.#reads = 0;
  }
}
