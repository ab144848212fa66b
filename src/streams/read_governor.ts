/**
 * Back pressure on the reading side: when the transport that feeds a reader is paused, and when it is resumed.
 *
 * Two policies. *Bounded*, as in asyncio: paused while more than twice the limit is buffered, resumed at the limit. *On
 * demand*: paused whenever no read waits. Under both, a read that waits resumes the transport, so that no read starves
 * (SPEC R10).
 *
 * @module
 */
import type { ReadTransport } from "../transport/types.ts";

/** How a reader's transport is governed; see the head of this file. */
export type ReadPolicy = "bounded" | "onDemand";

/** What feeds a reader and can be paused. */
export type ReadSource = Pick<ReadTransport, "pauseReading" | "resumeReading" | "afterRead">;

/** Pauses and resumes the transport of one reader. */
export class ReadGovernor {
  readonly #limit: number;
  #source: ReadSource | null = null;
  #policy: ReadPolicy = "bounded";
  #paused = false;

  /**
   * @param limit Half of how much may be buffered, in bytes
   */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What feeds the reader; `null` if nothing does. */
  get source(): ReadSource | null {
    return this.#source;
  }

  /** Whether the transport is paused. */
  get paused(): boolean {
    return this.#paused;
  }

  /**
   * Sets what feeds the reader.
   *
   * @param source The transport, not paused
   * @param policy How to govern it
   */
  attach(source: ReadSource, policy: ReadPolicy): void {
    this.#source = source;
    this.#policy = policy;
    this.#paused = false;
  }

  /**
   * Pauses or resumes the transport as the policy says. The only place that does either.
   *
   * @param buffered The number of bytes buffered
   * @param waiting Whether a read waits for more
   */
  update(buffered: number, waiting: boolean): void {
    const source = this.#source;
    if (source === null) return;
    if (this.#paused) {
      if (!waiting && (this.#policy === "onDemand" || buffered > this.#limit)) return;
      this.#paused = false;
      source.resumeReading();
    } else if (!waiting && (this.#policy === "onDemand" || buffered > 2 * this.#limit)) {
      this.#paused = true;
      source.pauseReading();
    }
  }
}
