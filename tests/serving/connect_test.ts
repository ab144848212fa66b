/** Opening connections: what fails, what is aborted, and what is left behind then. */
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
} from "@std/assert";
import {
  connPair,
  createConnection,
  createServer,
  openConnection,
  openUnixConnection,
  Protocol,
  startServer,
  startUnixServer,
  type Transport,
} from "../../mod.ts";
import { dialAny } from "../../src/serving/dial.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { certificate, EchoProtocol, kinds, portOf } from "../support/servers.ts";
import { hasIpv6, openDescriptors } from "../support/machine.ts";
import { runProgram, socketPath } from "../support/programs.ts";
import { until } from "../support/waiting.ts";

const { caCert } = certificate;

/** A port that refuses connections. */
function refusingPort(hostname = "127.0.0.1"): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return listener.addr.port;
}

/** A port that takes connections of the system alone, until its queue is full: then they hang. */
async function hangingServer(): Promise<Disposable & { port: number }> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const { port } = listener.addr;
  const fillers: Deno.Conn[] = [];
  while (true) {
    const signal = AbortSignal.timeout(100);
    try {
      fillers.push(await Deno.connect({ port, signal }));
    } catch {
      break;
    }
  }
  return {
    port,
    [Symbol.dispose]() {
      for (const conn of fillers) conn.close();
      listener.close();
    },
  };
}

for (const kind of kinds) {
  Deno.test(`${kind.name}: createConnection() resolves after connectionMade, with what the factory made [C2]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol());
    const product = new RecordingProtocol();
    const { transport, protocol } = await kind.createConnection(() => product, server);
    assertStrictEquals(protocol, product);
    assertStrictEquals(product.transport, transport);
    assertEquals(product.names, ["connectionMade"]);
    assert(transport.getExtraInfo("peername") !== undefined);
    assert(transport.getExtraInfo("sockname") !== undefined);
    assertEquals(transport.getExtraInfo("tls") !== undefined, kind.tls);
    transport.abort();
    await protocol.waitFor("connectionLost");
  });

  Deno.test(`${kind.name}: createConnection() rejects with what connectionMade threw, and the connection is gone [C6]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol(), { onError: () => {} });
    const oops = new Error("oops");
    class Broken extends Protocol {
      static lost: (Error | null)[] = [];
      override connectionMade(): void {
        throw oops;
      }
      override connectionLost(error: Error | null): void {
        Broken.lost.push(error);
      }
    }
    await silenced(async () => {
      const error = await assertRejects(() => kind.createConnection(() => new Broken(), server));
      assertStrictEquals(error, oops);
    });
    await until(() => server.connections === 0);
    assertEquals(Broken.lost, [oops]);
  });

  Deno.test(`${kind.name}: a signal that has aborted refuses, before anything is opened [V3]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol());
    const reason = new Error("too late");
    for (const signal of [AbortSignal.abort(reason)]) {
      const error = await assertRejects(() => kind.createConnection(() => new Protocol(), server, { signal }));
      assertStrictEquals(error, reason);
      const again = await assertRejects(() => kind.openConnection(server, { signal }));
      assertStrictEquals(again, reason);
    }
    assertEquals(server.connections, 0);
  });

  Deno.test(`${kind.name}: a signal that aborts after the connection is made does nothing [V3]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol());
    const controller = new AbortController();
    await using connection = await kind.openConnection(server, { signal: controller.signal });
    controller.abort();
    connection.writer.write("x");
    assertEquals((await connection.reader.readexactly(1)).length, 1);
  });

  Deno.test(`${kind.name}: aborted at any point of its way, a connect rejects with the reason and leaks nothing [V3]`, async () => {
    const server = await kind.createServer(() => new EchoProtocol(), { onError: () => {} });
    // Once, for what the platform keeps open from now on.
    await (await kind.openConnection(server)).writer.close();
    await until(() => server.connections === 0);
    const before = openDescriptors();
    let aborted = 0;
    for (let hops = 0; hops < 60; hops++) {
      const controller = new AbortController();
      const reason = new Error(`after ${hops} hops`);
      const connecting = kind.openConnection(server, { signal: controller.signal });
      const settled = connecting.then(
        (connection) => connection.writer.close(),
        (error) => {
          assertStrictEquals(error, reason);
          aborted++;
        },
      );
      for (let i = 0; i < hops; i++) await (i % 3 === 2 ? new Promise((resolve) => setImmediate(resolve)) : null);
      controller.abort(reason);
      await settled;
    }
    assertGreaterOrEqual(aborted, 3);
    await until(() => server.connections === 0);
    await server.shutdown({ grace: 0 });
    await until(() => openDescriptors() <= before);
  });
}

