/** `shutdown()` and disposal: how long a server waits, and what it does when the time is up [V5]. */
import { assert, assertEquals, assertGreaterOrEqual, assertLess, assertRejects } from "@std/assert";
import { createServer, Protocol, setExceptionHandler, startServer } from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { FakeListener } from "../support/fake_listener.ts";
import { EchoProtocol, kinds } from "../support/servers.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

for (const kind of kinds) {
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
}

Deno.test("shutdown() is bounded: closeClients() at four fifths of the grace, abortClients() when it is over [V5]", async () => {
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
  await server.shutdown({ grace: 500 });
  const names = calls.map(([what]) => what);
  assertEquals(names, ["close", "abort", "lost null"]);
  const [close, abort] = calls.map(([, at]) => at);
  assertGreaterOrEqual(close!, 399);
  assertGreaterOrEqual(abort! - close!, 99);
  assertLess(abort!, 3000);
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

// These graces are so long that a connection which waits for their end fails the test.
const LONG = 60_000;

for (const kind of kinds) {
  for (const readAhead of [false, true]) {
    const name = `${kind.name}${readAhead ? ", reading ahead" : ""}`;

    Deno.test(`${name}: shutdown() closes idle streams at once [V5]`, async () => {
      let handled = 0;
      const server = await kind.startServer(async (reader, writer) => {
        for await (const line of reader) writer.write(line);
        handled++;
      }, { readAhead });
      const clients = await Promise.all([1, 2, 3].map(() => kind.openConnection(server)));
      for (const { reader, writer } of clients) {
        writer.write("hello\n");
        assertEquals((await reader.readline()).length, 6);
      }
      await until(() => server.connections === 3);
      const begun = performance.now();
      const done = server.shutdown({ grace: LONG });
      // Over TLS a connection ends when its client has ended it too.
      for (const { reader, writer } of clients) {
        assertEquals((await reader.read()).length, 0);
        await writer.close();
      }
      await done;
      assertLess(performance.now() - begun, LONG / 3);
      assertEquals(handled, 3);
    });

    Deno.test(`${name}: shutdown() lets a request that is being handled be answered whole, and closes then [V5]`, async () => {
      const answer = Promise.withResolvers<void>();
      let requests = 0;
      const server = await kind.startServer(async (reader, writer) => {
        for await (const _line of reader) {
          requests++;
          await answer.promise;
          writer.write(new Uint8Array(300_000).fill(7));
        }
      }, { readAhead });
      const { reader, writer } = await kind.openConnection(server);
      writer.write("request\n");
      await until(() => requests === 1);
      const begun = performance.now();
      const done = server.shutdown({ grace: LONG });
      answer.resolve();
      assertEquals(await reader.read(), new Uint8Array(300_000).fill(7));
      await writer.close();
      await done;
      assertLess(performance.now() - begun, LONG / 3);
      assertEquals(requests, 1);
    });

    Deno.test(`${name}: a stream with a part of a request buffered is not idle: the rest is awaited [V5]`, async () => {
      const received: string[] = [];
      const server = await kind.startServer(async (reader, writer) => {
        received.push(text(await reader.readexactly(1)));
        received.push(text(await reader.readline()));
        writer.write("ok\n");
        received.push(text(await reader.readline()));
      }, { readAhead });
      const { reader, writer } = await kind.openConnection(server);
      writer.write("par");
      await until(() => received.length === 1);
      // The handler waits in readline() with "ar" buffered.
      const done = server.shutdown({ grace: LONG });
      writer.write("t\n");
      assertEquals(text(await reader.read()), "ok\n");
      await writer.close();
      await done;
      assertEquals(received, ["p", "art\n", ""]);
    });
  }

  Deno.test(`${kind.name}: shutdown() waits for a stream with bytes unsent, and closes it when they are sent [V5]`, async () => {
    const size = 20_000_000;
    const waits = Promise.withResolvers<void>();
    const server = await kind.startServer(async (reader, writer) => {
      writer.write(new Uint8Array(size));
      waits.resolve();
      await reader.readline();
    });
    const { reader, writer } = await kind.openConnection(server);
    await waits.promise;
    const done = server.shutdown({ grace: LONG });
    let received = 0;
    for (let bytes = await reader.read(65536); bytes.length > 0; bytes = await reader.read(65536)) {
      received += bytes.length;
    }
    assertEquals(received, size);
    await writer.close();
    await done;
  });

  Deno.test(`${kind.name}: serverClosing() is called once, first of all, and a protocol may end in its own way [V5]`, async () => {
    const events: string[] = [];
    class Polite extends RecordingProtocol {
      serverClosing(): void {
        events.push("serverClosing");
        this.transport.write("goodbye\n");
        this.transport.close();
      }
      override connectionLost(error: Error | null): void {
        events.push("connectionLost");
        super.connectionLost(error);
      }
    }
    const server = await kind.createServer(() => new Polite());
    const { reader, writer } = await kind.openConnection(server);
    await until(() => server.connections === 1);
    const done = Promise.all([server.shutdown({ grace: LONG }), server.shutdown({ grace: LONG })]);
    assertEquals(text(await reader.read()), "goodbye\n");
    await writer.close();
    await done;
    assertEquals(events, ["serverClosing", "connectionLost"]);
  });
}

Deno.test("serverClosing() that throws is reported, and the shutdown goes on; one that is missing is not [V5, C11]", async () => {
  const errors: string[] = [];
  const thrown = [new Error("oops"), Symbol("oops"), null];
  let made = 0;
  const listener = new FakeListener();
  const server = await createServer(() => {
    const protocol = new RecordingProtocol();
    const error = thrown[made++];
    if (error === undefined) return protocol;
    return Object.assign(protocol, {
      serverClosing() {
        throw error;
      },
    });
  }, { listener, onError: (error) => void errors.push(error.message) });
  const clients = [1, 2, 3, 4].map(() => listener.connect());
  await until(() => server.connections === 4);
  await server.shutdown({ grace: 50 });
  assertEquals(server.connections, 0);
  assertEquals(errors.length, 3);
  assertEquals(errors[0], "oops");
  for (const client of clients) client.close();
});

Deno.test("the grace is the total: a handler that never ends is over when it is over [V5]", async () => {
  const listener = new FakeListener();
  const lost: (Error | null)[] = [];
  const server = await createServer(
    () => Object.assign(new RecordingProtocol(), { connectionLost: (error: Error | null) => void lost.push(error) }),
    {
      listener,
    },
  );
  const client = listener.connect();
  await until(() => server.connections === 1);
  const begun = performance.now();
  await server.shutdown({ grace: 400 });
  const elapsed = performance.now() - begun;
  // It has nothing to send, so that the flush takes no time.
  assertGreaterOrEqual(elapsed, 319);
  assertLess(elapsed, 3000);
  assertEquals(lost, [null]);
  client.close();
});

Deno.test("dispose tells protocols and handlers of the end too, and a shutdown after close() does [V5]", async () => {
  for (const end of ["dispose", "shutdown"] as const) {
    const listener = new FakeListener();
    const signals: AbortSignal[] = [];
    const server = await startServer(async (reader, _writer, { signal }) => {
      signals.push(signal);
      await reader.read();
    }, { listener });
    const client = listener.connect();
    await until(() => signals.length === 1);
    server.close();
    assert(!signals[0]!.aborted);
    const done = end === "dispose" ? server[Symbol.asyncDispose]() : server.shutdown();
    assert(signals[0]!.aborted);
    await done;
    client.close();
  }
});

Deno.test("a handler that rejects with the reason of its signal is told to onError only, and prints nothing [S4, V5]", async () => {
  const errors: Error[] = [];
  for (const onError of [undefined, (error: Error) => void errors.push(error)]) {
    const listener = new FakeListener();
    const reports: unknown[] = [];
    const before = setExceptionHandler((context) => void reports.push(context));
    try {
      const waiting = Promise.withResolvers<void>();
      const server = await startServer(async (reader, _writer, { signal }) => {
        const reading = reader.readexactly(5, { signal });
        waiting.resolve();
        await reading;
      }, { listener, onError });
      const client = listener.connect();
      await waiting.promise;
      await server.shutdown();
      assertEquals(reports, []);
      client.close();
    } finally {
      setExceptionHandler(before);
    }
  }
  assertEquals(errors.map(({ message }) => message), ["Cannot go on: the server is shutting down"]);
});
