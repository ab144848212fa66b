/**
 * Ways to split bytes into pieces, to test that a parser does not depend on how its input arrives.
 *
 * @module
 */
import { describe } from "../common/describe.ts";
import { SeededRandom } from "./seeded_random.ts";

/** A way to split bytes into pieces. */
export interface Chunker {
  /** How it splits, for the name of a test. */
  readonly name: string;
  /**
   * Splits bytes into pieces.
   *
   * @param data The bytes
   * @returns The pieces in order; none is empty, and each is a copy
   */
  chunk(data: Uint8Array): Uint8Array[];
}

/** Options of {@linkcode chunkers}. */
export interface ChunkersOptions {
  /** The separator of the protocol: there are chunkers that split before, inside and after each. Default: "\n". */
  separator?: string | Uint8Array | undefined;
  /** The fixed sizes of pieces, in bytes. Default: 2, 3, 7, 64, 1000. */
  sizes?: readonly number[] | undefined;
  /** The seeds of random splits; each makes one chunker. Default: 1, 2, 3. */
  seeds?: readonly number[] | undefined;
}

/**
 * Makes the chunkers that find most faults of parsers: the input whole, byte by byte, in pieces of fixed and of random
 * sizes, and split before, inside and after each separator.
 *
 * @param options The separator, the fixed sizes in bytes, and the seeds
 * @returns The chunkers, the whole one first
 * @throws {RangeError} If a size is not a positive integer
 * @throws {TypeError} If the separator is empty
 *
 * @example A parser that does not depend on the pieces
 * ```ts
 * import { StreamReader } from "@tideline/net";
 * import { chunkers } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const data = new TextEncoder().encode("a\r\nbc\r\n");
 * for (const { name, chunk } of chunkers({ separator: "\r\n" })) {
 *   const reader = new StreamReader();
 *   for (const piece of chunk(data)) reader.feedData(piece);
 *   assertEquals((await reader.readuntil("\r\n")).length, 3, name);
 *   assertEquals((await reader.readuntil("\r\n")).length, 4, name);
 * }
 * ```
 */
export function chunkers(options: ChunkersOptions = {}): Chunker[] {
  const { separator = "\n", sizes = [2, 3, 7, 64, 1000], seeds = [1, 2, 3] } = options;
  const bytes = typeof separator === "string" ? new TextEncoder().encode(separator) : new Uint8Array(separator);
  if (bytes.length === 0) throw new TypeError("Cannot make chunkers: the separator is empty");
  const wrong = sizes.find((size) => !Number.isSafeInteger(size) || size < 1);
  if (wrong !== undefined) {
    throw new RangeError(`Cannot make chunkers: a size must be a positive integer, not ${describe(wrong)}`);
  }
  return [
    chunker("whole", () => []),
    chunker("byte by byte", (data) => everyNth(data, 1)),
    ...sizes.map((size) => chunker(`${size} bytes each`, (data) => everyNth(data, size))),
    ...seeds.map((seed) => chunker(`random sizes, seed ${seed}`, (data) => randomly(data, seed))),
    chunker("before each separator", (data) => found(data, bytes)),
    ...Array.from(
      { length: bytes.length - 1 },
      (_, i) => chunker(`${i + 1} into each separator`, (data) => found(data, bytes).map((at) => at + i + 1)),
    ),
    chunker("after each separator", (data) => found(data, bytes).map((at) => at + bytes.length)),
  ];
}

/** Makes a chunker from a function that returns the positions to split at, in ascending order. */
function chunker(name: string, cuts: (data: Uint8Array) => number[]): Chunker {
  return {
    name,
    chunk(data) {
      const ends = [...cuts(data), data.length];
      return ends.map((end, i) => new Uint8Array(data.subarray(ends[i - 1] ?? 0, end))).filter((piece) =>
        piece.length > 0
      );
    },
  };
}

function everyNth(data: Uint8Array, n: number): number[] {
  return Array.from({ length: Math.ceil(data.length / n) }, (_, i) => i * n);
}

function randomly(data: Uint8Array, seed: number): number[] {
  const random = new SeededRandom(seed);
  const cuts: number[] = [];
  for (let at = 0; (at += random.size(256)) < data.length;) cuts.push(at);
  return cuts;
}

function found(data: Uint8Array, separator: Uint8Array): number[] {
  const starts: number[] = [];
  for (let at = 0; (at = data.indexOf(separator[0]!, at)) !== -1;) {
    if (separator.every((byte, i) => data[at + i] === byte)) {
      starts.push(at);
      at += separator.length;
    } else {
      at++;
    }
  }
  return starts;
}
