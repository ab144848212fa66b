/**
 * Blocks `drain()` while writing is paused, and `waitClosed()` until the connection is lost.
 *
 * As the `FlowControlMixin` of asyncio.
 *
 * @module
 */
import { lostError } from "../common/errors.ts";
import { rejection } from "../common/callers_frames.ts";
import { handled, rejected } from "../common/handled.ts";

type State = "open" | "shut" | "lost";

/** Any number of calls may wait; their rejections may be ignored. */
export class DrainGate {
  #state: State = "open";
  #error: Error | null = null;
  #drain: PromiseWithResolvers<void> | null = null;
  #lost: PromiseWithResolvers<void> | null = null;

  /** Writing is paused: `drain()` waits. */
  pause(): void {
    if (this.#state === "open") this.#state = "shut";
  }

  /** Writing goes on: every `drain()` resolves. */
  resume(): void {
    if (this.#state !== "shut") return;
    this.#state = "open";
    this.#drain?.resolve();
    this.#drain = null;
  }

  /**
   * The connection is lost: every call that waits is settled.
   *
   * @param error Why, or `null`
   */
  lose(error: Error | null): void {
    this.#state = "lost";
    this.#error = error;
    if (this.#drain !== null) rejectIgnorably(this.#drain, lostError(error, "drain"));
    this.#drain = null;
    if (this.#lost === null) return;
    if (error === null) this.#lost.resolve();
    else rejectIgnorably(this.#lost, error);
  }

  /**
   * Waits while writing is paused.
   *
   * @returns Resolves when writing goes on; rejects with the error that the connection is lost with meanwhile, or
   * `ConnectionReset` if there is none or it was lost before
   */
  drain(): Promise<void> {
    switch (this.#state) {
      case "open":
        return OPEN;
      case "shut":
        return (this.#drain ??= Promise.withResolvers()).promise;
      case "lost":
        return rejected(
          new Deno.errors.ConnectionReset("Cannot drain: the connection is lost", { cause: this.#error }),
        );
    }
  }

  /**
   * Waits for the end of the connection.
   *
   * @returns Resolves when the connection was lost in order, rejects with what it was lost with; may be ignored
   */
  lost(): Promise<void> {
    if (this.#lost === null) {
      this.#lost = Promise.withResolvers<void>();
      if (this.#state === "lost") this.lose(this.#error);
    }
    return this.#lost.promise;
  }
}

const OPEN = Promise.resolve();

/** Rejects a promise that need not be awaited. */
function rejectIgnorably({ promise, resolve }: PromiseWithResolvers<void>, error: Error): void {
  resolve(rejection(error, () => handled(promise)));
}
