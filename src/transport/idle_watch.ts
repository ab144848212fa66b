/**
 * Ends connections over which no byte was sent or received for too long.
 *
 * Theory of operation. Nothing is done per read or write: both pumps count bytes anyway. Every sixteenth of the time a sweep
 * compares the counts of all connections that have the same time with those of the sweep before. A connection whose count has
 * not changed for seventeen sweeps is lost: never early, and at most an eighth late. (A sweep that is late does not delay the
 * next one, so sixteen of them may be less than the time.) Sweeps are counted rather than the time taken, and a sweep looks
 * once more after a turn of the event loop, so that a loop which was blocked ends no connection whose bytes wait to be read,
 * or of whose write the system has not told yet.
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
  /** For how many whole periods it has been silent. */
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
  readonly #most: number;
  /** When the next sweep is due. */
  #due = 0;
  readonly #watches = new Set<IdleWatch>();
  readonly #deadline = new Deadline(() => this.#run(), false);

  static of(ms: number): Sweep {
    let sweep = sweeps.get(ms);
    if (sweep === undefined) sweeps.set(ms, sweep = new Sweep(ms));
    return sweep;
  }

  private constructor(ms: number) {
    this.#ms = ms;
    this.#period = Math.ceil(ms / PERIODS);
    this.#most = Math.ceil(ms / this.#period) + 1;
  }

  add(watch: IdleWatch): void {
    this.#watches.add(watch);
    if (this.#watches.size > 1) return;
    this.#due = performance.now();
    this.#armNext();
  }

  remove(watch: IdleWatch): void {
    this.#watches.delete(watch);
    if (this.#watches.size > 0) return;
    this.#deadline.disarm();
    sweeps.delete(this.#ms);
  }

  #run(): void {
    this.#armNext();
    const due: IdleWatch[] = [];
    for (const watch of this.#watches) {
      // What moved did so after the last sweep, so this period does not count.
      if (hasMoved(watch)) watch.silent = 0;
      else if (++watch.silent >= this.#most) due.push(watch);
    }
    if (due.length > 0) void this.#endAll(due);
  }

  #armNext(): void {
    const now = performance.now();
    if (now - this.#due >= this.#period) this.#due = now;
    this.#due += this.#period;
    this.#deadline.arm(this.#due - now);
  }

  async #endAll(due: readonly IdleWatch[]): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    await afterHandOver();
    for (const watch of due) {
      if (hasMoved(watch)) watch.silent = 0;
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
