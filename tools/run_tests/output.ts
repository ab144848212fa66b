/**
 * What `deno test` prints, understood.
 *
 * @module
 */

/** How many tests did what. */
export interface Counts {
  passed: number;
  failed: number;
  ignored: number;
}

/** What one run of `deno test` found out. */
export interface Result {
  counts: Counts;
  /** What to show of the output: nothing unless something failed. */
  errors: string;
  /** The names of the tests that failed, each with its file. */
  failures: string[];
  /** The lines that begin with "skipped: ". */
  skipped: string[];
}

// What is shown of one test's error: some errors print all of two large values.
const MOST_LINES = 60;
// A run that dies without a word about errors has the reason near the end of its output.
const LAST_LINES = 200;

/**
 * Reads the output of one run.
 *
 * @param output All that it printed, without colors
 * @param code Its exit status
 * @param files The test files it ran, to be named if it died
 * @returns What it says; a run that fails without a failed test, or ends without a summary, counts as one failure
 */
export function readOutput(output: string, code: number, files: readonly string[]): Result {
  const skipped = output.match(/^skipped: .*$/gm) ?? [];
  const summary = /^(?:ok|FAILED) \| (\d+) passed.*$(?![^]*^(?:ok|FAILED) \| \d+ passed)/m.exec(output)?.[0];
  const counts = { passed: 0, failed: 0, ignored: 0 };
  for (const key of Object.keys(counts) as (keyof Counts)[]) {
    counts[key] = Number(new RegExp(`\\| (\\d+) ${key}`).exec(summary ?? "")?.[1] ?? 0);
  }
  if (code === 0 && summary !== undefined) return { counts, errors: "", failures: [], skipped };

  const [, errors, failures] = /^ ERRORS \n([^]*?)^ FAILURES \n\n([^]*?)\n\n/m.exec(output) ?? [];
  if (counts.failed > 0 && errors !== undefined && failures !== undefined) {
    return { counts, errors: ` ERRORS \n${shortened(errors.trimEnd())}\n`, failures: failures.split("\n"), skipped };
  }
  const end = output.split("\n").slice(-LAST_LINES).join("\n").trimEnd();
  return {
    counts: { ...counts, failed: counts.failed + 1 },
    errors: ` ERRORS \n\n${files.join(" ")} ended with ${code}:\n${end}\n`,
    failures: [`${files.join(" ")} (ended with ${code})`],
    skipped,
  };
}

/** Returns the errors of several tests, each with its first lines only. */
function shortened(errors: string): string {
  const shown = errors.split(/\n(?=\S.* => \S+:\d+:\d+$)/m).map((error) => {
    const lines = error.split("\n");
    if (lines.length <= MOST_LINES) return error;
    return [...lines.slice(0, MOST_LINES), `… ${lines.length - MOST_LINES} more lines: --verbose prints them`, ""].join(
      "\n",
    );
  });
  return shown.join("\n");
}

/** Adds counts. */
export function sum(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, ignored: a.ignored + b.ignored };
}