async function silenced(call: () => Promise<void>): Promise<void> {
  const { error } = console;
  console.error = () => {};
  try {
    await call();
  } finally {
    console.error = error;
  }
}

Deno.test("a refused connection is ConnectionRefused, and says of whom [V3]", async () => {
  const port = refusingPort();
  const error = await assertRejects(
    () => openConnection({ hostname: "127.0.0.1", port }),
    Deno.errors.ConnectionRefused,
  );
  assertMatch(error.message, new RegExp(`^Cannot connect to "127.0.0.1" at "127.0.0.1:${port}": `));
  const path = socketPath();
  const notFound = await assertRejects(() => openUnixConnection({ path }), Deno.errors.NotFound);
  assertStringIncludes(notFound.message, `Cannot connect to "${path}": `);
});

Deno.test("several addresses fail: an AggregateError of each one's error; of one address: the error [V3]", async () => {
  const port = refusingPort();
  const error = await assertRejects(() => openConnection({ hostname: "localhost", port }), Error);
  if (error instanceof AggregateError) {
    assertGreaterOrEqual(error.errors.length, 2);
    for (const one of error.errors) assertInstanceOf(one, Deno.errors.ConnectionRefused);
  } else assertInstanceOf(error, Deno.errors.ConnectionRefused);
});

Deno.test("several addresses: each is tried, in turn, until one connects [V3]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.9", port: 0 });
  const { port } = listener.addr;
  const conn = await dialAny(["127.0.0.1", "127.0.0.2", "::1", "127.0.0.9", "127.0.0.3"], { port });
  assertEquals((conn.remoteAddr as Deno.NetAddr).hostname, "127.0.0.9");
  (await listener.accept()).close();
  conn.close();
  const error = await assertRejects(
    () => dialAny(["127.0.0.1", "127.0.0.2"], { hostname: "two.example", port }),
    AggregateError,
    `Cannot connect to "two.example" at "127.0.0.1:${port}": `,
  );
  assertEquals(error.errors.map((one: Error) => one.message.split('"')[3]), [`127.0.0.1:${port}`, `127.0.0.2:${port}`]);
  for (const one of error.errors) assertInstanceOf(one, Deno.errors.ConnectionRefused);
});

