import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { connFromReadable, connFromStreams, connFromWritable } from "../../src/conn/conn_from_streams.ts";
import { readOnce } from "../support/conns.ts";

const bytes = (...values: number[]) => new Uint8Array(values);

function readableOf(...chunks: unknown[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks) as ReadableStream<Uint8Array>;
}

Deno.test("connFromReadable() gives the rest of a chunk first and skips empty ones", async () => {
  const conn = connFromReadable(readableOf(bytes(), bytes(1, 2, 3), bytes(), bytes(4)));
  assertEquals(await readOnce(conn, 2), [1, 2]);
  assertEquals(await readOnce(conn), [3]);
  assertEquals(await readOnce(conn), [4]);
  assertEquals(await readOnce(conn), null);
  assertEquals(await readOnce(conn), null);
  conn.close();
});

Deno.test("connFromReadable() pulls from the stream only while a read needs it", async () => {
  let pulls = 0;
  const readable = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulls++;
      controller.enqueue(bytes(1, 2));
    },
  }, { highWaterMark: 0 });
  const conn = connFromReadable(readable);
  assertEquals(pulls, 0);
  await readOnce(conn, 1);
  await readOnce(conn, 1);
  assertEquals(pulls, 1);
  conn.close();
});

Deno.test("connFromReadable() asks a byte stream for no more than it was asked for, and keeps the caller's memory", async () => {
  const asked: number[] = [];
  const readable = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const view = controller.byobRequest!.view as Uint8Array;
      asked.push(view.byteLength);
      view[0] = 7;
      controller.byobRequest!.respond(1);
    },
  });
  const conn = connFromReadable(readable);
  const p = new Uint8Array(100_000);
  assertEquals(await conn.read(p.subarray(0, 10)), 1);
  assertEquals(await conn.read(p.subarray(1, 5)), 1);
  assertEquals(await conn.read(p), 1);
  assertEquals(asked, [10, 4, 65536]);
  assertEquals([...p.subarray(0, 3)], [7, 7, 0]);
  conn.close();
});

Deno.test("connFromReadable() throws a TypeError at chunks that are not bytes", async () => {
  for (
    const [chunk, type] of [["text", "a string"], [1, "a number"], [new ArrayBuffer(1), "an ArrayBuffer"], [
      null,
      "null",
    ]]
  ) {
    const conn = connFromReadable(readableOf(chunk));
    const error = await assertRejects(() => readOnce(conn), TypeError);
    assertEquals(error.message, `Cannot read: the chunks of the stream must be Uint8Arrays, not ${type}`);
    conn.close();
  }
});

Deno.test("connFromReadable() rejects with what the stream fails with, or ConnectionReset for nothing", async () => {
  const failure = new Error("wires cut");
  const conn = connFromReadable(new ReadableStream({ pull: () => Promise.reject(failure) }));
  assertStrictEquals(await assertRejects(() => readOnce(conn)), failure);
  conn.close();
  const reasonless = connFromReadable(new ReadableStream({ pull: () => Promise.reject(undefined) }));
  await assertRejects(() => readOnce(reasonless), Deno.errors.ConnectionReset);
  reasonless.close();
});

Deno.test("connFromReadable() makes a conn that cannot be written to", async () => {
  const conn = connFromReadable(readableOf());
  await assertRejects(() => conn.write(bytes(1)), Deno.errors.BrokenPipe);
  assertEquals(conn.closeWrite, undefined);
  conn.close();
});

Deno.test("connFromReadable() cancels the stream at close(), even while it never answers", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const conn = connFromReadable(
    new ReadableStream({ pull: () => new Promise(() => {}), cancel: (reason) => cancelled.resolve(reason) }),
  );
  const rejected = assertRejects(() => readOnce(conn), Deno.errors.Interrupted);
  conn.close();
  await rejected;
  assert(await cancelled.promise instanceof Deno.errors.BrokenPipe);
});

