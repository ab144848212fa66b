/**
 * One operation at a time, of a kind that cannot be cancelled. An aborted call abandons the operation, and the next call
 * gets its result, so an abort loses nothing.
 *
 * ```
 * idle --take()--> awaited --settled--> idle
 *                   |   ^
 *             abort |   | take()
 *                   v   |
 *                 abandoned
 * ```
 *
 * @module
 */
import { abortable, throwIfAborted } from "../common/abort.ts";

/** The operations of one kind on one object. */
export class SingleFlight<T> {
  #state: "idle" | "awaited" | "abandoned" = "idle";
  #outcome: Promise<{ value: T } | { error: unknown }> | null = null;

  /**
   * Waits for the abandoned operation if there is one, else for a new one.
   *
   * @param doing The verb for messages, such as "receive"
   * @param start Starts a new operation
   * @param signal Aborts the wait, and abandons the operation
   * @returns The result of the operation
   * @throws {Deno.errors.Busy} If another call waits already
   * @throws The error of the operation, or `signal.reason`
   */
  async take(doing: string, start: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    throwIfAborted(signal);
    if (this.#state === "awaited") throw new Deno.errors.Busy(`Cannot ${doing}: another call waits already`);
    // The outcome never rejects. So this is the abort, which leaves the outcome to the next call, settled or not.
    const outcome = this.#outcome ??= start().then((value) => ({ value }), (error) => ({ error }));
    this.#state = "awaited";
    let settled;
    try {
      settled = await abortable(outcome, signal);
    } catch (reason) {
      this.#state = "abandoned";
      throw reason;
    }
    this.#state = "idle";
    this.#outcome = null;
    if ("error" in settled) throw settled.error;
    return settled.value;
  }
}
