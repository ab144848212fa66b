/** Bad input is refused before anything is done: each with a clear error of the right class, and nothing leaked. */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  connPair,
  createConnection,
  createServer,
  createUnixConnection,
  createUnixServer,
  openConnection,
  openUnixConnection,
  Protocol,
  startServer,
  startUnixServer,
} from "../../mod.ts";
import { certificate } from "../support/servers.ts";
import { openDescriptors, skip } from "../support/machine.ts";
import { socketPath, tempDir } from "../support/programs.ts";

type Bad = [what: string, options: unknown, Class: new (message: string) => Error, message: string];

const { cert, key } = certificate;
const [aConn] = connPair();
const longPath = `${tempDir()}/${"x".repeat(200)}`;

const badConnect: Bad[] = [
  ["no options", undefined, TypeError, "options must be an object"],
  ["null options", null, TypeError, "options must be an object"],
  ["a string", "localhost:80", TypeError, 'options must be an object, not "localhost:80"'],
  ["nothing to connect to", {}, TypeError, "neither a port nor a conn"],
  ["a hostname alone", { hostname: "localhost" }, TypeError, "neither a port nor a conn"],
  ["an unknown option", { port: 1, prot: 2 }, TypeError, 'there is no option "prot"'],
  ["an inherited name as an option", { port: 1, toString: 1 }, TypeError, 'there is no option "toString"'],
  ["a port of text", { port: "80" }, TypeError, 'port must be a number, not "80"'],
  ["a port that is NaN", { port: NaN }, RangeError, "from 0 to 65535, not NaN"],
  ["a negative port", { port: -1 }, RangeError, "from 0 to 65535, not -1"],
  ["a port too large", { port: 65536 }, RangeError, "from 0 to 65535, not 65536"],
  ["port 0", { port: 0 }, RangeError, "from 1 to 65535, not 0"],
  ["a broken port", { port: 80.5 }, RangeError, "from 0 to 65535, not 80.5"],
  ["an empty hostname", { port: 1, hostname: "" }, TypeError, "hostname must be a non-empty string"],
  ["a hostname of another type", { port: 1, hostname: 127 }, TypeError, "hostname must be a non-empty string"],
  ["several hostnames", { port: 1, hostname: ["a", "b"] }, TypeError, "hostname must be a non-empty string"],
  ["another family", { port: 1, family: 5 }, TypeError, "family must be 4 or 6, not 5"],
  ["a family of text", { port: 1, family: "6" }, TypeError, "family must be 4 or 6"],
  ["noDelay of another type", { port: 1, noDelay: 1 }, TypeError, "noDelay must be a boolean"],
  ["keepAlive of another type", { port: 1, keepAlive: "yes" }, TypeError, "keepAlive must be a boolean"],
  ["a signal of another type", { port: 1, signal: {} }, TypeError, "signal must be an AbortSignal"],
  ["a negative delay", { port: 1, happyEyeballsDelay: -1 }, RangeError, "at least 0 ms"],
  ["a delay that is NaN", { port: 1, happyEyeballsDelay: NaN }, RangeError, "at least 0 ms"],
  ["a delay of text", { port: 1, happyEyeballsDelay: "1" }, TypeError, "must be a number"],
  ["a local address of text", { port: 1, localAddr: "::1" }, TypeError, "localAddr must be an object"],
  ["a local port too large", { port: 1, localAddr: { port: 70000 } }, RangeError, "from 0 to 65535"],
  ["a local hostname of another type", { port: 1, localAddr: { hostname: 1 } }, TypeError, "IP address"],
  ["a local hostname that is a name", { port: 1, localAddr: { hostname: "localhost" } }, TypeError, "IP address"],
  ["an unknown part of the local address", { port: 1, localAddr: { host: "::1" } }, TypeError, '"host"'],
  ["tls of another type", { port: 1, tls: "yes" }, TypeError, "tls must be a boolean or an object"],
  ["an unknown TLS option", { port: 1, tls: { ca: "" } }, TypeError, 'no option "ca"'],
  ["a TLS timeout of 0", { port: 1, tls: { handshakeTimeout: 0 } }, RangeError, "handshakeTimeout"],
  ["a TLS timeout that is NaN", { port: 1, tls: { shutdownTimeout: NaN } }, RangeError, "shutdownTimeout"],
  ["a cert without a key", { port: 1, tls: { cert } }, TypeError, "key"],
  ["what is no conn", { conn: {} }, TypeError, "conn must have read(), write() and close()"],
  ["a null conn", { conn: null }, TypeError, "conn must have read(), write() and close()"],
  ["conn and hostname", { conn: aConn, hostname: "localhost" }, TypeError, "does not go together with conn"],
  ["conn and port", { conn: aConn, port: 80 }, TypeError, "does not go together with conn"],
  ["conn and family", { conn: aConn, family: 4 }, TypeError, "does not go together with conn"],
  ["conn and localAddr", { conn: aConn, localAddr: { port: 1 } }, TypeError, "does not go together with conn"],
  ["conn and happyEyeballsDelay", { conn: aConn, happyEyeballsDelay: 1 }, TypeError, "does not go together with conn"],
  ["tls over a conn without a name to verify", { conn: aConn, tls: true }, TypeError, "serverName"],
  ["noDelay on what has none", { conn: aConn, noDelay: true }, TypeError, "noDelay cannot be set"],
  ["noDelay: false on what has none", { conn: aConn, noDelay: false }, TypeError, "noDelay cannot be set"],
  ["keepAlive on what has none", { conn: aConn, keepAlive: true }, TypeError, "keepAlive cannot be set"],
];

