/**
 * The table of the contract, as data: every piece of work, who does it, and what is promised and wanted.
 *
 * @module
 */
import { type Contestant, server } from "./harness/contestants.ts";
import type { Work } from "./harness/load.ts";
import type { Bound, Entry, Goal, Row } from "./harness/model.ts";

const KIB = 1024;

const everyone: Contestant[] = [
  "raw",
  "ours: protocol",
  "ours: buffered",
  "ours: stream",
  "ours: zero-copy",
  "node:net on Deno",
  "Web Streams",
  "Node.js",
  "Bun",
  "asyncio protocol",
  "asyncio streams",
  "uvloop protocol",
  "uvloop streams",
];

/** All rows, in the order of the contract. */
export const rows: Row[] = [
  echo("echo-1k", 1, 10, [
    goal("ours: protocol", 0.90, 1),
    goal("ours: stream", 0.85, 0.95),
    { who: "ours: stream", floor: { against: "uvloop streams", ratio: 1 } },
    goal("ours: zero-copy", 0.95, 1),
    goal("ours: buffered", 0.95, 1),
  ]),
  {
    ...echo("echo-1k-100", 1, 100, [
      goal("ours: protocol", 0.85, 1),
      goal("ours: stream", 0.80, 0.95),
      { who: "ours: stream", floor: { against: "uvloop streams", ratio: 1 } },
    ], ["raw", "ours: protocol", "ours: stream", "node:net on Deno", "uvloop protocol", "uvloop streams"]),
  },
  echo("echo-10k", 10, 10, [
    { who: "ours: protocol", floor: raw(0.65), aim: { against: "Bun", ratio: 1 } },
    { who: "ours: stream", floor: raw(0.60), aim: raw(0.75) },
    goal("ours: zero-copy", 0.95, 1),
    goal("ours: buffered", 0.95, 1),
  ]),
  echo("echo-100k", 100, 10, [
    {
      who: "ours: protocol",
      floor: { against: "node:net on Deno", ratio: 1.3 },
      aim: { against: "uvloop protocol", ratio: 1 },
    },
    {
      who: "ours: stream",
      floor: { against: "uvloop streams", ratio: 1 },
      aim: { against: "uvloop streams", ratio: 2 },
    },
    goal("ours: zero-copy", 0.95, 1),
    goal("ours: buffered", 0.95, 1),
  ]),
  {
    id: "lines-tcp",
    title: "Line echo over TCP, 64-byte lines, 16 in flight, 10 connections",
    unit: "lines/s",
    better: "more",
    entries: entries(["raw", "ours: lines", "asyncio lines", "uvloop lines"], {
      mode: "lines",
      size: 64,
      inflight: 16,
      connections: 10,
    }),
    goals: [{ who: "ours: lines", floor: { against: "uvloop lines", ratio: 1 }, aim: raw(0.95) }],
  },
  bulk("sink", "One-way bulk, received with `readinto`"),
  bulk("source", "One-way bulk, sent with `sendall`"),
  {
    id: "tls",
    title: "TLS echo, 10 KiB, 10 connections",
    unit: "messages/s",
    better: "more",
    entries: entries(["raw", "ours: zero-copy", "Node.js", "Bun", "uvloop protocol"], {
      mode: "echo",
      size: 10 * KIB,
      connections: 10,
      tls: true,
    }),
    goals: [goal("ours: zero-copy", 0.95, 1)],
  },
  {
    id: "churn",
    title: "Connect, one message of 64 bytes, close; 8 at a time",
    unit: "connections/s",
    better: "more",
    entries: entries(["raw", "ours: protocol", "ours: stream", "node:net on Deno", "uvloop streams"], {
      mode: "churn",
      size: 64,
      connections: 8,
    }),
    goals: [goal("ours: protocol", 0.90, 1), goal("ours: stream", 0.90, 1)],
  },
];

function echo(id: string, kib: number, connections: number, goals: Goal[], who: Contestant[] = everyone): Row {
  return {
    id,
    title: `Echo, ${kib} KiB, ${connections} connections`,
    unit: "messages/s",
    better: "more",
    entries: entries(who, { mode: "echo", size: kib * KIB, connections }),
    goals,
    ...(connections === 10 && { chart: `${kib} KiB` }),
  };
}

function bulk(mode: "sink" | "source", title: string): Row {
  return {
    id: `bulk-${mode}`,
    title: `${title}, 64 KiB at a time`,
    unit: "MiB/s",
    better: "more",
    entries: entries(["raw", "ours: zero-copy"], { mode }, "mibPerSecond"),
    goals: [goal("ours: zero-copy", 0.95, 1)],
  };
}

function entries(who: Contestant[], work: Work, unit?: "messagesPerSecond" | "mibPerSecond"): Entry[] {
  return who.map((name) => server(name, work, unit));
}

function goal(who: Contestant, floor: number, aim: number): Goal {
  return { who, floor: raw(floor), aim: raw(aim) };
}

function raw(ratio: number): Bound {
  return { against: "raw", ratio };
}
