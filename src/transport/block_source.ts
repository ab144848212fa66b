/**
 * Bytes that are produced while they are sent, such as those of a file, and transports that take them in order with writes.
 *
 * @module
 */

/** Produces bytes block by block, each when the one before was sent whole. */
export interface BlockSource {
  /** The largest block it can fill, in bytes. */
  readonly blockSize: number;
  /**
   * Puts the next bytes at the start of a block.
   *
   * @param block The memory
   * @returns How many bytes; `null` if there are no more
   */
  read(block: Uint8Array): Promise<number | null>;
}

/** The capability of a transport to take a source in order with everything else that is written (SPEC W3). */
export interface SourceTransport {
  /**
   * Sends what a source produces. What is written afterwards follows it, also if the source fails.
   *
   * @param source The source
   * @returns How many bytes were sent; rejects with what the source failed with, or what the connection was lost with
   */
  sendSource(source: BlockSource): Promise<number>;
}

/**
 * Tells whether a transport has that capability.
 *
 * @param transport Any transport
 * @returns Whether it has
 */
export function takesSources<T extends object>(transport: T): transport is T & SourceTransport {
  return typeof (transport as Partial<SourceTransport>).sendSource === "function";
}

/**
 * Sends what a source produces, for a sink that knows nothing of sources.
 *
 * @param source The source
 * @param block Memory for a block; the sink's until its promise settles
 * @param sink Sends a block
 * @returns How many bytes were sent
 */
export async function sendBlocks(
  source: BlockSource,
  block: Uint8Array,
  sink: (block: Uint8Array) => Promise<void>,
): Promise<number> {
  let sent = 0;
  for (let n = await source.read(block); n !== null; n = await source.read(block)) {
    await sink(block.subarray(0, n));
    sent += n;
  }
  return sent;
}