const badStreams: Bad[] = [
  ["a limit of 0", { port: 1, limit: 0 }, RangeError, "limit must be a whole number above 0 bytes, not 0"],
  ["a negative limit", { port: 1, limit: -1 }, RangeError, "limit must be a whole number above 0"],
  ["a limit that is NaN", { port: 1, limit: NaN }, RangeError, "limit must be a whole number above 0"],
  ["a broken limit", { port: 1, limit: 1.5 }, RangeError, "limit must be a whole number above 0 bytes, not 1.5"],
  ["a limit of text", { port: 1, limit: "1" }, TypeError, "limit must be a number"],
  ["readAhead of another type", { port: 1, readAhead: "yes" }, TypeError, "readAhead must be a boolean"],
];

const badUnix: Bad[] = [
  ["no options", undefined, TypeError, "options must be an object"],
  ["no path", {}, TypeError, "there is no path"],
  ["an empty path", { path: "" }, TypeError, "path must be a non-empty string"],
  ["a path of another type", { path: 7 }, TypeError, "path must be a non-empty string"],
  ["a path with NUL in it", { path: "/tmp/a\0b" }, TypeError, "must not contain NUL"],
  ["an abstract name without a name", { path: "\0" }, TypeError, "must have a name after the NUL"],
  ["a path that ends in a slash", { path: "/tmp/dir/" }, TypeError, 'must not end in "/"'],
  ["an abstract name too long", { path: `\0${"a".repeat(108)}` }, RangeError, "bytes long"],
  ["a path too long", { path: longPath }, RangeError, "bytes long"],
  ["a path too long in bytes alone", { path: `/tmp/${"é".repeat(60)}` }, RangeError, "bytes long"],
  ["a hostname", { path: socketPath(), hostname: "localhost" }, TypeError, 'there is no option "hostname"'],
  ["a port", { path: socketPath(), port: 80 }, TypeError, 'there is no option "port"'],
  ["noDelay", { path: socketPath(), noDelay: true }, TypeError, 'there is no option "noDelay"'],
];

