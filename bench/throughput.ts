/**
 * The proof of speed: runs every row of the contract's table against its peers on this machine.
 *
 * `deno task bench:throughput [--quick] [--only ROW]... [--rounds N]`
 *
 * @module
 */
import { loadGenerator } from "./harness/load.ts";
import { pinning } from "./harness/processes.ts";
import { rowText } from "./harness/report.ts";
import { type Effort, runRow } from "./harness/run_row.ts";
import { rows } from "./rows.ts";

const args = parse(Deno.args);
const effort: Effort = args.quick
  ? { rounds: args.rounds ?? 1, firstWarmup: 200, warmup: 100, duration: 300 }
  : { rounds: args.rounds ?? 3, firstWarmup: 500, warmup: 200, duration: 700 };
console.log(`load generator: ${(await loadGenerator()).description}; ${pinning}`);
for (const row of rows) {
  if (args.only.length > 0 && !args.only.includes(row.id)) continue;
  console.log(rowText(await runRow(row, effort)));
}

function parse(given: string[]): { quick: boolean; only: string[]; rounds: number | undefined } {
  const parsed = { quick: false, only: [] as string[], rounds: undefined as number | undefined };
  for (let i = 0; i < given.length; i++) {
    if (given[i] === "--quick") parsed.quick = true;
    else if (given[i] === "--only") parsed.only.push(...given[++i]?.split(",") ?? []);
    else if (given[i] === "--rounds") parsed.rounds = Number(given[++i]);
    else throw new Error(`Cannot run the benchmark: "${given[i]}" is not an option`);
  }
  return parsed;
}
