/**
 * What turns bytes into messages and back. A codec never sees a connection: the same object serves streams, protocols and
 * tests, and runs under any runtime.
 *
 * @module
 */
import type { ByteQueue } from "./byte_queue.ts";

/**
 * Turns bytes into messages.
 *
 * @example Messages of three bytes
 * ```ts
 * import { ByteQueue, type Decoder } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const triples: Decoder<Uint8Array> = {
 *   decode: (bytes) => bytes.length < 3 ? undefined : bytes.take(3),
 * };
 * const queue = new ByteQueue();
 * queue.append(new Uint8Array([1, 2, 3, 4]));
 * assertEquals(triples.decode(queue), new Uint8Array([1, 2, 3]));
 * assertEquals(triples.decode(queue), undefined);
 * ```
 */
export interface Decoder<T> {
  /**
   * Takes one message from the front of a queue.
   *
   * @param bytes The bytes that came and belong to no message yet. No byte beyond the message is taken
   * @returns The message; `undefined` if more bytes must come, and then it is called again when they have. The bytes may
   * stay in the queue until then, or be taken as far as they are understood
   * @throws {Error} If the bytes are no message. What it throws reaches the caller as it is
   */
  decode(bytes: ByteQueue): T | undefined;
  /**
   * Takes the last message, when the stream has ended and {@linkcode Decoder.decode} asked for more bytes. Without this
   * method, bytes that are left then are part of a message that never came whole: an `IncompleteReadError`.
   *
   * @param bytes The bytes that are left
   * @returns The message; `undefined` if there is none
   * @throws {Error} If the bytes are no message
   */
  decodeEof?(bytes: ByteQueue): T | undefined;
}

/** Turns messages into bytes. */
export interface Encoder<T> {
  /**
   * Writes one message.
   *
   * @param message The message
   * @param out Where its bytes are put
   * @throws {Error} If it cannot be written in this format; what was put by this call is then discarded
   */
  encode(message: T, out: ByteSink): void;
}

/** Turns bytes into messages and messages into bytes. */
export interface Codec<In, Out = In> extends Decoder<In>, Encoder<Out> {}

/** Where an {@linkcode Encoder} puts bytes: in place, without an array for each piece. Integers are as a `DataView`'s. */
export interface ByteSink {
  /** The number of bytes put so far. */
  readonly length: number;
  /** Puts a copy of bytes. */
  put(data: Uint8Array): void;
  /** Puts text, as UTF-8. */
  putText(text: string): void;
  /** Puts an unsigned integer of one byte. */
  putUint8(value: number): void;
  /** Puts an unsigned integer of two bytes, the most significant first unless `littleEndian`. */
  putUint16(value: number, littleEndian?: boolean): void;
  /** Puts an unsigned integer of four bytes, the most significant first unless `littleEndian`. */
  putUint32(value: number, littleEndian?: boolean): void;
  /** Puts an unsigned integer of eight bytes, the most significant first unless `littleEndian`. */
  putBigUint64(value: bigint, littleEndian?: boolean): void;
}
