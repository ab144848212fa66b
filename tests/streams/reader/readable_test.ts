/** The rest of the stream as a Web Stream. */
import { assertEquals, assertNotStrictEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { settle, text, watch, type Watched } from "../../support/reader_outcomes.ts";
import { bytes, concat } from "../../support/bytes.ts";

Deno.test("StreamReader.readable is the rest of the stream, and the same object each time", async () => {
  const reader = new StreamReader({ limit: 3 });
  reader.feedData(bytes("line\nrest of "));
  assertEquals(text(await reader.readline().catch(() => reader.readexactly(5))), "line\n");
  const { readable } = reader;
  assertStrictEquals(reader.readable, readable);
  const collected = Array.fromAsync(readable);
  await settle();
  reader.feedData(bytes("the stream"));
  await settle();
  reader.feedEof();
  assertEquals(text(concat(await collected)), "rest of the stream");
});

Deno.test("StreamReader.readable pulls: nothing is read before it is asked for", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("abc"));
  const stream = reader.readable.getReader();
  await settle();
  assertEquals(reader.buffered, 3);
  assertEquals(text((await stream.read()).value!), "abc");
  reader.feedData(bytes("def"));
  await settle();
  assertEquals(reader.buffered, 3);
  stream.releaseLock();
  assertEquals(text(await reader.read(3)), "def");
});

Deno.test("StreamReader.readable fills memory of the caller's, and takes no more than that from the reader", async () => {
  for (const waitFirst of [false, true]) {
    const reader = new StreamReader();
    const stream = reader.readable.getReader({ mode: "byob" });
    if (!waitFirst) reader.feedData(bytes("abcdefgh"));
    const first = stream.read(new Uint8Array(3));
    await settle();
    if (waitFirst) reader.feedData(bytes("abcdefgh"));
    assertEquals(text((await first).value!), "abc");
    assertEquals(reader.buffered, 5);
    const pair = await stream.read(new Uint16Array(2));
    assertEquals(text(new Uint8Array(pair.value!.buffer, 0, 4)), "defg");
    const last = await stream.read(new Uint8Array(10));
    assertEquals(text(last.value!), "h");
    const end = stream.read(new Uint8Array(10));
    await settle();
    reader.feedEof();
    assertEquals(await end, { done: true, value: new Uint8Array(0) });
    assertEquals((await stream.read(new Uint8Array(1))).done, true);
  }
});

Deno.test("StreamReader.readable gives memory that may be transferred, without harm to what else was read [M1]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("abcdef"));
  const kept = await reader.read(3);
  const { value } = await reader.readable.getReader().read();
  structuredClone(value, { transfer: [value!.buffer as ArrayBuffer] });
  assertEquals(text(kept), "abc");
});

Deno.test("StreamReader.readable delivers what is buffered, then fails with the reader's exception [R8]", async () => {
  const lost = new Deno.errors.ConnectionReset("lost");
  const reader = new StreamReader();
  reader.feedData(bytes("rest"));
  reader.setException(lost);
  const stream = reader.readable.getReader();
  assertEquals(text((await stream.read()).value!), "rest");
  assertStrictEquals(await stream.read().catch((error) => error), lost);
});

Deno.test("StreamReader.readable can be cancelled, also while it waits; the reader goes on [R7]", async () => {
  for (const mode of [undefined, "byob"] as const) {
    for (const wait of [true, false]) {
      const reader = new StreamReader();
      const stream = mode === undefined ? reader.readable.getReader() : reader.readable.getReader({ mode });
      const pending = !wait
        ? null
        : "read" in stream && mode === undefined
        ? (stream as ReadableStreamDefaultReader<Uint8Array>).read()
        : (stream as ReadableStreamBYOBReader).read(new Uint8Array(1));
      await settle();
      await stream.cancel("enough");
      if (pending !== null) assertEquals((await pending).done, true);
      const read: Watched = watch(reader.readline());
      reader.feedData(bytes("still here\n"));
      await settle();
      assertEquals(read.outcome, '"still here\\n"');
    }
  }
});

Deno.test("StreamReader.readable of a stream that has ended is empty", async () => {
  const reader = new StreamReader();
  reader.feedEof();
  assertEquals(await Array.fromAsync(reader.readable), []);
});

Deno.test("StreamReader.readable may be taken again after a break out of it, and goes on where that stopped", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("one"));
  const first = reader.readable;
  for await (const chunk of first) {
    assertEquals(text(chunk), "one");
    break;
  }
  reader.feedData(bytes("two\nthree"));
  assertEquals(text(await reader.readline()), "two\n");
  const second = reader.readable;
  assertNotStrictEquals(second, first);
  assertStrictEquals(reader.readable, second);
  for (const expected of ["three", "four"]) {
    for await (const chunk of reader.readable) {
      assertEquals(text(chunk), expected);
      break;
    }
    reader.feedData(bytes("four"));
  }
  reader.feedEof();
  assertEquals(text(concat(await Array.fromAsync(reader.readable))), "four");
  assertEquals(await Array.fromAsync(first), []);
});

Deno.test("StreamReader.readable stays the same object while it is locked, and when it is released without a cancel", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("ab"));
  const { readable } = reader;
  const stream = readable.getReader();
  assertStrictEquals(reader.readable, readable);
  assertThrows(() => reader.readable.getReader(), TypeError);
  stream.releaseLock();
  for await (const _ of readable.values({ preventCancel: true })) break;
  assertStrictEquals(reader.readable, readable);
});

Deno.test("StreamReader.readable that failed because another read waits can be taken again [R6]", async () => {
  const reader = new StreamReader();
  const waiting = watch(reader.readline());
  const failed = reader.readable;
  await assertRejects(() => failed.getReader().read(), Deno.errors.Busy);
  reader.feedData(bytes("line\nrest"));
  await settle();
  assertEquals(waiting.outcome, '"line\\n"');
  reader.feedEof();
  assertEquals(text(concat(await Array.fromAsync(reader.readable))), "rest");
});
