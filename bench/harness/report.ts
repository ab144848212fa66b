/**
 * The report: text on the console while the benchmark runs, and a page of Markdown.
 *
 * @module
 */
import { bounds } from "../bounds.ts";
import { type Bound, type Judgement, median, type Outcome, type RowResult, tunedName, type Verdict } from "./model.ts";

/** The circumstances of the measurement, for the head of the page. */
export interface Circumstances {
  present: string[];
  absent: string[];
  load: string;
  pinning: string;
  effort: string;
}

/** A row as text: every entry, then every goal. */
export function rowText(result: RowResult): string {
  const table = tableOf(result);
  const widths = table[0]!.map((_, i) => Math.max(...table.map((line) => line[i]!.length)));
  const lines = table.map((line) =>
    "  " + line.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ").trimEnd()
  );
  return [
    `\n${result.row.id}: ${result.row.title}`,
    ...lines,
    ...missing(result).map((line) => `  ${line}`),
    ...result.verdicts.map((verdict) => `  ${mark(verdict.floor.met)} ${verdictText(verdict)}`),
  ].join("\n");
}

/** All rows as a page of Markdown: first every goal, then every figure. */
export function page(results: readonly RowResult[], { present, absent, load, pinning, effort }: Circumstances): string {
  const goals = results.flatMap(({ row, verdicts }) =>
    verdicts.map(({ goal, floor, aim }, i) => [
      i === 0 ? row.title : "",
      goal.who,
      measuredText(floor) + (aim && aim.bound.against !== floor.bound.against ? `; ${measuredText(aim)}` : ""),
      `${boundText(floor.bound)} ${mark(floor.met)}`,
      aim ? `${boundText(aim.bound)} ${mark(aim.met)}` : "",
    ])
  );
  return [
    "# Results",
    "",
    "Written by `deno task bench:throughput`; run it to see the figures of your machine. Ratios hold from machine to",
    "machine better than figures do.",
    "",
    `- ${present.join(", ")}; ${Deno.build.os}, ${Deno.build.arch}`,
    `- Load generator: ${load}; ${pinning}`,
    `- ${effort}; in turn, ratios taken within a round, medians of them`,
    `- Not installed, so not measured: ${absent.length === 0 ? "none" : absent.join(", ")}`,
    "",
    "![Echo servers at three levels](results.svg)",
    "",
    "## Promised and measured",
    "",
    "The range in brackets is that of the rounds. “By processor time” compares what a unit of work costs the server,",
    "which holds where the load generator, not the server, is at its limit, and where the machine is not quiet. “Tuned” is",
    "the same program in Deno with `reserveGcHeadroom()` and the flags of V8 that docs/PERFORMANCE.md names, whoever wrote",
    "it, beside others that are tuned as well; everything else is measured as it is.",
    "",
    ...markdown([["work", "who", "measured", "floor", "aim"], ...goals]),
    "",
    "## All figures",
    ...results.flatMap((result) => [
      "",
      `### ${result.row.title}`,
      "",
      ...markdown(tableOf(result)),
      ...missing(result).map((line) => `\n${line}.`),
      ...fallsShort(result) ? ["", bounds[result.row.id] ?? ""] : [],
    ]),
    "",
  ].join("\n");
}

/** Whether a floor or an aim was missed. */
function fallsShort({ verdicts }: RowResult): boolean {
  return verdicts.some(({ floor, aim }) => !floor.met || aim?.met === false);
}

/** Formats a number with a reasonable number of digits. */
export function number(n: number): string {
  if (n >= 1000) return Math.round(n).toLocaleString("en");
  return String(Number(n.toPrecision(3)));
}

function verdictText({ goal, floor, aim }: Verdict): string {
  const parts = [`${goal.who}: ${measuredText(floor)}, floor ${boundText(floor.bound)}`];
  if (aim) {
    const again = aim.bound.against === floor.bound.against;
    parts.push(`${again ? "" : `${measuredText(aim)}, `}aim ${boundText(aim.bound)} ${mark(aim.met)}`);
  }
  return parts.join("; ");
}

function measuredText({ bound, measured, range, cpu }: Judgement): string {
  if (Number.isNaN(measured)) return "not measured";
  const remarks = range[0] === range[1] ? [] : [`${number(range[0])}–${number(range[1])}`];
  if (!Number.isNaN(cpu)) remarks.push(`by processor time ${number(cpu)}`);
  const value = boundText("ratio" in bound ? { ...bound, ratio: measured } : { ...bound, difference: measured });
  return remarks.length === 0 ? value : `${value} (${remarks.join("; ")})`;
}

function boundText(bound: Bound): string {
  return "ratio" in bound
    ? `${number(bound.ratio)} × ${bound.against}`
    : `${number(bound.difference)} over ${bound.against}`;
}

function mark(met: boolean | null): string {
  return met === null ? "?" : met ? "✓" : "✗";
}

/** The entries of a row as a table, without empty columns. */
function tableOf({ row, outcomes }: RowResult): string[][] {
  const byName = new Map(outcomes.map((outcome) => [outcome.name, outcome]));
  const tuned = new Set(outcomes.flatMap(({ name }) => byName.get(tunedName(name)) ?? []));
  const measured = outcomes.filter((outcome) => outcome.samples.length > 0 && !tuned.has(outcome));
  const raw = byName.get("raw")?.samples;
  const tunedRaw = byName.get(tunedName("raw"))?.samples;
  const tunedSamples = ({ name }: Outcome) => byName.get(tunedName(name))?.samples ?? [];
  const all: [string, (outcome: Outcome) => string][] = [
    ["", ({ name }) => name],
    [row.unit, ({ samples }) => number(median(samples.map(({ value }) => value)))],
    ["× raw", ({ samples }) => middle(samples.map(({ value }, i) => raw?.[i] && value / raw[i].value))],
    ["tuned", (outcome) => middle(tunedSamples(outcome).map(({ value }) => value))],
    [
      "× raw, tuned",
      (outcome) => middle(tunedSamples(outcome).map(({ value }, i) => tunedRaw?.[i] && value / tunedRaw[i].value)),
    ],
    ["cpu µs", ({ samples }) => middle(samples.map(({ cpu }) => cpu))],
    ["p50 µs", ({ samples }) => middle(samples.map(({ p50 }) => p50))],
    ["p99 µs", ({ samples }) => middle(samples.map(({ p99 }) => p99))],
    ["load busy", ({ samples }) => middle(samples.map(({ loadBusy }) => loadBusy))],
  ];
  const used = all.filter(([title, cell]) => title === "" || measured.some((outcome) => cell(outcome) !== ""));
  return [used.map(([title]) => title), ...measured.map((outcome) => used.map(([, cell]) => cell(outcome)))];
}

function middle(values: (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? "" : number(median(known));
}

function missing({ outcomes }: RowResult): string[] {
  return outcomes.flatMap(({ name, missing }) => missing === undefined ? [] : [`${name}: not measured, ${missing}`]);
}

function markdown(table: string[][]): string[] {
  const [head, ...lines] = table.map((cells) => `| ${cells.join(" | ")} |`);
  return [head!, `|${table[0]!.map((_, i) => i === 0 ? "---" : "--:").join("|")}|`, ...lines];
}
