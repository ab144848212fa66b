/**
 * How many bytes the next read of a connection will bring: a prediction from the reads before it, within a quota of all
 * connections.
 *
 * A read that fills its memory left something behind: the next one is expected to bring eight times as much. Otherwise the
 * largest of the last eight reads counts, so that a small message between large ones changes nothing.
 *
 * A pending read may wait for long, with its memory. So large reads that are pending count against a quota; beyond it a
 * connection waits with a small one. A connection whose last read was filled does not have to wait, and is exempt.
 *
 * @module
 */

/** What an idle connection waits with, in bytes: room for a segment of TCP, and for a message of 1 KiB. */
export const LEAST_EXPECTED = 1536;
/** The most that is read at once, in bytes. */
export const MOST_EXPECTED = 262144;
/** The largest read beyond the quota, in bytes. */
export const SMALL_READ = 16384;
/** How many bytes the pending reads of more than {@linkcode SMALL_READ} may be prepared for, in the whole process. */
export const QUOTA = 32 << 20;

const GROWTH = 8;
const READS_REMEMBERED = 8;

let pending = 0;

/** Predicts the size of a connection's next read. */
export class ReadSizePredictor {
  #size = LEAST_EXPECTED;
  #largest = 0;
  #reads = 0;
  #filled = false;
  #pending = 0;

  /** The predicted size, in bytes, from {@linkcode LEAST_EXPECTED} to {@linkcode MOST_EXPECTED}. */
  get size(): number {
    return this.#size;
  }

  /**
   * Counts a read that is about to be issued against the quota, until {@linkcode settle}.
   *
   * @returns The size to issue it with
   */
  issue(): number {
    const size = this.#size;
    if (size <= SMALL_READ) return size;
    if (pending + size > QUOTA && !this.#filled) return SMALL_READ;
    this.#pending = size;
    pending += size;
    return size;
  }

  /** The read that was issued is no longer pending. */
  settle(): void {
    if (this.#pending === 0) return;
    pending -= this.#pending;
    this.#pending = 0;
  }

  /**
   * Learns from a read.
   *
   * @param n The number of bytes it brought
   * @param room The number of bytes there was room for
   */
  note(n: number, room: number): void {
    this.#filled = n === room;
    // A read that was smaller than predicted tells nothing by being filled.
    if (n === room && n >= this.#size) return this.#set(GROWTH * n);
    if (n > this.#largest) this.#largest = n;
    if (++this.#reads === READS_REMEMBERED) this.#set(this.#largest);
  }

  #set(size: number): void {
    this.#size = Math.min(Math.max(size, LEAST_EXPECTED), MOST_EXPECTED);
    this.#largest = this.#reads = 0;
  }
}
