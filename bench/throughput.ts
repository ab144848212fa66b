/**
 * Measures every row of the benchmark against its peers, prints the results, and writes `RESULTS.md` and `results.svg`.
 *
 * ```sh
 * deno task bench:throughput                            # all rows, under five minutes
 * deno task bench:throughput --quick                    # all rows, one short round: does it run?
 * deno task bench:throughput --only echo-1k,churn       # some rows; nothing is written
 * deno task bench:throughput --only tls --rounds 15     # one row in many rounds
 * ```
 *
 * @module
 */
import { chart } from "./harness/chart.ts";
import { versions } from "./harness/contestants.ts";
import { loadGenerator } from "./harness/load.ts";
import type { RowResult } from "./harness/model.ts";
import { pinning } from "./harness/processes.ts";
import { page, rowText } from "./harness/report.ts";
import { type Effort, runRow } from "./harness/run_row.ts";
import { MANY_ROUNDS, rows } from "./rows.ts";

const args = parse(Deno.args);
const effort: Effort = args.quick
  ? { rounds: args.rounds ?? 1, firstWarmup: 200, warmup: 100, duration: 200 }
  : { rounds: args.rounds, firstWarmup: 400, warmup: 50, duration: 130 };
const circumstances = {
  ...await versions(),
  load: (await loadGenerator()).description,
  pinning,
  effort: `${effort.rounds ?? MANY_ROUNDS} rounds of ${effort.duration} ms for most rows`,
};
console.log(`${circumstances.present.join(", ")}\nload generator: ${circumstances.load}; ${pinning}`);
console.log(`not installed: ${circumstances.absent.join(", ") || "none"}`);

const results: RowResult[] = [];
for (const row of rows) {
  if (args.only.length > 0 && !args.only.includes(row.id)) continue;
  const result = await runRow(row, effort);
  results.push(result);
  console.log(rowText(result));
}
if (!args.quick && args.only.length === 0) {
  const files = ["RESULTS.md", "results.svg"].map((name) => new URL(name, import.meta.url).pathname);
  await Deno.writeTextFile(files[0]!, page(results, circumstances));
  await Deno.writeTextFile(files[1]!, chart(results) ?? "");
  const formatting = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", ...files],
    cwd: import.meta.dirname!,
  });
  if (!(await formatting.spawn().status).success) console.error("Cannot format the results");
}
const failed = results.flatMap(({ outcomes }) => outcomes).filter(({ name, missing }) =>
  name.startsWith("ours") && missing !== undefined
);
if (failed.length > 0) {
  console.error(`Cannot measure ${failed.map(({ name }) => name).join(", ")}`);
  Deno.exit(1);
}

function parse(given: string[]): { quick: boolean; only: string[]; rounds: number | undefined } {
  const parsed = { quick: false, only: [] as string[], rounds: undefined as number | undefined };
  for (let i = 0; i < given.length; i++) {
    if (given[i] === "--quick") parsed.quick = true;
    else if (given[i] === "--only") parsed.only.push(...given[++i]?.split(",") ?? []);
    else if (given[i] === "--rounds") parsed.rounds = Number(given[++i]);
    else throw new TypeError(`Cannot run the benchmark: "${given[i]}" is not an option`);
  }
  const unknown = parsed.only.find((id) => !rows.some((row) => row.id === id));
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot run the benchmark: "${unknown}" is not a row, as ${rows.map(({ id }) => id).join(", ")} are`,
    );
  }
  return parsed;
}
