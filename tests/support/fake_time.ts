/** A clock that stands still unless a test moves it: `setTimeout`, `clearTimeout` and `performance.now` of this process. */
import { turns } from "./waiting.ts";

interface FakeTimer {
  at: number;
  call: () => void;
}

const real = { setTimeout, clearTimeout, now: performance.now };

/** Fake time, from its construction until it is disposed of. Timers that were set before go on in real time. */
export class FakeTime implements Disposable {
  /** The time, in milliseconds since some moment. */
  now: number = Math.ceil(performance.now());
  /** How many timers were set. */
  timersSet = 0;
  readonly #timers = new Set<FakeTimer>();

  constructor() {
    const set = (call: () => void, ms = 0) => {
      const timer = { at: this.now + Math.max(1, Math.floor(ms)), call, ref() {}, unref() {} };
      this.timersSet++;
      this.#timers.add(timer);
      return timer;
    };
    const clear = (timer: unknown) => {
      if (!this.#timers.delete(timer as FakeTimer)) real.clearTimeout(timer as number);
    };
    performance.now = () => this.now;
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Moves the time at once, before the event loop turns. */
  jump(ms: number): void {
    this.now += ms;
    for (let next; (next = this.#nextUntil(this.now)) !== null;) {
      this.#timers.delete(next);
      next.call();
    }
  }

  /** Moves the time, timer by timer; the event loop turns after each. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await turns(2);
    for (let next; (next = this.#nextUntil(end)) !== null;) {
      this.now = next.at;
      this.#timers.delete(next);
      next.call();
      await turns(2);
    }
    this.now = end;
  }

  [Symbol.dispose](): void {
    performance.now = real.now;
    Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout });
  }

  #nextUntil(end: number): FakeTimer | null {
    let next: FakeTimer | null = null;
    for (const timer of this.#timers) if (timer.at <= end && (next === null || timer.at < next.at)) next = timer;
    return next;
  }
}
