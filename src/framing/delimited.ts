/**
 * Messages that end with a separator.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { describeType } from "../common/describe.ts";
import type { ByteQueue } from "./byte_queue.ts";
import type { ByteSink, Codec } from "./codec.ts";
import { FramingError } from "./framing_error.ts";
import { limitOf, type LimitOptions, tooLong } from "./limits.ts";
import { Search, type Separator, Separators } from "./separators.ts";

/**
 * Messages that end with a separator, or with the first of several.
 *
 * Decoded messages are without it. Of separators that end at the same byte the longest counts: with "\r\n" and "\n" either
 * ends a message. Encoded messages get the first of the list, and must not contain any.
 *
 * @param separators The separator, or a list of which any counts; a string stands for its UTF-8 bytes
 * @param options The `limit`: the most bytes of a message, the separator not counted; 65536 by default
 * @returns The codec
 * @throws {TypeError} If a separator is empty or no separator, if there is none, or if the limit is not a number
 * @throws {RangeError} If the limit is not a whole number above 0
 *
 * @example Records that end with NUL
 * ```ts
 * import { ByteQueue, delimited } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const records = delimited("\0");
 * const queue = new ByteQueue();
 * queue.append(new TextEncoder().encode("one\0two"));
 * assertEquals(new TextDecoder().decode(records.decode(queue)), "one");
 * assertEquals(records.decode(queue), undefined);
 * ```
 */
export function delimited(
  separators: Separator | readonly Separator[],
  options: LimitOptions = {},
): Codec<Bytes, Uint8Array> {
  const limit = limitOf("delimited", options);
  const list = new Separators(separators);
  const first = Array.isArray(separators) ? separators[0] : separators;
  return new Delimited(list, new Separators(first).patterns[0]!.bytes, limit);
}

class Delimited implements Codec<Bytes, Uint8Array> {
  readonly #separators: Separators;
  /** What ends an encoded message. */
  readonly #ending: Uint8Array;
  readonly #limit: number;
  /** Searches for several separators that are to go on when more bytes have come; one is remembered by the queue. */
  readonly #searches = new WeakMap<ByteQueue, { search: Search; taken: number }>();

  constructor(separators: Separators, ending: Uint8Array, limit: number) {
    this.#separators = separators;
    this.#ending = ending;
    this.#limit = limit;
  }

  decode(bytes: ByteQueue): Bytes | undefined {
    const { byte, longest, patterns } = this.#separators;
    const most = this.#limit + longest;
    const to = Math.min(bytes.length, most);
    let length: number;
    let separator = longest;
    if (patterns.length === 1) {
      length = byte >= 0 ? bytes.indexOf(byte, 0, to) : bytes.indexOf(patterns[0]!.bytes, 0, to);
    } else {
      const end = this.#searchOf(bytes).next(bytes, to);
      separator = end < 0 ? 0 : this.#longestBefore(bytes, end);
      length = end < 0 ? -1 : end - separator;
    }
    if (length < 0) {
      if (bytes.length < most) return undefined;
      throw tooLong(DECODE, this.#limit, this.#limit + 1);
    }
    if (length > this.#limit) throw tooLong(DECODE, this.#limit, this.#limit + 1);
    const message = bytes.take(length);
    bytes.drop(separator);
    return message;
  }

  encode(message: Uint8Array, out: ByteSink): void {
    checkBytes(message);
    if (message.length > this.#limit) throw tooLong(ENCODE, this.#limit);
    if (!this.#isWhole(message)) throw new FramingError(`Cannot ${ENCODE}: it contains a separator`);
    out.put(message);
    out.put(this.#ending);
  }

  #searchOf(bytes: ByteQueue): Search {
    const state = this.#searches.get(bytes);
    if (state === undefined) {
      const search = new Search(this.#separators);
      this.#searches.set(bytes, { search, taken: bytes.taken });
      return search;
    }
    if (state.taken !== bytes.taken) {
      state.search.reset();
      state.taken = bytes.taken;
    }
    // What was found and refused is found again.
    if (state.search.position > bytes.length) state.search.reset();
    return state.search;
  }

  /** The length of the longest separator that ends at a position. */
  #longestBefore(bytes: ByteQueue, end: number): number {
    const { patterns } = this.#separators;
    for (let i = patterns.length - 1; i > 0; i--) {
      const pattern = patterns[i]!.bytes;
      if (pattern.length <= end && pattern.every((byte, k) => bytes.at(end - pattern.length + k) === byte)) {
        return pattern.length;
      }
    }
    return patterns[0]!.bytes.length;
  }

  /** Whether the first separator in a message with its ending is that ending. */
  #isWhole(message: Uint8Array): boolean {
    const { byte, patterns } = this.#separators;
    if (byte >= 0) return message.indexOf(byte) < 0;
    const end = message.length + this.#ending.length;
    return patterns.every((pattern) => {
      let matched = 0;
      for (let i = 0; i < end; i++) {
        matched = pattern.step(matched, i < message.length ? message[i]! : this.#ending[i - message.length]!);
        if (matched < pattern.bytes.length) continue;
        // Another separator may end with this one, but must not take bytes of the message.
        return i === end - 1 && matched <= this.#ending.length;
      }
      return true;
    });
  }
}

const DECODE = "decode a message";
const ENCODE = "encode a message";

/**
 * Checks that a message is bytes.
 *
 * @param message The message
 * @throws {TypeError} If it is not
 */
export function checkBytes(message: unknown): asserts message is Uint8Array {
  if (!(message instanceof Uint8Array)) {
    throw new TypeError(`Cannot ${ENCODE}: it must be a Uint8Array, not ${describeType(message)}`);
  }
}
