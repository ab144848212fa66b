/**
 * One operation at a time, of a kind that no API can cancel: a call that is aborted abandons it, and the next call gets
 * what it brings. So an abort swallows nothing.
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

/** The operations of one kind on one thing. */
export class SingleFlight<T> {
  #state: "idle" | "awaited" | "abandoned" = "idle";
  #outcome: Promise<{ value: T } | { error: unknown }> | null = null;

  /** Whether what the operation under way brings is for a call to come. */
  get abandoned(): boolean {
    return this.#state === "abandoned";
  }

  /**
   * Waits for the operation that was abandoned, or else for a new one.
   *
   * @param doing What it does, as in "receive"
   * @param start Begins a new one
   * @param signal Ends the wait, and abandons the operation
   * @returns What it brings
   * @throws {Deno.errors.Busy} If another call waits already
   * @throws What the operation throws, or `signal.reason`
   */
  async take(doing: string, start: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    throwIfAborted(signal);
    if (this.#state === "awaited") throw new Deno.errors.Busy(`Cannot ${doing}: another call waits already`);
    // The outcome never rejects: so what does is the abort, and it leaves the outcome for the next call, settled or not.
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

  /** Forgets what the abandoned operation brings. */
  forget(): void {
    if (this.#state !== "abandoned") return;
    this.#state = "idle";
    this.#outcome = null;
  }
}
