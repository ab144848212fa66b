/** What a server promises: V4 to V7 of the contract, over every kind of address, and over a listener that fails at will. */
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertLessOrEqual,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  createServer,
  type ErrorContext,
  openConnection,
  Protocol,
  setExceptionHandler,
  startServer,
} from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { FakeListener } from "./fake_listener.ts";
import {
  certificate,
  EchoProtocol,
  hasIpv6,
  kinds,
  openDescriptors,
  plainKinds,
  portOf,
  tlsKinds,
  until,
} from "./kit.ts";

for (const kind of kinds) {
  Deno.test(`${kind.name}: a server serves, echoes and ends [V5]`, async () => {
    const server = await kind.createServer(() => new EchoProtocol());
    assert(server.isServing());
    assertEquals(server.addrs.length, 1);
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("hello");
    assertEquals(new TextDecoder().decode(await protocol.waitForBytes(5)), "hello");
    assertEquals(server.connections, 1);
    transport.close();
    await protocol.waitFor("connectionLost");
    await until(() => server.connections === 0);
    server.close();
    await server.waitClosed();
    assertEquals(server.addrs, []);
    assertFalse(server.isServing());
  });

  Deno.test(`${kind.name}: Server.close() lets open connections go on, and may be called again [V5]`, async () => {
    const server = await kind.createServer(() => new EchoProtocol());
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    await until(() => server.connections === 1);
    server.close();
    server.close();
    assertEquals(server.addrs, []);
    await assertRejects(() => server.startServing(), Error, "Cannot start serving: the server is closed");
    let closed = false;
    const waiting = server.waitClosed().then(() => closed = true);
    transport.write("still there");
    await protocol.waitForBytes(11);
    assertFalse(closed);
    assertEquals(server.connections, 1);
    transport.close();
    await waiting;
    assertEquals(server.connections, 0);
    await server.waitClosed();
    await protocol.waitFor("connectionLost");
  });

  Deno.test(`${kind.name}: startServing: false binds and does not serve [V4]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol(), { startServing: false });
    assertFalse(server.isServing());
    assertEquals(server.addrs.length, 1);
    const connecting = kind.createConnection(() => new RecordingProtocol(), server);
    if (!kind.tls) await connecting;
    await turns(5);
    assertEquals(server.connections, 0);
    await server.startServing();
    await server.startServing();
    assert(server.isServing());
    const { transport, protocol } = await connecting;
    await until(() => server.connections === 1);
    transport.abort();
    await protocol.waitFor("connectionLost");
  });

  Deno.test(`${kind.name}: at maxConnections accepting stops until one ends [V7]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol(), { maxConnections: 2 });
    const first = await kind.createConnection(() => new RecordingProtocol(), server);
    const second = await kind.createConnection(() => new RecordingProtocol(), server);
    await until(() => server.connections === 2);
    // TCP and Unix clients are connected by the system; that of TLS has to wait.
    const third = kind.createConnection(() => new RecordingProtocol(), server);
    third.then(({ transport }) => transport.write("third"));
    first.transport.write("a");
    second.transport.write("b");
    await first.protocol.waitForBytes(1);
    await second.protocol.waitForBytes(1);
    assertEquals(server.connections, 2);
    first.transport.close();
    await first.protocol.waitFor("connectionLost");
    const { transport, protocol } = await third;
    await protocol.waitForBytes(5);
    assertEquals(server.connections, 2);
    for (const each of [second, { transport, protocol }]) {
      each.transport.close();
      await each.protocol.waitFor("connectionLost");
    }
  });

  Deno.test(`${kind.name}: shutdown() waits the grace for connections to end by themselves [V5]`, async () => {
    const server = await kind.createServer(() => new EchoProtocol());
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    await until(() => server.connections === 1);
    const done = server.shutdown({ grace: 60_000 });
    transport.write("bye");
    await protocol.waitForBytes(3);
    transport.close();
    await done;
    await protocol.waitFor("connectionLost");
    assertEquals(server.connections, 0);
  });

  Deno.test(`${kind.name}: dispose closes the connections, after what was written is sent [V5]`, async () => {
    const message = new Uint8Array(300_000).fill(7);
    class Greeter extends RecordingProtocol {
      override connectionMade(transport: never): void {
        super.connectionMade(transport);
        this.transport.write(message);
      }
    }
    const server = await kind.createServer(() => new Greeter());
    const { protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    await until(() => server.connections === 1);
    await server[Symbol.asyncDispose]();
    assertEquals(server.connections, 0);
    assertEquals((await protocol.waitForBytes(message.length)).length, message.length);
    await protocol.waitFor("connectionLost");
  });

  Deno.test(`${kind.name}: closeClients() and abortClients() end the connections, not the server [V5]`, async () => {
    for (const end of ["closeClients", "abortClients"] as const) {
      await using server = await kind.createServer(() => new EchoProtocol());
      const clients = await Promise.all(
        [1, 2, 3].map(() => kind.createConnection(() => new RecordingProtocol(), server)),
      );
      await until(() => server.connections === 3);
      server[end]();
      for (const { protocol } of clients) await protocol.waitFor("connectionLost");
      await until(() => server.connections === 0);
      assert(server.isServing());
      const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
      transport.write("x");
      await protocol.waitForBytes(1);
      transport.close();
      await protocol.waitFor("connectionLost");
    }
  });

  Deno.test(`${kind.name}: a signal in the options closes the server, and its listener is not kept [V5]`, async () => {
    const controller = new AbortController();
    const server = await kind.createServer(() => new EchoProtocol(), { signal: controller.signal });
    controller.abort();
    assertEquals(server.addrs, []);
    await server.waitClosed();
    const reason = new Error("not now");
    const before = openDescriptors();
    const error = await assertRejects(() =>
      kind.createServer(() => new EchoProtocol(), { signal: AbortSignal.abort(reason) })
    );
    assertStrictEquals(error, reason);
    assertLessOrEqual(openDescriptors(), before);
  });
}