const badListen: Bad[] = [
  ["no options", undefined, TypeError, "options must be an object"],
  ["null options", null, TypeError, "options must be an object"],
  ["nothing to listen on", {}, TypeError, "neither a hostname, nor a port, nor a listener"],
  ["an unknown option", { port: 0, backlg: 1 }, TypeError, 'there is no option "backlg"'],
  ["a conn", { conn: aConn }, TypeError, 'there is no option "conn"'],
  ["a port of text", { port: "80" }, TypeError, "port must be a number"],
  ["a port that is NaN", { port: NaN }, RangeError, "from 0 to 65535"],
  ["a port too large", { port: 65536 }, RangeError, "from 0 to 65535"],
  ["no hostname in a list", { port: 0, hostname: [] }, TypeError, "hostname must be a non-empty string, or a list"],
  ["an empty hostname in a list", { port: 0, hostname: ["::1", ""] }, TypeError, "hostname must be a non-empty string"],
  ["an empty hostname", { port: 0, hostname: "" }, TypeError, "hostname must be a non-empty string"],
  ["a backlog of 0", { port: 0, backlog: 0 }, RangeError, "backlog must be a whole number"],
  ["a negative backlog", { port: 0, backlog: -5 }, RangeError, "backlog must be a whole number"],
  ["an endless backlog", { port: 0, backlog: Infinity }, RangeError, "backlog must be a whole number"],
  ["a broken backlog", { port: 0, backlog: 1.5 }, RangeError, "backlog must be a whole number"],
  ["a backlog of text", { port: 0, backlog: "1" }, TypeError, "backlog must be a number"],
  ["reusePort of another type", { port: 0, reusePort: 1 }, TypeError, "reusePort must be a boolean"],
  ["maxConnections of 0", { port: 0, maxConnections: 0 }, RangeError, "maxConnections must be a whole number above 0"],
  ["negative maxConnections", { port: 0, maxConnections: -1 }, RangeError, "maxConnections must be a whole number"],
  ["maxConnections that is NaN", { port: 0, maxConnections: NaN }, RangeError, "maxConnections must be a whole number"],
  ["broken maxConnections", { port: 0, maxConnections: 2.5 }, RangeError, "maxConnections must be a whole number"],
  ["maxConnections of text", { port: 0, maxConnections: "9" }, TypeError, "maxConnections must be a number"],
  ["onError of another type", { port: 0, onError: "log" }, TypeError, "onError must be a function"],
  ["startServing of another type", { port: 0, startServing: 0 }, TypeError, "startServing must be a boolean"],
  ["a signal of another type", { port: 0, signal: {} }, TypeError, "signal must be an AbortSignal"],
  ["what is no listener", { listener: {} }, TypeError, "listener must have accept() and close()"],
  ["tls: true", { port: 0, tls: true }, TypeError, "tls must be an object"],
  ["tls without a certificate", { port: 0, tls: {} }, TypeError, "cert"],
  ["tls with what is no certificate", { port: 0, tls: { cert: "x", key: "y" } }, TypeError, "certificate"],
  ["clientAuth without caCerts", { port: 0, tls: { cert, key, clientAuth: "require" } }, TypeError, "caCerts"],
];

type Call = (options: never) => Promise<unknown>;
const factory = () => new Protocol();
const handler = () => {};

const matrix: [name: string, call: Call, bad: Bad[]][] = [
  ["createConnection", (options) => createConnection(factory, options), badConnect],
  ["openConnection", (options) => openConnection(options), [...badConnect, ...badStreams]],
  ["createUnixConnection", (options) => createUnixConnection(factory, options), badUnix],
  ["openUnixConnection", (options) => openUnixConnection(options), badUnix],
  ["createServer", (options) => createServer(factory, options), badListen],
  ["startServer", (options) => startServer(handler, options), [...badListen, ...badStreams]],
  ["createUnixServer", (options) => createUnixServer(factory, options), badUnix],
  ["startUnixServer", (options) => startUnixServer(handler, options), badUnix],
];

for (const [name, call, bad] of matrix) {
  Deno.test(`${name}() refuses bad options before it does anything [V2]`, async (t) => {
    for (const [what, options, Class, message] of bad) {
      await t.step(what, async () => {
        const before = openDescriptors();
        const error = await assertRejects(() => call(options as never), Class);
        assertEquals(error.constructor, Class);
        assertStringIncludes(error.message, message);
        assertMatch(error.message, /^Cannot [^]*[^.]$/);
        assertLessOrEqual(openDescriptors(), before);
      });
    }
  });
}

for (const bad of [undefined, null, new Protocol(), "echo"]) {
  Deno.test(`a protocol factory that is "${bad}" is refused`, async () => {
    const factory = bad as never;
    for (
      const call of [
        () => createConnection(factory, { port: 1 }),
        () => createUnixConnection(factory, { path: "/x" }),
        () => createServer(factory, { port: 0 }),
        () => createUnixServer(factory, { path: socketPath() }),
      ]
    ) {
      await assertRejects(call, TypeError, "the protocol factory must be a function");
    }
  });
  Deno.test(`a handler that is "${bad}" is refused`, async () => {
    for (
      const call of [
        () => startServer(bad as never, { port: 0 }),
        () => startUnixServer(bad as never, { path: socketPath() }),
      ]
    ) {
      await assertRejects(call, TypeError, "the handler must be a function");
    }
  });
}

