/** The reading half of a connection, call by call: what is read when, and what is kept [C1, C3, C5, C8, C9]. */
import { assert, assertEquals, assertFalse, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { BufferedProtocol, createConnection, Protocol, setExceptionHandler, type Transport } from "../../mod.ts";
import type { StreamProtocolLike } from "../../mod.ts";
import { ManualConn, turn } from "./manual_conn.ts";

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Records, and does something in its callbacks. */
class Recorder extends Protocol {
  readonly calls: string[] = [];
  transport!: Transport;
  readonly #act: Partial<Record<"made" | "data" | "eof", (recorder: Recorder) => unknown>>;

  constructor(act: Partial<Record<"made" | "data" | "eof", (recorder: Recorder) => unknown>> = {}) {
    super();
    this.#act = act;
  }

  override connectionMade(transport: Transport): void {
    this.transport = transport;
    this.#act.made?.(this);
  }

  override dataReceived(data: Uint8Array): void {
    this.calls.push(decode(data));
    this.#act.data?.(this);
  }

  override eofReceived(): boolean | void {
    this.calls.push("EOF");
    return this.#act.eof?.(this) as boolean;
  }

  override connectionLost(error: Error | null): void {
    this.calls.push(`lost: ${error?.message ?? null}`);
  }
}

/** The same for memory of its own, of a size. */
class BufferedRecorder extends BufferedProtocol {
  readonly calls: string[] = [];
  readonly memory: Uint8Array;
  readonly act: ((recorder: BufferedRecorder) => void) | undefined;
  transport!: Transport;

  constructor(size: number, act?: (recorder: BufferedRecorder) => void) {
    super();
    this.memory = new Uint8Array(size);
    this.act = act;
  }

  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }

  override getBuffer(): Uint8Array {
    return this.memory;
  }

  override bufferUpdated(n: number): void {
    this.calls.push(decode(this.memory.subarray(0, n)));
    this.act?.(this);
  }

  override connectionLost(error: Error | null): void {
    this.calls.push(`lost: ${error?.message ?? null}`);
  }
}

async function over<P extends StreamProtocolLike>(protocol: P) {
  const conn = new ManualConn();
  const { transport } = await createConnection(() => protocol, { conn });
  return { conn, transport, protocol };
}

Deno.test("one read is under way at a time, from connectionMade on [C1]", async () => {
  const { conn, protocol, transport } = await over(new Recorder());
  assertEquals(conn.readCount, 1);
  await conn.bring("a");
  await conn.bring("b");
  assertEquals(protocol.calls, ["a", "b"]);
  assertEquals(conn.readCount, 3);
  transport.abort();
  await turn();
  assertEquals(protocol.calls, ["a", "b", "lost: null"]);
});

Deno.test("pauseReading() inside connectionMade holds: no read is issued [C3]", async () => {
  const { conn, protocol, transport } = await over(new Recorder({ made: ({ transport }) => transport.pauseReading() }));
  await turn();
  assertEquals(conn.readCount, 0);
  assertFalse(transport.isReading());
  transport.resumeReading();
  assert(transport.isReading());
  assertEquals(conn.readCount, 1);
  await conn.bring("a");
  assertEquals(protocol.calls, ["a"]);
  transport.abort();
});

Deno.test("paused and resumed inside connectionMade reads once [C3]", async () => {
  const { conn, transport } = await over(
    new Recorder({
      made({ transport }) {
        transport.pauseReading();
        transport.resumeReading();
      },
    }),
  );
  assertEquals(conn.readCount, 1);
  transport.abort();
});

Deno.test("what a read in flight brings while paused is kept until resumed [C5]", async () => {
  const { conn, protocol, transport } = await over(new Recorder());
  transport.pauseReading();
  await conn.bring("kept");
  assertEquals(protocol.calls, []);
  assertEquals(conn.readCount, 1);
  transport.resumeReading();
  assertEquals(protocol.calls, [], "never from inside resumeReading()");
  await turn();
  assertEquals(protocol.calls, ["kept"]);
  assertEquals(conn.readCount, 2);
  transport.abort();
});

