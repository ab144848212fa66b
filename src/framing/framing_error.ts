/**
 * The error of bytes that are no message, and of messages that cannot be written.
 *
 * @module
 */

/**
 * The bytes are no message of the format, or a message exceeds the limit of its codec, in either direction.
 *
 * A decoder that throws it has taken nothing of the message that it refuses. {@linkcode Framed} and
 * {@linkcode FramedProtocol} decode nothing after it, because the start of the next message is not known.
 *
 * @example A declared length beyond the limit
 * ```ts
 * import { ByteQueue, FramingError, lengthPrefixed } from "@tideline/net/framing";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const queue = new ByteQueue();
 * queue.append(new Uint8Array([255, 255, 255, 255]));
 * const error = assertThrows(() => lengthPrefixed({ bytes: 4 }).decode(queue), FramingError);
 * assertEquals(error.consumed, 4);
 * assertEquals(queue.length, 4);
 * ```
 */
export class FramingError extends Error {
  /**
   * How many bytes, from the front of the queue, were read to find this out; they are in the queue still. Of a length that is
   * refused these are its header, of a message that has no end within the limit the first limit + 1 bytes, of other faults
   * the bytes through the one that is wrong. It depends on the bytes alone, not on how they arrived. 0 if a message could not
   * be encoded.
   */
  readonly consumed: number;

  /**
   * Makes the error.
   *
   * @param message What could not be done, and why
   * @param consumed The number of bytes that were read to find out; 0 by default
   * @param options As of `Error`: the `cause`
   */
  constructor(message: string, consumed = 0, options?: ErrorOptions) {
    super(message, options);
    this.name = "FramingError";
    this.consumed = consumed;
  }
}
