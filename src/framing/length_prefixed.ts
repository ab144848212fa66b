/**
 * Messages with their length in front, in binary.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { aBoolean, type Check } from "../common/options.ts";
import type { ByteQueue } from "./byte_queue.ts";
import type { ByteSink, Codec } from "./codec.ts";
import { checkBytes } from "./delimited.ts";
import { FramingError } from "./framing_error.ts";
import { type LengthField, lengthFieldOf } from "./length_field.ts";
import { limitOf, type LimitOptions, tooLong } from "./limits.ts";

/** Options of {@linkcode lengthPrefixed}. */
export interface LengthPrefixedOptions extends LimitOptions {
  /** The size of the length field, in bytes, or "varint": 7 bits per byte, the least significant first (LEB128, protobuf). */
  bytes: 1 | 2 | 3 | 4 | 8 | "varint";
  /** Whether the least significant byte is first; `false` by default. Not for "varint". */
  littleEndian?: boolean | undefined;
  /** Whether the declared length counts the header too, that is the length field and what is before it; `false` by default. */
  includesHeader?: boolean | undefined;
  /** What is added to the declared length to have the number of bytes that follow the length field; 0 by default. */
  adjust?: number | undefined;
  /** The number of bytes before the length field; 0 by default. They are the start of the message. */
  offset?: number | undefined;
}

/**
 * Messages with their length in front.
 *
 * A message is what precedes the length field, if there is an `offset`, and what follows it. Its length field is not part of
 * it: decoding drops and encoding adds it. As Netty's `LengthFieldBasedFrameDecoder` and tokio-util's `LengthDelimitedCodec`,
 * but that a message has all but the length field.
 *
 * A varint must not be longer than needed.
 *
 * @param options The size and the meaning of the length field; the `limit`: the most bytes of a message, 65536 by default
 * @returns The codec
 * @throws {TypeError} If an option is of the wrong type
 * @throws {RangeError} If the limit is not a whole number above 0, the offset not one from 0, or `adjust` not a whole number
 *
 * @example Messages of PostgreSQL: a type, and a length that counts itself but not the type
 * ```ts
 * import { ByteQueue, lengthPrefixed } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const messages = lengthPrefixed({ bytes: 4, offset: 1, adjust: -4 });
 * const queue = new ByteQueue();
 * queue.append(new Uint8Array([90, 0, 0, 0, 5, 73]));
 * assertEquals(messages.decode(queue), new Uint8Array([90, 73]));
 * ```
 */
export function lengthPrefixed(options: LengthPrefixedOptions): Codec<Bytes, Uint8Array> {
  const limit = limitOf("lengthPrefixed", options, CHECKS);
  if (options.bytes === undefined) throw new TypeError(`Cannot make lengthPrefixed(): bytes ${SIZES}, not undefined`);
  return new LengthPrefixed(limit, options);
}

class LengthPrefixed implements Codec<Bytes, Uint8Array> {
  readonly #limit: number;
  readonly #field: LengthField;
  readonly #offset: number;
  readonly #adjust: number;
  readonly #includesHeader: boolean;

  constructor(limit: number, options: LengthPrefixedOptions) {
    this.#limit = limit;
    this.#field = lengthFieldOf(options.bytes, options.littleEndian ?? false);
    this.#offset = options.offset ?? 0;
    this.#adjust = options.adjust ?? 0;
    this.#includesHeader = options.includesHeader ?? false;
  }

  decode(bytes: ByteQueue): Bytes | undefined {
    const offset = this.#offset;
    const size = this.#field.sizeAt(bytes, offset);
    if (size === 0) return undefined;
    const header = offset + size;
    const rest = this.#field.read(bytes, offset, size) - this.#excess(header);
    if (rest < 0) throw new FramingError("Cannot decode a message: its length is less than that of its header", header);
    if (offset + rest > this.#limit) throw tooLong("decode a message", this.#limit, header);
    if (bytes.length < header + rest) return undefined;
    if (offset === 0) {
      bytes.drop(header);
      return bytes.take(rest);
    }
    const whole = bytes.take(header + rest);
    const message = new Uint8Array(offset + rest);
    for (let i = 0; i < offset; i++) message[i] = whole[i]!;
    message.set(whole.subarray(header), offset);
    return message;
  }

  encode(message: Uint8Array, out: ByteSink): void {
    checkBytes(message);
    const offset = this.#offset;
    const rest = message.length - offset;
    if (rest < 0) {
      throw new FramingError(
        `Cannot encode a message: it has ${message.length} bytes, fewer than the ${offset} of its start`,
      );
    }
    if (message.length > this.#limit) throw tooLong("encode a message", this.#limit);
    const { length, size } = this.#declare(rest);
    if (offset === 0) {
      this.#field.put(out, length, size);
      out.put(message);
    } else {
      out.put(message.subarray(0, offset));
      this.#field.put(out, length, size);
      out.put(message.subarray(offset));
    }
  }

  /** What the declared length counts beyond the bytes that follow the length field. */
  #excess(header: number): number {
    return (this.#includesHeader ? header : 0) - this.#adjust;
  }

  /** The length to declare for a number of bytes after the length field, and the size of that. */
  #declare(rest: number): { length: number; size: number } {
    // A varint that counts itself may be one byte longer for it.
    for (let size = this.#field.least;;) {
      const length = rest + this.#excess(this.#offset + size);
      if (length < 0) throw new FramingError("Cannot encode a message: the length to declare is negative");
      const needed = this.#field.sizeOf(length);
      if (needed === Infinity) {
        throw new FramingError(`Cannot encode a message: its length does not fit into ${size} bytes`);
      }
      if (needed <= size) return { length, size };
      size = needed;
    }
  }
}

const SIZES = 'must be 1, 2, 3, 4, 8 or "varint"';

const CHECKS: Readonly<Record<string, Check>> = {
  bytes: (value) => [1, 2, 3, 4, 8, "varint"].includes(value as number | string) ? null : SIZES,
  littleEndian: aBoolean,
  includesHeader: aBoolean,
  adjust: (value) => {
    if (typeof value !== "number") return "must be a number";
    return Number.isSafeInteger(value) ? null : { range: "must be a whole number" };
  },
  offset: (value) => {
    if (typeof value !== "number") return "must be a number";
    return Number.isSafeInteger(value) && value >= 0 ? null : { range: "must be a whole number from 0" };
  },
};
