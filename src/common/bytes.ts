/**
 * The type of what is handed out.
 *
 * @module
 */

/** Bytes that are handed out: accepted wherever the platform takes a `BufferSource` or a `BlobPart`, without a cast. */
export type Bytes = Uint8Array<ArrayBuffer>;