Deno.test("shutdown() is bounded: grace, closeClients(), grace, abortClients() [V5]", async () => {
  // A client that neither ends nor reads, of a server that has too much to send.
  const calls: [what: string, at: number][] = [];
  const begun = performance.now();
  const note = (what: string) => calls.push([what, performance.now() - begun]);
  const listener = new FakeListener();
  class Talker extends Protocol {
    override connectionMade(transport: Parameters<Protocol["connectionMade"]>[0]): void {
      transport.write(new Uint8Array(1_000_000));
      const { close, abort } = transport;
      transport.close = () => (note("close"), close.call(transport));
      transport.abort = () => (note("abort"), abort.call(transport));
    }
    override connectionLost(error: Error | null): void {
      note(`lost ${error}`);
    }
  }
  const server = await createServer(() => new Talker(), { listener });
  const client = listener.connect();
  await until(() => server.connections === 1);
  await server.shutdown({ grace: 100 });
  const names = calls.map(([what]) => what);
  assertEquals(names, ["close", "abort", "lost null"]);
  const [close, abort] = calls.map(([, at]) => at);
  assertGreaterOrEqual(close!, 99);
  assertGreaterOrEqual(abort! - close!, 99);
  assertLess(abort!, 2000);
  client.close();
});

Deno.test("shutdown({ grace: 0 }) ends everything at once [V5]", async () => {
  const listener = new FakeListener();
  const server = await createServer(() => new RecordingProtocol(), { listener });
  const client = listener.connect();
  await until(() => server.connections === 1);
  const begun = performance.now();
  await server.shutdown({ grace: 0 });
  assertLess(performance.now() - begun, 500);
  assertEquals(server.connections, 0);
  client.close();
});

Deno.test("shutdown() refuses a grace that is none [V5]", async () => {
  await using server = await createServer(() => new Protocol(), { port: 0, hostname: "127.0.0.1" });
  await assertRejects(() => server.shutdown({ grace: -1 }), RangeError, "grace must be at least 0 ms, not -1");
  await assertRejects(() => server.shutdown({ grace: NaN }), RangeError, "NaN");
  await assertRejects(() => server.shutdown({ grace: "1" as never }), TypeError, "grace must be a number");
  await assertRejects(() => server.shutdown({ graze: 1 } as never), TypeError, 'there is no option "graze"');
  assert(server.isServing());
});

Deno.test("shutdown() may be called twice at a time, with an endless grace too [V5]", async () => {
  const listener = new FakeListener();
  const server = await createServer(() => new RecordingProtocol(), { listener });
  const client = listener.connect();
  await until(() => server.connections === 1);
  const patient = server.shutdown({ grace: Infinity });
  await server.shutdown({ grace: 0 });
  await patient;
  client.close();
});