Deno.test("the end of the stream is kept while paused as well [C5]", async () => {
  const { conn, protocol, transport } = await over(new Recorder({ eof: () => true }));
  transport.pauseReading();
  await conn.bring(null);
  assertEquals(protocol.calls, []);
  transport.resumeReading();
  await turn();
  assertEquals(protocol.calls, ["EOF"]);
  assertFalse(transport.isReading());
  transport.abort();
});

Deno.test("resumed before the read in flight is done, nothing is kept [C5]", async () => {
  const { conn, protocol, transport } = await over(new Recorder());
  transport.pauseReading();
  transport.resumeReading();
  await conn.bring("a");
  assertEquals(protocol.calls, ["a"]);
  assertEquals(conn.readCount, 2);
  transport.abort();
});

Deno.test("paused again before what was kept is delivered, it stays kept [C5]", async () => {
  const { conn, protocol, transport } = await over(new Recorder());
  transport.pauseReading();
  await conn.bring("a");
  for (let i = 0; i < 3; i++) {
    transport.resumeReading();
    transport.pauseReading();
    await turn();
    assertEquals(protocol.calls, []);
  }
  transport.resumeReading();
  transport.pauseReading();
  transport.resumeReading();
  await turn();
  assertEquals(protocol.calls, ["a"]);
  transport.abort();
});

Deno.test("a transport paused inside its own callback has no read in flight [C5]", async () => {
  const { conn, protocol, transport } = await over(new Recorder({ data: ({ transport }) => transport.pauseReading() }));
  for (const piece of ["a", "b", "c"]) {
    await conn.bring(piece);
    assertEquals(conn.reads.length, 0);
    transport.resumeReading();
    assertEquals(conn.reads.length, 1);
  }
  assertEquals(protocol.calls, ["a", "b", "c"]);
  transport.abort();
});

Deno.test("paused and resumed inside a callback, one read follows [C5]", async () => {
  const { conn, transport } = await over(
    new Recorder({
      data({ transport }) {
        transport.pauseReading();
        transport.resumeReading();
      },
    }),
  );
  await conn.bring("a");
  assertEquals(conn.readCount, 2);
  transport.abort();
});

Deno.test("what was kept when the transport is closed or aborted is dropped [C5, W7]", async () => {
  for (const end of ["close", "abort"] as const) {
    const { conn, protocol, transport } = await over(new Recorder());
    transport.pauseReading();
    await conn.bring("kept");
    transport[end]();
    transport.resumeReading();
    await turn();
    if (conn.closed === 0) await turn();
    assertEquals(protocol.calls, ["lost: null"]);
    assertEquals(conn.closed, 1);
  }
});

Deno.test("close() inside a callback: no read and no call follows but connectionLost [C1, W7]", async () => {
  const { conn, protocol } = await over(new Recorder({ data: ({ transport }) => transport.close() }));
  await conn.bring("a");
  await turn();
  assertEquals(protocol.calls, ["a", "lost: null"]);
  assertEquals(conn.closed, 1);
});

Deno.test("abort() inside connectionMade: no read, and connectionLost(null) [C1, W8]", async () => {
  const { conn, protocol } = await over(new Recorder({ made: ({ transport }) => transport.abort() }));
  await turn();
  assertEquals([conn.readCount, conn.closed], [0, 1]);
  assertEquals(protocol.calls, ["lost: null"]);
});

Deno.test("a read that fails loses the connection with its error, and it is closed once [C1]", async () => {
  const { conn, protocol, transport } = await over(new Recorder());
  await conn.bring(new Deno.errors.ConnectionReset("Connection reset by peer"));
  assertEquals(protocol.calls, ["lost: Connection reset by peer"]);
  assertEquals(conn.closed, 1);
  assert(transport.isClosing());
});

Deno.test("after the end of the stream nothing more is read, and a kept-open side writes [C7]", async () => {
  const { conn, protocol, transport } = await over(new Recorder({ eof: () => true }));
  await conn.bring("a");
  await conn.bring(null);
  assertEquals(protocol.calls, ["a", "EOF"]);
  assertEquals(conn.readCount, 2);
  transport.resumeReading();
  assertEquals(conn.readCount, 2);
  transport.write("still");
  await turn();
  await conn.take();
  assertEquals(decode(Uint8Array.from(conn.taken)), "still");
  transport.abort();
});

