/** The end of the stream, and its exception. */
import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { StreamWriter } from "../../../src/streams/stream_writer.ts";
import type { Transport } from "../../../src/transport/types.ts";
import { outcome, settle, text, watch } from "../../support/reader_outcomes.ts";
import { all } from "./kinds.ts";
import { bytes } from "../../support/bytes.ts";

Deno.test("StreamReader.setException() leaves buffered bytes readable by every read that they satisfy [R8]", async () => {
  const lost = new Error("lost");
  for (
    const [read, expected] of [
      [(r: StreamReader) => r.read(3), '"lin"'],
      [(r: StreamReader) => r.read(100), '"line\\nrest"'],
      [(r: StreamReader) => r.read(), '"line\\nrest"'],
      [(r: StreamReader) => r.readline(), '"line\\n"'],
      [(r: StreamReader) => r.readline({}), '"line\\n"'],
      [(r: StreamReader) => r.readexactly(9), '"line\\nrest"'],
      [(r: StreamReader) => r.readuntil("es"), '"line\\nres"'],
      [(r: StreamReader) => r.readinto(new Uint8Array(4)), "4"],
      [(r: StreamReader) => r.peek(9), '"line\\nrest"'],
      [(r: StreamReader) => r.skipuntil(), "5"],
    ] as [(reader: StreamReader) => Promise<unknown>, string][]
  ) {
    const reader = new StreamReader();
    reader.feedData(bytes("line\nrest"));
    reader.setException(lost);
    assertStrictEquals(reader.exception(), lost);
    assertEquals(await outcome(read(reader)), expected);
  }
});

Deno.test("StreamReader.setException(): read() and readline() deliver the rest first, then throw [R8]", async () => {
  for (const read of [(r: StreamReader) => r.read(), (r: StreamReader) => r.readline()]) {
    for (const waitFirst of [false, true]) {
      const reader = new StreamReader();
      reader.feedData(bytes("rest"));
      const waiting = waitFirst ? watch(read(reader)) : null;
      reader.setException(new Error("lost"));
      assertEquals(await (waiting ? settle().then(() => waiting.outcome) : outcome(read(reader))), '"rest"');
      for (let i = 0; i < 3; i++) assertEquals(await outcome(read(reader)), "Error: lost");
      assertEquals(reader.atEof(), false);
    }
  }
});

Deno.test("StreamReader.setException(): any other read throws, and the bytes stay [R8]", async () => {
  for (
    const read of [
      (r: StreamReader) => r.readexactly(5),
      (r: StreamReader) => r.readuntil("\n"),
      (r: StreamReader) => r.readuntil(["\n", "xyz"]),
      (r: StreamReader) => r.peek(5),
      (r: StreamReader) => r.skipuntil("\n"),
    ]
  ) {
    const lost = new Deno.errors.ConnectionReset("lost");
    const reader = new StreamReader();
    reader.feedData(bytes("rest"));
    reader.setException(lost);
    for (let i = 0; i < 2; i++) {
      assertStrictEquals(await read(reader).catch((error) => error), lost);
      assertEquals(reader.buffered, 4);
    }
    assertEquals(text(await reader.read(100)), "rest");
    assertStrictEquals(await reader.read(100).catch((error) => error), lost);
    assertStrictEquals(await reader.readinto(new Uint8Array(4)).catch((error) => error), lost);
  }
});

for (const kind of all) {
  Deno.test(`StreamReader.${kind.name} that waits is ended by setException() [R8]`, async () => {
    const reader = new StreamReader();
    reader.feedData(bytes(kind.waitsWith));
    const waiting = watch(kind.start(reader));
    await settle();
    assertEquals(waiting.outcome, "pending");
    reader.setException(new TypeError("lost"));
    await settle();
    assertEquals(waiting.outcome, kind.restAtFailure ?? "TypeError: lost");
    const kept = kind.restAtFailure !== undefined
      ? 0
      : kind.name.startsWith("skipuntil")
      ? reader.buffered
      : kind.waitsWith.length;
    assertEquals(reader.buffered, kept);
  });
}

Deno.test("StreamReader.setException() prevails over the end, and the last one over those before [R8]", async () => {
  const reader = new StreamReader();
  reader.feedEof();
  reader.setException(new Error("first"));
  assertEquals(await outcome(reader.read()), "Error: first");
  reader.setException(new Error("second"));
  assertEquals(await outcome(reader.readline()), "Error: second");
  assertEquals(await outcome(reader.readexactly(1)), "Error: second");
});

Deno.test("StreamReader overruns before it throws its exception: the bytes decide [R4, R8]", async () => {
  const reader = new StreamReader({ limit: 4 });
  reader.feedData(bytes("too long"));
  reader.setException(new Error("lost"));
  assertEquals(await outcome(reader.readline()), "LimitOverrunError(5)");
  assertEquals(await outcome(reader.readuntil("\r\n")), "LimitOverrunError(5)");
  assertEquals(text(await reader.read()), "too long");
});

Deno.test("StreamWriter.drain() throws the reader's exception [S2]", async () => {
  const reader = new StreamReader();
  const transport = { isClosing: () => false } as unknown as Transport;
  const flow = { drain: () => Promise.resolve(), waitClosed: () => Promise.resolve() };
  const writer = new StreamWriter(transport, flow, reader);
  await writer.drain();
  const lost = new Deno.errors.ConnectionReset("lost");
  reader.feedData(bytes("unread"));
  reader.setException(lost);
  assertStrictEquals(await writer.drain().catch((error) => error), lost);
});

Deno.test("StreamReader.feedData() throws after feedEof(), and does nothing with empty data [R9]", async () => {
  const reader = new StreamReader();
  const waiting = watch(reader.read(1));
  reader.feedData(new Uint8Array(0));
  await settle();
  assertEquals(waiting.outcome, "pending");
  reader.feedData(bytes("ab"));
  reader.feedEof();
  reader.feedEof();
  assertThrows(() => reader.feedData(bytes("c")), Error, "Cannot feed data: the end of the stream was fed");
  assertThrows(() => reader.feedData(new Uint8Array(0)), Error, "Cannot feed data");
  assertEquals(text(await reader.read()), "b");
});

Deno.test("StreamReader.atEof() is true when the end was fed and all was read", async () => {
  const reader = new StreamReader();
  assertEquals(reader.atEof(), false);
  reader.feedData(bytes("ab"));
  reader.feedEof();
  assertEquals(reader.atEof(), false);
  assertEquals(reader.buffered, 2);
  await reader.read(1);
  assertEquals(reader.atEof(), false);
  await reader.read(1);
  assertEquals(reader.atEof(), true);
  assertEquals(reader.buffered, 0);
});
