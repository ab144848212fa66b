/**
 * Tests of asyncio and uvloop themselves, named after the originals: what their users count on, and have seen break.
 *
 * From CPython's Lib/test/test_asyncio: test_server.py, test_streams.py, test_events.py, test_selector_events.py; from
 * uvloop's tests: test_tcp.py, test_unix.py. Where this package differs on purpose the test says why.
 */
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  BufferedProtocol,
  connPair,
  createConnection,
  createServer,
  createUnixServer,
  openConnection,
  openUnixConnection,
  Protocol,
  setExceptionHandler,
  startServer,
  StreamReader,
  StreamReaderProtocol,
  type StreamWriter,
  type Transport,
} from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { EchoProtocol, kinds, plainKinds, portOf } from "../support/servers.ts";
import { hasIpv6, openDescriptors, skip } from "../support/machine.ts";
import { socketPath } from "../support/programs.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

const TCP = { hostname: "127.0.0.1", port: 0 };

// test_server.py

for (const kind of plainKinds) {
  Deno.test(`${kind.name}: test_server: test_start_server_1, serve_forever from a server that does not serve yet`, async () => {
    const heard: string[] = [];
    const server = await kind.startServer(async (reader) => {
      heard.push(text(await reader.readline()));
    }, { startServing: false });
    assertFalse(server.isServing());
    const controller = new AbortController();
    const serving = server.serveForever({ signal: controller.signal });
    await turns();
    assert(server.isServing());
    const { reader, writer } = await kind.openConnection(server);
    writer.write("hello\n");
    assertEquals((await reader.read()).length, 0);
    await writer.close();
    assertEquals(heard, ["hello\n"]);
    controller.abort();
    await serving;
    assertFalse(server.isServing());
    assertEquals(server.addrs, []);
    await server.waitClosed();
  });

  Deno.test(`${kind.name}: test_server: test_wait_closed_basic`, async () => {
    const writers: StreamWriter[] = [];
    const server = await kind.startServer((_reader, writer) => void writers.push(writer));
    let done = false;
    const early = server.waitClosed().then(() => done = true);
    const { writer } = await kind.openConnection(server);
    await until(() => writers.length === 1);
    assertFalse(done);
    server.close();
    const late = server.waitClosed();
    await turns(5);
    assertFalse(done);
    void writers[0]!.close();
    await Promise.all([early, late]);
    await server.waitClosed();
    await writer.close();
  });

  Deno.test(`${kind.name}: test_server: test_wait_closed_race, closed from inside the last connectionLost`, async () => {
    const writers: StreamWriter[] = [];
    const server = await kind.startServer((_reader, writer) => void writers.push(writer));
    const { writer } = await kind.openConnection(server);
    await until(() => writers.length === 1);
    queueMicrotask(() => server.close());
    void writers[0]!.close();
    await server.waitClosed();
    await writer.close();
  });
}

// test_streams.py

for (const kind of kinds) {
  Deno.test(`${kind.name}: test_streams: test_start_server, with a plain and an async handler`, async () => {
    const plain = await kind.startServer((reader, writer) => {
      reader.readline().then((line) => {
        writer.write(line);
        return writer.close();
      });
    });
    const asynchronous = await kind.startServer(async (reader, writer) => {
      writer.write(await reader.readline());
      await writer.drain();
    });
    for (const server of [plain, asynchronous]) {
      const { reader, writer } = await kind.openConnection(server);
      writer.write("hello world!\n");
      assertEquals(text(await reader.readline()), "hello world!\n");
      assertEquals(text(await reader.read()), "");
      await writer.close();
      await server.shutdown();
    }
  });

  Deno.test(`${kind.name}: test_streams: test_wait_closed_on_close_with_unread_data`, async () => {
    await using server = await kind.startServer(async (_reader, writer) => {
      writer.write("first line\n" + "x".repeat(100_000));
      await writer.drain();
    });
    const { reader, writer } = await kind.openConnection(server);
    assertEquals(text(await reader.readline()), "first line\n");
    await writer.close();
  });

  Deno.test(`${kind.name}: test_streams: test_eof_feed_when_closing_writer, a read that waits ends`, async () => {
    await using server = await kind.startServer(async (reader) => void await reader.read());
    const { reader, writer } = await kind.openConnection(server);
    const reading = reader.read(10);
    await turns();
    void writer.close();
    assertEquals((await reading).length, 0);
    assert(reader.atEof());
    await writer.waitClosed();
    assertEquals((await reader.read()).length, 0);
  });

  Deno.test(`${kind.name}: test_streams: test_async_writer_api_exception_after_close`, async () => {
    await using server = await kind.startServer(async (reader) => void await reader.read());
    const { writer } = await kind.openConnection(server);
    await writer.close();
    // asyncio raises ConnectionResetError from write() and drain(); the first is an error of its own here.
    assertThrows(() => writer.write("data"), Error, "Cannot write: the writer was closed");
    await assertRejects(() => writer.drain(), Deno.errors.ConnectionReset);
  });
}

