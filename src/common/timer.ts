/**
 * A wait that can be ended early, and that keeps the process alive or not, as a pending accept does.
 *
 * @module
 */

/** The longest delay that a timer takes, in milliseconds: about 25 days. With a longer one it fires at once. */
export const MAX_TIMER = 2 ** 31 - 1;

/** A wait that begins with its construction. */
export class CancellableTimer {
  /** Resolves when the time is over, or when {@linkcode CancellableTimer.end} is called. */
  readonly over: Promise<void>;
  readonly #timer: ReturnType<typeof setTimeout>;
  #resolve!: () => void;

  /**
   * @param ms How long, in milliseconds; at most {@linkcode MAX_TIMER} is waited
   */
  constructor(ms: number) {
    this.over = new Promise((resolve) => this.#resolve = resolve);
    this.#timer = setTimeout(this.#resolve, Math.min(ms, MAX_TIMER));
  }

  /** Ends the wait now. */
  end(): void {
    clearTimeout(this.#timer);
    this.#resolve();
  }

  /** Keeps the process alive meanwhile, which is the default. */
  ref(): void {
    this.#timer.ref();
  }

  /** Lets the process end meanwhile. */
  unref(): void {
    this.#timer.unref();
  }
}
