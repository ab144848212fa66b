/**
 * The model of the benchmark: rows, each a piece of work that several entries do in turn, and goals that compare two
 * entries.
 *
 * @module
 */

/** One measurement of one entry. */
export interface Sample {
  /** The measured value, in the unit of the row. */
  value: number;
  /** The processor time the server took per unit of work, in microseconds, if the system tells. */
  cpu?: number | undefined;
  /** The median and the 99th percentile of the latency, in microseconds, where there is one. */
  p50?: number | undefined;
  p99?: number | undefined;
  /** The share of time that the load generator was busy: near 1 it was the bottleneck. */
  loadBusy?: number | undefined;
}

/** An entry that was started and can be measured any number of times. */
export interface Running {
  sample(options: { warmup: number; duration: number }): Promise<Sample>;
  stop(): Promise<void>;
}

/** Something that does the work of a row. */
export interface Entry {
  /** A name that is unique in the row. */
  name: string;
  /** Starts it; returns a string that says why it cannot be started. */
  start(): Promise<Running | string>;
}

/** A bound for an entry: a multiple of another one, or a distance from it. */
export type Bound = { against: string; ratio: number } | { against: string; difference: number };

/**
 * The name of an entry that is another one with V8 tuned. Both are measured in turn; tables show them in one line.
 *
 * @param name The name of the other one
 */
export function tunedName(name: string): string {
  return `${name}, tuned`;
}

/** The floor and the aim of one entry. */
export interface Goal {
  who: string;
  floor: Bound;
  aim?: Bound;
}

/** A piece of work, its contestants, and its goals. */
export interface Row {
  id: string;
  title: string;
  unit: string;
  better: "more" | "less";
  entries: Entry[];
  goals: Goal[];
  /** Its group of bars in the chart, if any. */
  chart?: string;
  /** The number of rounds, if it is not the default. */
  rounds?: number;
  /** The least length of a measurement, in milliseconds, where one unit of work takes long; then one round will do. */
  duration?: number;
}

/** The result of an entry. */
export interface Outcome {
  name: string;
  /** One sample per round; empty if it could not be started. */
  samples: Sample[];
  /** Why there are no samples. */
  missing?: string;
}

/** The result of a goal. */
export interface Verdict {
  goal: Goal;
  floor: Judgement;
  aim?: Judgement;
}

/** The result of one bound. */
export interface Judgement {
  bound: Bound;
  /** The median over the rounds of the ratio or difference in the same round; NaN if either is missing. */
  measured: number;
  /** The least and the greatest of them. */
  range: [number, number];
  /** The same of the processor time per unit of work (as work per time, so that more is better), if known. */
  cpu: number;
  met: boolean | null;
}

/** The result of a row. */
export interface RowResult {
  row: Row;
  outcomes: Outcome[];
  verdicts: Verdict[];
}

/** Returns the median; NaN of an empty list. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2 || NaN;
}
