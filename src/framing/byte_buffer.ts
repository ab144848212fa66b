/**
 * A sink of bytes: one block that grows, and is used again for the next message.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { mostBytesOf, putText } from "../common/utf8.ts";
import type { ByteSink, Encoder } from "./codec.ts";

const SMALLEST = 256;
/** Up to this length a loop is quicker than `set`: 2 ns against 8 for 2 bytes. */
const SHORT = 8;
/** A larger block is not kept for the next messages. */
const LARGEST_KEPT = 65536;

/**
 * Collects what an encoder writes.
 *
 * Connections have one of their own: it is for tests of codecs, and for messages that go elsewhere.
 *
 * @example What a codec writes
 * ```ts
 * import { ByteBuffer, netstrings } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const buffer = new ByteBuffer();
 * netstrings().encode(new TextEncoder().encode("hello"), buffer);
 * assertEquals(new TextDecoder().decode(buffer.take()), "5:hello,");
 * assertEquals(buffer.length, 0);
 * ```
 */
export class ByteBuffer implements ByteSink {
  #block: Bytes = NO_BLOCK;
  #view: DataView<ArrayBuffer> | null = null;
  #length = 0;

  /** The number of bytes put so far. */
  get length(): number {
    return this.#length;
  }

  /**
   * Puts a copy of bytes.
   *
   * @param data The bytes
   */
  put(data: Uint8Array): void {
    const { length } = data;
    const at = this.#extend(length);
    const block = this.#block;
    if (length > SHORT) return block.set(data, at);
    for (let i = 0; i < length; i++) block[at + i] = data[i]!;
  }

  /**
   * Puts text, as UTF-8.
   *
   * @param text The text; of a surrogate without its partner U+FFFD is put
   */
  putText(text: string): void {
    const at = this.#reserve(mostBytesOf(text));
    this.#length = putText(text, this.#block, at);
  }

  /**
   * Puts an unsigned integer of one byte.
   *
   * @param value The integer
   */
  putUint8(value: number): void {
    const at = this.#extend(1);
    this.#block[at] = value;
  }

  /**
   * Puts an unsigned integer of two bytes.
   *
   * @param value The integer
   * @param littleEndian Whether the least significant byte is first; `false` by default
   */
  putUint16(value: number, littleEndian = false): void {
    const at = this.#extend(2);
    const [first, second] = littleEndian ? [value, value >> 8] : [value >> 8, value];
    this.#block[at] = first;
    this.#block[at + 1] = second;
  }

  /**
   * Puts an unsigned integer of four bytes.
   *
   * @param value The integer
   * @param littleEndian Whether the least significant byte is first; `false` by default
   */
  putUint32(value: number, littleEndian = false): void {
    const at = this.#extend(4);
    const block = this.#block;
    if (littleEndian) {
      block[at] = value;
      block[at + 1] = value >>> 8;
      block[at + 2] = value >>> 16;
      block[at + 3] = value >>> 24;
    } else {
      block[at] = value >>> 24;
      block[at + 1] = value >>> 16;
      block[at + 2] = value >>> 8;
      block[at + 3] = value;
    }
  }

  /**
   * Puts an unsigned integer of eight bytes.
   *
   * @param value The integer
   * @param littleEndian Whether the least significant byte is first; `false` by default
   */
  putBigUint64(value: bigint, littleEndian = false): void {
    const at = this.#extend(8);
    this.#view ??= new DataView(this.#block.buffer);
    this.#view.setBigUint64(at, value, littleEndian);
  }

  /**
   * Takes all bytes out.
   *
   * @returns A copy of them
   */
  take(): Bytes {
    const bytes = this.#block.slice(0, this.#length);
    this.truncate(0);
    return bytes;
  }

  /**
   * The bytes from a position, where they are.
   *
   * @param start The position
   * @returns A view, valid until the buffer is changed
   */
  view(start = 0): Bytes {
    return this.#block.subarray(start, this.#length);
  }

  /**
   * Drops the bytes from a position.
   *
   * @param length The position
   */
  truncate(length: number): void {
    this.#length = Math.min(length, this.#length);
    if (this.#length === 0 && this.#block.length > LARGEST_KEPT) this.#replace(NO_BLOCK);
  }

  /** Makes room for bytes, and counts them; returns where they begin. */
  #extend(n: number): number {
    const at = this.#reserve(n);
    this.#length = at + n;
    return at;
  }

  /** Makes room for bytes; returns where they begin. */
  #reserve(n: number): number {
    const end = this.#length + n;
    if (end > this.#block.length) {
      const block = new Uint8Array(Math.max(SMALLEST, 2 * this.#block.length, end));
      block.set(this.#block.subarray(0, this.#length));
      this.#replace(block);
    }
    return this.#length;
  }

  #replace(block: Bytes): void {
    this.#block = block;
    this.#view = null;
  }
}

const NO_BLOCK: Bytes = new Uint8Array(0);

/** One for all connections: an encoder runs to its end, and what it put is copied into the connection's own chunk. */
const shared = new ByteBuffer();

/**
 * Encodes a message and passes its bytes on; not exported from the package.
 *
 * @param encoder The encoder. One that throws has put nothing
 * @param message The message
 * @param write Takes the bytes, which are valid until it returns
 */
export function encodeTo<T>(encoder: Encoder<T>, message: T, write: { write(data: Uint8Array): void }): void {
  // An encoder may itself send a message: the shared buffer is a stack.
  const start = shared.length;
  try {
    encoder.encode(message, shared);
    write.write(shared.view(start));
  } finally {
    shared.truncate(start);
  }
}
