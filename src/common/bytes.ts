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

/**
 * Copies a user's memory.
 *
 * @param data The memory
 * @param doing What it is for, as in "send a datagram"
 * @returns The copy
 * @throws {TypeError} If the memory is detached
 */
export function copyMemory(data: Uint8Array, doing: string): Bytes {
  const view = plainView(data);
  if ((view.buffer as ArrayBuffer).detached) throw new TypeError(`Cannot ${doing}: the memory is detached`);
  // Not slice(), which would return shared memory for shared memory.
  return new Uint8Array(view);
}
