/**
 * Searching a queue of bytes for a separator, or for the first of several, in one pass that can be continued.
 *
 * The match that ends first wins; of those that end at the same byte the shortest. So all separators are followed at the
 * same time, byte by byte, each with its automaton: a search takes O(bytes) for any separators and any bytes, and continues
 * where it stopped when more bytes come. A single separator skips to its first byte with `indexOf` as long as nothing of it
 * is matched, so that "\n" costs what `indexOf` costs.
 *
 * @module
 */
import type { ByteQueue } from "./byte_queue.ts";
import { type Pattern, patternOf } from "./pattern.ts";

/** What to look for: a string stands for its UTF-8 bytes. */
export type Separator = string | Uint8Array;

/** Separators made ready for searching. */
export class Separators {
  /** The length of the longest, in bytes. */
  readonly longest: number;
  /** The separators, the shortest first. */
  readonly patterns: readonly Pattern[];
  /** The separator, if it is one of a single byte; else -1. */
  readonly byte: number;

  /**
   * @param separator The separator, or a list of which any counts
   * @throws {TypeError} If it is of another type, or one is empty, or there is none
   */
  constructor(separator: Separator | readonly Separator[]) {
    this.patterns = Array.isArray(separator)
      ? separator.map((one) => patternOf(one)).sort((a, b) => a.bytes.length - b.bytes.length)
      : [patternOf(separator as Separator)];
    if (this.patterns.length === 0) throw new TypeError("Cannot look for a separator: the list of separators is empty");
    this.longest = this.patterns[this.patterns.length - 1]!.bytes.length;
    this.byte = this.longest === 1 && this.patterns.length === 1 ? this.patterns[0]!.bytes[0]! : -1;
  }

  /**
   * Tells whether a search for these finds the same as one for others.
   *
   * @param other The others
   * @returns Whether they are the same separators
   */
  equals(other: Separators): boolean {
    const { patterns } = this;
    return patterns.length === other.patterns.length &&
      patterns.every((pattern, i) => pattern.equals(other.patterns[i]!.bytes));
  }
}

/** One search, which may continue when more bytes are there. */
export class Search {
  /** What is looked for. */
  readonly separators: Separators;
  readonly #patterns: readonly Pattern[];
  readonly #matched: number[];
  #position = 0;
  #length = 0;

  /**
   * @param separators What to look for
   */
  constructor(separators: Separators) {
    this.separators = separators;
    this.#patterns = separators.patterns;
    this.#matched = this.#patterns.map(() => 0);
  }

  /** Where the search is: no separator ends at or before this position, unless it was found. */
  get position(): number {
    return this.#position;
  }

  /** The position of the first byte of what was found last. */
  get start(): number {
    return this.#position - this.#length;
  }

  /** How many bytes before {@linkcode position} may belong to a separator that has begun. */
  get begun(): number {
    return Math.max(...this.#matched);
  }

  /**
   * Starts anew.
   *
   * @param position Where; no separator ends after it that begins before it
   */
  reset(position = 0): void {
    this.#position = position;
    this.#matched.fill(0);
  }

  /**
   * Adjusts the search to bytes that were dropped from the front of the queue.
   *
   * @param n The number of bytes; no more than {@linkcode position}
   */
  dropped(n: number): void {
    this.#position -= n;
  }

  /**
   * Searches on.
   *
   * @param bytes The bytes
   * @param to The position to end before
   * @returns The position after the first match; -1 if none ends before `to`
   */
  next(bytes: ByteQueue, to: number): number {
    return this.#patterns.length === 1 ? this.#nextOfOne(bytes, to) : this.#nextOfSeveral(bytes, to);
  }

  #nextOfOne(bytes: ByteQueue, to: number): number {
    const pattern = this.#patterns[0]!;
    const length = pattern.bytes.length;
    const first = pattern.bytes[0]!;
    let matched = this.#matched[0]!;
    let i = this.#position;
    while (i < to) {
      if (matched === 0) {
        i = bytes.indexOf(first, i, to);
        if (i < 0) {
          i = to;
          break;
        }
      }
      matched = pattern.step(matched, bytes.at(i++));
      if (matched === length) return this.#found(i, length);
    }
    this.#position = Math.max(i, this.#position);
    this.#matched[0] = matched;
    return -1;
  }

  #nextOfSeveral(bytes: ByteQueue, to: number): number {
    const patterns = this.#patterns;
    const matched = this.#matched;
    for (let i = this.#position; i < to; i++) {
      const byte = bytes.at(i);
      for (let k = 0; k < patterns.length; k++) {
        const pattern = patterns[k]!;
        const length = pattern.bytes.length;
        if ((matched[k] = pattern.step(matched[k]!, byte)) === length) return this.#found(i + 1, length);
      }
    }
    this.#position = Math.max(to, this.#position);
    return -1;
  }

  #found(end: number, length: number): number {
    this.#position = end;
    this.#length = length;
    return end;
  }
}
