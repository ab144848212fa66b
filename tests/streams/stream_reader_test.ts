/** Every rule of reading, by name, over bytes fed by hand. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { describe } from "../../src/common/describe.ts";
import { IncompleteReadError, LimitOverrunError } from "../../src/common/errors.ts";
import { StreamReader } from "../../src/streams/stream_reader.ts";
import { StreamWriter } from "../../src/streams/stream_writer.ts";
import type { Transport } from "../../src/transport/types.ts";
import {
  bytes,
  concat,
  cuttings,
  naiveSearch,
  outcome,
  RecordingTransport,
  settle,
  show,
  text,
  watch,
  type Watched,
} from "./kit.ts";

type Options = { signal?: AbortSignal };

/** A kind of read, and what it must come to on a stream that is all there and has ended. */
interface Kind {
  name: string;
  start(reader: StreamReader, options?: Options): Promise<unknown>;
  /** Outcome, and how many bytes are consumed. */
  expect(data: Uint8Array, limit: number): [outcome: string, consumed: number];
  /** Bytes that the read waits with, and bytes that then satisfy it. */
  waitsWith: string;
  thenNeeds: string;
  result: string;
}

const NEWLINE = [bytes("\n")];

function readuntilKind(separators: string[], waitsWith: string, thenNeeds: string): Kind {
  const patterns = separators.map(bytes);
  return {
    name: `readuntil(${JSON.stringify(separators)})`,
    start: (reader, options) => reader.readuntil(separators.length === 1 ? separators[0] : separators, options),
    expect(data, limit) {
      const found = naiveSearch(data, patterns, limit);
      if (found === null) return [`IncompleteReadError(${show(data)}, null)`, data.length];
      if ("consumed" in found) return [`LimitOverrunError(${found.consumed})`, 0];
      return [show(data.subarray(0, found.end)), found.end];
    },
    waitsWith,
    thenNeeds,
    result: JSON.stringify(waitsWith + thenNeeds),
  };
}

function skipuntilKind(separators: string[], waitsWith: string, thenNeeds: string): Kind {
  const patterns = separators.map(bytes);
  return {
    name: `skipuntil(${JSON.stringify(separators)})`,
    start: (reader, options) => reader.skipuntil(separators, options),
    expect(data) {
      const found = naiveSearch(data, patterns, Infinity);
      const end = found !== null && "end" in found ? found.end : data.length;
      return [String(end), end];
    },
    waitsWith,
    thenNeeds,
    result: String(waitsWith.length + thenNeeds.length),
  };
}

function readexactlyKind(n: number): Kind {
  return {
    name: `readexactly(${n})`,
    start: (reader, options) => reader.readexactly(n, options),
    expect(data) {
      return data.length >= n
        ? [show(data.subarray(0, n)), n]
        : [`IncompleteReadError(${show(data)}, ${n})`, data.length];
    },
    waitsWith: "x".repeat(n - 1),
    thenNeeds: "y",
    result: JSON.stringify("x".repeat(n - 1) + "y"),
  };
}

/** Those whose outcome depends on the bytes alone. */
const kinds: Kind[] = [
  {
    name: "read()",
    start: (reader, options) => reader.read(undefined, options),
    expect: (data) => [show(data), data.length],
    waitsWith: "some",
    thenNeeds: "",
    result: '"some"',
  },
  {
    name: "readline()",
    start: (reader, options) => options === undefined ? reader.readline() : reader.readline(options),
    expect(data, limit) {
      const found = naiveSearch(data, NEWLINE, limit);
      if (found === null) return [show(data), data.length];
      if ("consumed" in found) return [`LimitOverrunError(${found.consumed})`, 0];
      return [show(data.subarray(0, found.end)), found.end];
    },
    waitsWith: "some",
    thenNeeds: "\n",
    result: '"some\\n"',
  },
  readexactlyKind(1),
  readexactlyKind(5),
  readexactlyKind(40),
  readuntilKind(["\n"], "some", "\n"),
  readuntilKind(["\r\n"], "so\rme\r", "\n"),
  readuntilKind(["aab"], "aa", "b"),
  readuntilKind(["aab", "ab", "\r\n\r\n"], "a\r\n\r", "\n"),
  readuntilKind(["a", "bcdefghij"], "bcdefg", "a"),
  {
    name: "peek(4)",
    start: (reader, options) => reader.peek(4, options),
    expect: (data) => [show(data.subarray(0, 4)), 0],
    waitsWith: "abc",
    thenNeeds: "d",
    result: '"abcd"',
  },
  skipuntilKind(["\n"], "some", "\n"),
  skipuntilKind(["aab", "\r\n"], "aa", "b"),
];

