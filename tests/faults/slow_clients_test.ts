/** Many clients that do next to nothing, while one that means it is served. */
import { assertEquals, assertInstanceOf, assertLess } from "@std/assert";
import {
  createServer,
  LimitOverrunError,
  openConnection,
  type Server,
  startServer,
  type StreamReader,
} from "../../mod.ts";
import { certificate, EchoProtocol, portOf } from "../support/servers.ts";
import { MemoryWatch, realKinds } from "./kit.ts";
import { openDescriptors } from "../support/machine.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

const SLOW = 500;
const ROUNDS = 20;
/** With both ends of it in this process, in bytes. */
const MOST_PER_CONNECTION = 100_000;
/** For what takes some milliseconds on a machine that is not busy. */
const PROMPT = 5000;

const encoder = new TextEncoder();

/** Connects to a server, a few at a time so that its backlog is never full. */
async function connectMany(server: Server, count: number): Promise<Deno.TcpConn[]> {
  const conns: Deno.TcpConn[] = [];
  while (conns.length < count) {
    const some = Math.min(50, count - conns.length);
    conns.push(...await Promise.all(Array.from({ length: some }, () => Deno.connect({ port: portOf(server) }))));
  }
  return conns;
}

async function assertServesLines(server: Server, tls?: { caCerts: string[] }): Promise<void> {
  const begun = performance.now();
  await using client = await openConnection({ port: portOf(server), ...tls && { tls } });
  client.writer.write("hello\n");
  assertEquals(text(await client.reader.readline()), "hello\n");
  assertLess(performance.now() - begun, PROMPT);
}

Deno.test(`${SLOW} clients that send one byte per turn, or none, delay no other and cost little [M4]`, async () => {
  await using server = await startServer(async (reader, writer) => {
    for await (const line of reader) writer.write(line);
  }, { hostname: "127.0.0.1", port: 0 });
  await assertServesLines(server);

  const memory = new MemoryWatch();
  const slow = await connectMany(server, SLOW);
  await until(() => server.connections >= SLOW);
  await using good = await openConnection({ port: portOf(server) });
  const byte = encoder.encode("a");
  let slowest = 0;
  for (let round = 0; round < ROUNDS; round++) {
    // Every second one sends; none ever ends its line.
    const writes = slow.filter((_, i) => i % 2 === 0).map((conn) => conn.write(byte));
    const begun = performance.now();
    good.writer.write(`${round}\n`);
    assertEquals(text(await good.reader.readline()), `${round}\n`);
    slowest = Math.max(slowest, performance.now() - begun);
    await Promise.all(writes);
    memory.look();
  }
  assertLess(slowest, PROMPT);
  await assertServesLines(server);
  assertLess(memory.growth / SLOW, MOST_PER_CONNECTION);
  await until(() => server.connections === SLOW + 1);

  // Once they leave nothing of them stays.
  for (const conn of slow) conn.close();
  await until(() => server.connections === 1);
});

Deno.test(`a server ends all of ${SLOW} idle clients in bounded time [V5]`, async () => {
  const server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1", port: 0 });
  const idle = await connectMany(server, SLOW);
  await until(() => server.connections === SLOW);
  const begun = performance.now();
  await server.shutdown({ grace: 0 });
  assertLess(performance.now() - begun, PROMPT);
  assertEquals(server.connections, 0);
  for (const conn of idle) conn.close();
});

const HALF_SENT = 100;
/** The default limit of a reader, in bytes. */
const LIMIT = 65536;
/** What one read can bring beyond the limit, in bytes. */
const LARGEST_READ = 131_072;
/** With both ends of it in this process, in bytes: a block for the line that grew by doubling, those of a read, TLS. */
const MOST_PER_LINE = 16 * LIMIT;

