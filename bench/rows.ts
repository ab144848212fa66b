/**
 * The rows of the benchmark: each a piece of work, its contestants, its floor and its aim.
 *
 * @module
 */
import { canBeTuned, type Contestant, server } from "./harness/contestants.ts";
import type { Work } from "./harness/load.ts";
import { type Bound, type Entry, type Goal, type Row, tunedName } from "./harness/model.ts";
import { type Pipeline, redisDialect, redisServer } from "./harness/redis.ts";
import { denoProgram, idleMemory, pythonProgram, startup } from "./harness/programs.ts";

const KIB = 1024;

/** Many short rounds, because the load of the machine changes: both parts of a ratio are measured within seconds. */
export const MANY_ROUNDS = 12;

/** The largest number of connections: 10,000, or what the descriptor limit leaves. */
const CONNECTIONS = Math.min(10_000, descriptorLimit() - 100);

/**
 * The number of idle connections that memory is measured over. It is large, so that V8's young generation, which doubles now
 * and then, and compiled code count little for each: with 2000 the figure of one program differed by 2 KiB between runs.
 */
const IDLE = Math.min(6000, CONNECTIONS);

const everyone: Contestant[] = [
  "raw",
  "raw with copies",
  "ours: protocol",
  "ours: buffered",
  "ours: stream",
  "ours: zero-copy",
  "ours: sockets",
  "node:net on Deno",
  "Web Streams",
  "Node.js",
  "Bun",
  "asyncio protocol",
  "asyncio streams",
  "asyncio sockets",
  "uvloop protocol",
  "uvloop streams",
  "uvloop sockets",
];