/** Those that take what is there. */
const takers: Kind[] = [
  {
    name: "read(4)",
    start: (reader, options) => reader.read(4, options),
    expect: (data) => [show(data.subarray(0, 4)), Math.min(4, data.length)],
    waitsWith: "",
    thenNeeds: "ab",
    result: '"ab"',
  },
  {
    name: "readinto(4)",
    start(reader, options) {
      const memory = new Uint8Array(4);
      return reader.readinto(memory, options).then((n) => n === null ? null : memory.subarray(0, n));
    },
    expect: (data) => [data.length === 0 ? "null" : show(data.subarray(0, 4)), Math.min(4, data.length)],
    waitsWith: "",
    thenNeeds: "ab",
    result: '"ab"',
  },
];

const all = [...kinds, ...takers];

const samples = [
  "",
  "\n",
  "a",
  "one\n",
  "one\ntwo\nthree",
  "\r\n",
  "x\r\r\n\r\n",
  "aaaaab\n",
  "aabaab",
  "bcdefghibcdefghija",
  "bcdefghib",
  "a line that is quite a bit longer than its fellows\r\nend\r\n",
  "0123456789".repeat(5),
  "0123456789".repeat(5) + "\n",
];

const LIMITS = [1, 2, 3, 4, 7, 8, 9, 50, 51, 65536];

for (const kind of kinds) {
  Deno.test(`StreamReader.${kind.name} depends on the bytes alone, not on how they came [R2, R3, R4, R5, R11, R12]`, async () => {
    for (const sample of samples) {
      const data = bytes(sample);
      for (const limit of LIMITS) {
        if (kind.name === "peek(4)" && limit < 2) continue;
        const [expected, consumed] = kind.expect(data, limit);
        for (const { name, pieces } of cuttings(data)) {
          for (const options of [undefined, { signal: new AbortController().signal }]) {
            const message = `${show(data)}, limit ${limit}, ${name}`;
            const before = new StreamReader({ limit });
            pieces.forEach((piece) => before.feedData(piece));
            before.feedEof();
            assertEquals(await outcome(kind.start(before, options)), expected, `${message}, fed before`);
            assertEquals(before.buffered, data.length - consumed, `${message}, fed before`);
            assertEquals(show(await before.read()), show(data.subarray(consumed)), `${message}, fed before`);
            assert(before.atEof());

            const after = new StreamReader({ limit });
            const read = watch(kind.start(after, options));
            for (const piece of pieces) {
              after.feedData(piece);
              piece.fill(0);
              if (sample.length < 10) await null;
            }
            after.feedEof();
            await settle();
            assertEquals(read.outcome, expected, `${message}, fed after`);
            assertEquals(show(await after.read()), show(data.subarray(consumed)), `${message}, fed after`);
            // Filled with zeros above, to prove the copy.
            let at = 0;
            for (const piece of pieces) piece.set(data.subarray(at, at += piece.length));
          }
        }
      }
    }
  });
}

