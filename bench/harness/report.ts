/**
 * What is told of the results: text on the console while it runs, and a page of Markdown.
 *
 * @module
 */
import { type Bound, type Judgement, median, type RowResult, type Verdict } from "./model.ts";

/** A row as text: every entry, then every goal. */
export function rowText(result: RowResult): string {
  const { row, outcomes, verdicts } = result;
  const reference = outcomes.find((outcome) => outcome.name === "raw");
  const table = outcomes.filter((outcome) => outcome.samples.length > 0).map(({ name, samples }) => [
    name,
    number(median(samples.map(({ value }) => value))),
    reference ? ratioTo(reference.samples.map(({ value }) => value), samples.map(({ value }) => value)) : "",
    optional(samples.map(({ cpu }) => cpu)),
    optional(samples.map(({ p50 }) => p50)),
    optional(samples.map(({ p99 }) => p99)),
    optional(samples.map(({ loadBusy }) => loadBusy)),
  ]);
  return [
    `\n${row.id}: ${row.title}`,
    ...columns([["", row.unit, reference ? "× raw" : "", "cpu µs", "p50 µs", "p99 µs", "load busy"], ...table]),
    ...outcomes.filter(({ missing }) => missing).map(({ name, missing }) => `  ${name}: not measured, ${missing}`),
    ...verdicts.map((verdict) => `  ${mark(verdict.floor.met)} ${verdictText(verdict)}`),
  ].join("\n");
}

/** A goal and what came of it, as one line. */
function verdictText({ goal, floor, aim }: Verdict): string {
  const parts = [`${goal.who}: ${judgementText(floor)}, floor ${boundText(floor.bound)}`];
  if (aim) {
    const again = aim.bound.against === floor.bound.against;
    parts.push(`${again ? "" : `${judgementText(aim)}, `}aim ${boundText(aim.bound)}${aim.met ? " (met)" : ""}`);
  }
  return parts.join("; ");
}

/** What was measured, as in "0.97 × raw (0.95–0.99; by processor time 0.98)". */
export function judgementText({ bound, measured, range, cpu }: Judgement): string {
  if (Number.isNaN(measured)) return "not measured";
  const how = [`${number(range[0])}–${number(range[1])}`];
  if (!Number.isNaN(cpu)) how.push(`by processor time ${number(cpu)}`);
  return `${boundText("ratio" in bound ? { ...bound, ratio: measured } : { ...bound, difference: measured })} (${
    how.join("; ")
  })`;
}

/** A bound, as in "0.9 × raw". */
export function boundText(bound: Bound): string {
  return "ratio" in bound
    ? `${number(bound.ratio)} × ${bound.against}`
    : `${number(bound.difference)} over ${bound.against}`;
}

/** A number with as many digits as make sense. */
export function number(n: number): string {
  if (n >= 1000) return Math.round(n).toLocaleString("en").replaceAll(",", " ");
  return String(Number(n.toPrecision(3)));
}

/** Whether something was met. */
export function mark(met: boolean | null): string {
  return met === null ? "?" : met ? "✓" : "✗";
}

function ratioTo(reference: number[], values: number[]): string {
  return number(median(values.flatMap((value, i) => reference[i] === undefined ? [] : [value / reference[i]])));
}

function optional(values: (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? "" : number(median(known));
}

function columns(table: string[][]): string[] {
  const widths = table[0]!.map((_, i) => Math.max(...table.map((line) => line[i]!.length)));
  return table.map((line) => {
    const cells = line.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!));
    return `  ${cells.join("  ")}`.trimEnd();
  });
}
