/** Handlers of connections: what becomes of the connection when they end, and of everything else when they fail [S4]. */
import { assert, assertEquals, assertFalse, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { type ErrorContext, setExceptionHandler, startServer, type StreamWriter } from "../../mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { FakeListener } from "../support/fake_listener.ts";
import { kinds, portOf } from "../support/servers.ts";
import { pattern, text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

const oops = new Error("oops");

for (const kind of kinds) {
  Deno.test(`${kind.name}: when the promise of a handler settles the connection is closed, after flushing [S4]`, async () => {
    const message = pattern(2_000_000);
    await using server = await kind.startServer((_reader, writer) => {
      writer.write(message);
      return Promise.resolve();
    });
    await using client = await kind.openConnection(server);
    assertEquals(await client.reader.read(), message);
    await client.writer.close();
    await until(() => server.connections === 0);
  });

  Deno.test(`${kind.name}: when it rejects, that is reported, and the connection is closed after flushing [S4]`, async () => {
    const message = pattern(1_000_000);
    const reports: [Error, ErrorContext][] = [];
    await using server = await kind.startServer(async (reader, writer) => {
      await reader.readexactly(1);
      writer.write(message);
      throw oops;
    }, { onError: (error, context) => reports.push([error, context]) });
    await using client = await kind.openConnection(server);
    client.writer.write("x");
    assertEquals(await client.reader.read(), message);
    assertEquals(reports.length, 1);
    const [error, context] = reports[0]!;
    assertStrictEquals(error, oops);
    assertStrictEquals(context.error, oops);
    assertStrictEquals(context.server, server);
    assert(context.transport?.isClosing());
    assertStrictEquals(context.protocol, context.transport?.getProtocol());
    await client.writer.close();
    await until(() => server.connections === 0);
  });

  Deno.test(`${kind.name}: a plain handler that throws counts as one that rejects [S4]`, async () => {
    const errors: Error[] = [];
    await using server = await kind.startServer((_reader, writer) => {
      writer.write("before");
      throw oops;
    }, { onError: (error) => errors.push(error) });
    await using client = await kind.openConnection(server);
    assertEquals(text(await client.reader.read()), "before");
    assertEquals(errors, [oops]);
  });

  Deno.test(`${kind.name}: a plain handler that returns nothing keeps the connection [S4]`, async () => {
    const writers: StreamWriter[] = [];
    await using server = await kind.startServer((_reader, writer) => void writers.push(writer));
    await using client = await kind.openConnection(server);
    await until(() => writers.length === 1);
    await turns(3);
    assertFalse(writers[0]!.isClosing());
    writers[0]!.write("later");
    assertEquals(text(await client.reader.readexactly(5)), "later");
    void writers[0]!.close();
    assertEquals((await client.reader.read()).length, 0);
  });

  Deno.test(`${kind.name}: a failing handler touches no other connection, and not the server [S4]`, async () => {
    const errors: Error[] = [];
    await using server = await kind.startServer(async (reader, writer) => {
      for await (const line of reader) {
        if (text(line) === "fail\n") throw oops;
        writer.write(line);
      }
    }, { onError: (error) => errors.push(error) });
    await using steady = await kind.openConnection(server);
    for (let i = 1; i <= 3; i++) {
      await using failing = await kind.openConnection(server);
      failing.writer.write("fail\n");
      assertEquals((await failing.reader.read()).length, 0);
      steady.writer.write("ok\n");
      assertEquals(text(await steady.reader.readline()), "ok\n");
      assertEquals(errors.length, i);
    }
    assert(server.isServing());
  });
}

Deno.test("a plain handler that returns what is no promise keeps the connection [S4]", async () => {
  const writers: StreamWriter[] = [];
  for (const result of [() => 1, () => null, () => false, () => ({})]) {
    const listener = new FakeListener();
    await using _server = await startServer((_reader, writer) => {
      writers.push(writer);
      return result() as never;
    }, { listener });
    const client = listener.connect();
    await until(() => writers.length === 1);
    await turns(3);
    assertFalse(writers[0]!.isClosing());
    writers.pop()!.abort();
    client.close();
  }
});

Deno.test("a thenable counts as a promise, and what is no Error is reported as one [S4]", async () => {
  const errors: Error[] = [];
  for (const thrown of ["text", 7, undefined, null]) {
    const listener = new FakeListener();
    const onError = (error: Error) => void errors.push(error);
    const handlers = [
      () => ({ then: (_: unknown, reject: (thrown: unknown) => void) => reject(thrown) }) as never,
      () => Promise.reject(thrown),
      () => {
        throw thrown;
      },
    ];
    for (const handler of handlers) {
      const again = new FakeListener();
      await using _server = await startServer(handler, { listener: again, onError });
      const client = again.connect();
      assertEquals(await client.read(new Uint8Array(1)), null);
      client.close();
    }
    listener.close();
  }
  assertEquals(errors.length, 12);
  for (const error of errors) assertInstanceOf(error, Error);
  assertEquals(errors[0]!.message, 'Cannot finish the handler: it threw "text"');
  assertEquals(errors[0]!.cause, "text");
});

Deno.test("without onError the exception handler gets the error, once, with the server [S4]", async () => {
  const contexts: ErrorContext[] = [];
  setExceptionHandler((context) => contexts.push(context));
  try {
    await using server = await startServer(() => Promise.reject(oops), { hostname: "127.0.0.1", port: 0 });
    const conn = await Deno.connect({ port: portOf(server) });
    assertEquals(await conn.read(new Uint8Array(1)), null);
    conn.close();
    assertEquals(contexts.length, 1);
    assertStrictEquals(contexts[0]!.error, oops);
    assertStrictEquals(contexts[0]!.server, server);
    assertEquals(contexts[0]!.message, "Handler failed");
  } finally {
    setExceptionHandler(null);
  }
});

Deno.test("an onError that throws does no harm: the connection is closed, the server lives [S4]", async () => {
  const { error: print } = console;
  const printed: unknown[][] = [];
  console.error = (...args) => printed.push(args);
  try {
    for (
      const handler of [() => Promise.reject(oops), () => {
        throw oops;
      }]
    ) {
      const listener = new FakeListener();
      await using server = await startServer(handler, {
        listener,
        onError() {
          throw new Error("broken as well");
        },
      });
      for (const client of [listener.connect(), listener.connect()]) {
        assertEquals(await client.read(new Uint8Array(1)), null);
        client.close();
      }
      assert(server.isServing());
    }
  } finally {
    console.error = print;
  }
  // Each with its error, and what its report failed with.
  assertEquals(printed.length, 8);
  assert(printed.every((args) => args.includes(oops) || `${args}`.includes("broken as well")), `${printed}`);
});

Deno.test("a handler that fails because its client left is reported as well [S4]", async () => {
  const errors: Error[] = [];
  const listener = new FakeListener();
  await using server = await startServer(async (reader) => void await reader.readexactly(10), {
    listener,
    onError: (error) => errors.push(error),
  });
  const client = listener.connect();
  await client.write(new Uint8Array(3));
  client.close();
  await until(() => errors.length > 0 && server.connections === 0);
  assertEquals(errors.length, 1);
  assertInstanceOf(errors[0], Deno.errors.UnexpectedEof);
});

Deno.test("a handler that closes its writer itself ends in order [S4]", async () => {
  const errors: Error[] = [];
  const listener = new FakeListener();
  await using _server = await startServer(async (_reader, writer) => {
    writer.write("bye");
    await writer.close();
  }, { listener, onError: (error) => errors.push(error) });
  const client = listener.connect();
  const p = new Uint8Array(9);
  assertEquals(await client.read(p), 3);
  assertEquals(await client.read(p), null);
  client.close();
  assertEquals(errors, []);
});