for (const kind of takers) {
  Deno.test(`StreamReader.${kind.name} takes what is there, at least a byte, and nothing only at the end [R2]`, async () => {
    for (const sample of samples) {
      const data = bytes(sample);
      for (const { name, pieces } of cuttings(data)) {
        for (const options of [undefined, { signal: new AbortController().signal }]) {
          const message = `${show(data)}, ${name}`;
          const before = new StreamReader({ limit: 2 });
          pieces.forEach((piece) => before.feedData(piece));
          before.feedEof();
          assertEquals(await outcome(kind.start(before, options)), kind.expect(data, 2)[0], message);
          const after = new StreamReader({ limit: 2 });
          const read = watch(kind.start(after, options));
          await settle();
          assertEquals(read.outcome, "pending", message);
          pieces.forEach((piece) => after.feedData(piece));
          after.feedEof();
          await settle();
          assertEquals(read.outcome, kind.expect(pieces[0] ?? data, 2)[0], message);
          const taken = kind.expect(pieces[0] ?? data, 2)[1];
          assertEquals(show(await after.read()), show(data.subarray(taken)), message);
        }
      }
    }
  });
}

// R1

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

// Bad input

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

// R2

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

// R3, R11

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

// R4

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

// R5

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

// R6

for (const kind of all) {
  Deno.test(`StreamReader.${kind.name} is refused as Busy while another read waits, and takes nothing [R6]`, async () => {
    for (const first of all) {
      for (const bufferedBefore of [first.waitsWith, ""]) {
        const reader = new StreamReader();
        reader.feedData(bytes(bufferedBefore));
        const waiting = watch(first.start(reader));
        await settle();
        const message = `${first.name} waits`;
        assertEquals(waiting.outcome, first.waitsWith === bufferedBefore ? "pending" : waiting.outcome, message);
        const left = reader.buffered;
        const second = await outcome(Promise.race([kind.start(reader), settle().then(() => "waits too")]));
        if (!second.startsWith("Busy: ")) {
          // What is there satisfies it, so that it need not wait.
          assert(second !== "waits too", message);
          continue;
        }
        assertEquals(second, "Busy: Cannot read: another read is waiting on this reader", message);
        assertEquals(reader.buffered, left, `${message}: the second read has taken bytes`);
        assertEquals(waiting.outcome, "pending", message);
        if (first.waitsWith !== bufferedBefore) continue;
        reader.feedData(bytes(first.thenNeeds));
        if (first.name === "read()") reader.feedEof();
        await settle();
        assertEquals(waiting.outcome, first.result, message);
      }
    }
  });
}

Deno.test("StreamReader serves a second read that need not wait, while the first waits on [R6]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("abcdef"));
  const exactly = watch(reader.readexactly(8));
  assertEquals(text(await reader.read(2)), "ab");
  assertEquals(text(await reader.peek(2)), "cd");
  assertEquals(text(await reader.readuntil("d")), "cd");
  reader.feedData(bytes("012345"));
  await settle();
  assertEquals(exactly.outcome, '"ef012345"');
});

Deno.test("StreamReader's waiting search starts anew when a second read has taken bytes from under it [R6]", async () => {
  for (
    const wait of [
      (reader: StreamReader) => reader.readuntil("aab"),
      (reader: StreamReader) => reader.readuntil(["aab", "zz"]),
    ]
  ) {
    const reader = new StreamReader({ limit: 6 });
    reader.feedData(bytes("xxaa"));
    const read = watch(wait(reader));
    assertEquals(text(await reader.read(3)), "xxa");
    // "a" + "baab": the match ends with the fifth byte, and the limit counts from what is left.
    reader.feedData(bytes("baa"));
    await settle();
    assertEquals(read.outcome, "pending");
    reader.feedData(bytes("b"));
    await settle();
    assertEquals(read.outcome, '"abaab"');
  }
});

Deno.test("StreamReader.skipuntil() starts anew when a second read has taken the beginning of the separator [R6]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("xxaa"));
  const skip = watch(reader.skipuntil("aab"));
  assertEquals(text(await reader.read(1)), "a");
  reader.feedData(bytes("baab"));
  await settle();
  assertEquals(skip.outcome, String(2 + "abaab".length));
});

