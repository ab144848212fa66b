/**
 * Ends connections over which no byte was sent or received for too long.
 *
 * Theory of operation. Nothing is done per read or write: both pumps count bytes anyway. Every sixteenth of the time a sweep
 * compares the counts of all connections that have the same time with those of the sweep before, and adds up for how long each
 * count has stayed the same. So a connection is never lost early, and at most an eighth late on a machine that keeps up. Of a
 * sweep that is late only two periods count, and the counts are looked at once more after a turn of the event loop: a loop that
 * was blocked ends no connection whose bytes wait to be read, or of whose write the system has not told yet.
 *
 * @module
 */
import { Deadline } from "../common/deadlines.ts";
import { afterHandOver } from "../common/loop_budget.ts";

/** What may idle: a transport. */
export interface Idler {
  /** How many bytes were received. */
  readonly bytesRead: number;
  /** How many bytes were sent. */
  readonly bytesWritten: number;
  /** Whether silence counts. */
  readonly mayIdle: boolean;
  /** It was silent for too long. */
  idled(ms: number): void;
}

/** The watch over one transport; begins with its construction. */
export class IdleWatch {
  /** What is watched. */
  readonly idler: Idler;
  /** How many bytes it had moved at the last sweep. */
  bytes = -1;
  /** For how long it has been silent, in milliseconds: from sweep to sweep. */
  silent = 0;
  readonly #sweep: Sweep;

  /**
   * @param idler What to watch
   * @param ms For how long it may be silent, in milliseconds, above 0
   */
  constructor(idler: Idler, ms: number) {
    this.idler = idler;
    this.#sweep = Sweep.of(ms);
    this.#sweep.add(this);
  }

  /** Ends it. */
  end(): void {
    this.#sweep.remove(this);
  }
}

/** The sweeps over one process: one for each time that is in use. */
const sweeps = new Map<number, Sweep>();

/** In how many periods a time is divided. */
const PERIODS = 16;

/** The connections that may be silent for the same time. */
class Sweep {
  readonly #ms: number;
  readonly #period: number;
  /** When the last sweep was. */
  #last = 0;
  readonly #watches = new Set<IdleWatch>();
  readonly #deadline = new Deadline(() => this.#run(), false);

  static of(ms: number): Sweep {
    let sweep = sweeps.get(ms);
    if (sweep === undefined) sweeps.set(ms, sweep = new Sweep(ms));
    return sweep;
  }

  private constructor(ms: number) {
    this.#ms = ms;
    this.#period = ms / PERIODS;
  }

  add(watch: IdleWatch): void {
    this.#watches.add(watch);
    if (this.#watches.size > 1) return;
    this.#last = performance.now();
    this.#deadline.arm(this.#period);
  }

  remove(watch: IdleWatch): void {
    this.#watches.delete(watch);
    if (this.#watches.size > 0) return;
    this.#deadline.disarm();
    sweeps.delete(this.#ms);
  }

  #run(): void {
    const now = performance.now();
    const elapsed = Math.min(now - this.#last, 2 * this.#period);
    this.#last = now;
    this.#deadline.arm(this.#period);
    const due: IdleWatch[] = [];
    for (const watch of this.#watches) {
      // What moved did so after the last sweep, so this period does not count.
      if (hasMoved(watch)) watch.silent = 0;
      else if ((watch.silent += elapsed) >= this.#ms) due.push(watch);
    }
    if (due.length > 0) void this.#endAll(due);
  }

  async #endAll(due: readonly IdleWatch[]): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    await afterHandOver();
    for (const watch of due) {
      // It may have moved after the sweep: the period that begins there does not count.
      if (hasMoved(watch)) watch.silent = -this.#period;
      else if (this.#watches.has(watch)) watch.idler.idled(this.#ms);
    }
  }
}

/** Whether bytes have moved since the last look, or silence does not count. */
function hasMoved(watch: IdleWatch): boolean {
  const { idler } = watch;
  const bytes = idler.bytesRead + idler.bytesWritten;
  const moved = bytes !== watch.bytes || !idler.mayIdle;
  watch.bytes = bytes;
  return moved;
}
