/**
 * What the conformance suites share: the shape of a case, for any test runner, and a runner of their own.
 *
 * @module
 */
import { within } from "./checks.ts";

/**
 * A case of a conformance suite. It has the shape of a `Deno.TestDefinition`, so `Deno.test(case)` registers it; with
 * other runners use `name`, `ignore` and `fn`.
 */
export interface ConformanceCase {
  /** What is to be so, and the rule it is of: `carries bytes both ways at once [M3]`. */
  readonly name: string;
  /** The rule. */
  readonly rule: string;
  /** Whether it does not apply, because of what the kind was said to lack. */
  readonly ignore: boolean;
  /** Why it does not apply, or `null` if it does. */
  readonly notApplicable: string | null;
  /** Runs it; rejects if it fails, and also if it does not apply, so that nothing passes by not being asked. */
  readonly fn: () => Promise<void>;
}

/** Options of all conformance suites. */
export interface ConformanceOptions {
  /** The size of the duplex transfer, in bytes each way. Default: 8388608. */
  transferSize?: number;
  /** The seed of what is random. Default: 1. */
  seed?: number;
  /** How long a case may take, in milliseconds. Default: 30000. */
  timeout?: number;
  /** After how long what did not happen is taken not to happen at all, in milliseconds. Default: 30. */
  quiet?: number;
}

/** What became of the cases of a suite in which none failed. */
export interface ConformanceReport {
  /** The names of the cases that passed. */
  passed: string[];
  /** The cases that do not apply, and why. */
  notApplicable: { name: string; why: string }[];
}

/** The options with their defaults. */
export type ConformanceSettings = Required<ConformanceOptions>;

/** Fills in the defaults. */
export function settingsOf(options: ConformanceOptions): ConformanceSettings {
  const { transferSize = 8388608, seed = 1, timeout = 30_000, quiet = 30 } = options;
  return { transferSize, seed, timeout, quiet };
}

/** What a suite knows of a case. */
export interface CaseParts<T> {
  what: string;
  rule: string;
  /** Why it does not apply, or `null` if it does. */
  notApplicable: string | null;
  /** How long each part may take, in milliseconds. */
  timeout: number;
  open: () => Promise<T>;
  run: (opened: T) => Promise<void>;
  release: (opened: T) => Promise<void>;
}

/** Why a case does not apply that needs one of some capabilities. */
export function lacking(...capabilities: string[]): string {
  return `the kind is said to lack "${capabilities.join('" and "')}"`;
}

/** Why a case does not apply that is about lacking a capability. */
export function having(capability: string): string {
  return `the kind is said to have "${capability}"`;
}

/** Makes a case of its parts. */
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
