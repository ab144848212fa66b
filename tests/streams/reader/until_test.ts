/** readuntil() and readline(). */
import { assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { LimitOverrunError } from "../../../src/common/errors.ts";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { cuttings, outcome, settle, show, text, watch } from "../../support/reader_outcomes.ts";
import { bytes } from "../../support/bytes.ts";

Deno.test("StreamReader.readuntil() overruns by its window of limit + L bytes, to the byte [R4]", async () => {
  const limit = 10;
  for (const separator of ["\n", "\r\n", "-END-"]) {
    for (let start = limit - 2; start <= limit + 7; start++) {
      const data = bytes("x".repeat(start) + separator + "rest");
      for (const { name, pieces } of cuttings(data)) {
        const message = `${JSON.stringify(separator)} after ${start}, ${name}`;
        const reader = new StreamReader({ limit });
        const read = watch(reader.readuntil(separator));
        pieces.forEach((piece) => reader.feedData(piece));
        await settle();
        const expected = start <= limit ? show(data.subarray(0, start + separator.length)) : `LimitOverrunError(11)`;
        assertEquals(read.outcome, expected, message);
        if (start > limit) assertEquals(reader.buffered, data.length, message);
      }
    }
  }
});

Deno.test("StreamReader.readuntil() overruns as soon as limit + L bytes are there, not before [R4]", async () => {
  const reader = new StreamReader({ limit: 4 });
  const read = watch(reader.readuntil("ab"));
  reader.feedData(bytes("xxxxa"));
  await settle();
  assertEquals(read.outcome, "pending");
  reader.feedData(bytes("x"));
  await settle();
  assertEquals(read.outcome, "LimitOverrunError(5)");
  assertEquals(show(await reader.read(100)), '"xxxxax"');
});

Deno.test("StreamReader.readuntil() overruns where a shorter separator starts beyond the limit, if it ends first [R4]", async () => {
  // "a" ends first, after 5 bytes; the longer one, which would start in time, does not count.
  for (const { name, pieces } of cuttings(bytes("xxxBxacdefgh"))) {
    const reader = new StreamReader({ limit: 4 });
    pieces.forEach((piece) => reader.feedData(piece));
    assertEquals(await outcome(reader.readuntil(["a", "Bxacdefgh"])), "LimitOverrunError(5)", name);
    assertEquals(await outcome(reader.readuntil(["Bxacdefgh"])), '"xxxBxacdefgh"', name);
  }
});

Deno.test("StreamReader.readuntil() overruns before the end of the stream, else the stream is incomplete [R4]", async () => {
  for (
    const [length, expected] of [
      [9, 'IncompleteReadError("xxxxxxxxx", null)'],
      [10, "LimitOverrunError(9)"],
      [11, "LimitOverrunError(9)"],
    ] as const
  ) {
    const reader = new StreamReader({ limit: 8 });
    reader.feedData(bytes("x".repeat(length)));
    reader.feedEof();
    assertEquals(await outcome(reader.readuntil("ab")), expected);
    assertEquals(reader.buffered, length === 9 ? 0 : length);
  }
});

Deno.test("StreamReader.readuntil() takes the match that ends first, of equal ends the shortest separator [R4]", async () => {
  for (const { name, pieces } of cuttings(bytes("ABCDEFG"))) {
    for (const separators of [["DEF", "BCDE"], ["BCDE", "DEF"], ["E", "BCDE", "DEF"]]) {
      const reader = new StreamReader();
      pieces.forEach((piece) => reader.feedData(piece));
      assertEquals(text(await reader.readuntil(separators)), "ABCDE", name);
    }
    // Which of two that end together decides on the overrun: the shortest starts beyond the limit.
    const reader = new StreamReader({ limit: 3 });
    pieces.forEach((piece) => reader.feedData(piece));
    assertEquals(await outcome(reader.readuntil(["E", "BCDE"])), "LimitOverrunError(4)", name);
    assertEquals(await outcome(reader.readuntil(["BCDE"])), '"ABCDE"', name);
  }
});

Deno.test("StreamReader.readuntil() takes a limit of its own, below or above the reader's [R4]", async () => {
  const reader = new StreamReader({ limit: 4 });
  reader.feedData(bytes("12345678\n12\n"));
  assertEquals(await outcome(reader.readuntil("\n", { limit: 7 })), "LimitOverrunError(8)");
  assertEquals(await outcome(reader.readuntil("\n", { limit: 8 })), '"12345678\\n"');
  assertEquals(await outcome(reader.readuntil("\n", { limit: 1 })), "LimitOverrunError(2)");
  assertEquals(await outcome(reader.readuntil("\n")), '"12\\n"');
  const waiting = watch(reader.readuntil("\n", { limit: 100 }));
  for (let i = 0; i < 10; i++) reader.feedData(bytes("0123456789"));
  reader.feedData(bytes("\n"));
  await settle();
  assertEquals(waiting.outcome.length, 104);
});

Deno.test("StreamReader.readuntil() looks for what the separator was when it was called [R4]", async () => {
  const reader = new StreamReader();
  const separator = bytes("ab");
  const list = [separator, "cd"];
  const read = reader.readuntil(list);
  separator.fill(0);
  list.length = 0;
  reader.feedData(bytes("xab"));
  assertEquals(text(await read), "xab");
});

Deno.test("StreamReader.readuntil() and skipuntil() take node Buffers and UTF-8 strings as separators", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("un café, deux cafés"));
  assertEquals(await reader.readuntil(Buffer.from("é")), bytes("un café"));
  assertEquals(await reader.skipuntil(["é", "z"]), bytes(", deux café").length);
  assertEquals(text(await reader.read(1)), "s");
});

Deno.test("StreamReader.readuntil() knows more separators than it remembers", async () => {
  const reader = new StreamReader();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 200; i++) {
      reader.feedData(bytes(`data<${i}>`));
      assertEquals(text(await reader.readuntil(`<${i}>`)), `data<${i}>`);
    }
  }
});

Deno.test("StreamReader.readline() over the limit drops nothing; skipuntil() drops the line [R5]", async () => {
  for (const { name, pieces } of cuttings(bytes("a line that is too long\nok\n"))) {
    const reader = new StreamReader({ limit: 5 });
    pieces.forEach((piece) => reader.feedData(piece));
    reader.feedEof();
    for (let i = 0; i < 3; i++) {
      const error = await assertRejects(() => reader.readline(), LimitOverrunError, "Cannot read a line");
      assertEquals(error.consumed, 6, name);
      assertEquals(reader.buffered, 27, name);
    }
    assertEquals(await reader.skipuntil(), 24, name);
    assertEquals(text(await reader.readline()), "ok\n", name);
    assertEquals(text(await reader.readline()), "", name);
  }
});

Deno.test("StreamReader.readline() holds the limit to the byte, fast and slow alike [R5]", async () => {
  for (const options of [undefined, {}]) {
    for (const [line, expected] of [["1234567\n", '"1234567\\n"'], ["12345678\n", "LimitOverrunError(8)"]] as const) {
      const reader = new StreamReader({ limit: 7 });
      reader.feedData(bytes(line + "more\n"));
      assertEquals(await outcome(reader.readline(options)), expected);
    }
  }
});