/** All rows. */
export const rows: Row[] = [
  echo("echo-1k", 1, 10, [
    goal("ours: protocol", 0.92, 1),
    goal("ours: stream", 0.88, 0.95),
    { who: "ours: stream", floor: { against: "uvloop streams", ratio: 1 } },
    goal("ours: zero-copy", 0.95, 1),
    goal("ours: buffered", 0.95, 1),
  ]),
  {
    ...echo("echo-1k-100", 1, 100, [
      goal("ours: protocol", 0.88, 1),
      goal("ours: stream", 0.85, 0.95),
      { who: "ours: stream", floor: { against: "uvloop streams", ratio: 1 } },
    ], ["raw", "ours: protocol", "ours: stream", "node:net on Deno", "uvloop protocol", "uvloop streams"]),
  },
  echo("echo-10k", 10, 10, [
    goal("ours: protocol", 0.65, 0.85),
    { who: "ours: protocol", floor: { against: "raw with copies", ratio: 0.9 } },
    {
      who: tunedName("ours: protocol"),
      floor: { against: tunedName("raw"), ratio: 0.82 },
      aim: { against: "Bun", ratio: 1 },
    },
    goal("ours: stream", 0.60, 0.80),
    goal("ours: zero-copy", 0.95, 1),
    goal("ours: buffered", 0.95, 1),
  ]),
  echo("echo-100k", 100, 10, [
    {
      who: "ours: protocol",
      floor: { against: "node:net on Deno", ratio: 1 },
      aim: { against: "node:net on Deno", ratio: 1.3 },
    },
    {
      who: tunedName("ours: protocol"),
      floor: { against: tunedName("node:net on Deno"), ratio: 1.7 },
      aim: { against: "uvloop protocol", ratio: 1 },
    },
    { who: "ours: protocol", floor: { against: "raw with copies", ratio: 0.9 } },
    {
      who: "ours: stream",
      floor: { against: "uvloop streams", ratio: 1 },
      aim: { against: "uvloop streams", ratio: 2 },
    },
    goal("ours: zero-copy", 0.95, 1),
    goal("ours: buffered", 0.95, 1),
  ]),
  {
    id: "lines-memory",
    title: "`await reader.readline()`, 20-byte lines fed from memory",
    unit: "lines/s",
    better: "more",
    entries: [
      denoProgram("ours: readline", "lines_of_reader.ts"),
      denoProgram("TextLineStream", "lines_of_text_line_stream.ts"),
      pythonProgram("asyncio readline", "lines_of_asyncio.py"),
    ],
    goals: [
      {
        who: "ours: readline",
        floor: { against: "asyncio readline", ratio: 3 },
        aim: { against: "asyncio readline", ratio: 4 },
      },
      { who: "ours: readline", floor: { against: "TextLineStream", ratio: 1.2 } },
    ],
  },
  {
    id: "reads-memory",
    title: "Reads of what is buffered, 20-byte lines fed from memory",
    unit: "reads/s",
    better: "more",
    entries: [
      denoProgram("ours: readline", "lines_of_reader.ts"),
      denoProgram("ours: tryreadline", "reads.ts", "tryreadline"),
      denoProgram("ours: tryreadexactly(16)", "reads.ts", "tryreadexactly"),
      denoProgram("ours: readuntil of text", "reads.ts", "readuntil-text"),
      denoProgram("ours: readuntil of bytes", "reads.ts", "readuntil-bytes"),
      denoProgram("ours: readexactly(1)", "reads.ts", "readexactly"),
      denoProgram("ours: peek(1)", "reads.ts", "peek"),
      denoProgram("ours: lines()", "reads.ts", "lines"),
      denoProgram("ours: readframe", "reads.ts", "readframe"),
      denoProgram("ours: tryframe", "reads.ts", "tryframe"),
      denoProgram("TextLineStream", "lines_of_text_line_stream.ts"),
    ],
    goals: [
      faster("ours: tryreadline", "ours: readline", 3, 4),
      faster("ours: tryreadexactly(16)", "ours: readline", 3, 4),
      faster("ours: readuntil of bytes", "ours: readuntil of text", 1 / 1.2, 1),
      faster("ours: peek(1)", "ours: readexactly(1)", 1 / 1.5, 1),
      faster("ours: lines()", "TextLineStream", 1.2, 2),
      faster("ours: readframe", "ours: readline", 1, 1),
      faster("ours: tryframe", "ours: readline", 3, 3),
    ],
  },
  {
    id: "lines-tcp",
    title: "Line echo over TCP, 64-byte lines, 16 in flight, 10 connections",
    unit: "lines/s",
    better: "more",
    rounds: MANY_ROUNDS,
    entries: entries([
      "raw",
      "ours: lines",
      "ours: stream and codec",
      "ours: protocol and codec",
      "asyncio lines",
      "uvloop lines",
    ], {
      mode: "lines",
      size: 64,
      inflight: 16,
      connections: 10,
    }),
    goals: [
      goal("ours: lines", 0.70, 0.95),
      { who: "ours: lines", floor: { against: "uvloop lines", ratio: 1 } },
      goal("ours: stream and codec", 0.85, 0.95),
      goal("ours: protocol and codec", 0.85, 0.95),
    ],
  },
  {
    id: "timeouts",
    title: "Line echo over TCP with limits in time, 64-byte lines, one at a time, 10 connections",
    unit: "lines/s",
    better: "more",
    rounds: MANY_ROUNDS,
    entries: entries(["ours: lines", "ours: lines with timeout", "ours: lines with idleTimeout"], {
      mode: "lines",
      size: 64,
      inflight: 1,
      connections: 10,
    }),
    goals: [
      faster("ours: lines with timeout", "ours: lines", 0.9, 0.97),
      faster("ours: lines with idleTimeout", "ours: lines", 0.9, 0.97),
    ],
  },
  redis(16, [
    faster("ours: stream and codec", "redis-server", 0.3, 1),
    faster("ours: protocol and codec", "redis-server", 0.45, 1),
  ]),
  redis(1, []),
  bulk("sink", "One-way bulk, received with `readinto`"),
  bulk("source", "One-way bulk, sent with `sendall`"),
  tls(1),
  tls(10, ["raw", "ours: engine deno", "ours: startTls", "Node.js", "Bun", "uvloop protocol"], [
    goal("ours: engine deno", 0.95, 1),
    { who: "ours: startTls", floor: nodeTls(0.75), aim: nodeTls(1) },
  ]),
  tls(100),
  {
    id: "churn",
    title: "Connect, one message of 64 bytes, close; 8 at a time",
    unit: "connections/s",
    better: "more",
    rounds: MANY_ROUNDS,
    entries: entries(["raw", "ours: protocol", "ours: stream", "node:net on Deno", "uvloop streams"], {
      mode: "churn",
      size: 64,
      connections: 8,
    }),
    goals: [goal("ours: protocol", 0.95, 1), goal("ours: stream", 0.95, 1)],
  },
  {
    id: "idle-memory",
    title: "Memory of an idle connection, server side, beside raw with a 2 KiB read pending",
    unit: "KiB",
    better: "less",
    rounds: 3,
    entries: [
      idleMemory("raw", IDLE, "raw.ts", "--buffer", "2048"),
      idleMemory("ours: stream", IDLE, "ours_streams.ts"),
      idleMemory("ours: stream with idleTimeout", IDLE, "ours_streams.ts", "--idle-timeout", "60000"),
      idleMemory("ours: protocol", IDLE, "ours_protocol.ts"),
    ],
    goals: [
      { who: "ours: stream", floor: raw(1.4), aim: raw(1.1) },
      { who: "ours: stream with idleTimeout", floor: raw(1.4), aim: raw(1.1) },
    ],
  },
  {
    id: "import",
    title: "Import of `mod.ts`, the whole run of a script",
    unit: "ms",
    better: "less",
    rounds: 15,
    entries: [startup("an empty script", "import_nothing.ts"), startup("ours: import", "import_mod.ts")],
    goals: [{
      who: "ours: import",
      floor: { against: "an empty script", difference: 12 },
      aim: { against: "an empty script", difference: 6 },
    }],
  },
  growthBesideCopy("readexactly", "`readexactly(n)`, fed 64 KiB at a time", "ns/byte", [
    1024 * KIB,
    8192 * KIB,
    65536 * KIB,
  ]),
  growth("bytewise", "A line of n bytes that comes byte by byte", "ns/byte", [KIB, 8 * KIB, 60 * KIB]),
  growth("readuntil", "`readuntil` of 64 bytes in n that almost match", "ns/byte", [8 * KIB, 64 * KIB, 1024 * KIB]),
  growth("writes", "n one-byte writes, then a drain", "ns/write", [1000, 10_000, 100_000]),
  {
    id: "growth-connections",
    title: "Echo, 64 bytes, as connections grow",
    unit: "messages/s",
    better: "more",
    duration: 1500,
    entries: [100, CONNECTIONS].flatMap((connections) =>
      entries(["raw", "ours: protocol", "ours: stream"], { mode: "echo", size: 64, connections })
        .map((entry) => ({ ...entry, name: `${entry.name}, ${connections}` }))
    ),
    goals: ["ours: protocol", "ours: stream"].map((who) => ({
      who: `${who}, ${CONNECTIONS}`,
      floor: { against: `raw, ${CONNECTIONS}`, ratio: 0.8 },
    })),
  },
];

