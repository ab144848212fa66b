/**
 * The accepts on one listener: one call waits at a time, and the client of an aborted call is kept for the next.
 *
 * A kept client must not outlive its listener. The only sign of a listener's close is that an accept fails, so while a
 * client is kept the next accept is pending already. A client that it brings is kept behind the first. Their number is
 * bounded: beyond it clients wait in the system's backlog, and a close is noticed by the next call only.
 *
 * @module
 */
import { abortable, throwIfAborted } from "../common/abort.ts";
import { ACCEPT_COST, LoopBudget } from "../common/loop_budget.ts";
import { closeQuietly } from "../conn/conn.ts";

/** How many clients are kept for calls to come, at most. */
const MOST_KEPT = 64;

/** The accepts on one listener. */
export class SockAcceptor {
  readonly #listener: Deno.Listener;
  readonly #budget = new LoopBudget();
  readonly #kept: Deno.Conn[] = [];
  /** The accept under way. It never rejects. */
  #pending: Promise<void> | null = null;
  /** What the last accept failed with, for the call that waits or the next one. */
  #failure: { error: unknown } | null = null;
  #isAwaited = false;

  /** @param listener The listener */
  constructor(listener: Deno.Listener) {
    this.#listener = listener;
  }

  /**
   * Accepts a client.
   *
   * @param signal Ends it
   * @returns The connection
   */
  async accept(signal: AbortSignal | undefined): Promise<Deno.Conn> {
    throwIfAborted(signal);
    if (this.#isAwaited) throw new Deno.errors.Busy("Cannot accept: another call waits already");
    this.#isAwaited = true;
    try {
      if (this.#kept.length === 0 && this.#failure === null) await abortable(this.#accept(), signal);
      return this.#take();
    } finally {
      this.#isAwaited = false;
      this.#watch();
    }
  }

  #take(): Deno.Conn {
    const conn = this.#kept.shift();
    if (conn !== undefined) return conn;
    const { error } = this.#failure!;
    this.#failure = null;
    throw error;
  }

  /** Has the next accept pending while a client is kept. */
  #watch(): void {
    if (this.#kept.length > 0 && this.#kept.length < MOST_KEPT && this.#failure === null) void this.#accept();
  }

  #accept(): Promise<void> {
    return this.#pending ??= this.#acceptOne();
  }

  async #acceptOne(): Promise<void> {
    try {
      const turn = this.#budget.spend(ACCEPT_COST);
      if (turn !== null) await turn;
      this.#kept.push(await this.#listener.accept());
    } catch (error) {
      this.#fail(error);
    }
    this.#pending = null;
    if (!this.#isAwaited) this.#watch();
  }

  #fail(error: unknown): void {
    const isClosed = error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource;
    if (!isClosed) {
      this.#failure = { error };
      return;
    }
    for (const conn of this.#kept.splice(0)) closeQuietly(conn);
    const message = "Cannot accept: the listener was closed";
    this.#failure = { error: new Deno.errors.ConnectionAborted(message, { cause: error }) };
  }
}
