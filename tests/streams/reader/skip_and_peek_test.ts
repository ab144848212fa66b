/** skipuntil() and peek(). */
import { assertEquals, assertRejects } from "@std/assert";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { settle, text, watch } from "../../support/reader_outcomes.ts";
import { bytes } from "../../support/bytes.ts";

Deno.test("StreamReader.skipuntil() resolves with the bytes dropped, at the end with what was dropped until then [R12]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("one\ntwo\r\nthree"));
  assertEquals(await reader.skipuntil(), 4);
  assertEquals(await reader.skipuntil("\r\n"), 5);
  const skip = reader.skipuntil(["\r\n", "\n"]);
  reader.feedData(bytes("\r"));
  reader.feedEof();
  assertEquals(await skip, 6);
  assertEquals(await reader.skipuntil(), 0);
  assertEquals(reader.atEof(), true);
});

Deno.test("StreamReader.peek() consumes nothing, and gives a view that never changes [M1, R12]", async () => {
  const reader = new StreamReader({ limit: 4 });
  reader.feedData(bytes("abcdef"));
  const view = await reader.peek(3);
  assertEquals(text(await reader.peek(6)), "abcdef");
  const waiting = watch(reader.peek(8));
  await settle();
  assertEquals(waiting.outcome, "pending");
  reader.feedData(bytes("ghi"));
  await settle();
  assertEquals(waiting.outcome, '"abcdefgh"');
  assertEquals(reader.buffered, 9);
  reader.feedEof();
  await reader.read(5);
  assertEquals(text(await reader.peek(8)), "fghi");
  assertEquals(text(await reader.read()), "fghi");
  assertEquals(text(await reader.peek(8)), "");
  assertEquals(text(view), "abc");
});

Deno.test("StreamReader.peek() of more than 2 × limit is refused, also if it is there [R12]", async () => {
  const reader = new StreamReader({ limit: 4 });
  reader.feedData(bytes("0123456789"));
  await assertRejects(() => reader.peek(9), RangeError, "Cannot peek 9 bytes: at most 8");
  assertEquals((await reader.peek(8)).length, 8);
});
