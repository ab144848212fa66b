/**
 * The reads that give text: those of bytes, decoded.
 *
 * @module
 */
import type { Read, ReadQueue } from "./read_queue.ts";
import { lineBy, type Until, untilBy } from "./reads.ts";
import { textDecoder } from "../common/text_decoder.ts";

/** The reads that give text in one encoding. */
export interface TextReads {
  /** The encoding, as it was named. */
  readonly encoding: string;
  /** A line. */
  readonly line: Read<number, string>;
  /** Everything through a separator. */
  readonly until: Read<Until, string>;
}

let last: TextReads | null = null;

/**
 * The reads that give text in an encoding. Those of the encoding used last are kept, as most programs use one.
 *
 * @param encoding A label of the Encoding Standard
 * @returns The reads. A byte order mark is text like any other
 * @throws {TypeError} If the encoding is not a string
 * @throws {RangeError} If the encoding is unknown, or does not keep ASCII as it is
 */
export function textReads(encoding: string): TextReads {
  if (last !== null && last.encoding === encoding) return last;
  const decoder = textDecoder(encoding, { ignoreBOM: true });
  const take = (queue: ReadQueue, n: number) => queue.takeText(n, decoder);
  return last = { encoding, line: lineBy(take), until: untilBy(take) };
}
