/**
 * A wait that somebody else may end early, and that keeps the process alive or not, as an accept under way does.
 *
 * @module
 */

/** What a timer takes at most, in milliseconds: about 25 days. */
export const MAX_TIMER = 2 ** 31 - 1;

/** Waits, from its construction on. */
export class CancellableTimer {
  /** Resolves when the time is over, or {@linkcode CancellableTimer.end} was called. */
  readonly over: Promise<void>;
  readonly #timer: ReturnType<typeof setTimeout>;
  #resolve!: () => void;

  /**
   * @param ms How long, in milliseconds; what is longer than a timer can be ends with it
   */
  constructor(ms: number) {
    this.over = new Promise((resolve) => this.#resolve = resolve);
    this.#timer = setTimeout(this.#resolve, Math.min(ms, MAX_TIMER));
  }

  /** Ends it now. */
  end(): void {
    clearTimeout(this.#timer);
    this.#resolve();
  }

  /** Lets it keep the process alive: the default. */
  ref(): void {
    this.#timer.ref();
  }

  /** Lets the process end meanwhile. */
  unref(): void {
    this.#timer.unref();
  }
}
