/**
 * The base of the conformance suites: the shape of a case, for any test runner, and a runner without one.
 *
 * @module
 */
import { within } from "./checks.ts";

/**
 * A case of a conformance suite. It has the shape of a `Deno.TestDefinition`, so `Deno.test(case)` registers it; with
 * other runners use `name`, `ignore` and `fn`.
 */
export interface ConformanceCase {
  /** What is checked, and the rule in brackets: `transfers bytes in both directions at once [M3]`. */
  readonly name: string;
  /** The name of the rule. */
  readonly rule: string;
  /** Whether the case does not apply, because the kind lacks a capability. */
  readonly ignore: boolean;
  /** Why the case does not apply, or `null` if it does. */
  readonly notApplicable: string | null;
  /** Runs the case; rejects if it fails, and also if it does not apply, so that it cannot pass unchecked. */
  readonly fn: () => Promise<void>;
}

/** Options of all conformance suites. */
export interface ConformanceOptions {
  /** The size of the duplex transfer, in bytes in each direction. Default: 8388608. */
  transferSize?: number | undefined;
  /** The seed of random numbers. Default: 1. */
  seed?: number | undefined;
  /** The longest time of a case, in milliseconds. Default: 30000. */
  timeout?: number | undefined;
  /** The time after which an event that has not occurred is taken not to occur, in milliseconds. Default: 30. */
  quiet?: number | undefined;
}

/** The result of a suite in which no case failed. */
export interface ConformanceReport {
  /** The names of the cases that passed. */
  passed: string[];
  /** The cases that do not apply, and why. */
  notApplicable: { name: string; why: string }[];
}

/** Options of which none is left out. */
export type WithDefaults<T> = { [K in keyof T]-?: Exclude<T[K], undefined> };

/** The options with their defaults. */
export type ConformanceSettings = WithDefaults<ConformanceOptions>;

/** Fills in the defaults. */
export function settingsOf(options: ConformanceOptions): ConformanceSettings {
  const { transferSize = 8388608, seed = 1, timeout = 30_000, quiet = 30 } = options;
  return { transferSize, seed, timeout, quiet };
}

/** The parts of a case. */
export interface CaseParts<T> {
  what: string;
  rule: string;
  /** Why it does not apply, or `null` if it does. */
  notApplicable: string | null;
  /** The longest time of each part, in milliseconds. */
  timeout: number;
  open: () => Promise<T>;
  run: (opened: T) => Promise<void>;
  release: (opened: T) => Promise<void>;
}

/** Says why a case does not apply that needs one of these capabilities. */
export function lacking(...capabilities: string[]): string {
  return `the kind lacks "${capabilities.join('" and "')}"`;
}

/** Says why a case does not apply that is for kinds without this capability. */
export function having(capability: string): string {
  return `the kind has "${capability}"`;
}

/** Makes a case from its parts. */
export function makeCase<T>(parts: CaseParts<T>): ConformanceCase {
  const { what, rule, notApplicable, timeout, open, run, release } = parts;
  return {
    name: `${what} [${rule}]`,
    rule,
    ignore: notApplicable !== null,
    notApplicable,
    fn: async () => {
      if (notApplicable !== null) throw new Error(`Cannot check that it ${what}: ${notApplicable}`);
      const opened = await within(open(), timeout, `make what is to be checked`);
      try {
        await within(run(opened), timeout, `check that it ${what}`);
      } finally {
        await within(release(opened), timeout, `release what was checked`);
      }
    },
  };
}

/** Runs all cases, one after the other. */
export async function checkAll(what: string, cases: readonly ConformanceCase[]): Promise<ConformanceReport> {
  const report: ConformanceReport = { passed: [], notApplicable: [] };
  const errors: Error[] = [];
  for (const { name, notApplicable, fn } of cases) {
    if (notApplicable !== null) {
      report.notApplicable.push({ name, why: notApplicable });
      continue;
    }
    try {
      await fn();
      report.passed.push(name);
    } catch (cause) {
      errors.push(new Error(`${name}: ${cause instanceof Error ? cause.message : cause}`, { cause }));
    }
  }
  if (errors.length === 0) return report;
  const names = errors.map(({ message }) => `\n- ${message}`).join("");
  throw new AggregateError(
    errors,
    `Cannot accept the ${what}: ${errors.length} of ${cases.length} cases failed${names}`,
  );
}