Deno.test("a read of no bytes that is no end is tried again [C1]", async () => {
  const { conn, protocol, transport } = await over(new Recorder());
  await conn.bring("");
  await conn.bring("a");
  assertEquals(protocol.calls, ["a"]);
  transport.abort();
});

Deno.test("answers of several connections to bytes of one turn all leave before the next reads begin", async () => {
  const log: string[] = [];
  class LoggingConn extends ManualConn {
    override read(p: Uint8Array): Promise<number | null> {
      log.push("read");
      return super.read(p);
    }
    override write(p: Uint8Array): Promise<number> {
      log.push("write");
      return super.write(p);
    }
  }
  const conns = [new LoggingConn(), new LoggingConn(), new LoggingConn()];
  const transports: Transport[] = [];
  for (const conn of conns) {
    const echo = new Recorder({ data: ({ transport, calls }) => transport.write(calls.at(-1)!) });
    transports.push((await createConnection(() => echo, { conn })).transport);
  }
  // Once a transport has seen that its writes are alone, they leave at once.
  for (let round = 0; round < 2; round++) {
    log.length = 0;
    await Promise.all(conns.map((conn) => conn.bring("x")));
    await Promise.all(conns.map((conn) => conn.take()));
  }
  assertEquals(log, ["write", "write", "write", "read", "read", "read"]);
  for (const transport of transports) transport.abort();
});

Deno.test("a buffered protocol's own memory is read into, one getBuffer per read [M3]", async () => {
  const { conn, protocol, transport } = await over(new BufferedRecorder(10));
  assertStrictEquals(conn.reads[0]!.p, protocol.memory);
  await conn.bring("abc");
  assertEquals(protocol.calls, ["abc"]);
  assertStrictEquals(conn.reads[0]!.p, protocol.memory);
  transport.abort();
});

Deno.test("a buffered protocol paused in its callback: no getBuffer until resumed [C5]", async () => {
  let buffers = 0;
  class Counting extends BufferedRecorder {
    override getBuffer(): Uint8Array {
      buffers++;
      return super.getBuffer();
    }
  }
  const { conn, transport } = await over(new Counting(10, ({ transport }) => transport.pauseReading()));
  await conn.bring("abc");
  assertEquals([buffers, conn.readCount], [1, 1]);
  transport.resumeReading();
  assertEquals([buffers, conn.readCount], [2, 2]);
  transport.abort();
});

Deno.test("pauseReading() and close() inside getBuffer() are heeded [C5]", async () => {
  const { conn, transport } = await over(
    new (class extends BufferedRecorder {
      override getBuffer(): Uint8Array {
        this.transport.pauseReading();
        return this.memory;
      }
    })(10),
  );
  assertEquals(conn.readCount, 0);
  transport.abort();
  const closing = await over(
    new (class extends BufferedRecorder {
      override getBuffer(): Uint8Array {
        this.transport.close();
        return this.memory;
      }
    })(10),
  );
  await turn();
  await turn();
  assertEquals(closing.protocol.calls, ["lost: null"]);
  assertEquals(closing.conn.closed, 1);
});

Deno.test("an empty getBuffer() result is a fatal error of the protocol [C9]", async () => {
  const errors: Error[] = [];
  setExceptionHandler(({ error }) => errors.push(error));
  try {
    const { conn, protocol } = await over(new BufferedRecorder(0));
    await turn();
    assertEquals(conn.readCount, 0);
    assertEquals(protocol.calls, ["lost: Cannot read: getBuffer() returned an empty Uint8Array"]);
    assertInstanceOf(errors[0], TypeError);
    assertEquals(errors.length, 1);
  } finally {
    setExceptionHandler(null);
  }
});

Deno.test("from plain to buffered while a read is in flight: its bytes go to the new memory, in order [C8]", async () => {
  for (const size of [1, 2, 3, 4, 5, 6, 7, 100]) {
    const { conn, transport } = await over(new Recorder());
    const buffered = new BufferedRecorder(size);
    transport.setProtocol(buffered);
    await conn.bring("abcdef");
    assertEquals(buffered.calls.join(""), "abcdef");
    assert(buffered.calls.every((call) => call.length <= size));
    assertStrictEquals(conn.reads[0]!.p, buffered.memory);
    transport.abort();
  }
});

