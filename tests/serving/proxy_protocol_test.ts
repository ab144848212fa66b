/** The PROXY protocol on connections: servers that take it, clients that send it [V12]. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import {
  connPair,
  createServer,
  createUnixServer,
  type ErrorContext,
  type ListenOptions,
  openConnection,
  type ProxyHeader,
  type Server,
  startServer,
  startUnixServer,
} from "../../mod.ts";
import { encodeV1 } from "../../src/proxy/v1.ts";
import { encodeV2 } from "../../src/proxy/v2.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { hasIpv6 } from "../support/machine.ts";
import { socketPath } from "../support/programs.ts";
import { certificate, EchoProtocol, portOf } from "../support/servers.ts";
import { until } from "../support/waiting.ts";

const { cert, key, caCert } = certificate;
const at = (hostname: string, port: number): Deno.NetAddr => ({ transport: "tcp", hostname, port });
const client = at("192.0.2.1", 4000), front = at("198.51.100.2", 443);
const from = ["127.0.0.0/8", "::1"];
const ascii = (text: string) => new TextEncoder().encode(text);

/** A server that echoes, and what became of its connections. */
async function echoServer(options: Partial<ListenOptions> = {}) {
  const errors: ErrorContext[] = [];
  const made: EchoProtocol[] = [];
  const server = await createServer(() => {
    const protocol = new EchoProtocol();
    made.push(protocol);
    return protocol;
  }, {
    hostname: "127.0.0.1",
    proxyProtocol: { from },
    onError: (_error, context) => void errors.push(context),
    ...options,
  });
  return { server, errors, made };
}

/** Sends bytes from a plain socket, and returns all that comes back. */
async function exchange(server: Server, pieces: readonly Uint8Array[]): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  for (const piece of pieces) await conn.write(piece);
  await conn.closeWrite();
  return await new Response(conn.readable).text().catch(() => "reset");
}

for (const version of [1, 2] as const) {
  const bytes = version === 1
    ? encodeV1({ source: client, destination: front })
    : encodeV2({ source: client, destination: front });

  Deno.test(`version ${version}: the header and the first bytes in one segment are told apart [V12]`, async () => {
    const { server, errors, made } = await echoServer();
    assertEquals(await exchange(server, [Uint8Array.of(...bytes, ...ascii("hello"))]), "hello");
    await server.shutdown({ grace: 0 });
    assertEquals(errors, []);
    const { transport } = made[0]!;
    assertEquals(transport.getExtraInfo("peername"), client);
    const { address, ...proxy } = transport.getExtraInfo("proxy")!;
    assertEquals(proxy, { version, command: "proxy", destination: front, tlvs: {} });
    assertEquals((address as Deno.NetAddr).hostname, "127.0.0.1");
    assertEquals(server.stats(), { accepted: 1, refused: 0, handshakesFailed: 0, bytesRead: 5, bytesWritten: 5 });
  });

  Deno.test(`version ${version}: the header byte by byte is the same [V12]`, async () => {
    const { server, made } = await echoServer();
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
    conn.setNoDelay(true);
    for (const byte of [...bytes, ...ascii("x")]) await conn.write(Uint8Array.of(byte));
    const answer = new Uint8Array(1);
    await conn.read(answer);
    assertEquals(answer, ascii("x"));
    assertEquals(made[0]!.transport.getExtraInfo("peername"), client);
    await server.shutdown({ grace: 0 });
  });
}

const headers: [name: string, header: ProxyHeader, peer: Deno.NetAddr | null][] = [
  ["version 1", { source: client, destination: front, version: 1 }, client],
  ["version 2", { source: client, destination: front }, client],
  [
    "version 2 with fields",
    { source: client, destination: front, tlvs: { authority: "a.example", alpn: "h2" } },
    client,
  ],
  ["version 2 of IPv6", { source: at("2001:db8::1", 1), destination: at("::", 2) }, at("2001:db8::1", 1)],
  ["local", "local", null],
];

