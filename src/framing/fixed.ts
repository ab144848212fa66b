/**
 * Messages of one size.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type { ByteQueue } from "./byte_queue.ts";
import type { ByteSink, Codec } from "./codec.ts";
import { checkBytes } from "./delimited.ts";
import { FramingError } from "./framing_error.ts";
import { checkSize } from "./limits.ts";

/**
 * Messages that all have the same size, which is their limit.
 *
 * @param size The number of bytes of a message
 * @returns The codec
 * @throws {TypeError} If the size is not a number
 * @throws {RangeError} If it is not a whole number above 0
 *
 * @example Records of four bytes
 * ```ts
 * import { ByteQueue, fixed } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new ByteQueue();
 * queue.append(new Uint8Array([1, 2, 3, 4, 5]));
 * assertEquals(fixed(4).decode(queue), new Uint8Array([1, 2, 3, 4]));
 * assertEquals(fixed(4).decode(queue), undefined);
 * ```
 */
export function fixed(size: number): Codec<Bytes, Uint8Array> {
  checkSize("fixed", size);
  return new Fixed(size);
}

class Fixed implements Codec<Bytes, Uint8Array> {
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  decode(bytes: ByteQueue): Bytes | undefined {
    return bytes.length < this.#size ? undefined : bytes.take(this.#size);
  }

  encode(message: Uint8Array, out: ByteSink): void {
    checkBytes(message);
    if (message.length !== this.#size) {
      throw new FramingError(`Cannot encode a message: it has ${message.length} bytes, not ${this.#size}`);
    }
    out.put(message);
  }
}
