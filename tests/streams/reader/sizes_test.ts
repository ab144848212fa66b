/** read() and readexactly(). */
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { IncompleteReadError } from "../../../src/common/errors.ts";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { outcome, settle, show, text, watch } from "../../support/reader_outcomes.ts";
import { bytes } from "../../support/bytes.ts";

Deno.test("StreamReader.read(0) is empty at once: waiting, at the end and after an error alike [R2]", async () => {
  const reader = new StreamReader();
  assertEquals(await reader.read(0), new Uint8Array(0));
  const waiting = watch(reader.read(1));
  assertEquals(await reader.read(0), new Uint8Array(0));
  assertEquals(await reader.read(-0), new Uint8Array(0));
  assertEquals(await reader.readexactly(0), new Uint8Array(0));
  assertEquals(await reader.peek(0), new Uint8Array(0));
  assertEquals(await reader.readinto(new Uint8Array(0)), 0);
  reader.feedEof();
  assertEquals(await reader.read(0), new Uint8Array(0));
  assertEquals(await reader.readinto(new Uint8Array(0)), 0);
  await settle();
  assertEquals(waiting.outcome, '""');
  reader.setException(new Error("lost"));
  assertEquals(await reader.read(0), new Uint8Array(0));
});

Deno.test("StreamReader.read() with any negative number reads until the end, beyond every limit [R2, R11]", async () => {
  for (const n of [undefined, -1, -100]) {
    const reader = new StreamReader({ limit: 1 });
    reader.feedData(bytes("0123"));
    const read = watch(reader.read(n));
    reader.feedData(bytes("4567"));
    await settle();
    assertEquals(read.outcome, "pending");
    reader.feedEof();
    await settle();
    assertEquals(read.outcome, '"01234567"');
    assertEquals(show(await reader.read(n)), '""');
  }
});

Deno.test("StreamReader.readexactly() gives exactly n, and what is there if the stream ends before [R3]", async () => {
  const reader = new StreamReader({ limit: 1 });
  reader.feedData(bytes("0123456789"));
  assertEquals(text(await reader.readexactly(8)), "01234567");
  reader.feedEof();
  const error = await assertRejects(() => reader.readexactly(3), IncompleteReadError);
  assertEquals(text(error.partial), "89");
  assertEquals(error.expected, 3);
  assertInstanceOf(error, Deno.errors.UnexpectedEof);
  assertEquals(error.message, "Cannot read 3 bytes: the stream ended after 2 bytes");
  assertEquals(reader.buffered, 0);
  assertEquals(await outcome(reader.readexactly(3)), 'IncompleteReadError("", 3)');
});

Deno.test("StreamReader.read(n) and readexactly(n) are not bound by the limit [R11]", async () => {
  const reader = new StreamReader({ limit: 10 });
  reader.feedData(new Uint8Array(1000));
  assertEquals((await reader.read(900)).length, 900);
  const read = reader.readexactly(1000);
  for (let i = 0; i < 9; i++) reader.feedData(new Uint8Array(100));
  assertEquals((await read).length, 1000);
});
