/**
 * Messages whose header, of any form, says how long their body is.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { describe, describeType } from "../common/describe.ts";
import type { ByteQueue } from "./byte_queue.ts";
import type { ByteSink, Codec } from "./codec.ts";
import { checkBytes } from "./delimited.ts";
import { limitOf, type LimitOptions, tooLong } from "./limits.ts";

/** A message of {@linkcode headed}. */
export interface HeadedMessage<B extends Uint8Array = Bytes> {
  /** The header. */
  header: B;
  /** The body. */
  body: B;
}

/** The sizes of the parts of a message, in bytes. */
export interface HeadedSizes {
  /** Of the header. */
  header: number;
  /** Of the body that follows it. */
  body: number;
}

/**
 * Messages of a header and a body, by a function that tells the sizes of both from the header.
 *
 * @param measure Is given the bytes that have come, and takes none. It returns `undefined` until the header is complete, and
 * throws, best a {@linkcode FramingError}, if it is none. It is called again when more bytes have come
 * @param options The `limit`: the most bytes of a header and its body together; 65536 by default
 * @returns The codec. It encodes a header and a body as they are
 * @throws {TypeError} If `measure` is not a function, or the limit is not a number
 * @throws {RangeError} If the limit is not a whole number above 0
 *
 * @example Header fields that end with an empty line
 * ```ts
 * import { ByteQueue, headed } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const text = new TextDecoder();
 * const end = new TextEncoder().encode("\r\n\r\n");
 * const messages = headed((bytes) => {
 *   const header = bytes.indexOf(end) + end.length;
 *   if (header < end.length) return undefined;
 *   const length = /^content-length: *(\d+)\r$/im.exec(text.decode(bytes.peek(header)));
 *   return { header, body: Number(length?.[1] ?? 0) };
 * });
 * const queue = new ByteQueue();
 * queue.append(new TextEncoder().encode("Content-Length: 2\r\n\r\n{}"));
 * assertEquals(text.decode(messages.decode(queue)!.body), "{}");
 * ```
 */
export function headed(
  measure: (bytes: ByteQueue) => HeadedSizes | undefined,
  options: LimitOptions = {},
): Codec<HeadedMessage, HeadedMessage<Uint8Array>> {
  if (typeof measure !== "function") {
    throw new TypeError(`Cannot make headed(): measure must be a function, not ${describeType(measure)}`);
  }
  return new Headed(measure, limitOf("headed", options));
}

class Headed implements Codec<HeadedMessage, HeadedMessage<Uint8Array>> {
  readonly #measure: (bytes: ByteQueue) => HeadedSizes | undefined;
  readonly #limit: number;

  constructor(measure: (bytes: ByteQueue) => HeadedSizes | undefined, limit: number) {
    this.#measure = measure;
    this.#limit = limit;
  }

  decode(bytes: ByteQueue): HeadedMessage | undefined {
    const sizes = this.#measure(bytes);
    if (sizes === undefined) {
      if (bytes.length <= this.#limit) return undefined;
      throw tooLong("decode the header of a message", this.#limit, this.#limit + 1);
    }
    const { header, body } = sizes;
    checkSizes(header, body);
    if (header + body > this.#limit) throw tooLong("decode a message", this.#limit, Math.min(header, this.#limit + 1));
    return bytes.length < header + body ? undefined : { header: bytes.take(header), body: bytes.take(body) };
  }

  encode({ header, body }: HeadedMessage<Uint8Array>, out: ByteSink): void {
    checkBytes(header);
    checkBytes(body);
    if (header.length + body.length > this.#limit) throw tooLong("encode a message", this.#limit);
    out.put(header);
    out.put(body);
  }
}

/** What is not taken would be decoded again and again. */
function checkSizes(header: number, body: number): void {
  for (const [name, size] of [["header", header], ["body", body]] as const) {
    if (Number.isSafeInteger(size) && size >= 0) continue;
    throw new RangeError(
      `Cannot decode a message: the size of its ${name} must be a whole number, not ${describe(size)}`,
    );
  }
  if (header + body === 0) throw new RangeError("Cannot decode a message: its header and body are empty");
}
