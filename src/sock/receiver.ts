/**
 * The receives on one conn: one at a time, and what an aborted one brings is kept for the next.
 *
 * @module
 */
import type { ConnLike } from "../conn.ts";
import { toNetError } from "../errors.ts";
import { copyOf, giveBlock, takeBlock } from "../memory.ts";
import { OneAtATime } from "./one_at_a_time.ts";
import { throwIfAborted } from "../options.ts";

/** The most that is read at once into memory of ours, in bytes; so it is also the most that is kept. */
export const MOST_RECEIVED = 262144;

/** The receives on one conn. */
export class SockReceiver {
  readonly #conn: ConnLike;
  // Bytes in memory that is theirs for good, or null at the end.
  readonly #reads = new OneAtATime<Uint8Array | null>();
  #rest: Uint8Array | null = null;

  /** @param conn The conn */
  constructor(conn: ConnLike) {
    this.#conn = conn;
  }

  /**
   * Receives bytes into memory of its own.
   *
   * @param most How many bytes at most, more than none
   * @param signal Ends it
   * @returns The bytes, or `null` at the end
   */
  async receive(most: number, signal: AbortSignal | undefined): Promise<Uint8Array | null> {
    throwIfAborted(signal);
    const kept = this.#takeRest(most);
    if (kept !== null) return kept;
    return this.#split(await this.#reads.take("receive", () => this.#read(most), signal), most);
  }

  /**
   * Receives bytes into memory of the caller's, without a copy if nothing is kept.
   *
   * @param p The memory, not empty
   * @returns The number of bytes, or `null` at the end
   */
  async receiveInto(p: Uint8Array): Promise<number | null> {
    let read = this.#takeRest(p.length);
    if (read === null) {
      let direct = false;
      const start = () => {
        direct = true;
        return this.#readInto(p);
      };
      read = await this.#reads.take("receive", start, undefined);
      if (direct || read === null) return read && read.length;
      read = this.#split(read, p.length)!;
    }
    p.set(read);
    return read.length;
  }

  async #read(most: number): Promise<Uint8Array | null> {
    const size = Math.min(most, MOST_RECEIVED);
    const block = takeBlock(size);
    try {
      const read = await this.#readInto(block.subarray(0, size));
      return read && copyOf(block, read.length);
    } finally {
      giveBlock(block);
    }
  }

  async #readInto(p: Uint8Array): Promise<Uint8Array | null> {
    try {
      const n = await this.#conn.read(p);
      return n === null ? null : p.subarray(0, n);
    } catch (error) {
      throw toNetError(error, "receive");
    }
  }

  #takeRest(most: number): Uint8Array | null {
    const rest = this.#rest;
    this.#rest = null;
    return this.#split(rest, most);
  }

  /** Cuts off what is too much, and keeps it. */
  #split(bytes: Uint8Array | null, most: number): Uint8Array | null {
    if (bytes === null || bytes.length <= most) return bytes;
    this.#rest = bytes.subarray(most);
    return bytes.subarray(0, most);
  }
}