Deno.test("test_streams: test_drain_raises, a loop of write and drain learns of the loss (bpo-25441)", async () => {
  await using server = await startServer((_reader, writer) => writer.abort(), TCP);
  const { writer } = await openConnection({ port: portOf(server) });
  await assertRejects(async () => {
    for (;;) {
      writer.write("foo\n");
      await writer.drain();
    }
  }, Error);
  await writer.close().catch(() => {});
});

Deno.test("test_streams: test_multiple_drain (bpo-29930)", async () => {
  const [a, b] = connPair({ capacity: 1000 });
  const { writer } = await openConnection({ conn: a });
  writer.write(new Uint8Array(100_000));
  let passed = 0;
  const drains = [1, 2].map(() => writer.drain().then(() => passed++));
  await turns();
  assertEquals(passed, 0);
  const p = new Uint8Array(1000);
  for (let read = 0; read < 100_000;) read += (await b.read(p))!;
  await Promise.all(drains);
  writer.abort();
  b.close();
});

Deno.test("test_streams: test_streamreaderprotocol_constructor: reader and protocol on a transport by hand", async () => {
  const [conn, peer] = connPair();
  const reader = new StreamReader();
  const { transport, protocol } = await createConnection(() => new StreamReaderProtocol(reader), { conn });
  await peer.write(new TextEncoder().encode("by hand\n"));
  assertEquals(text(await reader.readline()), "by hand\n");
  transport.close();
  await protocol.waitClosed();
  assertEquals((await reader.read()).length, 0);
  peer.close();
});

Deno.test("test_streams: test_unhandled_exceptions of a handler are reported once", async () => {
  const reported: string[] = [];
  setExceptionHandler(({ error }) => reported.push(error.message));
  try {
    await using server = await startServer(async (reader) => {
      await reader.read(10);
      throw new Error("test");
    }, TCP);
    const { reader, writer } = await openConnection({ port: portOf(server) });
    writer.write("x");
    await reader.read();
    await writer.close();
    assertEquals(reported, ["test"]);
  } finally {
    setExceptionHandler(null);
  }
});

// test_events.py

Deno.test("test_events: test_create_server_dual_stack, one name with both families by a list of hosts", async () => {
  if (!hasIpv6) return skip("test_create_server_dual_stack", "this machine has no ::1");
  await using first = await createServer(() => new EchoProtocol(), TCP);
  const port = portOf(first);
  await using second = await createServer(() => new EchoProtocol(), { hostname: "::1", port });
  for (const hostname of ["127.0.0.1", "::1"]) {
    await using connection = await openConnection({ hostname, port });
    connection.writer.write("x");
    await connection.reader.readexactly(1);
  }
  assertEquals(second.addrs.length, 1);
});

Deno.test("test_events: test_create_server_addr_in_use, and it can be had again when the server is gone", async () => {
  const server = await createServer(() => new Protocol(), TCP);
  const port = portOf(server);
  await assertRejects(() => createServer(() => new Protocol(), { ...TCP, port }), Deno.errors.AddrInUse);
  await server.shutdown();
  await (await createServer(() => new Protocol(), { ...TCP, port })).shutdown();
});

for (const kind of kinds) {
  Deno.test(`${kind.name}: test_events: test_server_close, connections and listener`, async () => {
    const server = await kind.createServer(() => new EchoProtocol());
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("xxx");
    await protocol.waitForBytes(3);
    const again = { ...server, addrs: server.addrs } as typeof server;
    server.close();
    await assertRejects(() => kind.createConnection(() => new Protocol(), again), Error);
    transport.close();
    await protocol.waitFor("connectionLost");
    await server.waitClosed();
  });

  Deno.test(`${kind.name}: test_events: getExtraInfo outlives the connection`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol());
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    const [peer, own] = [transport.getExtraInfo("peername"), transport.getExtraInfo("sockname")];
    transport.abort();
    await protocol.waitFor("connectionLost");
    assertEquals(transport.getExtraInfo("peername"), peer);
    assertEquals(transport.getExtraInfo("sockname"), own);
    assertEquals(transport.getExtraInfo("nonsense" as never, "default" as never), "default");
    if (peer?.transport === "tcp") assertEquals(peer, server.addrs[0] as Deno.NetAddr);
  });
}