Deno.test("an option that is undefined counts as not given [V2]", async () => {
  const all = {
    hostname: "127.0.0.1",
    port: 0,
    listener: undefined,
    backlog: undefined,
    reusePort: undefined,
    tls: undefined,
    noDelay: undefined,
    keepAlive: undefined,
    startServing: undefined,
    maxConnections: undefined,
    onError: undefined,
    signal: undefined,
    limit: undefined,
    readAhead: undefined,
  };
  await using server = await startServer(handler, all as never);
  assert(server.isServing());
});

Deno.test("a hostname alone is served on any free port, as Deno.listen does", async () => {
  await using server = await createServer(factory, { hostname: "127.0.0.1" });
  assert((server.addrs[0] as Deno.NetAddr).port > 0);
});

const listenerCases: [what: string, options: Record<string, unknown>][] = [
  ["hostname", { hostname: "127.0.0.1" }],
  ["port", { port: 0 }],
  ["backlog", { backlog: 5 }],
  ["reusePort", { reusePort: false }],
];

for (const [what, options] of listenerCases) {
  Deno.test(`a listener together with ${what} is refused, and stays the caller's [V2]`, async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await assertRejects(
      () => createServer(factory, { listener, ...options }),
      TypeError,
      `"${what}" does not go together with a listener`,
    );
    const [a, b] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
    a.close();
    b.close();
  });
}

Deno.test("noDelay on a Unix listener, and tls on a TLS listener, cannot be honoured and are refused [V2]", async () => {
  using unix = Deno.listen({ transport: "unix", path: socketPath() });
  for (const options of [{ noDelay: true }, { noDelay: false }, { keepAlive: true }]) {
    await assertRejects(() => createServer(factory, { listener: unix, ...options }), TypeError, "Unix listener");
  }
  using tls = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  for (const options of [{ noDelay: true }, { keepAlive: true }, { tls: { cert, key } }]) {
    await assertRejects(() => createServer(factory, { listener: tls, ...options }), TypeError, "speaks TLS");
  }
});

Deno.test("reusePort without the flag it needs is an error, and does not end the process [V2]", async () => {
  if ("listenDatagram" in Deno) return skip("the refusal of reusePort", "this process has --unstable-net");
  await assertRejects(
    () => createServer(factory, { port: 0, reusePort: true }),
    Deno.errors.NotSupported,
    "--unstable-net",
  );
});

Deno.test("a factory whose product is no protocol: TypeError, and the connection is closed [V2]", async () => {
  for (const product of [undefined, null, {}, "protocol", () => {}, { dataReceived: 1 }, { getBuffer() {} }]) {
    const [conn, peer] = connPair();
    await assertRejects(
      () => createConnection(() => product as never, { conn }),
      TypeError,
      "as a protocol: it must have",
    );
    assertEquals(await peer.read(new Uint8Array(1)), null);
    peer.close();
  }
});

Deno.test("a factory that throws: createConnection() rejects with it, and the connection is closed", async () => {
  const [conn, peer] = connPair();
  const oops = new Error("oops");
  const error = await assertRejects(() =>
    createConnection(() => {
      throw oops;
    }, { conn })
  );
  assertEquals(error, oops);
  assertEquals(await peer.read(new Uint8Array(1)), null);
  peer.close();
});

Deno.test("options with what cannot be shown are refused with a clear error all the same", async () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  const error = await assertRejects(() => createConnection(factory, { conn: circular } as never), TypeError);
  assertInstanceOf(error, TypeError);
  assertStringIncludes(error.message, "conn must have read()");
  await assertRejects(() => createConnection(factory, { port: Symbol("p") } as never), TypeError, "not a symbol");
  await assertRejects(() => createConnection(factory, { port: 1n } as never), TypeError, "port must be a number");
});

Deno.test("an option that is fine, but not there, changes nothing: createServer() with a cap that never binds", async () => {
  await using server = await createServer(factory, { hostname: "127.0.0.1", maxConnections: Infinity });
  assert(server.isServing());
});
