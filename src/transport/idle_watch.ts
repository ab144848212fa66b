/**
 * Ends connections over which no byte was sent or received for too long.
 *
 * Theory of operation. Nothing is done per read or write: both pumps count bytes anyway. Every sixteenth of the time a sweep
 * compares the counts of all connections that have the same time with those of the sweep before. A connection whose count has
 * not changed for sixteen whole sweeps is lost: never early, and at most an eighth late. The sweep counts periods rather than
 * looking at the clock, so that an event loop which was blocked ends no connection whose bytes wait to be read.
 *
 * @module
 */
import { Deadline } from "../common/deadlines.ts";

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
    this.#most = Math.ceil(ms / this.#period);
  }

  add(watch: IdleWatch): void {
    this.#watches.add(watch);
    if (this.#watches.size === 1) this.#deadline.arm(this.#period);
  }

  remove(watch: IdleWatch): void {
    this.#watches.delete(watch);
    if (this.#watches.size > 0) return;
    this.#deadline.disarm();
    sweeps.delete(this.#ms);
  }

  #run(): void {
    this.#deadline.arm(this.#period);
    for (const watch of this.#watches) {
      const { idler } = watch;
      const bytes = idler.bytesRead + idler.bytesWritten;
      // What changed did so after the last sweep, so this period does not count.
      if (bytes !== watch.bytes || !idler.mayIdle) watch.silent = 0;
      else if (++watch.silent >= this.#most) idler.idled(this.#ms);
      watch.bytes = bytes;
    }
  }
}
