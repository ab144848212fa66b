/**
 * The type of the bytes that are handed out, and a plain view of those that are passed in.
 *
 * @module
 */

/** Bytes that are handed out: accepted wherever the platform takes a `BufferSource` or a `BlobPart`, without a cast. */
export type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Makes a plain view of a user's memory, on which no subclass has a say: `Buffer.slice()`, for one, is no copy.
 *
 * @param data The memory
 * @returns The memory itself, if it is a plain `Uint8Array`; else a view of it
 */
export function plainView(data: Uint8Array): Uint8Array {
  if (Object.getPrototypeOf(data) === Uint8Array.prototype) return data;
  return new Uint8Array(data.buffer, data.byteOffset, data.length);
}