Deno.test("serveForever() ends when the server is closed, and begins to serve [V5]", async () => {
  const server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0, startServing: false });
  const serving = server.serveForever();
  await turns();
  assert(server.isServing());
  server.close();
  await serving;
  await assertRejects(() => server.serveForever(), Error, "Cannot start serving: the server is closed");
});

Deno.test("serveForever(): a second one at a time is Busy, one after the other is not [V5]", async () => {
  const server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  // Not even a turn between the two.
  const first = server.serveForever({ signal: controller.signal });
  const second = server.serveForever();
  await assertRejects(() => second, Deno.errors.Busy, "Cannot serve forever");
  assert(server.isServing());
  controller.abort();
  await first;
  assertFalse(server.isServing());
  assertEquals(server.addrs, []);
});

Deno.test("serveForever() with a signal that has aborted closes the server at once [V5]", async () => {
  const server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 });
  await server.serveForever({ signal: AbortSignal.abort() });
  assertEquals(server.addrs, []);
  await assertRejects(() => server.serveForever({ signal: {} as never }), TypeError, "signal must be an AbortSignal");
});

Deno.test("serveForever(): a signal that aborts later, when the server is closed, does nothing [V5]", async () => {
  const controller = new AbortController();
  const server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 });
  const serving = server.serveForever({ signal: controller.signal });
  server.close();
  await serving;
  controller.abort();
});

Deno.test("several hosts are bound once each [V4]", async () => {
  const hostname = hasIpv6 ? ["127.0.0.1", "::1", "127.0.0.1"] : ["127.0.0.1", "127.0.0.2", "127.0.0.1"];
  await using server = await createServer(() => new EchoProtocol(), { hostname, port: 0 });
  assertEquals(server.addrs.map((addr) => (addr as Deno.NetAddr).hostname), hostname.slice(0, 2));
  for (const addr of server.addrs) {
    const { hostname, port } = addr as Deno.NetAddr;
    await using connection = await openConnection({ hostname, port });
    connection.writer.write("x");
    await connection.reader.readexactly(1);
  }
});

Deno.test("several hosts are bound all or none [V4]", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.2", port: 0 });
  const { port } = taken.addr;
  for (const tls of [undefined, { cert: certificate.cert, key: certificate.key }]) {
    const options = { hostname: ["127.0.0.1", "127.0.0.2"], port, ...(tls && { tls }) };
    const error = await assertRejects(() => createServer(() => new Protocol(), options), Deno.errors.AddrInUse);
    assert(error.message.startsWith(`Cannot listen on "127.0.0.2:${port}": `), error.message);
    // The first one is free again.
    Deno.listen({ hostname: "127.0.0.1", port }).close();
  }
});

Deno.test("a taken port is AddrInUse, another machine's address AddrNotAvailable [V4]", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  await assertRejects(
    () => createServer(() => new Protocol(), { hostname: "127.0.0.1", port }),
    Deno.errors.AddrInUse,
    `Cannot listen on "127.0.0.1:${port}"`,
  );
  await assertRejects(
    () => createServer(() => new Protocol(), { hostname: "192.0.2.1", port: 0 }),
    Deno.errors.AddrNotAvailable,
    'Cannot listen on "192.0.2.1:0"',
  );
});

Deno.test("the cap holds over all hosts of a server together [V7]", async () => {
  // Each listener has an accept under way when the last place goes: the client that it brings waits for the next.
  const hostname = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
  await using server = await createServer(() => new EchoProtocol(), { hostname, port: 0, maxConnections: 1 });
  let most = 0;
  const clients = server.addrs.flatMap((addr) => [addr, addr]).map(async (addr) => {
    const { hostname, port } = addr as Deno.NetAddr;
    await using connection = await openConnection({ hostname, port });
    connection.writer.write("x");
    await connection.reader.readexactly(1);
    most = Math.max(most, server.connections);
  });
  await Promise.all(clients);
  assertEquals(most, 1);
});

Deno.test("a client that waits for a place when the server closes is closed [V7]", async () => {
  const listeners = ["127.0.0.1", "127.0.0.2"];
  const server = await createServer(() => new EchoProtocol(), { hostname: listeners, port: 0, maxConnections: 1 });
  const [a, b] = server.addrs as Deno.NetAddr[];
  await using first = await openConnection({ hostname: a!.hostname, port: a!.port });
  first.writer.write("x");
  await first.reader.readexactly(1);
  await using second = await openConnection({ hostname: b!.hostname, port: b!.port });
  server.close();
  assertEquals(await second.reader.read(), new Uint8Array());
  first.writer.write("y");
  await first.reader.readexactly(1);
  await first.writer.close();
  await server.waitClosed();
});

