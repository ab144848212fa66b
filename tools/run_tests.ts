/**
 * Runs the test files in several processes at a time, and prints what failed and a summary.
 *
 * `deno run -A tools/run_tests.ts [--verbose] [flags of deno test] [files and folders]`
 *
 * Types are checked once, before all. Then each process runs a few files of one folder and takes the next ones when it is
 * done. Files never share a process with files of other folders, because some count the descriptors or the memory of
 * their process. Standard output has the errors of each process that failed as `deno test` prints them, then a line
 * for everything that this machine lacks ("skipped: …", see tests/support/machine.ts), and last the summary line of
 * `deno test`. The exit status is 0 only if tests ran and none failed, and 130 after Ctrl-C.
 *
 * @module
 */
import { batches, testFiles } from "./run_tests/files.ts";
import { type Counts, readOutput, sum } from "./run_tests/output.ts";

const FLAGS = ["--sanitize-ops", "--sanitize-resources"];
// The exit statuses of a process that SIGINT or SIGTERM ended.
const INTERRUPTED = [130, 143];
// One process more than processors, because tests wait for a third of their time. Beyond eight the longest file decides.
const MOST_JOBS = 8;
const NO_COUNTS: Counts = { passed: 0, failed: 0, ignored: 0 };

/** What the command line asks for. */
interface Options {
  verbose: boolean;
  /** Passed on to `deno test`. */
  flags: string[];
  paths: string[];
}

/** Everything that was found out. */
interface Totals {
  counts: Counts;
  /** The names of the tests that failed. */
  failures: string[];
  skipped: Set<string>;
}

function parse(args: readonly string[]): Options {
  const flags = args.filter((arg) => arg.startsWith("-") && arg !== "--" && arg !== "--verbose");
  const paths = args.filter((arg) => !arg.startsWith("-"));
  return { verbose: args.includes("--verbose"), flags, paths: paths.length > 0 ? paths : ["tests/"] };
}

async function deno(args: string[], stopped: AbortSignal): Promise<{ code: number; output: string }> {
  // One pipe for both, so that the lines come in their order.
  const command = new Deno.Command("sh", {
    args: ["-c", 'exec "$0" "$@" 2>&1', Deno.execPath(), ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    signal: stopped,
  });
  const { code, stdout } = await command.output();
  return { code, output: new TextDecoder().decode(stdout) };
}

/** Runs batch after batch until none is left. */
async function work(queue: string[][], options: Options, totals: Totals, stop: AbortController): Promise<void> {
  const { signal } = stop;
  for (let files; !signal.aborted && (files = queue.shift()) !== undefined;) {
    const { code, output } = await deno(["test", "-A", "--no-check", ...FLAGS, ...options.flags, ...files], signal);
    // A terminal sends Ctrl-C to all processes, and a child may end before the listener here is called.
    if (INTERRUPTED.includes(code)) stop.abort();
    if (signal.aborted) return;
    const result = readOutput(output, code, files);
    totals.counts = sum(totals.counts, result.counts);
    totals.failures.push(...result.failures);
    for (const line of result.skipped) totals.skipped.add(line);
    const shown = options.verbose ? output : result.errors;
    if (shown !== "") console.log(shown);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const begun = performance.now();
  const options = parse(args);
  const files = await testFiles(options.paths);
  const jobs = Math.min(navigator.hardwareConcurrency + 1, MOST_JOBS);
  console.log(`Running ${files.length} test files in ${jobs} processes at a time`);

  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());

  const { code, output } = await deno(["check", ...files], stop.signal);
  const totals: Totals = { counts: NO_COUNTS, failures: [], skipped: new Set() };
  if (code !== 0 && !stop.signal.aborted) {
    console.log(` ERRORS \n\n${output}`);
    totals.counts = { ...NO_COUNTS, failed: 1 };
    totals.failures.push("deno check");
  } else {
    const queue = batches(files);
    await Promise.all(Array.from({ length: jobs }, () => work(queue, options, totals, stop)));
  }

  const { passed, failed, ignored } = totals.counts;
  if (failed > 0) console.log(` FAILURES \n\n${totals.failures.join("\n")}\n`);
  for (const line of [...totals.skipped].sort()) console.log(line);
  if (stop.signal.aborted) console.log("Interrupted: not all tests were run");
  const seconds = Math.round((performance.now() - begun) / 1000);
  const verdict = failed === 0 && passed > 0 && !stop.signal.aborted ? "ok" : "FAILED";
  console.log(`${verdict} | ${passed} passed | ${failed} failed | ${ignored} ignored (${seconds}s)`);
  return stop.signal.aborted ? 130 : verdict === "ok" ? 0 : 1;
}

Deno.exit(await main(Deno.args));