// R7

for (const kind of all) {
  Deno.test(`StreamReader.${kind.name} is aborted at once, loses no byte, and the next read works [R7]`, async () => {
    for (const reason of [new Error("enough"), "a string", undefined]) {
      const reader = new StreamReader();
      const data = kind.name.startsWith("skipuntil") ? "" : kind.waitsWith;
      reader.feedData(bytes(data));
      const controller = new AbortController();
      const rejected = assertReason(kind.start(reader, { signal: controller.signal }), controller.signal);
      await settle();
      controller.abort(reason);
      await rejected;
      assertEquals(reader.buffered, data.length);
      const next = watch(kind.start(reader));
      reader.feedData(bytes(kind.waitsWith.slice(data.length) + kind.thenNeeds));
      if (kind.name === "read()") reader.feedEof();
      await settle();
      assertEquals(next.outcome, kind.result);
    }
  });

  Deno.test(`StreamReader.${kind.name} with an aborted signal rejects before anything is consumed [R7]`, async () => {
    for (const ended of [false, true]) {
      for (const data of ["", "line\naabcd\r\n\r\nbcdefghija" + "x".repeat(50)]) {
        const reader = new StreamReader();
        reader.feedData(bytes(data));
        if (ended) reader.feedEof();
        const signal = AbortSignal.abort(new Error("before"));
        await assertReason(kind.start(reader, { signal }), signal);
        assertEquals(reader.buffered, data.length);
        // Nobody waits now.
        const next = watch(reader.read(1));
        reader.atEof() || data !== "" || reader.feedData(bytes("x"));
        await settle();
        assert(next.outcome !== "pending");
      }
    }
  });

  Deno.test(`StreamReader.${kind.name} is done with its signal when it is over [R7]`, async () => {
    let listeners = 0;
    class CountingSignal extends EventTarget {}
    const controller = new AbortController();
    const { signal } = controller;
    signal.addEventListener = (...args: unknown[]) => {
      listeners++;
      CountingSignal.prototype.addEventListener.apply(signal, args as never);
    };
    signal.removeEventListener = (...args: unknown[]) => {
      listeners--;
      CountingSignal.prototype.removeEventListener.apply(signal, args as never);
    };
    for (const end of ["data", "error"]) {
      const reader = new StreamReader();
      reader.feedData(bytes(kind.waitsWith));
      const read = watch(kind.start(reader, { signal }));
      assertEquals(listeners, 1);
      if (end === "error") reader.setException(new Error("lost"));
      else reader.feedData(bytes(kind.thenNeeds));
      if (kind.name === "read()") reader.feedEof();
      await settle();
      assert(read.outcome !== "pending");
      assertEquals(listeners, 0);
      // Too late to matter.
      const { outcome } = read;
      if (end === "error") controller.abort();
      await settle();
      assertEquals(read.outcome, outcome);
    }
  });
}

Deno.test("StreamReader.read() until the end keeps everything when it is aborted again and again [R7]", async () => {
  const reader = new StreamReader({ limit: 4 });
  let fed = "";
  for (let i = 0; i < 20; i++) {
    const controller = new AbortController();
    const { signal } = controller;
    const rejected = assertReason(reader.read(-1, { signal }), signal);
    reader.feedData(bytes(`piece ${i},`));
    fed += `piece ${i},`;
    await settle();
    controller.abort();
    await rejected;
  }
  reader.feedEof();
  assertEquals(text(await reader.read()), fed);
});

Deno.test("StreamReader.skipuntil() that is aborted does not tear the separator [R7]", async () => {
  for (const { name, pieces } of cuttings(bytes("xx\r\r"))) {
    const reader = new StreamReader();
    const controller = new AbortController();
    const { signal } = controller;
    const rejected = assertReason(reader.skipuntil("\r\n", { signal }), signal);
    pieces.forEach((piece) => reader.feedData(piece));
    controller.abort();
    await rejected;
    assertEquals(text(await reader.peek(1)), "\r", name);
    assertEquals(reader.buffered, 1, name);
    reader.feedData(bytes("\nrest"));
    assertEquals(await reader.skipuntil("\r\n"), 2, name);
    assertEquals(text(await reader.read(9)), "rest", name);
  }
});

