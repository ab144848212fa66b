/**
 * Measures what a peer can cost a server: memory and descriptors of a connection in each state, and processor time.
 *
 * `deno task costs` prints the tables of docs/SECURITY.md. Each row runs a new server in a process of its own, so that the
 * clients are not measured. Linux only.
 *
 * @module
 */
import { openConnection } from "../mod.ts";
import type { Addresses, Usage } from "./costs/victim.ts";

/** The number of connections in each state; fewer where the system buffers much for each. */
const CONNECTIONS = 200;
const HEAVY_CONNECTIONS = 40;
const REPETITIONS = 300;
/** The number of connections whose memory the allocator is seen to keep. */
const CROWD = 3000;

/** The server process, seen from here. */
class Victim implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--v8-flags=--expose-gc", new URL("costs/victim.ts", import.meta.url).pathname],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#stdin = this.#process.stdin.getWriter();
    this.#lines = linesOf(this.#process.stdout);
  }

  async addresses(): Promise<Addresses> {
    return JSON.parse((await this.#lines.next()).value);
  }

  async usage(): Promise<Usage> {
    await this.#stdin.write(new TextEncoder().encode("?"));
    return JSON.parse((await this.#lines.next()).value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdin.close();
    await this.#process.status;
  }
}

async function* linesOf(readable: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** Connects, and sends data if there is any. */
type Client = (address: Addresses) => Promise<{ close(): void }>;

function plain(server: string, bytes = new Uint8Array(0)): Client {
  return async ({ ports }) => {
    const conn = await Deno.connect({ port: ports[server]! });
    const send = async () => {
      for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await conn.write(rest));
    };
    // The server may not take everything.
    send().catch(() => {});
    return conn;
  };
}

function secure(server: string, bytes = new Uint8Array(0)): Client {
  return async ({ ports, caCert }) => {
    const tls = { serverName: "localhost", caCerts: [caCert] };
    const { writer } = await openConnection({ hostname: "127.0.0.1", port: ports[server]!, tls });
    if (bytes.length > 0) writer.write(bytes);
    return { close: () => writer.abort() };
  };
}

/** Sends everything, and waits until the server has read it. */
function sends(server: string, bytes: Uint8Array): Client {
  return async ({ ports, caCert }) => {
    const tls = server.includes("Tls") ? { serverName: "localhost", caCerts: [caCert] } : false;
    await using connection = await openConnection({ hostname: "127.0.0.1", port: ports[server]!, tls });
    const { reader, writer } = connection;
    await writer.sendall(bytes);
    writer.writeEof();
    await reader.read();
    return writer;
  };
}

/** Sends bytes that are not a TLS hello, and waits until the server has ended the connection. */
function spoils(server: string): Client {
  return async ({ ports }) => {
    const conn = await Deno.connect({ port: ports[server]! });
    await conn.write(garbage);
    const p = new Uint8Array(1024);
    // By EOF or by a reset.
    while (await conn.read(p).catch(() => null) !== null);
    return conn;
  };
}

/** Runs one client after the other. */
function repeated(client: Client): Client {
  return async (addresses) => {
    for (let i = 1; i < REPETITIONS; i++) (await client(addresses)).close();
    return await client(addresses);
  };
}

const unix: Client = ({ path }) => Deno.connect({ transport: "unix", path });
const halfLine = new Uint8Array(60_000).fill(97);
const flood = new Uint8Array(8 << 20).fill(97);
const halfHello = Uint8Array.of(22, 3, 1, 64, 0, ...new Uint8Array(12_000).fill(1));
const bulk = new Uint8Array(64 << 20);
const emptyLines = new Uint8Array(1 << 20).fill(10);
const garbage = new Uint8Array(100);

const states: [state: string, client: Client, connections?: number][] = [
  ["idle, TCP, a read waits", plain("lines")],
  ["idle, TCP, no read waits", plain("silent")],
  ["idle, TCP, `readAhead`", plain("readAhead")],
  ["idle, Unix, a read waits", unix],
  ["idle, TLS by Deno", secure("linesOverTls")],
  ["idle, TLS by `node:tls`", secure("linesOverTlsByNode")],
  ["a handshake that never begins, by Deno", plain("linesOverTls")],
  ["a handshake that never begins, by `node:tls`", plain("linesOverTlsByNode")],
  ["12 KB of a record of 16 KiB, by Deno", plain("linesOverTls", halfHello)],
  ["12 KB of a record of 16 KiB, by `node:tls`", plain("linesOverTlsByNode", halfHello)],
  ["60,000 bytes of a line, no end", plain("lines", halfLine)],
  ["the same, TLS by Deno", secure("linesOverTls", halfLine)],
  ["the same, TLS by `node:tls`", secure("linesOverTlsByNode", halfLine)],
  ["8 MiB sent, no read waits", plain("silent", flood), HEAVY_CONNECTIONS],
  ["8 MiB sent, no read waits, `readAhead`", plain("readAhead", flood), HEAVY_CONNECTIONS],
  ["never reads what it is sent, `drain()` awaited", plain("sender"), HEAVY_CONNECTIONS],
  ["the same, TLS by Deno", secure("senderOverTls"), HEAVY_CONNECTIONS],
  ["the same, TLS by `node:tls`", secure("senderOverTlsByNode"), HEAVY_CONNECTIONS],
  ["never reads, closed by its handler with 8 MiB unsent", plain("closer"), HEAVY_CONNECTIONS],
];

/** What clients send that costs the server time, with the unit of each. */
const labours: [what: string, unit: string, client: Client, amount: number][] = [
  ["bytes that are read, TCP", "ns a byte", sends("sink", bulk), bulk.length / 1000],
  ["the same, TLS by Deno", "ns a byte", sends("sinkOverTls", bulk), bulk.length / 1000],
  ["the same, TLS by `node:tls`", "ns a byte", sends("sinkOverTlsByNode", bulk), bulk.length / 1000],
  ["empty lines that are read, TCP", "ns a line", sends("linesSink", emptyLines), emptyLines.length / 1000],
  ["a connection that is opened and closed, TCP", "µs each", repeated(plain("sink")), REPETITIONS],
  ["the same, TLS by Deno", "µs each", repeated(secure("sinkOverTls")), REPETITIONS],
  ["the same, TLS by `node:tls`", "µs each", repeated(secure("sinkOverTlsByNode")), REPETITIONS],
  ["garbage for a handshake, by Deno", "µs each", repeated(spoils("sinkOverTls")), REPETITIONS],
  ["garbage for a handshake, by `node:tls`", "µs each", repeated(spoils("sinkOverTlsByNode")), REPETITIONS],
];

console.log(
  "| state of a connection | process | objects and buffers | descriptors | left 1 s after the client has gone |",
);
console.log("| --- | --: | --: | --: | --: |");
for (const [state, client, connections = CONNECTIONS] of states) {
  await using victim = new Victim();
  const addresses = await victim.addresses();
  const open = (n: number) => Promise.all(Array.from({ length: n }, () => client(addresses)));
  // Memory that is allocated once per process is not counted.
  for (const conn of await open(20)) conn.close();
  await pause(500);
  const before = await victim.usage();
  const conns = await open(connections);
  await pause(1500);
  const during = await victim.usage();
  for (const conn of conns) conn.close();
  await pause(1000);
  const after = await victim.usage();
  const each = (what: "rss" | "reachable") => `${((during[what] - before[what]) / connections / 1024).toFixed(0)} KiB`;
  const descriptors = (during.descriptors - before.descriptors) / connections;
  const left = after.descriptors - before.descriptors;
  console.log(`| ${state} | ${each("rss")} | ${each("reachable")} | ${descriptors} | ${left} of ${connections} |`);
}

console.log("\n| what a client sends | processor time |");
console.log("| --- | --: |");
for (const [what, unit, client, amount] of labours) {
  await using victim = new Victim();
  const addresses = await victim.addresses();
  (await client(addresses)).close();
  const before = await victim.usage();
  (await client(addresses)).close();
  await pause(200);
  const after = await victim.usage();
  console.log(`| ${what} | ${((after.cpu - before.cpu) / amount).toFixed(unit === "ns a byte" ? 1 : 0)} ${unit} |`);
}

console.log(`\n| ${CROWD} clients with 60,000 bytes of a line | process | objects and buffers |`);
console.log("| --- | --: | --: |");
{
  await using victim = new Victim();
  const addresses = await victim.addresses();
  const client = plain("lines", halfLine);
  const start = await victim.usage();
  const report = async (what: string) => {
    const { rss, reachable } = await victim.usage();
    const [process, objects] = [rss - start.rss, reachable - start.reachable].map((bytes) =>
      Math.round(bytes / 2 ** 20)
    );
    console.log(`| ${what} | ${process} MiB | ${objects} MiB |`);
  };
  for (const [came, left] of [["they have come", "they have left"], ["as many have come again", "and left"]] as const) {
    const conns: { close(): void }[] = [];
    while (conns.length < CROWD) conns.push(...await Promise.all(Array.from({ length: 50 }, () => client(addresses))));
    await pause(1500);
    await report(came);
    for (const conn of conns) conn.close();
    await pause(1000);
    await report(left);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
