/**
 * Deadlines of calls that wait: one timer of the system for all of them.
 *
 * Theory of operation. A timer costs 1.5 to 3 µs to set and clear, which is a third of what a line over TCP costs. A deadline
 * costs a link in a list. Durations are rounded up to classes, at most 1/64 apart, so there are few; within a class the first
 * deadline that was armed is the first that is over, so each class is a queue, and arming and disarming take constant time.
 * The one timer fires no later than the head of any queue. It is not moved when a deadline is disarmed: it fires, finds that
 * no head is over, and is set again for the earliest.
 *
 * When none is left the timer is cleared, but a few microtasks later: a loop that reads line by line disarms its deadline and
 * arms it again in the same turn.
 *
 * Deno loads its timers when one is first used, which takes 4 ms. So nothing is set before the first deadline.
 *
 * @module
 */
import { MAX_TIMER } from "./timer.ts";

/** The clock and the timers that deadlines run on, in milliseconds. */
export interface Clock {
  /** The time now; it never goes back. */
  now(): number;
  /** Calls a function later, once. */
  setTimer(onOver: () => void, ms: number): Timer;
}

/** A timer that was set. */
export interface Timer {
  /** Clears it. */
  clear(): void;
  /** Says whether it keeps the process alive. */
  keepAlive(alive: boolean): void;
}

/** A deadline, to be armed and disarmed as often as needed. */
export class Deadline {
  readonly #deadlines: Deadlines;
  /** Called once each time it is over; must not throw. */
  readonly onOver: () => void;
  /** Whether the process stays alive for it. */
  readonly keepsAlive: boolean;
  /** When it is over; written by {@linkcode Deadlines} only, as all below. */
  at = 0;
  /** The queue that it is in; `null` while it is not armed. */
  queue: Queue | null = null;
  /** The one before it in its queue. */
  before: Deadline | null = null;
  /** The one after it in its queue. */
  after: Deadline | null = null;

  /**
   * @param onOver Called once each time it is over; must not throw
   * @param keepsAlive Whether the process stays alive for it, as for a timer
   * @param deadlines What it belongs to
   */
  constructor(onOver: () => void, keepsAlive = true, deadlines: Deadlines = ofProcess) {
    this.onOver = onOver;
    this.keepsAlive = keepsAlive;
    this.#deadlines = deadlines;
  }

  /**
   * Begins to count, anew if it did already.
   *
   * @param ms How long, in milliseconds: never shorter, and 1/64 longer at most, the delay of the event loop aside. From
   * {@linkcode MAX_TIMER} on it is for ever
   */
  arm(ms: number): void {
    this.disarm();
    if (ms <= MAX_TIMER) this.#deadlines.add(this, ms);
  }

  /** Stops counting. */
  disarm(): void {
    if (this.queue !== null) this.#deadlines.remove(this);
  }
}

/** The deadlines of one class of durations, the earliest first. */
interface Queue {
  readonly ms: number;
  first: Deadline | null;
  last: Deadline | null;
}

/** How many microtasks the timer outlives the last deadline: as many as a loop takes from one read to the next. */
const HOPS = 16;

/** A set of deadlines with one timer. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #queues = new Map<number, Queue>();
  #timer: Timer | null = null;
  /** When the timer fires. */
  #firesAt = Infinity;
  #count = 0;
  /** How many of them keep the process alive, and whether the timer does. */
  #alive = 0;
  #timerIsAlive = true;
  /** How often one was armed. */
  #armed = 0;
  #isSettling = false;

  /** @param clock What they run on */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Adds one.
   *
   * @param deadline The deadline, not armed
   * @param ms In how many milliseconds it is over
   */
  add(deadline: Deadline, ms: number): void {
    const duration = classOf(ms);
    let queue = this.#queues.get(duration);
    if (queue === undefined) this.#queues.set(duration, queue = { ms: duration, first: null, last: null });
    const at = deadline.at = this.#clock.now() + duration;
    deadline.queue = queue;
    deadline.before = queue.last;
    if (queue.last === null) queue.first = deadline;
    else queue.last.after = deadline;
    queue.last = deadline;
    this.#armed++;
    this.#count++;
    if (deadline.keepsAlive) this.#alive++;
    if (at < this.#firesAt) this.#setTimer(at, duration);
    else if (deadline.keepsAlive && !this.#timerIsAlive) this.#keepAlive(true);
  }

  /**
   * Removes one.
   *
   * @param deadline The deadline, armed
   */
  remove(deadline: Deadline): void {
    this.#unlink(deadline);
    const isDue = this.#count === 0 || (this.#alive === 0 && this.#timerIsAlive);
    if (isDue && !this.#isSettling) this.#settleSoon();
  }

  #unlink(deadline: Deadline): void {
    const { before, after } = deadline;
    const queue = deadline.queue!;
    if (before === null) queue.first = after;
    else before.after = after;
    if (after === null) queue.last = before;
    else after.before = before;
    deadline.queue = deadline.before = deadline.after = null;
    this.#count--;
    if (deadline.keepsAlive) this.#alive--;
  }

  /** Clears the timer if none is left, or lets the process end, unless one is armed meanwhile. */
  async #settleSoon(): Promise<void> {
    this.#isSettling = true;
    let armed = this.#armed;
    for (let i = 0; i < HOPS && this.#alive === 0; i++) {
      await null;
      if (armed === this.#armed) continue;
      armed = this.#armed;
      i = 0;
    }
    this.#isSettling = false;
    if (this.#count === 0) this.#clearTimer();
    else if (this.#alive === 0) this.#keepAlive(false);
  }

  #setTimer(at: number, ms: number): void {
    this.#timer?.clear();
    this.#firesAt = at;
    this.#timer = this.#clock.setTimer(this.#onTimer, ms);
    this.#timerIsAlive = true;
    if (this.#alive === 0) this.#keepAlive(false);
  }

  #clearTimer(): void {
    this.#timer?.clear();
    this.#timer = null;
    this.#firesAt = Infinity;
    this.#queues.clear();
  }

  #keepAlive(alive: boolean): void {
    this.#timerIsAlive = alive;
    this.#timer?.keepAlive(alive);
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    this.#firesAt = Infinity;
    const now = this.#clock.now();
    let next = Infinity;
    for (const queue of this.#queues.values()) {
      while (queue.first !== null && queue.first.at <= now) {
        const deadline = queue.first;
        this.#unlink(deadline);
        deadline.onOver();
      }
      if (queue.first !== null) next = Math.min(next, queue.first.at);
      else this.#queues.delete(queue.ms);
    }
    // A callback may have armed one, and so set the timer, in a queue that was looked at before.
    if (next < this.#firesAt) this.#setTimer(next, Math.ceil(next - now));
  };
}

/** The class of a duration: a whole number of milliseconds, the least of its class that is no shorter. */
function classOf(ms: number): number {
  const whole = Math.max(1, Math.ceil(ms));
  if (whole <= 128) return whole;
  const step = 2 ** (25 - Math.clz32(whole));
  return Math.min(Math.ceil(whole / step) * step, MAX_TIMER);
}

const ofProcess = new Deadlines({
  now: () => performance.now(),
  setTimer(onOver, ms) {
    const timer = setTimeout(onOver, ms);
    return {
      clear: () => clearTimeout(timer),
      keepAlive: (alive) => alive ? timer.ref() : timer.unref(),
    };
  },
});
