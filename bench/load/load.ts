/**
 * The load generator for machines without a C compiler: the same command line and the same answer as `load.c`, except
 * for Unix sockets and the comparison of every byte.
 *
 * It is written against `Deno.Conn`, so it takes about as much processor time as the servers it measures: with it the
 * faster of two servers looks less fast than it is.
 *
 * @module
 */
import process from "node:process";

const [mode, ...args] = Deno.args;
const option = (name: string, otherwise: number) => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(args[at + 1]);
};
const port = option("port", 0);
const connections = option("connections", 1);
const size = option("size", 1024);
const inflight = option("inflight", 1);
const pid = option("pid", 0);

let phase: "warming" | "measuring" | "draining" = "warming";
let messages = 0;
let bytes = 0;
let latencies: number[] = [];

switch (mode) {
  case "echo":
  case "lines":
    await measure(await openAll(), echo);
    break;
  case "sink":
    await measure(await openAll(), sink);
    break;
  case "source":
    await measure(await openAll(), source);
    break;
  case "churn":
    await measure(Array(connections).fill(null), churn);
    break;
  case "idle":
    await idle();
    break;
  default:
    throw new Error(`Cannot generate load: "${mode}" is not a mode`);
}
Deno.exit(0);

/** Runs the work on every connection, times the phases and reports. */
async function measure<T>(conns: T[], work: (conn: T) => Promise<void>): Promise<void> {
  const failed = Promise.withResolvers<never>();
  const all = Promise.all(conns.map(work));
  all.catch(failed.reject);
  const wait = (ms: number) => Promise.race([failed.promise, new Promise((resolve) => setTimeout(resolve, ms))]);
  await wait(option("warmup", 300));
  phase = "measuring";
  messages = bytes = 0;
  latencies = [];
  const before = { time: performance.now(), own: process.cpuUsage(), server: serverCpu() };
  await wait(option("duration", 1000));
  phase = "draining";
  const ms = performance.now() - before.time;
  const own = process.cpuUsage(before.own);
  const server = serverCpu();
  const counted = mode === "sink" || mode === "source" ? bytes / size : messages;
  latencies.sort((a, b) => a - b);
  const percentile = (share: number) => (latencies[Math.floor(latencies.length * share)] ?? 0) * 1000;
  console.log(JSON.stringify({
    mode,
    messages: counted,
    seconds: ms / 1000,
    messagesPerSecond: counted / ms * 1000,
    mibPerSecond: counted * size / ms * 1000 / 1048576,
    p50us: percentile(0.5),
    p99us: percentile(0.99),
    loadBusy: (own.user + own.system) / 1000 / ms,
    cpuUsPerMessage: server !== null && before.server !== null ? (server - before.server) / 1000 / counted : null,
  }));
  if (mode !== "source") await Promise.race([all, wait(5000)]);
}

function open(): Promise<Deno.Conn> {
  if (!args.includes("--tls")) return Deno.connect({ hostname: "127.0.0.1", port });
  const caCerts = [Deno.readTextFileSync(new URL("../fixtures/localhost.crt", import.meta.url))];
  return Deno.connectTls({ hostname: "localhost", port, caCerts });
}

async function openAll(): Promise<Deno.Conn[]> {
  const conns: Deno.Conn[] = [];
  for (let i = 0; i < connections; i++) conns.push(await open());
  return conns;
}

/** The message, `count` times over. */
function pattern(count: number): Uint8Array<ArrayBuffer> {
  const p = new Uint8Array(size * count);
  for (let i = 0; i < p.length; i++) p[i] = i % size === size - 1 ? 10 : 97 + i % size % 26;
  return p;
}

/** Keeps messages in flight; sending and receiving are concurrent, so that neither can block the other. */
async function echo(conn: Deno.Conn): Promise<void> {
  const out = pattern(inflight + 1);
  const p = new Uint8Array(65536);
  const since: number[] = [];
  let owed = 0;
  let sent = 0;
  let got = 0;
  let sending = false;
  const send = async () => {
    sending = true;
    for (; owed > 0;) {
      const at = sent % size;
      const n = await conn.write(out.subarray(at, at + Math.min(owed, size * inflight)));
      sent += n;
      owed -= n;
    }
    sending = false;
  };
  const queue = (count: number) => {
    const now = performance.now();
    for (let i = 0; i < count; i++) since.push(now);
    owed += count * size;
    if (!sending) send();
  };
  queue(inflight);
  while (since.length > 0) {
    const n = await conn.read(p);
    if (n === null) throw new Error("Cannot generate load: the server closed a connection");
    const before = Math.floor(got / size);
    got += n;
    const done = Math.floor(got / size) - before;
    const now = performance.now();
    for (const start of since.splice(0, done)) {
      if (phase === "measuring") latencies.push(now - start);
    }
    messages += done;
    if (phase !== "draining" && done > 0) queue(done);
  }
}

async function sink(conn: Deno.Conn): Promise<void> {
  const p = new Uint8Array(262144);
  let total = 0;
  while (phase !== "draining") {
    const n = await conn.write(p);
    total += n;
    bytes += n;
  }
  await conn.closeWrite();
  const answer = new Uint8Array(8);
  for (let at = 0; at < 8;) {
    const n = await conn.read(answer.subarray(at));
    if (n === null) throw new Error("Cannot generate load: the server did not tell what it received");
    at += n;
  }
  const told = Number(new DataView(answer.buffer).getBigUint64(0, true));
  if (told !== total) throw new Error(`Cannot generate load: the server received ${told} bytes of ${total}`);
}

async function source(conn: Deno.Conn): Promise<void> {
  const p = new Uint8Array(262144);
  while (phase !== "draining") bytes += await conn.read(p) ?? 0;
}

async function churn(): Promise<void> {
  while (phase !== "draining") {
    const start = performance.now();
    const conn = await open();
    await roundTrip(conn);
    conn.close();
    messages++;
    if (phase === "measuring") latencies.push(performance.now() - start);
  }
}

async function idle(): Promise<void> {
  const conns = await openAll();
  if (args.includes("--touch")) {
    for (const conn of conns) await roundTrip(conn);
  }
  console.log(JSON.stringify({ mode, connections: conns.length }));
  for await (const _ of Deno.stdin.readable) {
    // Until EOF.
  }
}

async function roundTrip(conn: Deno.Conn): Promise<void> {
  const message = pattern(1);
  for (let at = 0; at < size;) at += await conn.write(message.subarray(at));
  for (let at = 0; at < size;) {
    const n = await conn.read(message);
    if (n === null) throw new Error("Cannot generate load: the server closed a connection before its echo");
    at += n;
  }
}

/** The processor time of all threads of the server, in nanoseconds; `null` if the system does not tell. */
function serverCpu(): number | null {
  try {
    let total = 0;
    for (const task of Deno.readDirSync(`/proc/${pid}/task`)) {
      total += Number(Deno.readTextFileSync(`/proc/${pid}/task/${task.name}/schedstat`).split(" ")[0]);
    }
    return total;
  } catch {
    return null;
  }
}