function echo(id: string, kib: number, connections: number, goals: Goal[], who: Contestant[] = everyone): Row {
  return {
    id,
    title: `Echo, ${kib} KiB, ${connections} connections`,
    unit: "messages/s",
    better: "more",
    rounds: MANY_ROUNDS,
    entries: withTuned(who, { mode: "echo", size: kib * KIB, connections }),
    goals,
    ...(connections === 10 && { chart: `${kib} KiB` }),
  };
}

/** The default engine against plain `node:tls` on Deno, and what else is to be compared. */
function tls(kib: number, others: Contestant[] = [], goals: Goal[] = []): Row {
  return {
    id: kib === 10 ? "tls" : `tls-${kib}k`,
    title: `TLS echo, ${kib} KiB, 10 connections`,
    unit: "messages/s",
    better: "more",
    rounds: MANY_ROUNDS,
    entries: entries(["node:tls on Deno", "ours: zero-copy", "ours: stream", ...others], {
      mode: "echo",
      size: kib * KIB,
      connections: 10,
      tls: true,
    }),
    goals: [
      { who: "ours: zero-copy", floor: nodeTls(0.9), aim: nodeTls(1.1) },
      { who: "ours: stream", floor: nodeTls(0.9), aim: nodeTls(kib === 100 ? 1.3 : 1.1) },
      ...goals,
    ],
  };
}

