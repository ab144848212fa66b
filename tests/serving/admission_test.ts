/** Which clients a server takes, and what it counts: `accept`, `maxConnectionsPerPeer`, `stats()`, `transports()` [V10]. */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { ClosedError, connPair, createServer, createUnixServer, type ErrorContext, openConnection } from "../../mod.ts";
import { type Server, startServer } from "../../mod.ts";
import { Admission, peerOf } from "../../src/serving/admission.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { EchoProtocol, type Kind, kinds, portOf } from "../support/servers.ts";
import { hasIpv6, openDescriptors } from "../support/machine.ts";
import { socketPath } from "../support/programs.ts";
import { until } from "../support/waiting.ts";

const at = (hostname: string): Deno.NetAddr => ({ transport: "tcp", hostname, port: 4000 });

Deno.test("a peer is an IPv4 address, also one that comes by IPv6, or an IPv6 /64 [V10]", () => {
  const same: [string, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::1"],
    ["2001:db8:1:2::", "2001:0db8:0001:0002::9"],
    ["2001:db8::1", "2001:db8:0:0:7::"],
    ["fe80::1%eth0", "fe80::2%eth1"],
    ["::1", "::2"],
    ["1::", "1:0:0:0:ffff::"],
  ];
  for (const [a, b] of same) assertEquals(peerOf(at(a)), peerOf(at(b)), `${a} and ${b}`);
  const different: [string, string][] = [
    ["192.0.2.1", "192.0.2.2"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.2"],
    ["::ffff:192.0.2.1", "::192.0.2.1"],
    ["2001:db8:1:2::1", "2001:db8:1:3::1"],
    ["2001:db8:1:2::1", "2001:db9:1:2::1"],
    ["::1", "::ffff:0.0.0.1"],
  ];
  for (const [a, b] of different) assert(peerOf(at(a)) !== peerOf(at(b)), `${a} and ${b}`);
  assertEquals(peerOf({ transport: "unix", path: "/tmp/s" }), null);
});

function fail(): never {
  throw new Error("There is no filter that could be async");
}

Deno.test("a peer is forgotten with its last connection [V10]", () => {
  const admission = new Admission({ maxConnectionsPerPeer: 2 });
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 100; i++) {
      for (const expected of [null, null, "perPeer"]) assertEquals(admission.enter(at(`10.0.0.${i}`), fail), expected);
    }
    assertEquals(admission.peers, 100);
    for (let i = 0; i < 100; i++) {
      admission.leave(at(`10.0.0.${i}`));
      assertEquals(admission.enter(at(`10.0.0.${i}`), fail), null);
      admission.leave(at(`10.0.0.${i}`));
      admission.leave(at(`10.0.0.${i}`));
    }
    assertEquals(admission.peers, 0);
  }
});

const overIp = kinds.filter(({ name }) => name !== "Unix");

for (const kind of overIp) {
  Deno.test(`${kind.name}: beyond maxConnectionsPerPeer a client is closed, counted and not reported, until one ends [V10]`, async () => {
    const errors: Error[] = [];
    const options = { maxConnectionsPerPeer: 2, onError: (error: Error) => void errors.push(error) };
    const server = await kind.createServer(() => new EchoProtocol(), options);
    const clients = [];
    for (let i = 0; i < 2; i++) clients.push(await kind.createConnection(() => new RecordingProtocol(), server));
    await until(() => server.connections === 2);
    for (let i = 1; i <= 3; i++) {
      await assertRefused(kind, server);
      assertEquals(server.stats().refused, i);
    }
    assertEquals(server.connections, 2);
    assertEquals(server.stats().accepted, 2);
    clients[0]!.transport.close();
    await clients[0]!.protocol.waitFor("connectionLost");
    await until(() => server.connections === 1);
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("x");
    await protocol.waitForBytes(1);
    await server.shutdown({ grace: 0 });
    assertEquals(errors, []);
    for (const { protocol } of clients) await protocol.waitFor("connectionLost");
  });
}