Deno.test("an address that does not answer in time is overtaken by the next, and forgotten [V3]", async () => {
  using hanging = await hangingServer();
  using listener = Deno.listen({ hostname: "127.0.0.9", port: hanging.port });
  const before = openDescriptors();
  for (const happyEyeballsDelay of [20, 100]) {
    const begun = performance.now();
    const conn = await dialAny(["127.0.0.1", "127.0.0.9"], { port: hanging.port, happyEyeballsDelay });
    assertGreaterOrEqual(performance.now() - begun, happyEyeballsDelay - 1);
    assertEquals((conn.remoteAddr as Deno.NetAddr).hostname, "127.0.0.9");
    (await listener.accept()).close();
    conn.close();
  }
  await until(() => openDescriptors() <= before);
  // An endless delay tries them one after the other.
  const controller = new AbortController();
  const connecting = dialAny(["127.0.0.1", "127.0.0.9"], {
    port: hanging.port,
    happyEyeballsDelay: Infinity,
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(), 100);
  await assertRejects(() => connecting, DOMException);
  await until(() => openDescriptors() <= before);
});

Deno.test("of addresses that connect together one is kept, and the others are closed [V3]", async () => {
  using first = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using second = Deno.listen({ hostname: "127.0.0.9", port: first.addr.port });
  const before = openDescriptors();
  for (let i = 0; i < 50; i++) {
    const conn = await dialAny(["127.0.0.1", "127.0.0.9"], { port: first.addr.port, happyEyeballsDelay: 0 });
    const { hostname } = conn.remoteAddr as Deno.NetAddr;
    (await (hostname === "127.0.0.1" ? first : second).accept()).close();
    conn.close();
  }
  await until(() => openDescriptors() <= before);
});

Deno.test("an unknown name is NotFound [V3]", async () => {
  const error = await assertRejects(
    () => openConnection({ hostname: "no-such-host.invalid", port: 1 }),
    Deno.errors.NotFound,
  );
  assertStringIncludes(error.message, 'Cannot connect to "no-such-host.invalid" port 1: ');
});

Deno.test("a connect that hangs is aborted at once, and leaves no descriptor [V3]", async () => {
  using hanging = await hangingServer();
  const before = openDescriptors();
  const reason = new Error("enough");
  const begun = performance.now();
  const controller = new AbortController();
  const connecting = openConnection({ port: hanging.port, signal: controller.signal });
  setTimeout(() => controller.abort(reason), 50);
  assertStrictEquals(await assertRejects(() => connecting), reason);
  assertLess(performance.now() - begun, 2000);
  await until(() => openDescriptors() <= before);
});

Deno.test({
  name: "a name that is being looked up can be aborted [V3]",
  // Which does not stop the system.
  sanitizeOps: false,
  async fn() {
    const controller = new AbortController();
    const reason = new Error("enough");
    const connecting = openConnection({ hostname: "localhost", port: refusingPort(), signal: controller.signal });
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => connecting), reason);
  },
});

Deno.test("a TLS handshake that hangs is aborted at once [V3]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const reason = new Error("enough");
  const controller = new AbortController();
  const connecting = openConnection({
    hostname: "localhost",
    family: 4,
    port: listener.addr.port,
    tls: { caCerts: [caCert] },
    signal: controller.signal,
  });
  const conn = await accepted;
  await conn.read(new Uint8Array(1));
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => connecting), reason);
  conn.close();
});

Deno.test("a TLS handshake that takes too long is TimedOut, and the connection is closed [T1, T2]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  await assertRejects(
    () => openConnection({ port: listener.addr.port, tls: { caCerts: [caCert], handshakeTimeout: 50 } }),
    Deno.errors.TimedOut,
    "50",
  );
  (await accepted).close();
});

Deno.test("the connection that a signal finds made, but not yet told of, is closed [V3]", async () => {
  await using server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1", port: 0 });
  const port = portOf(server);
  const before = openDescriptors();
  const connectAndAbort = async (turns: number) => {
    const controller = new AbortController();
    const connecting = openConnection({ port, signal: controller.signal });
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, 0));
    controller.abort();
    await connecting.then(({ writer }) => writer.close(), () => {});
  };
  // Some are made in the very turn in which they are aborted.
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 24 }, (_, j) => connectAndAbort(j % 4)));
  await until(() => server.connections === 0);
  await until(() => openDescriptors() <= before);
});