for (const kind of realKinds) {
  Deno.test(`${kind.name}: ${HALF_SENT} clients with a line of the limit half sent cost little; a byte more ends them [M4, R5]`, async () => {
    const readers: StreamReader[] = [];
    const errors: Error[] = [];
    await using server = await kind.startServer(async (reader) => {
      readers.push(reader);
      await reader.readline();
    }, { onError: (error) => errors.push(error) });
    const piece = new Uint8Array(1024).fill(97);

    const memory = new MemoryWatch();
    const clients = await Promise.all(Array.from({ length: HALF_SENT }, () => kind.openConnection(server)));
    for (let sent = 0; sent < LIMIT; sent += piece.length) {
      for (const { writer } of clients) writer.write(piece);
      await Promise.all(clients.map(({ writer }) => writer.drain()));
      memory.look();
    }
    await until(() => readers.length === HALF_SENT && readers.every(({ buffered }) => buffered === LIMIT));
    assertLess(memory.growth / HALF_SENT, MOST_PER_LINE);
    assertEquals([errors.length, server.connections], [0, HALF_SENT]);

    // However much comes after that, it is not taken.
    const flood = new Uint8Array(16 * LIMIT).fill(97);
    const sending = clients.map(({ writer }) => writer.sendall(flood).catch(() => {}));
    await until(() => errors.length === HALF_SENT);
    for (const error of errors) assertInstanceOf(error, LimitOverrunError);
    for (const { buffered } of readers) assertLess(buffered, LIMIT + LARGEST_READ + 1);
    for (const { writer } of clients) writer.abort();
    await Promise.all(sending);
    await until(() => server.connections === 0);
  });
}

const STALLED = 50;
/** Long enough for the handshake of a good client on a busy machine. */
const HANDSHAKE_TIMEOUT = 2000;
/** The beginning of a TLS record that announces a ClientHello of 512 bytes. */
const HELLO_BEGUN = Uint8Array.fromHex("1603010200010001fc0303");

const { cert, key, caCert } = certificate;
const engines = { "TLS": "node", "TLS by Deno": "deno" } as const;

for (const [name, engine] of Object.entries(engines)) {
  Deno.test(`${name}: ${STALLED} handshakes that stall delay no other client; handshakeTimeout ends them [T1, T2]`, async () => {
    const errors: Error[] = [];
    let made = 0;
    await using server = await startServer(async (reader, writer) => {
      made++;
      writer.write(await reader.readline());
    }, {
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key, engine, handshakeTimeout: HANDSHAKE_TIMEOUT },
      onError: (error) => errors.push(error),
    });
    const trusting = { caCerts: [caCert] };
    await assertServesLines(server, trusting);
    await until(() => server.connections === 0);
    const before = openDescriptors();
    const stalled = await connectMany(server, STALLED);
    // Half of them are silent, half stop inside their hello.
    for (let i = 0; i < STALLED; i += 2) await stalled[i]!.write(HELLO_BEGUN);
    // Clients are accepted in turn: all of them are, when one behind them is served.
    await assertServesLines(server, trusting);

    await until(() => errors.length === STALLED);
    for (const error of errors) assertInstanceOf(error, Deno.errors.TimedOut);
    assertEquals(made, 2);
    await until(() => server.connections === 0);
    // Deno's own TLS keeps the descriptor of such a client until the client leaves.
    if (engine === "node") await until(() => openDescriptors() <= before + STALLED);
    for (const conn of stalled) conn.close();
    await until(() => openDescriptors() <= before);
    await assertServesLines(server, trusting);
  });

  Deno.test(`${name}: a server with stalled handshakes closes at once [V5, T2]`, async () => {
    const errors: Error[] = [];
    const server = await createServer(() => new EchoProtocol(), {
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert, key, engine },
      onError: (error) => errors.push(error),
    });
    const before = openDescriptors();
    const stalled = await connectMany(server, STALLED);
    await assertServesLines(server, { caCerts: [caCert] });
    const begun = performance.now();
    await server.shutdown();
    assertLess(performance.now() - begun, PROMPT);
    assertEquals(errors, []);
    for (const conn of stalled) conn.close();
    await until(() => openDescriptors() < before);
    assertEquals(server.addrs, []);
  });
}
