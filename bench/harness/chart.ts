/**
 * The chart: echo at three levels (sockets, protocols, streams), for each a group of bars per message size. Plain SVG,
 * legible on light and on dark.
 *
 * @module
 */
import { median, type RowResult } from "./model.ts";

interface Panel {
  title: string;
  bars: [name: string, colour: string][];
}

const OURS = "#2f81f7";
const panels: Panel[] = [
  {
    title: "Sockets",
    bars: [
      ["raw", "#8b949e"],
      ["ours: sockets", OURS],
      ["uvloop sockets", "#d29922"],
      ["asyncio sockets", "#a37a1f"],
    ],
  },
  {
    title: "Protocols",
    bars: [
      ["raw", "#8b949e"],
      ["ours: protocol", OURS],
      ["Bun", "#db61a2"],
      ["uvloop protocol", "#d29922"],
      ["asyncio protocol", "#a37a1f"],
      ["node:net on Deno", "#3fb950"],
      ["Node.js", "#238636"],
    ],
  },
  {
    title: "Streams",
    bars: [
      ["raw", "#8b949e"],
      ["ours: zero-copy", "#79b8ff"],
      ["ours: stream", OURS],
      ["uvloop streams", "#d29922"],
      ["asyncio streams", "#a37a1f"],
      ["Web Streams", "#a371f7"],
    ],
  },
];

const WIDTH = 900;
const LEFT = 20;
const PANEL = 240;
const PLOT = 150;
const GROUP = (WIDTH - 2 * LEFT) / 3;

/** Draws the rows that belong into the chart; returns undefined if there is none. */
export function chart(results: readonly RowResult[]): string | undefined {
  const groups = results.filter(({ row }) => row.chart !== undefined);
  if (groups.length === 0) return undefined;
  const drawn = panels.map((panel, i) =>
    `<g transform="translate(0 ${30 + i * PANEL})">${drawPanel(panel, groups)}</g>`
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${30 + PANEL * panels.length}" role="img">
<title>Echo servers, messages per second</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #57606a; }
.title { font-size: 15px; font-weight: 600; }
.value { font-size: 10px; text-anchor: middle; }
.size { text-anchor: middle; }
line { stroke: #8b949e; }
@media (prefers-color-scheme: dark) { text { fill: #adbac7; } }
</style>
<text class="title" x="${LEFT}" y="20">Echo servers, messages per second, 10 connections (more is better)</text>
${drawn.join("\n")}
</svg>
`;
}

function drawPanel({ title, bars }: Panel, groups: RowResult[]): string {
  const valueOf = (group: RowResult, name: string) =>
    median(group.outcomes.find((outcome) => outcome.name === name)?.samples.map(({ value }) => value) ?? []);
  const known = bars.filter(([name]) => groups.some((group) => valueOf(group, name) > 0));
  const parts = [`<text class="title" x="${LEFT}" y="24">${title}</text>`, drawLegend(known)];
  const width = (GROUP - 40) / known.length;
  groups.forEach((group, at) => {
    // Each size has its own scale: servers are compared, not sizes.
    const greatest = Math.max(...known.map(([name]) => valueOf(group, name) || 0));
    const left = LEFT + at * GROUP;
    known.forEach(([name, colour], i) => {
      const value = valueOf(group, name);
      if (!(value > 0)) return;
      const height = value / greatest * PLOT;
      const x = left + 20 + i * width;
      const y = 50 + PLOT - height;
      parts.push(
        `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${(width - 4).toFixed(1)}" height="${
          height.toFixed(1)
        }" rx="2" fill="${colour}"/>`,
        `<text class="value" x="${(x + width / 2 - 2).toFixed(1)}" y="${(y - 3).toFixed(1)}">${
          thousands(value)
        }</text>`,
      );
    });
    parts.push(
      `<line x1="${left + 14}" x2="${left + GROUP - 16}" y1="${50.5 + PLOT}" y2="${50.5 + PLOT}"/>`,
      `<text class="size" x="${left + GROUP / 2}" y="${68 + PLOT}">${group.row.chart}</text>`,
    );
  });
  return parts.join("\n");
}

function drawLegend(bars: Panel["bars"]): string {
  let x = 130;
  return bars.map(([name, colour]) => {
    const entry = `<rect x="${x}" y="14" width="11" height="11" rx="2" fill="${colour}"/><text x="${
      x + 15
    }" y="24">${name}</text>`;
    x += 30 + name.length * 6.4;
    return entry;
  }).join("\n");
}

function thousands(value: number): string {
  return value >= 100_000 ? `${Math.round(value / 1000)}k` : `${(value / 1000).toFixed(1)}k`;
}