Deno.test("StreamReader gives a result that is there, also if the signal aborts before it is looked at [R7]", async () => {
  const reader = new StreamReader();
  const controller = new AbortController();
  const read = reader.read(3, { signal: controller.signal });
  reader.feedData(bytes("abc"));
  controller.abort();
  assertEquals(text(await read), "abc");
});

// R8

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
    const deliversRest = kind.name === "read()" || kind.name === "readline()";
    assertEquals(waiting.outcome, deliversRest ? show(bytes(kind.waitsWith)) : "TypeError: lost");
    const kept = deliversRest ? 0 : kind.name.startsWith("skipuntil") ? reader.buffered : kind.waitsWith.length;
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

// R9

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

// R10

Deno.test("StreamReader pauses its transport above 2 × limit, and resumes it at the limit [R10]", async () => {
  const reader = new StreamReader({ limit: 4 });
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  reader.feedData(bytes("12345678"));
  assertEquals(transport.calls, []);
  reader.feedData(bytes("9"));
  assertEquals(transport.calls, ["pause"]);
  reader.feedData(bytes("0"));
  assertEquals(transport.calls, ["pause"]);
  await reader.read(5);
  assertEquals([reader.buffered, ...transport.calls], [5, "pause"]);
  await reader.read(1);
  assertEquals([reader.buffered, ...transport.calls], [4, "pause", "resume"]);
  await reader.read(1);
  assertEquals(transport.calls, ["pause", "resume"]);
  reader.feedData(bytes("123456"));
  assertEquals(transport.calls, ["pause", "resume", "pause"]);
});

for (const kind of [...kinds.filter(({ waitsWith }) => waitsWith.length > 2), ...takers]) {
  Deno.test(`StreamReader.${kind.name} resumes a paused transport when it must wait [R10]`, async () => {
    const limit = kind.name === "peek(4)" ? 2 : 1;
    const reader = new StreamReader({ limit });
    const transport = new RecordingTransport();
    reader.setTransport(transport);
    reader.feedData(bytes("xxxxxxxxx"));
    assertEquals(transport.calls, ["pause"]);
    await reader.read(9);
    assertEquals(transport.calls, ["pause", "resume"]);
    const controller = new AbortController();
    const waiting = watch(kind.start(reader, { signal: controller.signal }));
    reader.feedData(bytes("x".repeat(2 * limit - 1)));
    assertEquals(transport.isReading(), true);
    controller.abort();
    await settle();
    assert(waiting.outcome !== "pending");
  });
}

Deno.test("StreamReader.readexactly() of more than 2 × limit is not starved by the pause [R10, R11]", async () => {
  const reader = new StreamReader({ limit: 2 });
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  reader.feedData(bytes("12345"));
  assertEquals(transport.isReading(), false);
  const read = reader.readexactly(20);
  assertEquals(transport.isReading(), true);
  for (let i = 0; i < 4; i++) {
    reader.feedData(bytes("12345"));
    if (i < 2) assertEquals(transport.isReading(), true);
  }
  assertEquals((await read).length, 20);
  // 5 bytes are left.
  assertEquals(transport.isReading(), false);
});

Deno.test("StreamReader pauses once an aborted read leaves too much behind, with the next bytes [R7, R10]", async () => {
  const reader = new StreamReader({ limit: 2 });
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  const controller = new AbortController();
  const read = assertReason(reader.readexactly(20, { signal: controller.signal }), controller.signal);
  reader.feedData(bytes("1234567"));
  controller.abort();
  await read;
  reader.feedData(bytes("8"));
  assertEquals(transport.calls, ["pause"]);
  assertEquals(text(await reader.read(20)), "12345678");
  assertEquals(transport.calls, ["pause", "resume"]);
});