function nodeTls(ratio: number): Bound {
  return { against: "node:tls on Deno", ratio };
}

/** The dialect of the example beside the original. */
function redis(pipeline: Pipeline, goals: Goal[]): Row {
  return {
    id: `redis-${pipeline}`,
    title: `Redis protocol, GET, 50 connections, ${pipeline} in flight on each, by the processor time of the server`,
    unit: "requests/s",
    better: "more",
    rounds: 7,
    entries: [
      redisServer("redis-server", pipeline),
      redisDialect("ours: stream and codec", "stream", pipeline),
      redisDialect("ours: protocol and codec", "protocol", pipeline),
      redisDialect("node:net on Deno", "node", pipeline),
    ],
    goals,
  };
}

function bulk(mode: "sink" | "source", title: string): Row {
  return {
    id: `bulk-${mode}`,
    title: `${title}, 64 KiB at a time`,
    unit: "MiB/s",
    better: "more",
    rounds: MANY_ROUNDS,
    entries: entries(["raw", "ours: zero-copy"], { mode }, "mibPerSecond"),
    goals: [goal("ours: zero-copy", 0.95, 1)],
  };
}

/** The cost of a unit of work as n grows: at most a small factor. A quadratic cost would grow as n does. */
function growth(name: string, title: string, unit: string, sizes: number[]): Row {
  return {
    id: `growth-${name}`,
    title,
    unit,
    better: "less",
    rounds: 3,
    entries: sizes.map((n) => denoProgram(`n = ${n}`, "growth.ts", name, String(n))),
    goals: [{ who: `n = ${sizes.at(-1)}`, floor: { against: `n = ${sizes[0]}`, ratio: 4 } }],
  };
}

/**
 * The same for sizes at which fresh memory itself costs more with n: a plain copy of the same bytes grows about fivefold. So
 * each n is compared with the plain copy of that n.
 */
function growthBesideCopy(name: string, title: string, unit: string, sizes: number[]): Row {
  const row = growth(name, title, unit, sizes);
  const copies = sizes.map((n) => denoProgram(`plain copy, n = ${n}`, "growth.ts", "copy", String(n)));
  const goals = sizes.map((n) => ({ who: `n = ${n}`, floor: { against: `plain copy, n = ${n}`, ratio: 4 } }));
  // The cost of large memory varies with what the allocator gave back to the system before.
  return { ...row, rounds: 7, entries: [...row.entries, ...copies], goals };
}

function descriptorLimit(): number {
  if (Deno.build.os === "windows") return Infinity;
  const { stdout } = new Deno.Command("sh", { args: ["-c", "ulimit -Hn"] }).outputSync();
  return parseInt(new TextDecoder().decode(stdout)) || Infinity;
}

function entries(who: Contestant[], work: Work, unit?: "messagesPerSecond" | "mibPerSecond"): Entry[] {
  return who.map((name) => server(name, work, unit));
}

/** The same, each contestant that can be tuned also tuned. */
function withTuned(who: Contestant[], work: Work): Entry[] {
  const tuned = who.filter(canBeTuned).map((name) => server(name, work, undefined, "tuned"));
  return [...entries(who, work), ...tuned];
}

function goal(who: Contestant, floor: number, aim: number): Goal {
  return { who, floor: raw(floor), aim: raw(aim) };
}

function faster(who: string, against: string, floor: number, aim: number): Goal {
  return { who, floor: { against, ratio: floor }, aim: { against, ratio: aim } };
}

function raw(ratio: number): Bound {
  return { against: "raw", ratio };
}
