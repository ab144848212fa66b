/**
 * The error of a stream that ended too early. Protocols of messages throw it too, and are tested without Deno, so this file
 * loads under any runtime.
 *
 * @module
 */
import type { Bytes } from "./bytes.ts";

/**
 * The stream ended before all bytes of a read were there.
 *
 * As `asyncio.IncompleteReadError`. Under Deno it is a `Deno.errors.UnexpectedEof`.
 *
 * @example Seeing what was there
 * ```ts
 * import { IncompleteReadError, StreamReader } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const reader = new StreamReader();
 * reader.feedData(new TextEncoder().encode("abc"));
 * reader.feedEof();
 * try {
 *   await reader.readexactly(5);
 * } catch (error) {
 *   if (!(error instanceof IncompleteReadError)) throw error;
 *   assertEquals(error.partial.length, 3);
 *   assertEquals(error.expected, 5);
 * }
 * ```
 */
export class IncompleteReadError extends Error {
  // Private, so that no log of the error shows the peer's bytes.
  readonly #partial: Bytes;
  /** How many bytes were wanted; `null` if that was not known (`readuntil`). */
  readonly expected: number | null;

  /**
   * Makes the error, with a message of its own.
   *
   * @param partial The bytes that were there before the end
   * @param expected The number of bytes wanted, or `null` if not known
   * @param wanted What was to be read, for the message; by default the bytes, or a separator
   */
  constructor(partial: Bytes, expected: number | null, wanted?: string) {
    wanted ??= expected === null ? "a separator" : `${expected} bytes`;
    super(`Cannot read ${wanted}: the stream ended after ${partial.length} bytes`);
    this.name = "IncompleteReadError";
    this.#partial = partial;
    this.expected = expected;
  }

  /** The bytes that were read before the end. */
  get partial(): Bytes {
    return this.#partial;
  }
}

// Not by `extends`: the class that documentation shows there must exist, and be the same, in every runtime.
if (typeof Deno !== "undefined") {
  const { UnexpectedEof } = Deno.errors;
  Object.setPrototypeOf(IncompleteReadError, UnexpectedEof);
  Object.setPrototypeOf(IncompleteReadError.prototype, UnexpectedEof.prototype);
}
