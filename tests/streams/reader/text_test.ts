/** Text: lines() by the block, and the encoding of readline() and readuntil(). */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { LimitOverrunError } from "../../../src/common/errors.ts";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { SeededRandom } from "../../../src/testing/seeded_random.ts";
import {
  assertReason,
  cuttings,
  outcome,
  RecordingTransport,
  settle,
  text,
  watch,
} from "../../support/reader_outcomes.ts";
import { bytes } from "../../support/bytes.ts";

const ENCODINGS = ["utf-8", "latin1", "shift_jis", "gb18030", "big5", "euc-jp", "euc-kr", "koi8-r", "iso-2022-jp"];

/** Bytes rich in line ends, lead bytes and escape sequences, so that text and bytes fall out of step. */
function nastyBytes(random: SeededRandom, length: number): Uint8Array {
  const pieces = [
    () => [10],
    () => [13, 10],
    () => [97 + random.integer(0, 25)],
    () => [random.integer(128, 255)],
    () => [random.integer(128, 255), random.integer(48, 255)],
    () => [...bytes("é日💶\uFEFF"[random.integer(0, 3)]!)],
    () => [27, 36, 66, 0x30, 0x21],
    () => [27, 40, 66],
  ];
  const all: number[] = [];
  while (all.length < length) all.push(...pieces[random.integer(0, pieces.length - 1)]!());
  return Uint8Array.from(all);
}

Deno.test("StreamReader.lines() mixed at random with other reads, breaks and aborts loses no byte and no line [R7]", async () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = new SeededRandom(seed);
    const encoding = ENCODINGS[seed % ENCODINGS.length]!;
    // Some are longer than the block that is decoded at once.
    const data = nastyBytes(random, seed % 10 === 0 ? 20_000 : random.integer(0, 300));
    const reader = new StreamReader();
    let fed = 0;
    const feed = () => {
      const n = random.integer(0, seed % 10 === 0 ? 6000 : 40);
      if (fed < data.length) reader.feedData(data.subarray(fed, fed += n));
      if (fed >= data.length) reader.feedEof();
    };
    let position = 0;
    let lines = reader.lines({ encoding });
    let first = true;
    for (let step = 0; position < data.length; step++) {
      feed();
      const message = `seed ${seed}, ${encoding}, step ${step}, position ${position}`;
      switch (random.integer(0, 12)) {
        case 0:
          await lines.return!();
          lines = reader.lines({ encoding });
          first = true;
          break;
        case 1: {
          const piece = reader.tryread(random.integer(1, 5));
          if (piece !== undefined) assertEquals(piece, data.subarray(position, position += piece.length), message);
          break;
        }
        case 2:
          if (reader.buffered > 3) assertEquals(await reader.peek(3), data.subarray(position, position + 3), message);
          break;
        case 3: {
          // A line that is there is given; else the abort leaves everything.
          const controller = new AbortController();
          const aborted = reader.lines({ encoding, signal: controller.signal });
          if (reader.tryreadexactly(0) === undefined || data.subarray(position, fed).includes(10)) break;
          if (fed >= data.length) break;
          const next = assertReason(aborted.next(), controller.signal);
          controller.abort(new Error("enough"));
          await next;
          break;
        }
        default: {
          const newline = data.indexOf(10, position);
          const end = newline < 0 ? data.length : newline + 1;
          const next = lines.next();
          while (fed < end || (newline < 0 && fed <= data.length)) {
            feed();
            if (fed >= data.length) break;
            await null;
          }
          const { value } = await next;
          const decoder = new TextDecoder(encoding, { ignoreBOM: !first });
          const expected = decoder.decode(data.subarray(position, end)).replace(/\r?\n$/, "");
          assertEquals(value, expected, message);
          assertEquals(reader.buffered, Math.min(fed, data.length) - end, message);
          first = false;
          position = end;
        }
      }
    }
    feed();
    assertEquals((await lines.next()).done, true);
  }
});

Deno.test("StreamReader.lines() takes the bytes of each line when it is handed out, not before", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("é\r\n日本\n\nfour\nfive"));
  const left = ["日本\n\nfour\nfive", "\nfour\nfive", "four\nfive", "five"];
  for await (const _ of reader.lines()) {
    const rest = left.shift()!;
    assertEquals(reader.buffered, bytes(rest).length, rest);
    if (left.length === 0) break;
  }
  assertEquals(text(await reader.read(100)), "five");
});

Deno.test("StreamReader.lines() with an aborted signal rejects before it takes a line, also of those decoded already [R7]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("one\ntwo\n"));
  const controller = new AbortController();
  const lines = reader.lines({ signal: controller.signal });
  assertEquals((await lines.next()).value, "one");
  controller.abort();
  await assertReason(lines.next(), controller.signal);
  assertEquals(text(await reader.readline()), "two\n");
});

