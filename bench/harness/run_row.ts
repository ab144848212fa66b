/**
 * Runs a row: all entries are started, then measured in turn (A B C, A B C, …), so that other load of the machine affects
 * all of them alike. Comparisons are made within a round.
 *
 * @module
 */
import {
  type Bound,
  type Judgement,
  median,
  type Outcome,
  type Row,
  type RowResult,
  type Running,
  type Sample,
} from "./model.ts";

/** The duration and the number of measurements. */
export interface Effort {
  /** The number of rounds, instead of that of each row. */
  rounds: number | undefined;
  /** Milliseconds before the first measurement of an entry, and before each other one. */
  firstWarmup: number;
  warmup: number;
  /** Milliseconds of a measurement. */
  duration: number;
}

/** Measures all entries of a row and judges its goals. */
export async function runRow(row: Row, effort: Effort): Promise<RowResult> {
  const outcomes: Outcome[] = [];
  const running = new Map<Outcome, Running>();
  try {
    for (const entry of row.entries) {
      const outcome: Outcome = { name: entry.name, samples: [] };
      outcomes.push(outcome);
      const started = await entry.start().catch(messageOf);
      if (typeof started === "string") outcome.missing = started;
      else running.set(outcome, started);
    }
    const rounds = row.duration === undefined ? effort.rounds ?? row.rounds ?? FEW_ROUNDS : 1;
    const duration = Math.max(effort.duration, row.duration ?? 0);
    for (let round = 0; round < rounds; round++) {
      for (const [outcome, entry] of running) {
        const warmup = round === 0 ? effort.firstWarmup : effort.warmup;
        try {
          outcome.samples.push(await entry.sample({ warmup, duration }));
        } catch (error) {
          outcome.samples = [];
          outcome.missing = messageOf(error);
          running.delete(outcome);
          await entry.stop();
        }
      }
    }
  } finally {
    for (const entry of running.values()) await entry.stop();
  }
  const verdicts = row.goals.map((goal) => ({
    goal,
    floor: judge(row, outcomes, goal.who, goal.floor),
    ...(goal.aim && { aim: judge(row, outcomes, goal.who, goal.aim) }),
  }));
  return { row, outcomes, verdicts };
}

/** Where a sample is a whole program that measures itself. */
const FEW_ROUNDS = 5;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function judge(row: Row, outcomes: Outcome[], who: string, bound: Bound): Judgement {
  const samplesOf = (name: string) => outcomes.find((outcome) => outcome.name === name)?.samples ?? [];
  const theirs = samplesOf(bound.against);
  const pairs = samplesOf(who).flatMap((ours, round): [Sample, Sample][] => {
    const other = theirs[round];
    return other === undefined ? [] : [[ours, other]];
  });
  const compared = pairs.map(([a, b]) => "ratio" in bound ? a.value / b.value : a.value - b.value);
  const cpu = pairs.flatMap(([a, b]) => a.cpu && b.cpu ? [b.cpu / a.cpu] : []);
  const measured = median(compared);
  const limit = "ratio" in bound ? bound.ratio : bound.difference;
  return {
    bound,
    measured,
    range: [Math.min(...compared), Math.max(...compared)],
    cpu: median(cpu),
    met: Number.isNaN(measured) ? null : row.better === "more" ? measured >= limit : measured <= limit,
  };
}
