/**
 * What `readuntil` and `skipuntil` look for: one separator or several, and where a search stopped.
 *
 * The match that ends first wins; of those that end at the same byte the shortest (SPEC R4). So all separators are
 * followed side by side, byte by byte, each with the automaton of Knuth, Morris and Pratt: a search takes O(bytes) for
 * any separators and any bytes, and goes on where it stopped when more bytes come. A single separator skips to its first
 * byte with `indexOf` as long as nothing of it is matched, so that "\n" costs what `indexOf` costs.
 *
 * @module
 */
import type { ByteQueue } from "./byte_queue.ts";
import { type Pattern, patternOf } from "./pattern.ts";

/** What to look for: a string stands for its UTF-8 bytes. */
export type Separator = string | Uint8Array;

/** Where a separator was found. */
export interface Match {
  /** The position of its first byte. */
  start: number;
  /** The position after its last byte. */
  end: number;
}

/** Separators made ready for searching. */
export class Separators {
  /** The length of the longest, in bytes. */
  readonly longest: number;
  /** The separators, the shortest first. */
  readonly patterns: readonly Pattern[];

  /**
   * @param separator The separator, or a list of which any counts
   * @throws {TypeError} If it is of another type, or one is empty, or there is none
   */
  constructor(separator: Separator | readonly Separator[]) {
    this.patterns = Array.isArray(separator)
      ? separator.map((one) => patternOf(one)).sort((a, b) => a.bytes.length - b.bytes.length)
      : [patternOf(separator as Separator)];
    if (this.patterns.length === 0) throw new TypeError("Cannot look for a separator: the list of separators is empty");
    this.longest = this.patterns.at(-1)!.bytes.length;
  }
}

/** One search, which may go on when more bytes are there. */
export class Search {
  readonly #patterns: readonly Pattern[];
  readonly #matched: number[];
  #position = 0;

  /**
   * @param separators What to look for
   */
  constructor(separators: Separators) {
    this.#patterns = separators.patterns;
    this.#matched = this.#patterns.map(() => 0);
  }

  /** How far was searched: no separator ends at or before this position, unless it was found. */
  get position(): number {
    return this.#position;
  }

  /** How many bytes before {@linkcode position} may belong to a separator that has begun. */
  get begun(): number {
    return Math.max(...this.#matched);
  }

  /** Starts anew, at position 0. */
  reset(): void {
    this.#position = 0;
    this.#matched.fill(0);
  }

  /**
   * Tells that bytes were dropped from the front of the buffer.
   *
   * @param n How many; no more than {@linkcode position}
   */
  dropped(n: number): void {
    this.#position -= n;
  }

  /**
   * Searches on.
   *
   * @param buffer The bytes
   * @param to The position to end before
   * @returns The first match, or `null` if none ends before `to`
   */
  next(buffer: ByteQueue, to: number): Match | null {
    return this.#patterns.length === 1 ? this.#nextOfOne(buffer, to) : this.#nextOfSeveral(buffer, to);
  }

  #nextOfOne(buffer: ByteQueue, to: number): Match | null {
    const pattern = this.#patterns[0]!;
    const length = pattern.bytes.length;
    let matched = this.#matched[0]!;
    let i = this.#position;
    while (i < to) {
      if (matched === 0) {
        i = buffer.indexOf(pattern.bytes[0]!, i, to);
        if (i < 0) {
          i = to;
          break;
        }
      }
      matched = pattern.step(matched, buffer.at(i++));
      if (matched === length) {
        this.#position = i;
        return { start: i - length, end: i };
      }
    }
    this.#position = Math.max(i, this.#position);
    this.#matched[0] = matched;
    return null;
  }

  #nextOfSeveral(buffer: ByteQueue, to: number): Match | null {
    const patterns = this.#patterns;
    const matched = this.#matched;
    for (let i = this.#position; i < to; i++) {
      const byte = buffer.at(i);
      for (let k = 0; k < patterns.length; k++) {
        const pattern = patterns[k]!;
        const length = pattern.bytes.length;
        if ((matched[k] = pattern.step(matched[k]!, byte)) === length) {
          this.#position = i + 1;
          return { start: i + 1 - length, end: i + 1 };
        }
      }
    }
    this.#position = Math.max(to, this.#position);
    return null;
  }
}