Deno.test("maxConnectionsPerPeer limits each peer by itself [V10]", async () => {
  await using server = await createServer(() => new EchoProtocol(), { hostname: "0.0.0.0", maxConnectionsPerPeer: 1 });
  const port = portOf(server);
  const open = (hostname: string) => openConnection({ port, localAddr: { hostname } });
  await using one = await open("127.0.0.1");
  await using other = await open("127.0.0.2");
  for (const { reader, writer } of [one, other]) {
    writer.write("x");
    await reader.readexactly(1);
  }
  await using refused = await open("127.0.0.2");
  assertEquals((await refused.reader.read().catch(() => new Uint8Array(0))).length, 0);
  assertEquals(server.stats().refused, 1);
});

for (const kind of kinds.filter(({ tls }) => tls)) {
  Deno.test(`${kind.name}: a handshake under way counts for its peer, and no more when it has failed [V10, T2]`, async () => {
    const server = await kind.createServer(() => new EchoProtocol(), { maxConnectionsPerPeer: 1, onError() {} });
    const silent = await Deno.connect({ hostname: hostOf(server), port: portOf(server) });
    await until(() => server.stats().accepted === 1);
    await assertRefused(kind, server);
    assertEquals(server.stats().refused, 1);
    silent.close();
    await until(() => server.stats().handshakesFailed === 1);
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.abort();
    await protocol.waitFor("connectionLost");
    await server.shutdown({ grace: 0 });
  });
}

for (const kind of kinds) {
  Deno.test(`${kind.name}: accept() decides by the address, before anything is read or made [V10]`, async () => {
    const asked: Deno.Addr[] = [];
    let made = 0;
    let taken = false;
    const server = await kind.createServer(() => (made++, new EchoProtocol()), {
      accept: (peername) => (asked.push(peername), taken),
    });
    const before = openDescriptors();
    await assertRefused(kind, server);
    assertEquals(made, 0);
    assertEquals(server.stats(), { ...NOTHING, refused: 1 });
    assertEquals(asked.length, 1);
    assertEquals(asked[0]!.transport, server.addrs[0]!.transport);
    await until(() => openDescriptors() <= before);
    taken = true;
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("hello");
    await protocol.waitForBytes(5);
    assertEquals([server.stats().accepted, server.stats().refused, made], [1, 1, 1]);
    transport.close();
    await protocol.waitFor("connectionLost");
    await server.shutdown({ grace: 0 });
  });
}

const badFilters: [string, () => unknown, string][] = [
  ["throws", () => {
    throw new Error("oops");
  }, "oops"],
  ["throws a symbol", () => {
    throw Symbol("s");
  }, "accept()"],
  ["returns nothing", () => undefined, "must return a boolean, not undefined"],
  ["is async", () => Promise.resolve(true), "must return a boolean, not a Promise"],
];

for (const [what, accept, message] of badFilters) {
  Deno.test(`an accept() that ${what} is reported, and refuses [V10, C11]`, async () => {
    const reports: ErrorContext[] = [];
    const onError = (_: Error, context: ErrorContext) => void reports.push(context);
    await using server = await startServer(() => {}, {
      hostname: "127.0.0.1",
      port: 0,
      accept: accept as () => boolean,
      onError,
    });
    for (let i = 1; i <= 2; i++) {
      using conn = await Deno.connect({ port: portOf(server) });
      assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
      assertEquals(server.stats(), { ...NOTHING, refused: i });
    }
    assertEquals(reports.length, 2);
    assertStringIncludes(reports[0]!.error.message, message);
    assertEquals(reports[0]!.server, server);
  });
}

Deno.test("maxConnectionsPerPeer cannot be honoured on a Unix socket, and is refused [V2, V10]", async () => {
  const options = { path: socketPath(), maxConnectionsPerPeer: 1 };
  await assertRejects(() => createUnixServer(() => new EchoProtocol(), options), TypeError, "maxConnectionsPerPeer");
  using listener = Deno.listen({ transport: "unix", path: socketPath() });
  const given = { listener, maxConnectionsPerPeer: 1 };
  await assertRejects(() => createServer(() => new EchoProtocol(), given), TypeError, "maxConnectionsPerPeer");
  for (const maxConnectionsPerPeer of [0, -1, 1.5, NaN]) {
    await assertRejects(() => createServer(() => new EchoProtocol(), { port: 0, maxConnectionsPerPeer }), RangeError);
  }
});

