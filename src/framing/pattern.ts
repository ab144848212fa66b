/**
 * A sequence of bytes to search for, as the automaton of Knuth, Morris and Pratt: one step per byte, whatever the bytes.
 *
 * @module
 */
import { describeType } from "../common/describe.ts";

/** A sequence of bytes as an automaton. Its state is the number of bytes matched. */
export class Pattern {
  /** The sequence. */
  readonly bytes: Uint8Array;
  /** For each number of matched bytes: how many stay matched if the next byte does not fit. */
  readonly #fallback: Int32Array;

  /**
   * @param bytes The sequence, not empty, never changed again
   */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#fallback = new Int32Array(bytes.length);
    for (let i = 1, matched = 0; i < bytes.length; i++) {
      this.#fallback[i] = matched;
      matched = this.step(matched, bytes[i]!);
    }
  }

  /**
   * The state after one more byte.
   *
   * @param matched The state, below the length of the sequence
   * @param byte The byte
   * @returns The new state; the length of the sequence for a match
   */
  step(matched: number, byte: number): number {
    while (this.bytes[matched] !== byte) {
      if (matched === 0) return 0;
      matched = this.#fallback[matched]!;
    }
    return matched + 1;
  }

  /**
   * Tells whether this is the pattern of certain bytes.
   *
   * @param bytes The bytes
   * @returns Whether they are the same as its own
   */
  equals(bytes: Uint8Array): boolean {
    const own = this.bytes;
    if (own === bytes) return true;
    if (own.length !== bytes.length) return false;
    for (let i = 0; i < own.length; i++) {
      if (own[i] !== bytes[i]) return false;
    }
    return true;
  }
}

const encoder = new TextEncoder();

// Programs look for the same few separators again and again. An automaton costs 0.5 µs to build.
const patternsOfStrings = new Map<string, Pattern>();
const MOST_STRINGS = 64;
/** Those of arrays, by their content: an array may be made anew for each call, or changed between two. */
const patternsOfArrays: Pattern[] = [];
const MOST_ARRAYS = 8;
let oldest = 0;

/**
 * The pattern of a separator, which is built once for each of the separators used last.
 *
 * @param separator The separator; a string stands for its UTF-8 bytes
 * @returns The pattern
 * @throws {TypeError} If it is of another type, or empty
 */
export function patternOf(separator: string | Uint8Array): Pattern {
  if (typeof separator === "string") {
    return patternsOfStrings.get(separator) ?? rememberString(separator);
  }
  if (!(separator instanceof Uint8Array)) {
    throw new TypeError(
      `Cannot look for a separator: it must be a string or a Uint8Array, not ${describeType(separator)}`,
    );
  }
  for (let i = 0; i < patternsOfArrays.length; i++) {
    const pattern = patternsOfArrays[i]!;
    if (pattern.equals(separator)) return pattern;
  }
  return rememberArray(separator);
}

function rememberString(separator: string): Pattern {
  const pattern = new Pattern(notEmpty(encoder.encode(separator)));
  if (patternsOfStrings.size >= MOST_STRINGS) patternsOfStrings.clear();
  patternsOfStrings.set(separator, pattern);
  return pattern;
}

function rememberArray(separator: Uint8Array): Pattern {
  // A copy: the caller may change the array later.
  const pattern = new Pattern(new Uint8Array(notEmpty(separator)));
  patternsOfArrays[oldest] = pattern;
  oldest = (oldest + 1) % MOST_ARRAYS;
  return pattern;
}

function notEmpty(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) throw new TypeError("Cannot look for a separator: it is empty");
  return bytes;
}
