/** Lines as text, and iteration. */
import { assertEquals, assertThrows } from "@std/assert";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { assertReason, cuttings, outcome, settle, show, text, watch } from "../../support/reader_outcomes.ts";
import { bytes } from "../../support/bytes.ts";

Deno.test("StreamReader.lines() gives the text of each line, however it came", async () => {
  const cases: [text: string, lines: string[]][] = [
    ["", []],
    ["\n", [""]],
    ["one", ["one"]],
    ["one\n", ["one"]],
    ["one\r\n\r\ntwo\nthree\r", ["one", "", "two", "three\r"]],
    ["\r\r\n\n\r\n", ["\r", "", ""]],
    ["naïve café\n日本語\r\n💶", ["naïve café", "日本語", "💶"]],
  ];
  for (const [data, lines] of cases) {
    for (const { name, pieces } of cuttings(bytes(data))) {
      for (const options of [undefined, {}, { signal: new AbortController().signal }, { encoding: "utf8" }]) {
        const reader = new StreamReader();
        pieces.forEach((piece) => reader.feedData(piece));
        reader.feedEof();
        assertEquals(await Array.fromAsync(reader.lines(options)), lines, `${JSON.stringify(data)}, ${name}`);
      }
    }
  }
});

Deno.test("StreamReader.lines() decodes as one decoder of the whole would, in every encoding that keeps ASCII", async () => {
  const random = Array.from({ length: 3000 }, (_, i) => (i * i * 7919 + i * 31) >> 3 & 255);
  const data = Uint8Array.from(random, (byte, i) => i % 17 === 0 ? 10 : byte);
  for (const encoding of ["utf-8", "latin1", "windows-1252", "iso-8859-15", "koi8-r", "shift_jis", "gbk", "euc-kr"]) {
    const reader = new StreamReader();
    reader.feedData(data);
    reader.feedEof();
    const whole = new TextDecoder(encoding).decode(data);
    const lines = whole.split("\n").map((line) => line.endsWith("\r") ? line.slice(0, -1) : line);
    assertEquals(await Array.fromAsync(reader.lines({ encoding })), lines, encoding);
  }
});

Deno.test("StreamReader.lines() leaves out a byte order mark at the start, and only there", async () => {
  for (
    const [data, lines] of [
      ["\uFEFFone\n\uFEFFtwo\n", ["one", "\uFEFFtwo"]],
      ["\uFEFF\n\uFEFF", ["", "\uFEFF"]],
      ["\n\uFEFFtwo", ["", "\uFEFFtwo"]],
    ] as const
  ) {
    const reader = new StreamReader();
    reader.feedData(bytes(data));
    reader.feedEof();
    assertEquals(await Array.fromAsync(reader.lines()), [...lines]);
  }
});

Deno.test("StreamReader.lines() replaces what is no valid text, and goes on", async () => {
  const reader = new StreamReader();
  reader.feedData(Uint8Array.from([0x61, 0xff, 10, 0xe2, 0x82, 10, 0x62]));
  reader.feedEof();
  assertEquals(await Array.fromAsync(reader.lines()), ["a\uFFFD", "\uFFFD", "b"]);
});

Deno.test("StreamReader.lines() refuses encodings that are unknown or do not keep ASCII", () => {
  const reader = new StreamReader();
  for (const encoding of ["no such", "utf-16", "utf-16le", "utf-16be", "utf-32", ""]) {
    assertThrows(() => reader.lines({ encoding }), RangeError);
  }
});

Deno.test("StreamReader.lines() stops where it is broken off, and the rest can be read", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("one\ntwo\nthree\n"));
  for await (const line of reader.lines()) {
    if (line === "two") break;
  }
  assertEquals(text(await reader.read(100)), "three\n");
});

Deno.test("StreamReader.lines() and iteration fail with the error of the line, and go on after it [R5, R7, R8]", async () => {
  for (const iterate of [(r: StreamReader) => r.lines(), (r: StreamReader) => r[Symbol.asyncIterator]()]) {
    const reader = new StreamReader({ limit: 5 });
    reader.feedData(bytes("too long\nok\n"));
    const lines = iterate(reader);
    assertEquals(await outcome(lines.next()), "LimitOverrunError(6)");
    await reader.skipuntil();
    assertEquals(show((await lines.next()).value).includes("ok"), true);
    const waiting = watch(lines.next());
    assertEquals(await outcome(lines.next()), "Busy: Cannot read: another read is waiting on this reader");
    reader.setException(new Error("lost"));
    await settle();
    assertEquals(waiting.outcome, "Error: lost");
    await lines.return?.();
    assertEquals((await lines.next()).done, true);
  }
  const reader = new StreamReader();
  const controller = new AbortController();
  const lines = reader.lines({ signal: controller.signal });
  const next = assertReason(lines.next(), controller.signal);
  controller.abort();
  await next;
});

Deno.test("StreamReader can be iterated: lines as bytes, as asyncio, until the end", async () => {
  for (const { name, pieces } of cuttings(bytes("one\r\n\n\ntwo\nthree"))) {
    const reader = new StreamReader();
    const collected = Array.fromAsync(reader, text);
    for (const piece of pieces) {
      reader.feedData(piece);
      await null;
    }
    reader.feedEof();
    assertEquals(await collected, ["one\r\n", "\n", "\n", "two\n", "three"], name);
  }
});
