/**
 * The bounds of an orderly close: how long the flush may go on without progress, and how long the peer's end is awaited.
 *
 * Deno loads its timers when one is first used, 4 ms and 0.9 MB of heap; so a timer is set only for what the system did not
 * take at once.
 *
 * @module
 */
import { MAX_TIMER } from "../common/timer.ts";

/** How long closing may take unless set, in milliseconds. */
export const DEFAULT_CLOSE_TIMEOUT = 30000;

/** For how long waiting for the peer's end keeps the process alive, in milliseconds, if nothing awaits it. */
const LINGER_ALIVE = 2000;

/** The timers of one close. */
export class CloseTimers {
  readonly #over: (error: Error | null) => void;
  #phase: "flushing" | "lingering" | "ended" = "flushing";
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the peer took bytes last. */
  #progressed = 0;

  /**
   * @param over Called once when a time is over, with the error to lose the connection with
   */
  constructor(over: (error: Error | null) => void) {
    this.#over = over;
  }

  /**
   * Bounds the flush.
   *
   * @param timeout How long the peer may take no byte, in milliseconds
   */
  async boundFlush(timeout: number): Promise<void> {
    // What the system takes at once is taken within two hops.
    for (let hops = 0; hops < 4; hops++) await null;
    if (this.#phase !== "flushing") return;
    this.progress();
    this.#waitForProgress(timeout, timeout);
  }

  /** Takes note that the peer took bytes: its time begins anew. That costs a look at the clock, not a timer. */
  progress(): void {
    this.#progressed = performance.now();
  }

  /**
   * Bounds the wait for the peer's end, after the flush.
   *
   * @param timeout How long it may take, in milliseconds
   * @param letGo Called when it should no longer keep the process alive; `null` if it should all the time
   */
  boundLinger(timeout: number, letGo: (() => void) | null): void {
    clearTimeout(this.#timer);
    this.#phase = "lingering";
    const whole = Math.min(timeout, MAX_TIMER);
    const alive = letGo === null ? whole : Math.min(whole, LINGER_ALIVE);
    this.#timer = setTimeout(() => {
      if (alive === whole) return this.#over(null);
      this.#timer = setTimeout(() => this.#over(null), whole - alive);
      letGo!();
    }, alive);
  }

  /**
   * Says whether the wait for the peer's end keeps the process alive.
   *
   * @param alive Whether it does
   */
  keepAlive(alive: boolean): void {
    if (this.#phase !== "lingering") return;
    if (alive) this.#timer?.ref();
    else this.#timer?.unref();
  }

  /** Ends both without a call. */
  end(): void {
    this.#phase = "ended";
    if (this.#timer !== undefined) clearTimeout(this.#timer);
  }

  #waitForProgress(timeout: number, ms: number): void {
    this.#timer = setTimeout(() => {
      const left = this.#progressed + timeout - performance.now();
      if (left > 0) return this.#waitForProgress(timeout, left);
      this.#over(
        new Deno.errors.TimedOut(`Cannot close in order: the peer took none of what was written for ${timeout} ms`),
      );
    }, Math.min(ms, MAX_TIMER));
  }
}