Deno.test("the local end is bound as told, and the address family kept to", async () => {
  await using server = await startServer(
    (_reader, writer) => void writer.write((writer.getExtraInfo("peername") as Deno.NetAddr).hostname + "\n"),
    { hostname: hasIpv6 ? ["127.0.0.1"] : "127.0.0.1", port: 0 },
  );
  const port = portOf(server);
  for (const hostname of ["127.0.0.1", "127.0.0.7"]) {
    await using connection = await openConnection({ port, localAddr: { hostname } });
    assertEquals((connection.writer.getExtraInfo("sockname") as Deno.NetAddr).hostname, hostname);
    assertEquals(new TextDecoder().decode(await connection.reader.readline()), `${hostname}\n`);
  }
  const localPort = refusingPort();
  await using connection = await openConnection({ port, localAddr: { port: localPort } });
  assertEquals((connection.writer.getExtraInfo("sockname") as Deno.NetAddr).port, localPort);
  await using named = await openConnection({ hostname: "localhost", port, family: 4 });
  assertEquals((named.writer.getExtraInfo("peername") as Deno.NetAddr).hostname, "127.0.0.1");
  await assertRejects(
    () => openConnection({ hostname: "127.0.0.1", port, family: 6 }),
    Deno.errors.AddrNotAvailable,
    'Cannot connect to "127.0.0.1": it is not an address of family 6',
  );
});

Deno.test("a local end that is not this machine's is AddrNotAvailable, a taken one AddrInUse", async () => {
  await using server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 });
  const port = portOf(server);
  await assertRejects(
    () => openConnection({ port, localAddr: { hostname: "192.0.2.1" } }),
    Deno.errors.AddrNotAvailable,
    "Cannot connect to",
  );
  await assertRejects(
    () => openConnection({ port, localAddr: { hostname: "127.0.0.1", port } }),
    Deno.errors.AddrInUse,
    "Cannot connect to",
  );
});

if (hasIpv6) {
  Deno.test("an IPv6 address may be in brackets", async () => {
    await using server = await createServer(() => new EchoProtocol(), { hostname: "::1", port: 0 });
    for (const hostname of ["::1", "[::1]"]) {
      await using connection = await openConnection({ hostname, port: portOf(server) });
      connection.writer.write("x");
      await connection.reader.readexactly(1);
    }
  });
}

Deno.test("a conn that is closed already is refused without BadResource", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [conn, peer] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  conn.close();
  peer.close();
  await assertRejects(() => openConnection({ conn }), Deno.errors.ConnectionAborted, "Cannot connect");
});

Deno.test("a conn of Deno's own TLS has the extra info of TLS, and is closed in order [W7]", async () => {
  const { cert, key } = certificate;
  const received: number[] = [];
  await using server = await startServer(async (reader) => void received.push((await reader.read()).length), {
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert, key },
  });
  for (let i = 0; i < 5; i++) {
    const conn = await Deno.connectTls({ hostname: "localhost", port: portOf(server), caCerts: [caCert] });
    const { writer } = await openConnection({ conn });
    assertEquals(writer.getExtraInfo("tls")?.alpnProtocol, null);
    writer.write(new Uint8Array(1_000_000));
    await writer.close();
  }
  await until(() => received.length === 5);
  assertEquals(received, Array(5).fill(1_000_000));
});

Deno.test("connPair: createConnection() over a conn given [C2]", async () => {
  const [conn, peer] = connPair();
  let made: Transport | null = null;
  class Maker extends Protocol {
    override connectionMade(transport: Transport): void {
      made = transport;
    }
  }
  const { transport } = await createConnection(() => new Maker(), { conn });
  assertStrictEquals(made, transport);
  assertStrictEquals(transport.getExtraInfo("conn"), conn);
  assertEquals(transport.getExtraInfo("peername", null), null);
  transport.close();
  assertEquals(await peer.read(new Uint8Array(1)), null);
  peer.close();
});