Deno.test("connFromWritable() gives the stream memory of its own, 65536 bytes at most [M4]", async () => {
  const chunks: Uint8Array[] = [];
  const conn = connFromWritable(new WritableStream({ write: (chunk) => void chunks.push(chunk) }));
  const p = new Uint8Array(100_000).fill(1);
  assertEquals(await conn.write(p), 65536);
  p.fill(2);
  assertEquals(chunks.map((chunk) => [chunk.length, chunk.buffer.byteLength]), [[65536, 65536]]);
  assert(chunks[0]!.every((value) => value === 1));
  conn.close();
});

Deno.test("connFromWritable() is done with a write when the stream is, whatever its high-water mark", async () => {
  for (const highWaterMark of [0, 1, 10]) {
    const sink = Promise.withResolvers<void>();
    const conn = connFromWritable(new WritableStream({ write: () => sink.promise }, { highWaterMark }));
    let done = false;
    const writing = conn.write(bytes(1)).then(() => done = true);
    await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals(done, false);
    sink.resolve();
    await writing;
    conn.close();
  }
});

Deno.test("connFromWritable() rejects with what the stream fails with, in writes, reads and closeWrite()", async () => {
  const failure = new Error("disk full");
  const conn = connFromWritable(new WritableStream({ write: () => Promise.reject(failure) }));
  const reading = readOnce(conn);
  const seen = assertRejects(() => reading);
  assertStrictEquals(await assertRejects(() => conn.write(bytes(1))), failure);
  assertStrictEquals(await seen, failure);
  assertStrictEquals(await assertRejects(() => conn.write(bytes(1))), failure);
  await assertRejects(() => conn.closeWrite!());
  conn.close();
});

Deno.test("connFromWritable() finds the end once writing was ended, and not before", async () => {
  let closed = false;
  const conn = connFromWritable(new WritableStream({ close: () => void (closed = true) }));
  const reading = readOnce(conn).then((got) => {
    assertEquals(closed, true);
    return got;
  });
  await conn.write(bytes(1));
  await conn.closeWrite!();
  await conn.closeWrite!();
  assertEquals(await reading, null);
  await assertRejects(() => conn.write(bytes(1)), Deno.errors.BrokenPipe);
  conn.close();
});

Deno.test("connFromWritable() interrupts whatever waits at close(), even if the stream never answers", async () => {
  const conn = connFromWritable(new WritableStream({ write: () => new Promise(() => {}) }));
  const rejected = Promise.all([
    assertRejects(() => conn.write(bytes(1)), Deno.errors.Interrupted),
    assertRejects(() => conn.closeWrite!(), Deno.errors.Interrupted),
    assertRejects(() => readOnce(conn), Deno.errors.Interrupted),
  ]);
  conn.close();
  await rejected;
});

Deno.test("connFromWritable() closes the stream at close(), or aborts it during a write", async () => {
  const events: string[] = [];
  const sink = (write: () => Promise<void>) => ({
    write,
    close: () => void events.push("close"),
    abort: () => void events.push("abort"),
  });
  connFromWritable(new WritableStream(sink(() => Promise.resolve()))).close();
  const answer = Promise.withResolvers<void>();
  const conn = connFromWritable(new WritableStream(sink(() => answer.promise)));
  const rejected = assertRejects(() => conn.write(bytes(1)), Deno.errors.Interrupted);
  conn.close();
  await rejected;
  answer.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(events, ["close", "abort"]);
});

Deno.test("connFromStreams() throws a TypeError at streams that are locked", () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  readable.getReader();
  assertThrows(() => connFromStreams({ readable, writable }), TypeError, "readable stream: it is locked");
  assertEquals(writable.locked, false);
  writable.getWriter();
  assertThrows(() => connFromStreams({ readable: readableOf(), writable }), TypeError, "writable stream: it is locked");
});

Deno.test("connFromStreams() speaks to a process through its pipes", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "await Deno.stdin.readable.pipeTo(Deno.stdout.writable)"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const conn = connFromStreams({ readable: child.stdout, writable: child.stdin });
  assertEquals(await conn.write(bytes(1, 2, 3)), 3);
  assertEquals(await readOnce(conn), [1, 2, 3]);
  await conn.closeWrite!();
  assertEquals(await readOnce(conn), null);
  conn.close();
  assertEquals((await child.status).code, 0);
});
