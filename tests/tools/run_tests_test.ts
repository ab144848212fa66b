// The runner decides what everybody believes of the tests, so each way that a run can end is provoked here, in a folder
// of its own.

import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { batches } from "../../tools/run_tests/files.ts";
import { readOutput } from "../../tools/run_tests/output.ts";
import { text } from "../support/bytes.ts";
import { tempDir } from "../support/programs.ts";

const tool = new URL("../../tools/run_tests.ts", import.meta.url).pathname;

const GOOD = `Deno.test("good", () => {});\nDeno.test.ignore("not now", () => {});\n`;
const BAD = `Deno.test("bad", () => {\n  console.log("what it said");\n  throw new Error("oops");\n});\n`;

function folder(files: Record<string, string>): string {
  const root = tempDir();
  for (const [path, source] of Object.entries(files)) {
    Deno.mkdirSync(`${root}/tests/${path}`.replace(/[^/]*$/, ""), { recursive: true });
    Deno.writeTextFileSync(`${root}/tests/${path}`, source);
  }
  return root;
}

function start(cwd: string, args: string[]): Deno.ChildProcess {
  const command = { args: ["run", "-A", "--no-config", tool, ...args], cwd, env: { NO_COLOR: "1" } };
  return new Deno.Command(Deno.execPath(), { ...command, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
}

async function run(files: Record<string, string>, ...args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await start(folder(files), args).output();
  return { code, output: text(stdout) + text(stderr) };
}

Deno.test("run_tests.ts prints the counts and nothing else if all is well", async () => {
  const { code, output } = await run({ "a_test.ts": GOOD, "x/b_test.ts": GOOD, "x/y/c_test.ts": GOOD, "x/d.ts": BAD });
  assertMatch(
    output,
    /^Running 3 test files in \d+ processes at a time\nok \| 3 passed \| 0 failed \| 3 ignored \(\d+s\)\n$/,
  );
  assertEquals(code, 0);
});

Deno.test("run_tests.ts prints the errors of what failed, and fails", async () => {
  const { code, output } = await run({ "a_test.ts": GOOD, "x/b_test.ts": GOOD + BAD });
  assertMatch(output, / ERRORS \n\nbad => \.\/tests\/x\/b_test\.ts:3:6\nerror: Error: oops\n/);
  assertMatch(
    output,
    / FAILURES \n\nbad => \.\/tests\/x\/b_test\.ts:3:6\n\nFAILED \| 2 passed \| 1 failed \| 2 ignored \(\d+s\)\n$/,
  );
  assertEquals(output.includes("good ..."), false);
  assertEquals(code, 1);
});

Deno.test("run_tests.ts shows the first 60 lines of an error, and prints all with --verbose", async () => {
  const lines = "Array.from({ length: 99 }, (_, i) => `line ${i}`).join('\\n')";
  const files = { "a_test.ts": `Deno.test("long", () => {\n  throw new Error(${lines});\n});\n${BAD}` };
  const { output } = await run(files);
  assertMatch(output, /line 40\n[^]*… \d+ more lines: --verbose prints them\n\nbad => [^]*oops/);
  assertEquals(output.includes("line 70\n"), false);
  assertMatch((await run(files, "--verbose")).output, /line 98/);
});

Deno.test("run_tests.ts --verbose prints all that tests print", async () => {
  const { output } = await run({ "a_test.ts": GOOD, "x/b_test.ts": BAD }, "--", "--verbose");
  assertStringIncludes(output, "good ... ok");
  assertStringIncludes(output, "what it said");
});

Deno.test("run_tests.ts repeats in its summary what was skipped, once", async () => {
  const source = `Deno.test("some", () => console.warn("skipped: the tests against x, as there is no x here"));\n`;
  const { code, output } = await run({ "a_test.ts": source, "x/b_test.ts": source });
  assertMatch(output, /time\nskipped: the tests against x, as there is no x here\nok \| 2 passed/);
  assertEquals(code, 0);
});

Deno.test("run_tests.ts counts a process that dies as a failure, and shows its last words", async () => {
  const { code, output } = await run({ "a_test.ts": `Deno.test("dies", () => Deno.kill(Deno.pid, "SIGKILL"));\n` });
  assertMatch(output, /tests\/a_test\.ts ended with 137:\n/);
  assertMatch(output, /FAILED \| 0 passed \| 1 failed/);
  assertEquals(code, 1);
});

Deno.test("run_tests.ts counts an error outside of any test, and one of types", async () => {
  const thrown = await run({ "a_test.ts": GOOD, "b_test.ts": `${GOOD}throw new Error("at load");\n` });
  assertStringIncludes(thrown.output, "at load");
  assertMatch(thrown.output, /FAILED \| 1 passed \| 1 failed/);
  assertEquals(thrown.code, 1);
  const typed = await run({ "a_test.ts": `${GOOD}export const n: number = "text";\n` });
  assertStringIncludes(typed.output, "TS2322");
  assertMatch(typed.output, /FAILED \| 0 passed \| 1 failed/);
  assertEquals(typed.code, 1);
});

Deno.test("run_tests.ts fails if there is no test, and runs what it is told to", async () => {
  const files = { "a_test.ts": GOOD, "x/b_test.ts": GOOD };
  assertMatch((await run(files, "tests/x")).output, /Running 1 test files[^]*ok \| 1 passed/);
  assertMatch((await run(files, "tests/a_test.ts", "--filter=nothing")).output, /FAILED \| 0 passed \| 0 failed/);
  const none = await run({ "x/d.ts": GOOD });
  assertStringIncludes(none.output, "Cannot run tests: there are none in tests/");
  assertEquals(none.code, 1);
});

/** Runs a test that never ends, sends a signal when it has begun, and expects an orderly end. */
async function interrupt(signal: Deno.Signal, target: (runner: number, test: number) => number): Promise<void> {
  const source = `Deno.test("long", () => {
    Deno.writeTextFileSync("pid.new", String(Deno.pid));
    Deno.renameSync("pid.new", "pid");
    return new Promise((resolve) => setTimeout(resolve, 60_000));
  });\n`;
  const root = folder({ "a_test.ts": source });
  const watcher = Deno.watchFs(root);
  const process = start(root, []);
  for await (const { paths } of watcher) if (paths.some((path) => path.endsWith("/pid"))) break;
  const test = Number(Deno.readTextFileSync(`${root}/pid`));
  Deno.kill(target(process.pid, test), signal);
  const { code, stdout, stderr } = await process.output();
  assertEquals(text(stderr), "");
  assertMatch(text(stdout), /time\nInterrupted: not all tests were run\nFAILED \| 0 passed \| 0 failed/);
  assertEquals(code, 130);
  assertThrows(() => Deno.kill(test, "SIGCONT"));
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`run_tests.ts ends its processes at ${signal}, says that it was interrupted, and fails`, () =>
    interrupt(signal, (runner) => runner));
}

Deno.test("run_tests.ts is interrupted as well if SIGINT reaches one of its processes first", () =>
  interrupt("SIGINT", (_, test) => test));

Deno.test("batches() keeps folders apart, and runs what tests most at once alone and first", () => {
  const files = [
    "tests/a_test.ts",
    "tests/b_test.ts",
    ...["c", "d", "e", "f"].map((name) => `tests/x/${name}_test.ts`),
    "tests/y/g_test.ts",
  ];
  assertEquals(batches(files), [
    ["tests/a_test.ts"],
    ["tests/b_test.ts"],
    ["tests/x/c_test.ts", "tests/x/d_test.ts", "tests/x/e_test.ts"],
    ["tests/x/f_test.ts"],
    ["tests/y/g_test.ts"],
  ]);
  assertEquals(batches([]), []);
});

Deno.test("readOutput() counts steps apart, and takes the last summary line of several", () => {
  const output = "ok | 9 passed (1 step) | 0 failed (1s)\nok | 2 passed (3 steps) | 0 failed | 4 ignored (1s)\n";
  assertEquals(readOutput(output, 0, ["a"]).counts, { passed: 2, failed: 0, ignored: 4 });
  assertEquals(readOutput("ok | 2 passed | 0 failed (1s)\n", 1, ["a"]).counts.failed, 1);
  assertEquals(readOutput("", 0, ["a"]).counts.failed, 1);
});