Deno.test("an accept error of a single client is ignored [V6]", async () => {
  const errors: Error[] = [];
  const listener = new FakeListener();
  await using server = await createServer(() => new EchoProtocol(), { listener, onError: (e) => errors.push(e) });
  listener.fail(new Deno.errors.ConnectionReset("Connection reset by peer (os error 104)"));
  listener.fail(new Deno.errors.ConnectionAborted("Software caused connection abort (os error 103)"));
  listener.fail(new Deno.errors.NotConnected("Socket is not connected (os error 107)"));
  const client = listener.connect();
  await client.write(new Uint8Array([1]));
  assertEquals(await client.read(new Uint8Array(9)), 1);
  assertEquals(errors, []);
  assert(server.isServing());
  client.close();
});

Deno.test("an accept error of the system is reported, and retried after a second; the server lives [V6]", async () => {
  const reports: [Error, ErrorContext][] = [];
  const listener = new FakeListener();
  const onError = (error: Error, context: ErrorContext) => reports.push([error, context]);
  await using server = await createServer(() => new EchoProtocol(), { listener, onError });
  const other = listener.connect();
  await until(() => server.connections === 1);
  const cause = new Error("Too many open files (os error 24)");
  listener.fail(cause);
  await until(() => reports.length === 1);
  const [error, context] = reports[0]!;
  assertStrictEquals(error, cause);
  assertStrictEquals(context.error, error);
  assertStrictEquals(context.server, server);
  assertEquals(context.message, "Cannot accept connections for a while");
  assert(server.isServing());
  const failed = performance.now();
  const accepts = listener.accepts.length;
  // The end of another connection does not shorten the wait.
  other.close();
  const client = listener.connect();
  await client.write(new Uint8Array([1]));
  assertEquals(await client.read(new Uint8Array(9)), 1);
  const waited = listener.accepts[accepts]! - failed;
  assertGreaterOrEqual(waited, 900);
  assertLess(waited, 3000);
  client.close();
});

Deno.test("closing a server that waits after an accept error ends the wait [V6]", async () => {
  const listener = new FakeListener();
  const errors: Error[] = [];
  const server = await createServer(() => new EchoProtocol(), { listener, onError: (e) => errors.push(e) });
  listener.fail(new Error("Too many open files (os error 24)"));
  await until(() => errors.length === 1);
  const begun = performance.now();
  server.close();
  await server.waitClosed();
  assertLess(performance.now() - begun, 500);
  assertEquals(listener.accepts.length, 1);
});

Deno.test("closing a server from its onError ends it at once [V6]", async () => {
  const listener = new FakeListener();
  const server = await createServer(() => new EchoProtocol(), { listener, onError: () => server.close() });
  const begun = performance.now();
  listener.fail(new Error("Too many open files (os error 24)"));
  await server.waitClosed();
  assertLess(performance.now() - begun, 500);
});

Deno.test("after waitClosed() the address may be bound again [V5]", async () => {
  let port = 0;
  for (let i = 0; i < 5; i++) {
    const server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1", port });
    port = portOf(server);
    if (i % 2 === 0) await turns(i);
    server.close();
    await server.waitClosed();
  }
});

Deno.test("without onError accept errors go to the exception handler; one that throws does no harm [V6]", async () => {
  const contexts: ErrorContext[] = [];
  const printed: unknown[] = [];
  const { error: print } = console;
  setExceptionHandler((context) => contexts.push(context));
  console.error = (...args) => printed.push(args);
  try {
    const plain = new FakeListener();
    await using server = await createServer(() => new Protocol(), { listener: plain });
    plain.fail(new Error("Too many open files (os error 24)"));
    await until(() => contexts.length === 1);
    assertStrictEquals(contexts[0]!.server, server);

    const listener = new FakeListener();
    await using other = await createServer(() => new EchoProtocol(), {
      listener,
      onError() {
        throw new Error("the handler is broken as well");
      },
    });
    listener.fail(new Error("Too many open files (os error 24)"));
    await until(() => printed.length === 2);
    const client = listener.connect();
    await client.write(new Uint8Array([1]));
    assertEquals(await client.read(new Uint8Array(9)), 1);
    assert(other.isServing());
    client.close();
  } finally {
    console.error = print;
    setExceptionHandler(null);
  }
});

