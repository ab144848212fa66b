/**
 * The limit that every codec has, in both directions (SPEC F2).
 *
 * @module
 */
import { type Check, checkOptions } from "../common/options.ts";
import { FramingError } from "./framing_error.ts";

/** The default limit of a codec, in bytes. */
export const DEFAULT_LIMIT = 65536;

/** What all codecs with a limit take. */
export interface LimitOptions {
  /** The most bytes of a message, in both directions, without what frames it; 65536 by default. */
  limit?: number | undefined;
}

/** A whole number of bytes above 0. */
const aSize: Check = (value) => {
  if (typeof value !== "number") return "must be a number";
  return Number.isSafeInteger(value) && value > 0 ? null : { range: "must be a whole number above 0 bytes" };
};

/**
 * Checks the options of a codec.
 *
 * @param codec The name of the codec
 * @param options What the user passed
 * @param checks The options that it has besides `limit`
 * @returns The limit, in bytes
 * @throws {TypeError | RangeError} If they are wrong
 */
export function limitOf(codec: string, options: LimitOptions, checks: Readonly<Record<string, Check>> = {}): number {
  checkOptions(`make ${codec}()`, options, { limit: aSize, ...checks });
  return options.limit ?? DEFAULT_LIMIT;
}

/**
 * Checks the size of messages that all have the same.
 *
 * @param codec The name of the codec
 * @param size What the user passed
 * @throws {TypeError | RangeError} If it is none
 */
export function checkSize(codec: string, size: unknown): void {
  checkOptions(`make ${codec}()`, { size }, {
    size: (value) => value === undefined ? "must be a number" : aSize(value),
  });
  if (size === undefined) throw new TypeError(`Cannot make ${codec}(): size must be a number, not undefined`);
}

/**
 * The error of a message that exceeds the limit.
 *
 * @param doing What could not be done, as in "decode a line"
 * @param limit The limit, in bytes
 * @param consumed See {@linkcode FramingError.consumed}; 0 when encoding
 * @returns The error
 */
export function tooLong(doing: string, limit: number, consumed = 0): FramingError {
  return new FramingError(`Cannot ${doing}: it exceeds the limit of ${limit} bytes`, consumed);
}
