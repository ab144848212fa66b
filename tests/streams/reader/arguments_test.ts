/** What a reader refuses. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe } from "../../../src/common/describe.ts";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { text } from "../../support/reader_outcomes.ts";
import { all } from "./kinds.ts";
import { bytes } from "../../support/bytes.ts";

Deno.test("new StreamReader() refuses a limit that is no whole number above 0 [R1]", () => {
  for (const limit of [0, -1, -0, NaN, -Infinity, 0.5, 1.5]) {
    assertThrows(() => new StreamReader({ limit }), RangeError, `Cannot create a reader`);
    assertThrows(() => new StreamReader({ limit }), RangeError, `not ${describe(limit)}`);
  }
  for (const limit of ["5", null, true, 5n, {}]) {
    assertThrows(() => new StreamReader({ limit: limit as never }), TypeError, `not ${describe(limit)}`);
  }
  assertEquals(new StreamReader().limit, 65536);
  assertEquals(new StreamReader({}).limit, 65536);
  assertEquals(new StreamReader({ limit: 1 }).limit, 1);
});

Deno.test("new StreamReader() with an infinite limit never overruns [R1]", async () => {
  const reader = new StreamReader({ limit: Infinity });
  reader.feedData(new Uint8Array(200_000));
  const line = reader.readline();
  reader.feedData(bytes("\n"));
  assertEquals((await line).length, 200_001);
  reader.feedData(bytes("ab"));
  assertEquals(text(await reader.peek(2)), "ab");
});

Deno.test("StreamReader refuses sizes that are no whole numbers, with typed errors, and changes nothing [R2, R3]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("data"));
  for (const n of [NaN, 1.5, -1.5, Infinity, -Infinity]) {
    await assertRejects(() => reader.read(n), RangeError, `not ${describe(n)}`);
    await assertRejects(() => reader.readexactly(n), RangeError, `not ${describe(n)}`);
    await assertRejects(() => reader.peek(n), RangeError, `not ${describe(n)}`);
  }
  for (const n of ["1", null, true, 1n, {}, Symbol("n")] as never[]) {
    await assertRejects(() => reader.read(n), TypeError, `not ${describe(n)}`);
    await assertRejects(() => reader.readexactly(n), TypeError, `not ${describe(n)}`);
    await assertRejects(() => reader.peek(n), TypeError, `not ${describe(n)}`);
  }
  await assertRejects(() => reader.readexactly(-1), RangeError, "Cannot read exactly: the size must be");
  await assertRejects(() => reader.peek(-1), RangeError, "Cannot peek: the size must be");
  await assertRejects(() => reader.readexactly(undefined as never), TypeError);
  await assertRejects(() => reader.peek(undefined as never), TypeError);
  for (const memory of [null, undefined, "text", [], new ArrayBuffer(1), new Uint16Array(1)] as never[]) {
    await assertRejects(() => reader.readinto(memory), TypeError, "Cannot read: the memory must be a Uint8Array");
  }
  assertEquals(text(await reader.read(100)), "data");
});

Deno.test("StreamReader refuses separators that are empty or none, with a TypeError, and changes nothing [R4]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("data"));
  for (const wrong of ["", [], [""], ["\n", ""], new Uint8Array(0), [bytes("a"), new Uint8Array(0)]]) {
    await assertRejects(() => reader.readuntil(wrong), TypeError, "empty");
    await assertRejects(() => reader.skipuntil(wrong), TypeError, "empty");
  }
  for (const wrong of [1, null, {}, [1], [["a"]], new ArrayBuffer(1)] as never[]) {
    await assertRejects(() => reader.readuntil(wrong), TypeError, "must be a string or a Uint8Array");
    await assertRejects(() => reader.skipuntil(wrong), TypeError, "must be a string or a Uint8Array");
  }
  for (const limit of [0, -1, NaN, 1.5]) {
    await assertRejects(() => reader.readuntil("\n", { limit }), RangeError, `not ${describe(limit)}`);
  }
  for (const limit of ["5", null, 5n] as never[]) {
    if (limit === null) continue;
    await assertRejects(() => reader.readuntil("\n", { limit }), TypeError, `not ${describe(limit)}`);
  }
  assertEquals(text(await reader.read(100)), "data");
});

Deno.test("StreamReader refuses what is no AbortSignal, and the next read works", async () => {
  const reader = new StreamReader();
  for (const signal of [null, {}, "signal", { aborted: false }, new AbortController()] as never[]) {
    for (const kind of all) {
      await assertRejects(() => kind.start(reader, { signal }), TypeError, "the signal must be an AbortSignal");
    }
  }
  const read = reader.read(1);
  reader.feedData(bytes("a"));
  assertEquals(text(await read), "a");
});

Deno.test("StreamReader.feedData() and setException() refuse what is of another type, and change nothing", async () => {
  const reader = new StreamReader();
  for (const wrong of ["text", null, undefined, [1], new ArrayBuffer(1), new DataView(new ArrayBuffer(1))] as never[]) {
    assertThrows(() => reader.feedData(wrong), TypeError, "Cannot feed data: it must be a Uint8Array");
    assertThrows(() => reader.setException(wrong), TypeError, "Cannot set the exception of a reader");
  }
  assertEquals(reader.buffered, 0);
  assertEquals(reader.exception(), null);
  reader.feedData(bytes("a"));
  assertEquals(text(await reader.read(1)), "a");
});