Deno.test("StreamReader.lines() holds the limit to the byte, for the first line and for the last of a block [R5]", async () => {
  for (const limit of [1, 5, 4094, 4095, 4096, 4097, 10_000]) {
    for (const before of [0, 1, 100]) {
      const reader = new StreamReader({ limit });
      const fits = "x".repeat(limit);
      reader.feedData(bytes("y\n".repeat(before) + fits + "\n" + fits + "x\nnext\n"));
      const lines = reader.lines();
      for (let i = 0; i < before; i++) assertEquals((await lines.next()).value, "y");
      assertEquals((await lines.next()).value, fits);
      const { buffered } = reader;
      for (let i = 0; i < 2; i++) {
        assertEquals((await assertRejects(() => lines.next(), LimitOverrunError)).consumed, limit + 1);
      }
      assertEquals(reader.buffered, buffered);
      assertEquals(await reader.skipuntil(), limit + 2);
      if (limit >= 4) assertEquals((await lines.next()).value, "next");
    }
  }
});

Deno.test("StreamReader.lines() resumes its transport when what is left is no more than the limit [R10]", async () => {
  const reader = new StreamReader({ limit: 5 });
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  reader.feedData(bytes("one\ntwo\nthree\nfour\n"));
  const lines = reader.lines();
  const calls: string[] = [];
  for (let i = 0; i < 4; i++) {
    await lines.next();
    calls.push(`${reader.buffered} ${transport.calls.at(-1)}`);
  }
  assertEquals(calls, ["15 pause", "11 pause", "5 resume", "0 resume"]);
});

Deno.test("StreamReader.lines() gives lines that are asked for all at once in order", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("1\n2\n3\n4\n"));
  const lines = reader.lines();
  const nexts = await Promise.all([lines.next(), lines.next(), lines.next(), lines.next()]);
  assertEquals(nexts.map(({ value }) => value), ["1", "2", "3", "4"]);
});

Deno.test("StreamReader.readline() and readuntil() with an encoding give text, its end included, however it came", async () => {
  const data = "naïve\n日本語\r\n💶;\uFEFFrest";
  for (const { name, pieces } of cuttings(bytes(data))) {
    const reader = new StreamReader();
    const encoding = "utf-8";
    const signal = new AbortController().signal;
    const reading = (async () => [
      await reader.readline({ encoding }),
      await reader.readline({ encoding: "UTF8", signal }),
      await reader.readuntil([";", "never"], { encoding }),
      await reader.readline({ encoding }),
      await reader.readline({ encoding }),
    ])();
    for (const piece of pieces) {
      reader.feedData(piece);
      await null;
    }
    reader.feedEof();
    // A byte order mark is text like any other: only lines() knows where a text begins.
    assertEquals(await reading, ["naïve\n", "日本語\r\n", "💶;", "\uFEFFrest", ""], name);
  }
});

Deno.test("StreamReader.readline() with an encoding replaces what is no valid text, in that line alone", async () => {
  const reader = new StreamReader();
  reader.feedData(Uint8Array.from([0x61, 0xff, 10, 0xe2, 0x82, 10, 0x82, 0xa0, 10]));
  assertEquals(await reader.readline({ encoding: "utf-8" }), "a\uFFFD\n");
  assertEquals(await reader.readline({ encoding: "utf-8" }), "\uFFFD\n");
  assertEquals(await reader.readline({ encoding: "shift_jis" }), "あ\n");
});

Deno.test("StreamReader refuses encodings that are unknown, are no strings, or do not keep ASCII, and takes nothing", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("line\n"));
  for (const encoding of ["no such", "", "utf-16", "utf-16le", "UTF-16BE", "utf-32"]) {
    assertThrows(() => reader.lines({ encoding }), RangeError, "Cannot read text: ");
    await assertRejects(() => reader.readline({ encoding }), RangeError, "Cannot read text: ");
    await assertRejects(() => reader.readuntil("\n", { encoding }), RangeError, "Cannot read text: ");
  }
  for (const encoding of [7, null, {}, true] as never[]) {
    assertThrows(() => reader.lines({ encoding: encoding ?? 0 as never }), TypeError, "the encoding must be a string");
    await assertRejects(() => reader.readline({ encoding }), TypeError, "the encoding must be a string");
  }
  assertEquals(text(await reader.readline()), "line\n");
});

Deno.test("StreamReader.readuntil() with an encoding fails as without: the bytes stay, or are the partial ones [R4]", async () => {
  const reader = new StreamReader({ limit: 3 });
  reader.feedData(bytes("long;"));
  assertEquals(await outcome(reader.readuntil(";", { encoding: "utf-8" })), "LimitOverrunError(4)");
  assertEquals(await reader.readuntil(";", { encoding: "utf-8", limit: 4 }), "long;");
  const waiting = watch(reader.readuntil(";", { encoding: "utf-8" }));
  reader.feedData(bytes("é"));
  reader.feedEof();
  await settle();
  assertEquals(waiting.outcome, 'IncompleteReadError("Ã©", null)');
});
