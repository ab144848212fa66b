/**
 * Who waits for drain, and for the end: opened and closed by a protocol, passed by the writer.
 *
 * As the `FlowControlMixin` of asyncio.
 *
 * @module
 */
import { lostError } from "../common/errors.ts";

type State = "open" | "shut" | "lost";

/** A gate that any number may wait at while writing is paused. */
export class DrainGate {
  #state: State = "open";
  #error: Error | null = null;
  #drain: PromiseWithResolvers<void> | null = null;
  #lost: PromiseWithResolvers<void> | null = null;

  /** Shuts the gate: writing is paused. */
  pause(): void {
    if (this.#state === "open") this.#state = "shut";
  }

  /** Opens it, and lets everyone through. */
  resume(): void {
    if (this.#state !== "shut") return;
    this.#state = "open";
    this.#drain?.resolve();
    this.#drain = null;
  }

  /**
   * The connection is lost: nobody passes any more.
   *
   * @param error Why, or `null`
   */
  lose(error: Error | null): void {
    this.#state = "lost";
    this.#error = error;
    this.#drain?.reject(lostError(error, "drain"));
    this.#drain = null;
    if (error === null) this.#lost?.resolve();
    else this.#lost?.reject(error);
  }

  /**
   * Passes the gate, or waits at it.
   *
   * @returns Resolves when writing goes on; rejects with the error that the connection is lost with meanwhile, or
   * `ConnectionReset` if there is none or it was lost before
   */
  drain(): Promise<void> {
    switch (this.#state) {
      case "open":
        return PASSED;
      case "shut":
        return (this.#drain ??= handled()).promise;
      case "lost":
        return Promise.reject(
          new Deno.errors.ConnectionReset("Cannot drain: the connection is lost", { cause: this.#error }),
        );
    }
  }

  /**
   * Waits for the end.
   *
   * @returns Resolves when the connection was lost in order, rejects with what it was lost with; may be ignored
   */
  lost(): Promise<void> {
    if (this.#lost === null) {
      this.#lost = handled();
      if (this.#state === "lost") this.lose(this.#error);
    }
    return this.#lost.promise;
  }
}

const PASSED = Promise.resolve();

/** A promise whose rejection may be ignored. */
function handled(): PromiseWithResolvers<void> {
  const deferred = Promise.withResolvers<void>();
  deferred.promise.catch(() => {});
  return deferred;
}
