/** Errors of accepting, of handshakes, of factories and of protocols: where they are reported, and that the server lives [C6, T2, V6]. */
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertStrictEquals,
} from "@std/assert";
import { createServer, type ErrorContext, openConnection, Protocol, setExceptionHandler } from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { FakeListener } from "../support/fake_listener.ts";
import { EchoProtocol, portOf, tlsKinds } from "../support/servers.ts";
import { until } from "../support/waiting.ts";

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

Deno.test("a listener that is closed from outside closes the server, with one report [V6]", async () => {
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

for (const kind of tlsKinds) {
  Deno.test(`${kind.name}: a failed handshake is reported, reaches no protocol, and delays no other client [T2]`, async () => {
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
    assertEquals(reports[0]!.message, "TLS handshake failed");
    assertStrictEquals(reports[0]!.server, server);
    assertEquals(made, 1);
    assertEquals(server.connections, 1);
    transport.close();
    await protocol.waitFor("connectionLost");
    silent.close();
    rude.close();
  });
}