Deno.test("1000 refused clients cost no descriptor, and the next one is served [V10]", async () => {
  let taken = false;
  await using server = await createServer(() => new EchoProtocol(), {
    hostname: "127.0.0.1",
    port: 0,
    accept: () => taken,
  });
  const before = openDescriptors();
  for (let i = 0; i < 1000; i++) {
    using conn = await Deno.connect({ port: portOf(server) });
    assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
  }
  assertEquals(server.stats().refused, 1000);
  await until(() => openDescriptors() <= before);
  taken = true;
  await using connection = await openConnection({ port: portOf(server) });
  connection.writer.write("x");
  await connection.reader.readexactly(1);
});

for (const kind of kinds) {
  Deno.test(`${kind.name}: stats() counts bytes and connections, open ones and past ones; transports() lists those open`, async () => {
    const server = await kind.createServer(() => new EchoProtocol());
    assertEquals(server.stats(), NOTHING);
    const clients = [];
    for (let i = 0; i < 3; i++) clients.push(await kind.createConnection(() => new RecordingProtocol(), server));
    await until(() => server.connections === 3);
    for (const { transport } of clients) transport.write(new Uint8Array(100_000));
    for (const { protocol } of clients) await protocol.waitForBytes(100_000);
    const all = { ...NOTHING, accepted: 3, bytesRead: 300_000, bytesWritten: 300_000 };
    await until(() => server.stats().bytesWritten === 300_000);
    assertEquals(server.stats(), all);
    assertEquals([...server.transports()].length, 3);
    clients[0]!.transport.close();
    await clients[0]!.protocol.waitFor("connectionLost");
    await until(() => server.connections === 2);
    assertEquals(server.stats(), all);
    // The list may be walked while connections end.
    for (const transport of server.transports()) transport.abort();
    for (const { protocol } of clients) await protocol.waitFor("connectionLost");
    await until(() => server.connections === 0);
    assertEquals([...server.transports()], []);
    await server.shutdown();
    assertEquals(server.stats(), all);
  });
}

Deno.test("server.port is the port; a TypeError on a Unix server, a ClosedError once closed", async () => {
  const hostname = hasIpv6 ? ["127.0.0.1", "::1"] : "127.0.0.1";
  const server = await createServer(() => new EchoProtocol(), { hostname });
  assertEquals(server.addrs.map((addr) => (addr as Deno.NetAddr).port), server.addrs.map(() => server.port));
  server.close();
  assertThrows(() => server.port, ClosedError, "Cannot tell the port: the server is closed");
  await server.waitClosed();
  assertThrows(() => server.port, ClosedError);
  const unix = await createUnixServer(() => new EchoProtocol(), { path: socketPath() });
  assertThrows(() => unix.port, TypeError, "Cannot tell the port: the server does not listen on TCP");
  await unix.shutdown();
});

Deno.test("the ends of a connPair() have closeWrite(), by their type too", async () => {
  const [a, b] = connPair();
  await a.closeWrite();
  assertEquals(await b.read(new Uint8Array(1)), null);
  await b.closeWrite();
  a.close();
  b.close();
});

const NOTHING = { accepted: 0, refused: 0, handshakesFailed: 0, bytesRead: 0, bytesWritten: 0 };

function hostOf(server: Server): string {
  return (server.addrs[0] as Deno.NetAddr).hostname;
}

/** Connects, and waits until the server has refused that. */
async function assertRefused(kind: Kind, server: Server): Promise<void> {
  const { refused } = server.stats();
  const [addr] = server.addrs;
  using conn = kind.name === "Unix"
    ? await Deno.connect({ transport: "unix", path: (addr as Deno.UnixAddr).path })
    : await Deno.connect({ hostname: hostOf(server), port: (addr as Deno.NetAddr).port });
  await until(() => server.stats().refused === refused + 1);
  // Deno's own TLS keeps the socket of a connection that is closed before its handshake until the client leaves.
  if (kind.name !== "TLS by Deno") assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
}