Deno.test("a connection that is made, used and closed in order needs no timers, which Deno loads at their first use", async () => {
  const program = `
    const used = [];
    for (const name of ["setTimeout", "clearTimeout", "setInterval", "setImmediate"]) {
      const original = globalThis[name];
      globalThis[name] = (...args) => { used.push(name); return original(...args); };
    }
    const { openConnection, startServer } = await import("${new URL("../../mod.ts", import.meta.url)}");
    const server = await startServer(async (reader, writer) => {
      writer.write(await reader.read(100));
      await writer.drain();
    }, { hostname: "127.0.0.1", port: 0 });
    const { reader, writer } = await openConnection({ port: server.addrs[0].port });
    writer.write("x");
    await reader.read();
    await writer.close();
    console.log(JSON.stringify(used));
    server.close();
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", `data:application/javascript,${encodeURIComponent(program)}`],
  }).output();
  assertEquals(JSON.parse(new TextDecoder().decode(stdout)), []);
});

Deno.test("with the permission for a name alone, the name is reached", async () => {
  const { hostname, port } = await new Promise<Deno.NetAddr>((resolve) => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    resolve(listener.addr);
    listener.accept().then((conn) => conn.close()).finally(() => listener.close());
  });
  assertEquals(hostname, "127.0.0.1");
  const program = `
    import { openConnection } from "@tideline/net";
    const { reader, writer } = await openConnection({ hostname: "localhost", port: ${port} });
    console.log((await reader.read()).length);
    await writer.close();
    for (const hostname of ["127.0.0.1", "other.example"]) {
      console.log(await openConnection({ hostname, port: ${port} }).catch((e) => e.name));
    }
  `;
  const { stdout, stderr } = await runProgram(program, { permissions: [`--allow-net=localhost:${port}`] });
  assertEquals(stderr, "");
  assertEquals(stdout, "0\nNotCapable\nNotCapable\n");
});

Deno.test("openDescriptors() tells of what is open, so that the tests above can fail", async () => {
  const before = openDescriptors();
  const server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1", port: 0 });
  const conns = await Promise.all(Array.from({ length: 100 }, () => Deno.connect({ port: portOf(server) })));
  await until(() => server.connections === 100);
  assertGreaterOrEqual(openDescriptors(), before + 180);
  for (const conn of conns) conn.close();
  await server.shutdown();
  await until(() => openDescriptors() <= before);
});

Deno.test("what is no host, or not known as one, is NotFound, for servers and for clients", async () => {
  for (const hostname of ["a b", "::g", "999.1.1.1"]) {
    for (
      const open of [() => openConnection({ hostname, port: 1 }), () => startServer(() => {}, { hostname, port: 0 })]
    ) {
      const error = await assertRejects<Error>(open, Deno.errors.NotFound);
      assertStringIncludes(error.message, `"${hostname}`);
    }
  }
});