// test_selector_events.py

Deno.test("test_selector_events: test_write_bytearray, test_write_memoryview: views write what they show", async () => {
  const [conn, peer] = connPair();
  const { transport } = await createConnection(() => new Protocol(), { conn });
  const block = new TextEncoder().encode("..data..").buffer as ArrayBuffer;
  transport.write(new Uint8Array(block, 2, 4));
  transport.writelines([new Uint8Array(block, 2, 2), new Uint8Array(block, 4, 2)]);
  new Uint8Array(block).fill(0);
  await turns(2);
  const p = new Uint8Array(99);
  assertEquals(text(p.subarray(0, (await peer.read(p))!)), "datadata");
  transport.abort();
  peer.close();
});

Deno.test("test_selector_events: test_write_eof_buffer_close: close() after writeEof() with bytes unsent", async () => {
  const [conn, peer] = connPair({ capacity: 10 });
  const { transport, protocol } = await createConnection(() => new RecordingProtocol(), { conn });
  transport.write("x".repeat(100));
  transport.writeEof();
  transport.close();
  let received = 0;
  const p = new Uint8Array(10);
  for (let n; (n = await peer.read(p)) !== null;) received += n;
  assertEquals(received, 100);
  assertEquals((await protocol.waitFor("connectionLost")).error, null);
  peer.close();
});

Deno.test("test_selector_events: test_write_eof_after_close does nothing", async () => {
  const [conn, peer] = connPair();
  const { transport, protocol } = await createConnection(() => new RecordingProtocol(), { conn });
  transport.close();
  await protocol.waitFor("connectionLost");
  transport.writeEof();
  transport.write("late");
  peer.close();
});

Deno.test("test_selector_events: test_pause_reading_connection_made, and resumed from a timer", async () => {
  const [conn, peer] = connPair();
  class Paused extends RecordingProtocol {
    override connectionMade(transport: Transport): void {
      super.connectionMade(transport);
      transport.pauseReading();
      assertFalse(transport.isReading());
    }
  }
  const { transport, protocol } = await createConnection(() => new Paused(), { conn });
  await peer.write(new TextEncoder().encode("data"));
  await turns(3);
  assertEquals(protocol.names, ["connectionMade"]);
  transport.resumeReading();
  assertEquals(text(await protocol.waitForBytes(4)), "data");
  transport.abort();
  peer.close();
});

