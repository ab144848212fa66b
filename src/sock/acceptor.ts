/**
 * Accepting on one listener, one client at a time. The client of an aborted accept is kept for the next.
 *
 * @module
 */
import { ACCEPT_COST, LoopBudget } from "../common/loop_budget.ts";
import { SingleFlight } from "./single_flight.ts";

/** Accepts clients on one listener. */
export class SockAcceptor {
  readonly #listener: Deno.Listener;
  readonly #budget = new LoopBudget();
  readonly #accepts = new SingleFlight<Deno.Conn>();
  #operation: Promise<Deno.Conn> | null = null;
  #unguard: () => void = () => {};

  /** @param listener The listener */
  constructor(listener: Deno.Listener) {
    this.#listener = listener;
  }

  /**
   * Accepts a client.
   *
   * @param signal Aborts the wait
   * @returns The connection
   */
  async accept(signal: AbortSignal | undefined): Promise<Deno.Conn> {
    try {
      return await this.#accepts.take("accept", () => this.#operation = this.#accept(), signal);
    } finally {
      if (this.#accepts.abandoned) this.#operation!.then((conn) => this.#guard(conn), () => {});
      else this.#unguard();
    }
  }

  async #accept(): Promise<Deno.Conn> {
    try {
      const turn = this.#budget.spend(ACCEPT_COST);
      if (turn !== null) await turn;
      return await this.#listener.accept();
    } catch (error) {
      if (!(error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource)) throw error;
      throw new Deno.errors.ConnectionAborted("Cannot accept: the listener was closed", { cause: error });
    }
  }

  /** While a client is kept, closing the listener closes it too. A listener does not report its close otherwise. */
  #guard(conn: Deno.Conn): void {
    if (!this.#accepts.abandoned) return;
    this.#unguard();
    const listener = this.#listener;
    const methods = ["close", Symbol.dispose] as const;
    const before = methods.map((method) => Object.getOwnPropertyDescriptor(listener, method));
    this.#unguard = () => {
      this.#unguard = () => {};
      methods.forEach((method, i) => {
        Reflect.deleteProperty(listener, method);
        if (before[i] !== undefined) Object.defineProperty(listener, method, before[i]);
      });
    };
    for (const method of methods) {
      const value = () => {
        this.#unguard();
        this.#accepts.forget();
        conn.close();
        listener[method]();
      };
      Object.defineProperty(listener, method, { value, configurable: true, writable: true });
    }
  }
}