Deno.test("a local address without its permission is NotCapable, in the call, and the process goes on [V3]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const program = `
    import { openConnection } from "@tideline/net";
    for (const localAddr of [{ hostname: "127.0.0.7" }, { port: 45123 }, { hostname: "127.0.0.7", port: 45123 }]) {
      const error = await openConnection({ port: ${port}, localAddr }).catch((error) => error);
      console.log(error instanceof Deno.errors.NotCapable, error.message);
    }
    // The peer's own permission is another one.
    const localAddr = { hostname: "127.0.0.8" };
    const error = await openConnection({ port: 9, localAddr }).catch((error) => error);
    console.log(error instanceof Deno.errors.NotCapable, error.message.startsWith("Cannot connect to "));
    await new Promise((resolve) => setTimeout(resolve, 1));
    console.log("alive");
  `;
  const { stdout, stderr, code } = await runProgram(program, {
    permissions: [`--allow-net=127.0.0.1:${port},127.0.0.8`],
  });
  assertEquals(stderr, "");
  const line = (host: string) =>
    `true Cannot connect to "127.0.0.1" at "127.0.0.1:${port}": ` +
    `the local address needs the permission --allow-net=${host}\n`;
  assertEquals(stdout, ["127.0.0.7:0", "0.0.0.0:45123", "127.0.0.7:45123"].map(line).join("") + "true true\nalive\n");
  assertEquals(code, 0);
});

Deno.test("every permission error of opening is a rejection that says what could not be done [V3]", async () => {
  const program = `
    import * as net from "@tideline/net";
    import * as sock from "${import.meta.resolve("../../src/sock/mod.ts")}";
    const calls = {
      name: () => net.openConnection({ hostname: "localhost", port: 1 }),
      family: () => net.openConnection({ hostname: "localhost", port: 1, family: 4 }),
      address: () => net.openConnection({ port: 1 }),
      path: () => net.openConnection({ path: "/tmp/s" }),
      abstract: () => net.openConnection({ path: "\\0s" }),
      serve: () => net.startServer(() => {}, { port: 0 }),
      serveName: () => net.startServer(() => {}, { hostname: "localhost" }),
      serveBoth: () => net.startServer(() => {}, { hostname: ["0.0.0.0", "::"] }),
      serveUnix: () => net.startUnixServer(() => {}, { path: "/tmp/s" }),
      serveRelative: () => net.startUnixServer(() => {}, { path: "s" }),
      serveAbstract: () => net.startUnixServer(() => {}, { path: "\\0s" }),
      sockConnect: () => sock.sockConnect({ port: 1 }),
      sockConnectUnix: () => sock.sockConnect({ transport: "unix", path: "/tmp/s" }),
    };
    for (const [name, call] of Object.entries(calls)) {
      let promise;
      try {
        promise = call();
      } catch (error) {
        console.log(name, "threw", error);
        continue;
      }
      const error = await promise.then(() => null, (error) => error);
      const isTyped = error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied;
      if (!isTyped || !error.message.startsWith("Cannot ")) console.log(name, error);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
    console.log("alive");
  `;
  const { stdout, stderr } = await runProgram(program, { permissions: [] });
  assertEquals(stderr, "");
  assertEquals(stdout, "alive\n");
});

Deno.test("a name with several addresses that all fail: an AggregateError of each, and node:dns is loaded only then [V3]", async () => {
  // "localhost" may have one address here, so that the two are made up.
  const program = `
    const addresses = [{ address: "127.0.0.1", family: 4 }, { address: "127.0.0.2", family: 4 }];
    let lookups = 0;
    const dns = (await import("node:dns")).default;
    dns.promises.lookup = async () => (lookups++, addresses);
    (await import("node:module")).syncBuiltinESMExports();
    const { openConnection } = await import("@tideline/net");
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const { writer } = await openConnection({ hostname: "localhost", port });
    writer.abort();
    listener.close();
    console.log(lookups);
    const error = await openConnection({ hostname: "localhost", port }).catch((error) => error);
    console.log(error.name, error.errors?.map((error) => error.name).join() ?? "", lookups);
    console.log(error.message.replaceAll(port, "PORT"));
  `;
  const several = await runProgram(program);
  assertEquals(several.stderr, "");
  const lines = several.stdout.trimEnd().split("\n");
  assertEquals(lines.slice(0, 2), ["0", "AggregateError ConnectionRefused,ConnectionRefused 1"]);
  assertMatch(
    lines[2]!,
    /^Cannot connect to "localhost" at "127.0.0.1:PORT": .*; Cannot connect to "localhost" at "127.0.0.2:PORT": /,
  );
});

Deno.test("createConnection() and openConnection() take a path for a Unix socket [V2]", async () => {
  const path = socketPath();
  await using _server = await startUnixServer((_reader, writer) => void writer.write("hello\n"), { path });
  await using connection = await openConnection({ path });
  assertEquals(new TextDecoder().decode(await connection.reader.readline()), "hello\n");
  const { transport } = await createConnection(() => new Protocol(), { path });
  transport.close();
  for (const also of [{ port: 1 }, { hostname: "localhost" }, { noDelay: true }, { family: 4 }, { localAddr: {} }]) {
    await assertRejects(() => openConnection({ path, ...also } as never), TypeError, "does not go together with path");
  }
});