Deno.test("a listener that somebody else closes closes the server, with one report [V6]", async () => {
  const errors: Error[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = await createServer(() => new Protocol(), { listener, onError: (e) => errors.push(e) });
  const serving = server.serveForever();
  listener.close();
  await serving;
  assertEquals(server.addrs, []);
  assertEquals(errors.length, 1);
  assertInstanceOf(errors[0], Deno.errors.ConnectionAborted);
  await server.waitClosed();
});

Deno.test("a protocol factory that throws is reported; the client is closed, the server lives [V6]", async () => {
  const reports: ErrorContext[] = [];
  const oops = new Error("no protocol today");
  let broken = true;
  const factory = () => {
    if (broken) throw oops;
    return new EchoProtocol();
  };
  const options = {
    hostname: "127.0.0.1",
    port: 0,
    onError: (_: Error, context: ErrorContext) => reports.push(context),
  };
  await using server = await createServer(factory, options);
  {
    await using client = await openConnection({ port: portOf(server) });
    assertEquals((await client.reader.read()).length, 0);
  }
  assertEquals(reports.length, 1);
  assertStrictEquals(reports[0]!.error, oops);
  assertStrictEquals(reports[0]!.server, server);
  assertEquals(server.connections, 0);
  broken = false;
  await using client = await openConnection({ port: portOf(server) });
  client.writer.write("x");
  await client.reader.readexactly(1);
});

Deno.test("connections counts from connectionMade to connectionLost [V7]", async () => {
  const counts: [string, number][] = [];
  const listener = new FakeListener();
  class Counter extends Protocol {
    override connectionMade(): void {
      counts.push(["made", server.connections]);
    }
    override connectionLost(): void {
      counts.push(["lost", server.connections]);
    }
  }
  const server = await createServer(() => new Counter(), { listener });
  const [a, b] = [listener.connect(), listener.connect()];
  await until(() => counts.length === 2);
  a.close();
  await until(() => counts.length === 3);
  b.close();
  await until(() => counts.length === 4);
  assertEquals(counts, [["made", 1], ["made", 2], ["lost", 2], ["lost", 1]]);
  assertEquals(server.connections, 0);
  await server.shutdown();
});

Deno.test("a connectionMade that throws gives its place back [V7, C6]", async () => {
  const errors: Error[] = [];
  class Broken extends Protocol {
    override connectionMade(): void {
      throw new Error("oops");
    }
  }
  const listener = new FakeListener();
  await using server = await createServer(() => new Broken(), {
    listener,
    maxConnections: 1,
    onError: (e) => errors.push(e),
  });
  for (const client of [listener.connect(), listener.connect(), listener.connect()]) {
    assertEquals(await client.read(new Uint8Array(1)), null);
    client.close();
  }
  assertEquals(errors.map(({ message }) => message), ["oops", "oops", "oops"]);
  await until(() => server.connections === 0);
});

Deno.test("the errors of protocols of a server go to its onError, with the server [C6]", async () => {
  const reports: ErrorContext[] = [];
  class Broken extends Protocol {
    override dataReceived(): void {
      throw new Error("oops");
    }
  }
  const listener = new FakeListener();
  await using server = await createServer(() => new Broken(), {
    listener,
    onError: (_, context) => reports.push(context),
  });
  const client = listener.connect();
  await client.write(new Uint8Array([1]));
  assertEquals(await client.read(new Uint8Array(1)), null);
  assertEquals(reports.length, 1);
  assertStrictEquals(reports[0]!.server, server);
  assertInstanceOf(reports[0]!.protocol, Broken);
  assert(reports[0]!.transport?.isClosing());
  client.close();
});

Deno.test("a listener given is served, and closed with the server [V4]", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  {
    await using server = await createServer(() => new EchoProtocol(), { listener });
    assertEquals(server.addrs, [listener.addr]);
    await using client = await openConnection({ port });
    client.writer.write("x");
    await client.reader.readexactly(1);
  }
  Deno.listen({ hostname: "127.0.0.1", port }).close();
});

Deno.test("a listener that speaks TLS is served after each handshake, and closed in order [T2, W7]", async () => {
  const { cert, key, caCert } = certificate;
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key, alpnProtocols: ["x/1"] });
  const seen: unknown[] = [];
  await using server = await startServer(async (_reader, writer) => {
    seen.push(writer.getExtraInfo("tls")?.alpnProtocol);
    writer.write(new Uint8Array(500_000));
    await writer.drain();
  }, { listener });
  for (let i = 0; i < 3; i++) {
    await using client = await openConnection({
      hostname: "127.0.0.1",
      port: portOf(server),
      tls: { caCerts: [caCert], alpnProtocols: ["x/1"] },
    });
    assertEquals((await client.reader.read()).length, 500_000);
  }
  assertEquals(seen, ["x/1", "x/1", "x/1"]);
});

