/**
 * The hysteresis of a write buffer, as a pure function of its size.
 *
 * Above `high` it returns "pause", once; at or below `low` it returns "resume", once; strictly alternating (SPEC W1, W2).
 *
 * @module
 */
import { describe } from "../common/describe.ts";
import type { WriteBufferLimits } from "./types.ts";

/** The default high-water mark, in bytes. */
export const DEFAULT_HIGH = 65536;

/** Whether writing is paused, and when that changes. */
export class WaterMarks {
  /** When the last answer was to pause, as `Date.now()`; `null` if it was to resume. */
  pausedSince: number | null = null;
  #high = DEFAULT_HIGH;
  #low = DEFAULT_HIGH >> 2;

  /** The marks, in bytes. */
  get limits(): WriteBufferLimits {
    return { low: this.#low, high: this.#high };
  }

  /**
   * Sets the marks: `high` alone sets low to a quarter of it, `low` alone sets high to four times it.
   *
   * @param limits The marks, in bytes; none restores the defaults
   * @throws {TypeError} If one is not a number
   * @throws {RangeError} Unless high ≥ low ≥ 0
   */
  set({ high, low }: { high?: number | undefined; low?: number | undefined } = {}): void {
    for (const [name, value] of Object.entries({ high, low })) {
      if (value !== undefined && typeof value !== "number") {
        throw new TypeError(`Cannot set the write buffer limits: ${name} must be a number, not ${describe(value)}`);
      }
    }
    const newHigh = high ?? (low === undefined ? DEFAULT_HIGH : 4 * low);
    const newLow = low ?? Math.floor(newHigh / 4);
    // Written so that NaN is refused as well.
    if (!(newHigh >= newLow && newLow >= 0)) {
      throw new RangeError(
        `Cannot set the write buffer limits: high ${newHigh} must be at least low ${newLow}, and low at least 0`,
      );
    }
    this.#high = newHigh;
    this.#low = newLow;
  }

  /**
   * Takes note of a new size.
   *
   * @param size The size of the buffer, in bytes
   * @returns Whether to pause or to resume now; `null` for neither
   */
  update(size: number): "pause" | "resume" | null {
    if (this.pausedSince !== null) {
      if (size > this.#low) return null;
      this.pausedSince = null;
      return "resume";
    }
    if (size <= this.#high) return null;
    this.pausedSince = Date.now();
    return "pause";
  }
}
