/**
 * The context of a stream handler: its server, and the signal to end.
 *
 * @module
 */
import type { Server } from "../serving/server.ts";

/** The third argument of a handler of {@linkcode startServer}. */
export interface HandlerContext {
  /**
   * Aborts when the server begins to shut down, or when the connection is lost. Created on first use.
   *
   * A handler that waits for something other than its reader should watch it, so that a shutdown does not take the whole grace.
   */
  readonly signal: AbortSignal;
  /** The server that accepted the connection. */
  readonly server: Server;
}

/** The context of one handler. */
export class ConnectionContext implements HandlerContext {
  readonly #server: Server | undefined;
  #controller: AbortController | null = null;
  #reason: Error | null = null;

  /** @param server The server, if there is one */
  constructor(server: Server | undefined) {
    this.#server = server;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#reason !== null) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get server(): Server {
    if (this.#server !== undefined) return this.#server;
    throw new TypeError("Cannot tell the server: the protocol was made without one");
  }

  /** Why the signal has aborted, or would have if it had been asked for; `null` if not. */
  get reason(): Error | null {
    return this.#reason;
  }

  /**
   * Aborts the signal, unless it has aborted.
   *
   * @param reason Why
   */
  end(reason: Error): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
