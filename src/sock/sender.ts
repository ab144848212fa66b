/**
 * The sends on one conn: one at a time, and none any more once it is not known how much of one was sent.
 *
 * ```
 * idle --exclusive()--> sending --done, failed--> idle
 *                          |
 *                          +--aborted with bytes on their way--> cut
 * ```
 *
 * @module
 */
import { abortable, throwIfAborted } from "../common/abort.ts";
import type { ConnLike } from "../conn/conn.ts";
import { toNetError } from "../common/errors.ts";
import { costOfCall, LoopBudget } from "../common/loop_budget.ts";
import { acquireBlock, releaseBlock } from "../memory/pool.ts";

/** How much is copied at a time, in bytes. */
const PIECE = 65536;

/** The sends on one conn. */
export class SockSender {
  readonly #conn: ConnLike;
  readonly #budget = new LoopBudget();
  #state: "idle" | "sending" | "cut" = "idle";

  /** @param conn The conn */
  constructor(conn: ConnLike) {
    this.#conn = conn;
  }

  /**
   * Runs something that sends, with no other send between.
   *
   * @param run What sends
   * @returns As that
   * @throws {Deno.errors.Busy} If another send is under way
   * @throws {Deno.errors.ConnectionAborted} If an earlier one was aborted with bytes on their way
   */
  async exclusive<T>(run: () => Promise<T>): Promise<T> {
    if (this.#state === "sending") throw new Deno.errors.Busy("Cannot send: another call sends already");
    if (this.#state === "cut") {
      throw new Deno.errors.ConnectionAborted(
        "Cannot send: an earlier send was aborted, and how much of it was sent is not known",
      );
    }
    this.#state = "sending";
    try {
      return await run();
    } finally {
      if (this.#state === "sending") this.#state = "idle";
    }
  }

  /**
   * Sends all bytes; to be called inside {@linkcode exclusive}.
   *
   * @param data The bytes
   * @param signal Ends it; the memory is then still in use
   * @throws {TypeError} If the memory is detached or shrunk before all is sent; later sends are refused
   */
  async sendWhole(data: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const { length } = data;
    let begun = false;
    try {
      for (let offset = 0; offset < length;) {
        throwIfAborted(signal);
        this.#checkMemory(data, length, begun);
        begun = true;
        const n = await abortable(this.#conn.write(offset === 0 ? data : data.subarray(offset)), signal);
        offset += n;
        const turn = this.#budget.spend(costOfCall(n));
        if (turn !== null) await turn;
      }
    } catch (error) {
      if (!signal?.aborted || error !== signal.reason) throw toNetError(error, "send");
      if (begun) this.#state = "cut";
      throw error;
    }
  }

  /**
   * Sends all bytes from copies, so that the memory is free even after an abort; to be called inside
   * {@linkcode exclusive}.
   *
   * @param data The bytes
   * @param signal Ends it
   */
  async sendCopy(data: Uint8Array, signal: AbortSignal): Promise<void> {
    const { length } = data;
    const block = acquireBlock(Math.min(length, PIECE));
    for (let offset = 0; offset < length; offset += block.length) {
      this.#checkMemory(data, length, offset > 0);
      const piece = data.subarray(offset, offset + block.length);
      block.set(piece);
      try {
        await this.sendWhole(block.subarray(0, piece.length), signal);
      } catch (error) {
        // An abort between two pieces cuts the data as well.
        if (offset > 0 && signal.aborted) this.#state = "cut";
        throw error;
      }
    }
    // After a failure it may still be in use, and is left to the garbage collector.
    releaseBlock(block);
  }

  /** Refuses memory that has lost bytes since the call: what is left of it would be sent in their place. */
  #checkMemory(data: Uint8Array, length: number, begun: boolean): void {
    if (data.length >= length) return;
    if (begun) this.#state = "cut";
    throw new TypeError("Cannot send: the memory was detached or shrunk meanwhile");
  }
}