Deno.test("from buffered to plain while a read is in flight [C8]", async () => {
  const { conn, protocol, transport } = await over(new BufferedRecorder(10));
  const plain = new Recorder();
  transport.setProtocol(plain);
  await conn.bring("abc");
  assertEquals(protocol.calls, []);
  assertEquals(plain.calls, ["abc"]);
  transport.abort();
  await turn();
  assertEquals(plain.calls, ["abc", "lost: null"]);
});

Deno.test("from one buffered protocol to another and back, in the midst of one read [C8]", async () => {
  const first = new BufferedRecorder(10);
  const second = new BufferedRecorder(4, ({ transport }) => transport.setProtocol(first));
  const { conn, transport } = await over(first);
  second.transport = transport;
  transport.setProtocol(second);
  await conn.bring("abcdefghij");
  assertEquals(second.calls, ["abcd"]);
  assertEquals(first.calls, ["efghij"]);
  transport.abort();
});

Deno.test("switched in a callback, the next bytes are the new protocol's [C8]", async () => {
  const plain = new Recorder();
  const { conn, protocol, transport } = await over(
    new Recorder({ data: ({ transport }) => transport.setProtocol(plain) }),
  );
  await conn.bring("a");
  await conn.bring("b");
  assertEquals([protocol.calls, plain.calls], [["a"], ["b"]]);
  transport.abort();
});

Deno.test("a switch while bytes are kept hands them to the new protocol, pauses in its midst too [C5, C8]", async () => {
  const { conn, transport } = await over(new Recorder());
  const buffered = new BufferedRecorder(2, ({ transport }) => transport.pauseReading());
  buffered.transport = transport;
  transport.pauseReading();
  await conn.bring("abcdef");
  transport.setProtocol(buffered);
  await turn();
  assertEquals(buffered.calls, []);
  for (const [n, expected] of [[1, "ab"], [2, "cd"], [3, "ef"]] as const) {
    transport.resumeReading();
    await turn();
    assertEquals(buffered.calls.length, n);
    assertEquals(buffered.calls.at(-1), expected);
  }
  assertEquals(conn.readCount, 1);
  transport.resumeReading();
  assertEquals(conn.readCount, 2);
  transport.abort();
});

Deno.test("an idle connection waits with little memory, a busy one with much, and with little again after", async () => {
  const { conn, transport } = await over(new Recorder());
  const first = conn.reads[0]!.p.length;
  assert(first <= 2048, `${first}`);
  for (let i = 0; i < 4; i++) await conn.bring("x".repeat(conn.reads[0]!.p.length));
  const busy = conn.reads[0]!.p.length;
  assert(busy >= 262_144, `${busy}`);
  for (let i = 0; i < 8; i++) await conn.bring("x");
  assertEquals(conn.reads[0]!.p.length, first);
  transport.abort();
});

Deno.test("one read has room for 256 KiB at most [M4]", async () => {
  const { conn, transport } = await over(new Recorder());
  for (let i = 0; i < 20; i++) {
    const { length } = conn.reads[0]!.p;
    assert(length <= 262_144, `${length}`);
    await conn.bring("x".repeat(length));
  }
  transport.abort();
});

for (const size of [4096, 10_240, 32_768, 102_400]) {
  Deno.test(`messages of ${size} bytes come in one read each, once there were some`, async () => {
    const { conn, protocol, transport } = await over(new Recorder());
    for (let message = 0; message < 40; message++) {
      if (message === 20) protocol.calls.length = 0;
      for (let left = size; left > 0;) {
        const n = Math.min(left, conn.reads[0]!.p.length);
        await conn.bring("x".repeat(n));
        left -= n;
      }
    }
    assertEquals(protocol.calls.map(({ length }) => length), Array(20).fill(size));
    transport.abort();
  });
}

Deno.test("setProtocol() refuses what is no protocol, and keeps the one it has [C8]", async () => {
  const { conn, protocol, transport } = await over(new Recorder());
  for (const none of [null, undefined, {}, "text"]) {
    try {
      transport.setProtocol(none as never);
      throw new Error("not refused");
    } catch (error) {
      assertInstanceOf(error, TypeError);
    }
  }
  assertStrictEquals(transport.getProtocol(), protocol);
  await conn.bring("a");
  assertEquals(protocol.calls, ["a"]);
  transport.abort();
});
