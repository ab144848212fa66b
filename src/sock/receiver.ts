/**
 * The receives on one conn: one at a time, and what an aborted one brings is kept for the next.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type { ConnLike } from "../conn/conn.ts";
import { toNetError } from "../common/errors.ts";
import { costOfCall, LoopBudget } from "../common/loop_budget.ts";
import { copyOf } from "../memory/handed_out.ts";
import { acquireBlock, releaseBlock } from "../memory/pool.ts";
import { SingleFlight } from "./single_flight.ts";
import { throwIfAborted } from "../common/abort.ts";

/** The most that is read at once into memory of ours, in bytes; so it is also the most that is kept. */
export const MOST_RECEIVED = 262144;

/** The receives on one conn. */
export class SockReceiver {
  readonly #conn: ConnLike;
  // Bytes in memory that is theirs for good, or null at the end.
  readonly #reads = new SingleFlight<Bytes | null>();
  readonly #budget = new LoopBudget();
  #rest: Bytes | null = null;

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
  async receive(most: number, signal: AbortSignal | undefined): Promise<Bytes | null> {
    throwIfAborted(signal);
    const kept = this.#takeRest(most);
    if (kept !== null) return kept;
    return this.#split(await this.#reads.take("receive", () => this.#read(most), signal), most);
  }

  /**
   * Receives bytes into memory of the caller's, without a copy if nothing is kept and there is no signal.
   *
   * @param p The memory, not empty
   * @param signal Ends it
   * @returns The number of bytes, or `null` at the end
   * @throws {TypeError} If the memory is detached or shrunk meanwhile; what a copy brought is kept
   */
  async receiveInto(p: Uint8Array, signal: AbortSignal | undefined): Promise<number | null> {
    if (signal !== undefined) {
      const bytes = await this.receive(p.length, signal);
      return bytes === null ? null : this.#put(bytes, p);
    }
    const kept = this.#takeRest(p.length);
    if (kept !== null) return this.#put(kept, p);
    let direct: number | null | undefined;
    const start = async () => {
      direct = await this.#readInto(p);
      if (p.length === 0) throw memoryGone();
      return null;
    };
    const read = await this.#reads.take("receive", start, undefined);
    if (direct !== undefined) return direct;
    // What an aborted receive began.
    return read === null ? null : this.#put(this.#split(read, p.length)!, p);
  }

  async #read(most: number): Promise<Bytes | null> {
    const size = Math.min(most, MOST_RECEIVED);
    const block = acquireBlock(size);
    try {
      const n = await this.#readInto(block.subarray(0, size));
      return n === null ? null : copyOf(block, n);
    } finally {
      releaseBlock(block);
    }
  }

  async #readInto(p: Uint8Array): Promise<number | null> {
    try {
      const n = await this.#conn.read(p);
      const turn = this.#budget.spend(costOfCall(n ?? 0));
      if (turn !== null) await turn;
      return n;
    } catch (error) {
      throw toNetError(error, "receive");
    }
  }

  #put(bytes: Bytes, p: Uint8Array): number {
    if (bytes.length > p.length) {
      this.#keep(bytes);
      throw memoryGone();
    }
    p.set(bytes);
    return bytes.length;
  }

  /** Keeps bytes that were taken out, before the rest. */
  #keep(bytes: Bytes): void {
    const rest = this.#rest;
    const all = new Uint8Array(bytes.length + (rest?.length ?? 0));
    all.set(bytes);
    if (rest !== null) all.set(rest, bytes.length);
    this.#rest = all;
  }

  #takeRest(most: number): Bytes | null {
    const rest = this.#rest;
    this.#rest = null;
    return this.#split(rest, most);
  }

  /** Cuts off what is too much, and keeps it. What is returned is copied then: the caller may detach it (SPEC M5). */
  #split(bytes: Bytes | null, most: number): Bytes | null {
    if (bytes === null || (bytes.length <= most && bytes.length === bytes.buffer.byteLength)) return bytes;
    if (bytes.length > most) this.#rest = bytes.subarray(most);
    return copyOf(bytes, Math.min(bytes.length, most));
  }
}

function memoryGone(): Error {
  return new TypeError("Cannot receive: the memory was detached or shrunk meanwhile");
}
