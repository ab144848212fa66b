/** What a handler is told of its server and of the end [S4, V5], and that a server exists before anyone is told of it [V4]. */
import { assert, assertEquals, assertFalse, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import {
  connPair,
  createConnection,
  createServer,
  type ErrorContext,
  type HandlerContext,
  Protocol,
  type Server,
  startServer,
  StreamReader,
  StreamReaderProtocol,
} from "../../mod.ts";
import { FakeListener } from "../support/fake_listener.ts";
import { kinds } from "../support/servers.ts";
import { until } from "../support/waiting.ts";

for (const kind of kinds) {
  Deno.test(`${kind.name}: a handler's context has the server, and a signal that aborts when shutdown() begins [S4, V5]`, async () => {
    const contexts: HandlerContext[] = [];
    const ended = Promise.withResolvers<void>();
    const server = await kind.startServer(async (_reader, writer, context) => {
      contexts.push(context);
      // Nothing but the signal ends this handler.
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      writer.write("bye\n");
      ended.resolve();
    });
    await using connection = await kind.openConnection(server);
    await until(() => contexts.length === 1);
    const [context] = contexts;
    assertStrictEquals(context!.server, server);
    assertStrictEquals(context!.signal, context!.signal);
    assertFalse(context!.signal.aborted);
    const done = server.shutdown({ grace: 60_000 });
    assert(context!.signal.aborted);
    assertInstanceOf(context!.signal.reason, Deno.errors.ConnectionAborted);
    assertEquals(context!.signal.reason.message, "Cannot go on: the server is shutting down");
    await ended.promise;
    assertEquals(new TextDecoder().decode(await connection.reader.read()), "bye\n");
    await connection.writer.close();
    await done;
  });

  Deno.test(`${kind.name}: a handler's signal aborts when the connection is lost [S4]`, async () => {
    const signals: AbortSignal[] = [];
    await using server = await kind.startServer(async (reader, _writer, { signal }) => {
      signals.push(signal);
      await reader.read();
    });
    const { writer } = await kind.openConnection(server);
    await until(() => signals.length === 1);
    assertFalse(signals[0]!.aborted);
    await writer.close();
    await until(() => signals[0]!.aborted);
  });

  Deno.test(`${kind.name}: close() alone aborts no handler's signal [V5]`, async () => {
    const signals: AbortSignal[] = [];
    await using server = await kind.startServer(async (reader, writer, { signal }) => {
      signals.push(signal);
      for await (const line of reader) writer.write(line);
    });
    await using connection = await kind.openConnection(server);
    await until(() => signals.length === 1);
    server.close();
    connection.writer.write("still\n");
    assertEquals((await connection.reader.readline()).length, 6);
    assertFalse(signals[0]!.aborted);
  });
}

Deno.test("a handler that asks for its signal late gets one that has aborted, with the error of the loss [S4]", async () => {
  const listener = new FakeListener();
  await using _server = await startServer((_reader, _writer, context) => void contexts.push(context), { listener });
  const contexts: HandlerContext[] = [];
  listener.connect().close();
  await until(() => contexts.length === 1);
  const [conn, peer] = connPair();
  const reset = new Deno.errors.ConnectionReset("reset");
  const failing = { ...bound(conn), read: () => Promise.reject(reset) };
  const options = { readAhead: true };
  const handler = (_reader: unknown, _writer: unknown, context: HandlerContext) => void contexts.push(context);
  const made = await createConnection(() => new StreamReaderProtocol(new StreamReader(), handler, options), {
    conn: failing,
  });
  await until(() => made.transport.isClosing());
  await Promise.resolve();
  assert(contexts[1]!.signal.aborted);
  assertStrictEquals(contexts[1]!.signal.reason, reset);
  assertThrows(() => contexts[1]!.server, TypeError, "Cannot tell the server: the protocol was made without one");
  peer.close();
});

function bound(conn: ReturnType<typeof connPair>[0]) {
  return {
    read: conn.read.bind(conn),
    write: conn.write.bind(conn),
    close: conn.close.bind(conn),
  };
}

Deno.test("a handler's signal is made only when it is asked for [S4]", async () => {
  const Original = globalThis.AbortController;
  let made = 0;
  const listener = new FakeListener();
  const contexts: HandlerContext[] = [];
  const server = await startServer((_reader, _writer, context) => void contexts.push(context), { listener });
  globalThis.AbortController = class extends Original {
    constructor() {
      super();
      made++;
    }
  };
  try {
    const clients = [1, 2, 3].map(() => listener.connect());
    await until(() => server.connections === 3);
    const before = made;
    void contexts[1]!.signal;
    assertEquals(made, before + 1);
    await server.shutdown({ grace: 0 });
    assertEquals(made, before + 1);
    assertEquals(before, 0);
    for (const client of clients) client.close();
  } finally {
    globalThis.AbortController = Original;
  }
});

Deno.test("clients in the backlog of a listener given: handlers, factories and onError see the server [V4, S4]", async () => {
  // They are connected before the server is opened, so that the first accept has a client at once.
  const errors: string[] = [];
  const seen: boolean[] = [];
  for (const wrap of [0, 1, 5]) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const clients = await Promise.all([1, 2, 3].map(() => Deno.connect({ port: listener.addr.port })));
    const onError = (error: Error, context: ErrorContext) => {
      errors.push(error.message);
      seen.push(context.server === server);
    };
    const handler = (_reader: unknown, _writer: unknown, context: HandlerContext) => {
      seen.push(context.server === server);
      throw new Error("the handler's own");
    };
    // As many async functions between the call and the variable.
    const open = async (depth: number): Promise<Server> =>
      depth === 0 ? await startServer(handler, { listener, onError }) : await open(depth - 1);
    const server: Server = await open(wrap);
    await until(() => server.stats().accepted === 3 && server.connections === 0);
    for (const client of clients) client.close();
    await server.shutdown();
  }
  assertEquals(errors, Array(9).fill("the handler's own"));
  assertEquals(seen, Array(18).fill(true));
});

Deno.test("a protocol factory gets the server [V4]", async () => {
  const listener = new FakeListener();
  const seen: Server[] = [];
  await using server = await createServer((server) => (seen.push(server), new Protocol()), { listener });
  const client = listener.connect();
  await until(() => server.connections === 1);
  assertStrictEquals(seen[0], server);
  client.close();
});