Deno.test("TCP_NODELAY is on unless told otherwise, at both ends, and keepAlive as told [V1]", async () => {
  const [probe, other] = await (async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  })();
  const prototype = Object.getPrototypeOf(probe);
  const { setNoDelay, setKeepAlive } = prototype;
  probe.close();
  other.close();
  const calls: [string, boolean | undefined][] = [];
  prototype.setNoDelay = function (on?: boolean) {
    calls.push(["noDelay", on]);
    return setNoDelay.call(this, on);
  };
  prototype.setKeepAlive = function (on?: boolean) {
    calls.push(["keepAlive", on]);
    return setKeepAlive.call(this, on);
  };
  try {
    for (
      const [options, expected] of [
        [{}, [["noDelay", true]]],
        [{ noDelay: true }, [["noDelay", true]]],
        [{ noDelay: false }, [["noDelay", false]]],
        [{ keepAlive: true }, [["noDelay", true], ["keepAlive", true]]],
        [{ keepAlive: false, noDelay: false }, [["noDelay", false], ["keepAlive", false]]],
      ] as const
    ) {
      calls.length = 0;
      await using server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1", port: 0, ...options });
      const raw = await Deno.connect({ port: portOf(server) });
      await until(() => server.connections === 1);
      assertEquals(calls as unknown, expected);
      raw.close();
      calls.length = 0;
      await using _client = await openConnection({ port: portOf(server), ...options });
      assertEquals(calls.slice(0, expected.length) as unknown, expected);
    }
  } finally {
    Object.assign(prototype, { setNoDelay, setKeepAlive });
  }
});

for (const kind of tlsKinds) {
  Deno.test(`${kind.name}: the cap counts handshakes under way [V7]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol(), { maxConnections: 1, onError: () => {} });
    const silent = await Deno.connect({ port: portOf(server) });
    const waiting = kind.createConnection(() => new RecordingProtocol(), server);
    let connected = false;
    waiting.then(() => connected = true);
    // A round trip of the system and back: nothing brings the second client on until the first is gone.
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    for (let i = 0; i < 20; i++) {
      const [a, b] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
      a.close();
      b.close();
    }
    assertFalse(connected);
    assertEquals(server.connections, 0);
    silent.close();
    const { transport, protocol } = await waiting;
    transport.close();
    await protocol.waitFor("connectionLost");
  });

  Deno.test(`${kind.name}: a failed handshake is reported, reaches no protocol, and delays nobody [T2]`, async () => {
    const reports: ErrorContext[] = [];
    let made = 0;
    await using server = await kind.createServer(() => {
      made++;
      return new EchoProtocol();
    }, { onError: (_, context) => reports.push(context) });
    const silent = await Deno.connect({ port: portOf(server) });
    const rude = await Deno.connect({ port: portOf(server) });
    await rude.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("x");
    await protocol.waitForBytes(1);
    await until(() => reports.length === 1);
    assertInstanceOf(reports[0]!.error, Deno.errors.InvalidData);
    assertEquals(reports[0]!.message, "Cannot serve a client: the TLS handshake failed");
    assertStrictEquals(reports[0]!.server, server);
    assertEquals(made, 1);
    assertEquals(server.connections, 1);
    transport.close();
    await protocol.waitFor("connectionLost");
    silent.close();
    rude.close();
  });

  Deno.test(`${kind.name}: Server.close() drops the handshakes under way, silently [V5]`, async () => {
    const errors: Error[] = [];
    const server = await kind.createServer(() => new EchoProtocol(), { onError: (e) => errors.push(e) });
    const silent = await Deno.connect({ port: portOf(server) });
    // The server has accepted the first when it serves the second.
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    server.close();
    transport.close();
    await protocol.waitFor("connectionLost");
    await server.waitClosed();
    assertEquals(errors, []);
    silent.close();
  });
}

for (const kind of plainKinds) {
  Deno.test(`${kind.name}: ref() and unref() reach the listener, at any time [V9]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol());
    server.unref();
    server.ref();
    server.unref();
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("x");
    await protocol.waitForBytes(1);
    transport.close();
    await protocol.waitFor("connectionLost");
    server.ref();
  });
}
