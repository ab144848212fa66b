/**
 * A bound on how long something may go on without progress.
 *
 * @module
 */
import { MAX_TIMER } from "../common/timer.ts";

/** Calls back once no progress was noted for a time. Progress costs a look at the clock, not a timer. */
export class StallTimer {
  readonly #ms: number;
  readonly #stalled: () => void;
  #last = performance.now();
  #timer: ReturnType<typeof setTimeout>;

  /**
   * @param ms How long it may take, in milliseconds
   * @param stalled Called once when it took longer
   */
  constructor(ms: number, stalled: () => void) {
    this.#ms = ms;
    this.#stalled = stalled;
    this.#timer = this.#wait(ms);
  }

  /** Takes note of progress: the time begins anew. */
  progress(): void {
    this.#last = performance.now();
  }

  /** Ends it without a call. */
  end(): void {
    clearTimeout(this.#timer);
  }

  #wait(ms: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      const left = this.#last + this.#ms - performance.now();
      if (left > 0) this.#timer = this.#wait(left);
      else this.#stalled();
    }, Math.min(ms, MAX_TIMER));
  }
}