Deno.test("StreamReader that was fed before it has a transport pauses it at once [R10]", () => {
  const reader = new StreamReader({ limit: 2 });
  reader.feedData(bytes("12345"));
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  assertEquals(transport.calls, ["pause"]);
});

Deno.test("StreamReader.skipuntil() drops any number of bytes in bounded memory [R10, R12]", async () => {
  for (const separator of ["\n", "--boundary--", ["\r\n", "\n"]]) {
    const reader = new StreamReader({ limit: 16 });
    const transport = new RecordingTransport();
    reader.setTransport(transport);
    const skip = reader.skipuntil(separator);
    const piece = bytes("--bound-".repeat(128));
    for (let i = 0; i < 1000; i++) {
      reader.feedData(piece);
      assert(reader.buffered < 12, `${reader.buffered} bytes are kept`);
      assert(transport.isReading());
    }
    reader.feedData(bytes("--boundary--\r\nrest"));
    const skipped = await skip;
    assertEquals(skipped + reader.buffered, 1000 * piece.length + 18);
  }
});

Deno.test("StreamReader.skipuntil() resumes what was paused, and sees what is fed at once by that [R10, R12]", async () => {
  const reader = new StreamReader({ limit: 2 });
  const pending = ["yyyy\n", "rest"];
  class Eager extends RecordingTransport {
    override resumeReading(): void {
      super.resumeReading();
      const next = pending.shift();
      if (next !== undefined) reader.feedData(bytes(next));
    }
  }
  reader.setTransport(new Eager());
  reader.feedData(bytes("xxxxxx"));
  assertEquals(await reader.skipuntil(), 11);
});

// R12

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

// readinto

Deno.test("StreamReader.readinto() fills the start of the memory, and nothing else [M3]", async () => {
  const reader = new StreamReader();
  const memory = new Uint8Array(4).fill(7);
  const waiting = reader.readinto(memory);
  reader.feedData(bytes("ab"));
  assertEquals(await waiting, 2);
  assertEquals(text(memory), "ab\x07\x07");
  reader.feedData(bytes("cdefgh"));
  assertEquals(await reader.readinto(memory), 4);
  assertEquals(text(memory), "cdef");
  const part = Buffer.alloc(10, "-").subarray(2, 4);
  assertEquals(await reader.readinto(part), 2);
  assertEquals(new TextDecoder().decode(part.buffer).includes("--gh----"), true);
  reader.feedEof();
  assertEquals(await reader.readinto(memory), null);
  assertEquals(text(memory), "cdef");
});

// M1

Deno.test("StreamReader never writes again to bytes that it handed out [M1]", async () => {
  const reader = new StreamReader({ limit: 64 });
  const kept: { view: Uint8Array; copy: Uint8Array }[] = [];
  let fed = 0;
  let seen = 0;
  const keep = (view: Uint8Array, consumed = view.length) => {
    for (let i = 0; i < view.length; i++) assertEquals(view[i], (seen + i) % 251);
    seen += consumed;
    kept.push({ view, copy: view.slice() });
  };
  for (let i = 0; i < 400; i++) {
    const piece = Uint8Array.from({ length: 1 + (i * 7) % 90 }, () => fed++ % 251);
    reader.feedData(piece);
    piece.fill(255);
    keep(await reader.peek(Math.min(30, reader.buffered)), 0);
    keep(await reader.read(1 + i % 40));
    if (reader.buffered > 20) keep(await reader.readexactly(20));
    if (i % 50 === 49) keep(await reader.read(reader.buffered));
  }
  for (const { view, copy } of kept) assertEquals(view, copy);
});

// lines, iteration

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

// readable

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

async function assertReason(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  let thrown: unknown = "nothing";
  try {
    await promise;
  } catch (error) {
    thrown = error;
  }
  assertStrictEquals(thrown, signal.reason);
}
