/** The writing half of a connection, call by call: what is written when, in which pieces [W2 to W9, M2, M3]. */
import { assert, assertEquals, assertLess, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { ClosedError, createConnection, Protocol } from "../../mod.ts";
import { SeededRandom } from "../../src/testing/mod.ts";
import { ManualConn, turn } from "./manual_conn.ts";

class Recorder extends Protocol {
  readonly calls: string[] = [];
  override pauseWriting(): void {
    this.calls.push("pause");
  }
  override resumeWriting(): void {
    this.calls.push("resume");
  }
  override connectionLost(error: Error | null): void {
    this.calls.push(`lost: ${error?.message ?? null}`);
  }
}

async function over() {
  const conn = new ManualConn();
  const { transport, protocol } = await createConnection(() => new Recorder(), { conn });
  return { conn, transport, protocol, taken: () => new TextDecoder().decode(Uint8Array.from(conn.taken)) };
}

Deno.test("a lone small write is on its way in the same turn of the event loop [W4]", async () => {
  const { conn, transport } = await over();
  let turned = false;
  conn.onWrite = () => assertEquals(turned, false);
  // The end of this turn, and of the next.
  setImmediate(() => setImmediate(() => turned = true));
  transport.write("x");
  while (!turned) await turn();
  assertEquals(conn.writeCount, 1);
  transport.abort();
});

Deno.test("a large write is on its way when write() returns [W4]", async () => {
  const { conn, transport } = await over();
  transport.write(new Uint8Array(100_000));
  assertEquals(conn.writeCount, 1);
  transport.abort();
});

Deno.test("many small writes in one turn leave in few calls [W4]", async () => {
  const { conn, transport, taken } = await over();
  let expected = "";
  for (let i = 0; i < 1000; i++) {
    transport.write(`${i},`);
    expected += `${i},`;
  }
  await turn();
  await conn.take();
  while (conn.writes.length > 0) await conn.take();
  assertEquals(taken(), expected);
  assertLess(conn.writeCount, 4);
  // Also when any number of microtasks lies between them.
  for (const hops of [1, 6, 40]) {
    const before = { count: conn.writeCount, length: conn.taken.length };
    for (let i = 0; i < 100; i++) {
      transport.write("x");
      for (let hop = 0; hop < hops; hop++) await null;
    }
    await turn();
    while (conn.writes.length > 0) await conn.take();
    assertEquals(conn.taken.length - before.length, 100);
    assertLess(conn.writeCount - before.count, 3);
  }
  transport.abort();
});

Deno.test("what a callback writes leaves a hop after it returns, in one call [W4]", async () => {
  const conn = new ManualConn();
  class Answer extends Protocol {
    override dataReceived(): void {
      for (const piece of ["a", "b", "c"]) transport.write(piece);
      assertEquals(conn.writeCount, 0);
      queueMicrotask(() => queueMicrotask(() => seen.push(conn.writeCount)));
    }
  }
  const seen: number[] = [];
  const { transport } = await createConnection(() => new Answer(), { conn });
  await conn.bring("?");
  assertEquals([seen, conn.writeCount], [[1], 1]);
  await conn.take();
  assertEquals(String.fromCharCode(...conn.taken), "abc");
  transport.abort();
});

Deno.test("a protocol that has to wait does not wait for what it wrote: resumeReading() and pauseWriting() flush [W4]", async () => {
  const { conn, transport } = await over();
  transport.pauseReading();
  await conn.bring("kept");
  const soon = async (act: () => void) => {
    const before = conn.writeCount;
    act();
    assertEquals(conn.writeCount, before);
    await null;
    assertEquals(conn.writeCount, before + 1);
    await conn.take();
  };
  await soon(() => {
    transport.write("x");
    transport.resumeReading();
  });
  transport.setWriteBufferLimits({ high: 3 });
  await soon(() => {
    for (let i = 0; i < 9; i++) transport.write("y");
  });
  transport.abort();
});

Deno.test("what comes while a write is under way leaves together, after it [W3, W4]", async () => {
  const { conn, transport, taken } = await over();
  transport.write("first");
  await turn();
  for (const piece of [" second", " third", " fourth"]) {
    transport.write(piece);
    await turn();
  }
  assertEquals(conn.writeCount, 1);
  await conn.take();
  assertEquals(conn.writeCount, 2);
  await conn.take();
  assertEquals(taken(), "first second third fourth");
  transport.abort();
});

Deno.test("bytes leave in call order, whole, however little the conn takes [W3]", async () => {
  for (const most of [1, 2, 3, 7]) {
    const { conn, transport, taken } = await over();
    transport.write("abc");
    const sent = transport.sendall(new TextEncoder().encode("defg"));
    transport.writelines(["h", "ij", new TextEncoder().encode("k")]);
    transport.write("é");
    const last = transport.sendall(new TextEncoder().encode("end"));
    transport.write("!");
    await turn();
    while (conn.writes.length > 0) await conn.take(Math.min(most, conn.writes[0]!.p.length));
    assertEquals(taken(), "abcdefghijkéend!");
    await Promise.all([sent, last]);
    assertEquals(transport.getWriteBufferSize(), 0);
    transport.abort();
  }
});

Deno.test("the caller's memory is free when write() returns, and in use until sendall() settles [M2, M3]", async () => {
  const { conn, transport, taken } = await over();
  const memory = new TextEncoder().encode("one");
  transport.write(memory);
  memory.set(new TextEncoder().encode("two"));
  transport.writelines([memory]);
  memory.fill(0);
  const data = new TextEncoder().encode("three");
  const sending = transport.sendall(data);
  await turn();
  while (conn.taken.length < 6) await conn.take();
  assertStrictEquals(conn.writes[0]!.p.buffer, data.buffer);
  await conn.take(2);
  assertStrictEquals(conn.writes[0]!.p.buffer, data.buffer);
  await conn.take();
  await sending;
  assertEquals(taken(), "onetwothree");
  transport.abort();
});

for (const [what, before, taken] of [["alone", "", 0], ["in part", "", 2], ["behind others", "x", 1]] as const) {
  Deno.test(`sendall() under way ${what} when the connection is lost rejects when the conn is done with its memory [M3]`, async () => {
    for (const kept of [true, false]) {
      const { conn, transport, protocol } = await over();
      if (before !== "") transport.write(before);
      const sending = transport.sendall(new Uint8Array(5));
      await turn();
      if (taken > 0) await conn.take(taken);
      // As a system that is still sending when the conn is closed.
      const write = conn.writes.shift()!;
      transport.abort();
      await turn();
      assertEquals(protocol.calls, ["lost: null"]);
      const settled: string[] = [];
      if (kept) sending.then(() => settled.push("sent"), (error: Error) => settled.push(error.message));
      await turn();
      assertEquals(settled, []);
      write.reject(new Deno.errors.Interrupted("operation canceled"));
      await turn();
      assertEquals(settled, kept ? ["Cannot send: the connection is closed"] : []);
    }
  });
}

Deno.test("memory that is lent while a write is under way is not written over by later writes [M2]", async () => {
  const { conn, transport, taken } = await over();
  const other = await over();
  transport.write("mine");
  await turn();
  for (let i = 0; i < 10; i++) {
    other.transport.write("theirs");
    await turn();
    await other.conn.take();
    transport.write("more");
  }
  assertEquals(new TextDecoder().decode(conn.writes[0]!.p), "mine");
  await conn.take();
  await conn.take();
  assertEquals(taken(), "mine" + "more".repeat(10));
  transport.abort();
  other.transport.abort();
});

Deno.test("lone writes of many connections that share blocks come out whole, whichever is taken when [M2, W3]", async () => {
  const random = new SeededRandom(20260);
  const all = await Promise.all(Array.from({ length: 12 }, () => over()));
  const expected = all.map(() => "");
  for (let round = 0; round < 25; round++) {
    // Each answers what it reads, most of them with one write, and the system takes a part of what some wait for.
    for (const [i, { conn, transport }] of all.entries()) {
      await conn.bring("?");
      for (let pieces = random.next() < 0.1 ? 3 : 1; pieces > 0; pieces--) {
        const piece = `${i}.${round}`.padEnd(random.integer(0, 2100), `<${i}>`);
        const bytes = new TextEncoder().encode(piece);
        transport.write(bytes);
        bytes.fill(0);
        expected[i] += piece;
      }
    }
    await turn();
    for (const { conn } of all) {
      if (conn.writes.length > 0 && random.next() < 0.7) {
        await conn.take(random.next() < 0.5 ? undefined : random.integer(1, conn.writes[0]!.p.length));
      }
    }
  }
  for (const [i, { conn, transport, taken }] of all.entries()) {
    while (conn.writes.length > 0) await conn.take();
    assertEquals(taken(), expected[i]);
    transport.abort();
  }
});

Deno.test("pauseWriting comes inside the write() that exceeds high, resumeWriting at low, in turn [W2]", async () => {
  const { conn, transport, protocol } = await over();
  transport.setWriteBufferLimits({ high: 10, low: 4 });
  transport.write("0123456789");
  assertEquals(protocol.calls, []);
  transport.write("x");
  assertEquals(protocol.calls, ["pause"]);
  transport.write("y");
  await turn();
  const [first] = conn.writes;
  assertEquals(first!.p.length, 12);
  await conn.take(7);
  assertEquals([protocol.calls, transport.getWriteBufferSize()], [["pause"], 5]);
  await conn.take(1);
  assertEquals([protocol.calls, transport.getWriteBufferSize()], [["pause", "resume"], 4]);
  const sending = transport.sendall(new Uint8Array(7));
  assertEquals(protocol.calls, ["pause", "resume", "pause"]);
  await conn.take();
  await conn.take();
  await sending;
  assertEquals(protocol.calls, ["pause", "resume", "pause", "resume"]);
  transport.abort();
});

Deno.test("a write from inside resumeWriting keeps the turns [W2]", async () => {
  const conn = new ManualConn();
  const calls: string[] = [];
  let left = 3;
  class Filler extends Protocol {
    override pauseWriting(): void {
      calls.push("pause");
    }
    override resumeWriting(): void {
      calls.push("resume");
      if (left-- > 0) transport.write(new Uint8Array(100));
    }
  }
  const { transport } = await createConnection(() => new Filler(), { conn });
  transport.setWriteBufferLimits({ high: 10 });
  transport.write(new Uint8Array(100));
  await turn();
  while (conn.writes.length > 0) await conn.take();
  assertEquals(calls, Array(4).fill(["pause", "resume"]).flat());
  assertEquals(transport.getWriteBufferSize(), 0);
  transport.abort();
});

Deno.test("close() flushes, then closes; writes after it are dropped [W6, W7]", async () => {
  const { conn, transport, protocol, taken } = await over();
  transport.write("a");
  transport.write("b");
  transport.close();
  transport.write("late");
  assert(transport.isClosing());
  await turn();
  assertEquals(conn.closed, 0);
  await conn.take(1);
  assertEquals([conn.closed, protocol.calls.length], [0, 0]);
  await conn.take(1);
  await turn();
  assertEquals([taken(), conn.closed], ["ab", 1]);
  assertEquals(protocol.calls, ["lost: null"]);
});

Deno.test("a write that fails while flushing loses the connection with its error [W7]", async () => {
  const { conn, transport, protocol } = await over();
  const sending = transport.sendall(new Uint8Array(5));
  transport.close();
  await conn.take(new Deno.errors.BrokenPipe("Broken pipe"));
  assertEquals(protocol.calls, ["lost: Broken pipe"]);
  assertEquals(conn.closed, 1);
  await assertRejects(() => sending, Deno.errors.BrokenPipe, "Broken pipe");
});

Deno.test("a conn that takes no bytes is an error, not an endless loop [W3]", async () => {
  const { conn, transport, protocol } = await over();
  transport.write("x");
  await turn();
  await conn.take(0);
  assertEquals(protocol.calls, ["lost: Cannot write: the connection took 0 of 1 bytes"]);
});

Deno.test("abort(): size 0 at once, connectionLost(null) in a later turn, sendall() rejects [W8]", async () => {
  const { conn, transport, protocol } = await over();
  transport.write("x");
  const sending = [transport.sendall(new Uint8Array(5)), transport.sendall(new Uint8Array(5))];
  transport.abort();
  assertEquals([transport.getWriteBufferSize(), conn.closed, protocol.calls.length], [0, 1, 0]);
  for (const promise of sending) await assertRejects(() => promise, Deno.errors.ConnectionReset, "Cannot send");
  await turn();
  assertEquals(protocol.calls, ["lost: null"]);
  await assertRejects(
    () => transport.sendall(new Uint8Array(1)),
    ClosedError,
    "Cannot send: the connection was closed",
  );
});

Deno.test("writeEof() flushes, then half-closes; close() waits for that [W9]", async () => {
  const { conn, transport, protocol, taken } = await over();
  transport.write("a");
  transport.writeEof();
  transport.writeEof();
  assertEquals(conn.ends.length, 0);
  await conn.take();
  assertEquals([taken(), conn.ends.length, conn.closed], ["a", 1, 0]);
  transport.close();
  await turn();
  assertEquals(conn.closed, 0);
  conn.ends.shift()!.resolve();
  await turn();
  await turn();
  assertEquals(conn.closed, 1);
  assertEquals(protocol.calls, ["lost: null"]);
});

Deno.test("a half-close that fails loses the connection with its error [W9]", async () => {
  const { conn, transport, protocol } = await over();
  transport.writeEof();
  conn.ends.shift()!.reject(new Deno.errors.NotConnected("Socket is not connected"));
  await turn();
  assertEquals(protocol.calls, ["lost: Socket is not connected"]);
});

for (const flushed of [false, true]) {
  const when = flushed ? "after" : "before";
  Deno.test(`a write after writeEof() throws although the connection was lost since, ${when} all was flushed [W5]`, async () => {
    const { conn, transport, protocol } = await over();
    transport.write("a");
    transport.writeEof();
    if (flushed) {
      await conn.take();
      conn.ends.shift()!.resolve();
      await turn();
    }
    transport.abort();
    for (let times = 1; times <= 2; times++) {
      for (const data of ["x", ""]) {
        assertThrows(() => transport.write(data), ClosedError, "Cannot write: writeEof() was called before");
        assertThrows(() => transport.writelines([data]), ClosedError, "Cannot write: writeEof() was called before");
        const sending = transport.sendall(new Uint8Array(data.length));
        await assertRejects(() => sending, ClosedError, "Cannot send: writeEof() was called before");
      }
      await turn();
      assertEquals(protocol.calls, ["lost: null"]);
    }
  });
}

Deno.test("wrong types are a TypeError, in any state, and nothing of the call is written [W5]", async () => {
  const { conn, transport } = await over();
  const wrong = [null, undefined, 1, {}, [1], new ArrayBuffer(1), new Uint16Array(1), new DataView(new ArrayBuffer(1))];
  const refuse = () => {
    for (const data of wrong) {
      assertThrows(
        () => transport.write(data as never),
        TypeError,
        "Cannot write: data must be a Uint8Array or a string",
      );
      assertThrows(() => transport.writelines(["ok", data as never]), TypeError, "Cannot write");
    }
  };
  refuse();
  for (const data of [...wrong, "text"]) {
    await assertRejects(() => transport.sendall(data as never), TypeError, "Cannot send: data must be a Uint8Array");
  }
  await turn();
  assertEquals(conn.writeCount, 0);
  transport.close();
  refuse();
  await turn();
  await turn();
  refuse();
});

Deno.test("empty data does nothing [W5]", async () => {
  const { conn, transport } = await over();
  transport.write("");
  transport.write(new Uint8Array(0));
  transport.writelines([]);
  transport.writelines(["", new Uint8Array(0)]);
  await transport.sendall(new Uint8Array(0));
  await turn();
  assertEquals([conn.writeCount, transport.getWriteBufferSize()], [0, 0]);
  transport.abort();
});

Deno.test("sizes around the blocks that writes are collected in come out whole [W3]", async () => {
  for (const size of [2047, 2048, 2049, 16383, 16384, 16385, 65535, 65536, 262143, 262144, 262145, 700_000]) {
    const { conn, transport } = await over();
    const piece = Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 8));
    transport.write("<");
    transport.write(piece);
    transport.write(">");
    await turn();
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    while (conn.writes.length > 0) {
      pieces.push(conn.writes[0]!.p.slice());
      const write = conn.writes.shift()!;
      write.resolve(write.p.length);
      await turn();
    }
    const all = new Uint8Array(await new Blob(pieces).arrayBuffer());
    assertEquals(all.length, size + 2);
    assert(piece.every((byte, i) => all[i + 1] === byte), `${size}`);
    assertEquals([all[0], all.at(-1)], [60, 62]);
    transport.abort();
  }
});

for (const size of [10, 70_000, 300_000]) {
  Deno.test(`write() is done with a node Buffer of ${size} bytes when it returns, whose slice() is no copy [M2]`, async () => {
    const { Buffer } = await import("node:buffer");
    const { conn, transport } = await over();
    transport.write("first");
    await turn();
    const data = Buffer.alloc(size, 1);
    transport.write(data);
    data.fill(2);
    await conn.take();
    while (conn.taken.length < 5 + size) await conn.take(10_000);
    assert(conn.taken.slice(5).every((byte) => byte === 1));
    transport.abort();
  });
}