Deno.test("test_selector_events: test_buffer_updated and a getBuffer() that alternates its memory", async () => {
  const [conn, peer] = connPair();
  const got: string[] = [];
  class Alternating extends BufferedProtocol {
    readonly #blocks = [new Uint8Array(3), new Uint8Array(5)];
    #turn = 0;
    override getBuffer(hint: number): Uint8Array {
      assertGreater(hint, 0);
      return this.#blocks[this.#turn % 2]!;
    }
    override bufferUpdated(n: number): void {
      got.push(text(this.#blocks[this.#turn++ % 2]!.subarray(0, n)));
    }
  }
  const { transport } = await createConnection(() => new Alternating(), { conn });
  await peer.write(new TextEncoder().encode("0123456789abcdef"));
  await until(() => got.join("").length === 16);
  assertEquals(got, ["012", "34567", "89a", "bcdef"]);
  transport.abort();
  peer.close();
});

// uvloop, test_tcp.py and test_unix.py

for (const kind of kinds) {
  Deno.test(`${kind.name}: uvloop: test_many_small_writes`, async () => {
    const N = 10_000;
    let received = 0;
    await using server = await kind.startServer(async (reader) => {
      for (let n = 0; n < N; n++) {
        received++;
        assertEquals(text(await reader.readexactly(4)), "abcd");
      }
    });
    const { writer } = await kind.openConnection(server);
    for (let n = 0; n < N; n++) {
      writer.write("ab");
      writer.writelines(["c", "d"]);
      if (n % 100 === 0) await writer.drain();
    }
    await writer.close();
    await until(() => received === N && server.connections === 0);
  });

  Deno.test(`${kind.name}: uvloop: test_tcp_handle_exception_in_connection_made: both ends are closed, once reported`, async () => {
    const reported: string[] = [];
    class Broken extends Protocol {
      override connectionMade(): void {
        throw new Error("oops");
      }
    }
    await using server = await kind.createServer(() => new Broken(), {
      onError: ({ message }) => reported.push(message),
    });
    for (let i = 1; i <= 3; i++) {
      const { protocol } = await kind.createConnection(() => new RecordingProtocol({ keepOpen: false }), server);
      await protocol.waitFor("connectionLost");
      assertEquals(reported, Array(i).fill("oops"));
    }
    await until(() => server.connections === 0);
  });

  Deno.test(`${kind.name}: uvloop: test_transport_shutdown: each side half-closes, in turn, byte for byte`, async () => {
    const order: string[] = [];
    await using server = await kind.startServer(async (reader, writer) => {
      order.push(text(await reader.readexactly(4)));
      writer.write("OK");
      order.push(`EOF ${(await reader.read()).length}`);
    });
    const { reader, writer } = await kind.openConnection(server);
    writer.write("AAAA");
    assertEquals(text(await reader.readexactly(2)), "OK");
    writer.writeEof();
    assertEquals((await reader.read()).length, 0);
    await writer.close();
    assertEquals(order, ["AAAA", "EOF 0"]);
  });

  Deno.test(`${kind.name}: uvloop: test_transport_abort: the other side learns of it`, async () => {
    const ended = Promise.withResolvers<unknown>();
    await using server = await kind.startServer(async (reader) => {
      await reader.read(1);
      await reader.read().then(ended.resolve, ended.resolve);
    });
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("x");
    await until(() => transport.getWriteBufferSize() === 0);
    transport.abort();
    await protocol.waitFor("connectionLost");
    await ended.promise;
    await until(() => server.connections === 0);
  });
}

Deno.test("uvloop: test_resume_writing_write_different_transport", async () => {
  const [a, peerA] = connPair({ capacity: 1000 });
  const [b, peerB] = connPair({ capacity: 1000 });
  let resumed = 0;
  class Crossing extends Protocol {
    other!: Transport;
    override resumeWriting(): void {
      resumed++;
      this.other.write("from the other's resumeWriting()");
    }
  }
  const first = await createConnection(() => new Crossing(), { conn: a });
  const second = await createConnection(() => new Crossing(), { conn: b });
  first.protocol.other = second.transport;
  second.protocol.other = first.transport;
  first.transport.write(new Uint8Array(100_000));
  const p = new Uint8Array(1000);
  for (let read = 0; read < 100_000;) read += (await peerA.read(p))!;
  await until(() => resumed === 1);
  assertEquals(text(p.subarray(0, (await peerB.read(p))!)), "from the other's resumeWriting()");
  for (const { transport } of [first, second]) transport.abort();
  peerA.close();
  peerB.close();
});

Deno.test("uvloop: test_create_connection_4: a conn given is used, and closed with the transport", async () => {
  await using server = await createServer(() => new EchoProtocol(), TCP);
  const before = openDescriptors();
  const conn = await Deno.connect({ port: portOf(server) });
  const { transport, protocol } = await createConnection(() => new RecordingProtocol(), { conn });
  assertStrictEquals(transport.getExtraInfo("conn") as unknown, conn);
  transport.write("x");
  await protocol.waitForBytes(1);
  transport.close();
  await protocol.waitFor("connectionLost");
  await until(() => openDescriptors() <= before);
});

Deno.test("uvloop: test_create_unix_server_existing_path_sock, test_create_unix_server_existing_path_nonsock", async () => {
  const path = socketPath();
  await (await createUnixServer(() => new Protocol(), { path })).shutdown();
  await (await createUnixServer(() => new Protocol(), { path })).shutdown();
  Deno.writeTextFileSync(path, "");
  await assertRejects(() => createUnixServer(() => new Protocol(), { path }), Deno.errors.AddrInUse, path);
});

Deno.test("uvloop: test_create_unix_connection_6: a peer that resets while much is unsent", async () => {
  const path = socketPath();
  using listener = Deno.listen({ transport: "unix", path });
  const { writer } = await openUnixConnection({ path });
  const peer = await listener.accept();
  writer.write(new Uint8Array(10_000_000));
  await peer.read(new Uint8Array(1));
  peer.close();
  await assertRejects(() => writer.drain(), Deno.errors.BrokenPipe);
  await assertRejects(() => writer.waitClosed(), Deno.errors.BrokenPipe);
});