for (const isTls of [false, true]) {
  for (const [name, proxyProtocol, peer] of headers) {
    Deno.test(`${isTls ? "TLS" : "TCP"}: openConnection() sends a header, ${name}, and a server takes it [V12]`, async () => {
      const seen = Promise.withResolvers<[Deno.Addr | undefined, unknown]>();
      const errors: Error[] = [];
      await using server = await startServer((_reader, writer) => {
        seen.resolve([writer.getExtraInfo("peername"), writer.getExtraInfo("proxy")]);
        writer.write("hello\n");
        return writer.close();
      }, {
        hostname: "127.0.0.1",
        proxyProtocol: { from },
        onError: (error) => void errors.push(error),
        ...isTls && { tls: { cert, key } },
      });
      await using connection = await openConnection({
        hostname: "127.0.0.1",
        port: portOf(server),
        proxyProtocol,
        ...isTls && { tls: { serverName: "localhost", caCerts: [caCert] } },
      });
      assertEquals(await connection.reader.readline({ encoding: "utf-8" }), "hello\n");
      const [peername, proxy] = await seen.promise;
      const own = connection.writer.getExtraInfo("sockname");
      assertEquals({ ...peername }, { ...peer ?? own });
      const isLocal = proxyProtocol === "local";
      assertEquals(proxy, {
        address: own,
        version: isLocal ? 2 : proxyProtocol.version ?? 2,
        command: isLocal ? "local" : "proxy",
        destination: isLocal ? null : proxyProtocol.destination,
        tlvs: isLocal ? {} : proxyProtocol.tlvs ?? {},
      });
      assertEquals(errors, []);
    });
  }
}

Deno.test("TLS: the header and the ClientHello in one segment are told apart [V12]", async () => {
  const { server, errors, made } = await echoServer({ tls: { cert, key } });
  const [near, far] = connPair();
  const tcp = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  // The client's TLS runs over memory; its first bytes leave with the header.
  const sending = (async () => {
    const block = new Uint8Array(65536);
    let before = encodeV2({ source: client, destination: front });
    for (let n; (n = await far.read(block)) !== null; before = new Uint8Array(0)) {
      const bytes = Uint8Array.of(...before, ...block.subarray(0, n));
      for (let sent = 0; sent < bytes.length;) sent += await tcp.write(bytes.subarray(sent));
    }
  })();
  const receiving = (async () => {
    const block = new Uint8Array(65536);
    for (let n; (n = await tcp.read(block).catch(() => null)) !== null;) {
      for (let sent = 0; sent < n;) sent += await far.write(block.subarray(sent, n));
    }
  })();
  const connection = await openConnection({ conn: near, tls: { serverName: "localhost", caCerts: [caCert] } });
  connection.writer.write("secret");
  assertEquals(await connection.reader.readexactly(6), ascii("secret"));
  assertEquals(made[0]!.transport.getExtraInfo("peername"), client);
  assertEquals(made[0]!.transport.getExtraInfo("tls")?.protocol, "TLSv1.3");
  connection.writer.abort();
  await sending.catch(() => {});
  tcp.close();
  await receiving.catch(() => {});
  await server.shutdown({ grace: 0 });
  assertEquals(errors, []);
});

const wrong: [what: string, bytes: Uint8Array, Class: new () => Error][] = [
  ["without a header", ascii("GET / HTTP/1.1\r\n\r\n"), Deno.errors.InvalidData],
  ["with a malformed header", ascii("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), Deno.errors.InvalidData],
  ["with a header that is too long", ascii(`PROXY UNKNOWN ${"x".repeat(200)}`), Deno.errors.InvalidData],
  ["with a cut header", ascii("PROXY TCP4 1.2.3.4"), Deno.errors.UnexpectedEof],
  ["without a byte", new Uint8Array(0), Deno.errors.UnexpectedEof],
];

for (const tls of [undefined, { cert, key }]) {
  for (const [what, bytes, Class] of wrong) {
    Deno.test(`${tls ? "TLS" : "TCP"}: a proxy's connection ${what} ends before connectionMade, counted and reported [V12]`, async () => {
      const { server, errors, made } = await echoServer({ tls });
      const answer = await exchange(server, bytes.length === 0 ? [] : [bytes]);
      assert(answer === "" || answer === "reset", answer);
      await until(() => errors.length === 1);
      assertEquals(made, []);
      assertInstanceOf(errors[0]!.error, Class);
      assertStringIncludes(errors[0]!.error.message, "Cannot read the PROXY protocol header: ");
      assertEquals(errors[0]!.message, "PROXY protocol header refused");
      assertEquals((errors[0]!.peername as Deno.NetAddr).hostname, "127.0.0.1");
      assertEquals([server.stats().accepted, server.stats().refused, server.connections], [0, 1, 0]);
      await server.shutdown({ grace: 0 });
    });
  }
}

Deno.test("a late header ends the connection with TimedOut, and frees its place [V12, V7]", async () => {
  const { server, errors } = await echoServer({ proxyProtocol: { from, timeout: 50 }, maxConnections: 1 });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  await conn.write(ascii("PROXY TC"));
  assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
  assertEquals(errors.length, 1);
  assertInstanceOf(errors[0]!.error, Deno.errors.TimedOut);
  assertStringIncludes(errors[0]!.error.message, "it took more than 50 milliseconds");
  assertEquals(await exchange(server, [Uint8Array.of(...encodeV2("local"), ...ascii("x"))]), "x");
  await server.shutdown({ grace: 0 });
});

Deno.test("a header from a peer that is not in from is not parsed: its bytes are the client's [V12]", async () => {
  const { server, errors, made } = await echoServer({ proxyProtocol: { from: ["192.0.2.0/24", "unix"] } });
  const header = "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n";
  assertEquals(await exchange(server, [ascii(header)]), header);
  assertEquals((made[0]!.transport.getExtraInfo("peername") as Deno.NetAddr).hostname, "127.0.0.1");
  assertEquals(made[0]!.transport.getExtraInfo("proxy"), undefined);
  assertEquals(errors, []);
  await server.shutdown({ grace: 0 });
});

Deno.test({
  name: "an IPv6 server takes the header of a proxy that comes by IPv4, by its IPv4 address [V12]",
  ignore: !hasIpv6,
  async fn() {
    const { server, made } = await echoServer({ hostname: "::", proxyProtocol: { from: ["127.0.0.1"] } });
    assertEquals(await exchange(server, [encodeV1({ source: client, destination: front }), ascii("x")]), "x");
    assertEquals(made[0]!.transport.getExtraInfo("peername"), client);
    await server.shutdown({ grace: 0 });
  },
});

Deno.test('a Unix server takes the header from "unix" [V12]', async () => {
  const path = socketPath();
  const seen = Promise.withResolvers<Deno.Addr | undefined>();
  await using _server = await startUnixServer((_reader, writer) => {
    seen.resolve(writer.getExtraInfo("peername"));
    return writer.close();
  }, { path, proxyProtocol: { from: ["unix"] } });
  await using _connection = await openConnection({ path, proxyProtocol: { source: client, destination: front } });
  assertEquals(await seen.promise, client);
});

Deno.test("accept() and maxConnectionsPerPeer decide by the client's address, not the proxy's [V10, V12]", async () => {
  const asked: Deno.Addr[] = [];
  const { server, errors } = await echoServer({
    accept(peername) {
      asked.push(peername);
      return (peername as Deno.NetAddr).hostname !== "192.0.2.66";
    },
    maxConnectionsPerPeer: 1,
  });
  const open = (hostname: string) =>
    openConnection({
      port: portOf(server),
      proxyProtocol: { source: at(hostname, 1), destination: front },
    });
  await using one = await open("192.0.2.1");
  await using other = await open("192.0.2.2");
  for (const { reader, writer } of [one, other]) {
    writer.write("x");
    await reader.readexactly(1);
  }
  for (const hostname of ["192.0.2.1", "192.0.2.66"]) {
    await using refused = await open(hostname);
    assertEquals((await refused.reader.read().catch(() => ascii(""))).length, 0);
  }
  assertEquals(asked, ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.66"].map((hostname) => at(hostname, 1)));
  assertEquals([server.stats().accepted, server.stats().refused], [2, 2]);
  await one.writer.close();
  await until(() => server.connections === 1);
  await using again = await open("192.0.2.1");
  again.writer.write("y");
  await again.reader.readexactly(1);
  await server.shutdown({ grace: 0 });
  assertEquals(errors, []);
});

Deno.test("close() drops a connection that waits for its header, unreported [V12, V5]", async () => {
  const { server, errors } = await echoServer({ maxConnections: 1 });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  await conn.write(ascii("PROXY"));
  // Accepted: the second one waits for its place.
  using _second = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  server.close();
  await server.waitClosed();
  assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
  assertEquals(errors, []);
});

Deno.test("a proxy that leaves without a byte is told to onError only, and never printed [V12]", async () => {
  const printed: unknown[] = [];
  const { error } = console;
  console.error = (...data: unknown[]) => void printed.push(data);
  try {
    const { server } = await echoServer({ onError: undefined });
    await exchange(server, []);
    await until(() => server.stats().refused === 1);
    await server.shutdown({ grace: 0 });
  } finally {
    console.error = error;
  }
  assertEquals(printed, []);
});

const badServerOptions: [proxyProtocol: unknown, message: string][] = [
  [true, "must be an object, not a boolean"],
  [{}, "must have a list of proxies as from"],
  [{ from: [] }, "must be a list of proxies"],
  [{ from: "10.0.0.0/8" }, "must be a list of proxies"],
  [{ from: ["localhost"] }, 'networks such as "10.0.0.0/8", or "unix", not "localhost"'],
  [{ from: ["10.0.0.0/33"] }, 'not "10.0.0.0/33"'],
  [{ from: [undefined] }, "not undefined"],
  [{ from, timeout: "5" }, "timeout must be a number"],
  [{ from, trust: true }, 'there is no option "trust"'],
];

Deno.test("proxyProtocol of a server is checked [V2, V12]", async () => {
  const make = () => new RecordingProtocol();
  for (const [proxyProtocol, message] of badServerOptions) {
    const options = { proxyProtocol } as ListenOptions;
    await assertRejects(() => createServer(make, { port: 0, ...options }), TypeError, message);
    await assertRejects(() => createUnixServer(make, { path: socketPath(), ...options }), TypeError, message);
  }
  await assertRejects(() => createServer(make, { port: 0, proxyProtocol: { from, timeout: 0 } }), RangeError, "0 ms");
  const tls = { cert, key, engine: "deno" } as const;
  await assertRejects(() => createServer(make, { port: 0, proxyProtocol: { from }, tls }), TypeError, 'engine "deno"');
});

const badClientOptions: [proxyProtocol: unknown, message: string][] = [
  ["LOCAL", 'must be an object or "local"'],
  [{}, "must have a source and a destination"],
  [{ source: client }, "must have a source and a destination"],
  [{ source: { ...client, hostname: "localhost" }, destination: front }, "must have an IP address as hostname"],
  [{ source: { transport: "unix", path: "/x" }, destination: front }, "must be of tcp or udp"],
  [{ source: client, destination: { ...front, transport: "udp" } }, "must have addresses of one transport"],
  [{ source: client, destination: front, version: 3 }, "version must be 1 or 2"],
  [{ source: client, destination: front, version: 1, tlvs: {} }, "must be of version 2 to have tlvs"],
  [{ source: client, destination: front, tlv: {} }, 'there is no option "tlv"'],
];

Deno.test("proxyProtocol of a client is checked, before anything is done [V2, V12]", async () => {
  for (const [proxyProtocol, message] of badClientOptions) {
    await assertRejects(
      () => openConnection({ port: 1, proxyProtocol: proxyProtocol as ProxyHeader }),
      TypeError,
      message,
    );
  }
  const header = { source: { ...client, port: 65536 }, destination: front };
  await assertRejects(() => openConnection({ port: 1, proxyProtocol: header }), RangeError, "must have a port");
});

Deno.test("a header that cannot be sent closes the conn [V12]", async () => {
  const [near, far] = connPair();
  far.close();
  await assertRejects(() => openConnection({ conn: near, proxyProtocol: "local" }));
  await assertRejects(() => near.read(new Uint8Array(1)), Error, "closed");
});
