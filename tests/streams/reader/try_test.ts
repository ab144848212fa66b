/** The calls that do not wait: they take what is complete, and nothing else. */
import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { describe } from "../../../src/common/describe.ts";
import { LimitOverrunError } from "../../../src/common/errors.ts";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import {
  cuttings,
  naiveSearch,
  RecordingTransport,
  settle,
  show,
  showError,
  text,
  watch,
} from "../../support/reader_outcomes.ts";
import { all, KeepingDecoder, type Kind, LIMITS, samples, shortMessages } from "./kinds.ts";
import { bytes } from "../../support/bytes.ts";

/** A call that does not wait, the kind of read whose result it takes, and when that is complete. */
interface Try {
  name: string;
  take(reader: StreamReader): unknown;
  kind: Kind;
  complete(data: Uint8Array, limit: number): boolean;
}

const kindOf = (name: string): Kind => all.find((kind) => kind.name === name)!;

const found = (data: Uint8Array, separators: string[], limit: number): boolean =>
  naiveSearch(data, separators.map(bytes), limit) !== null;

const tries: Try[] = [
  { name: "tryread(4)", take: (reader) => reader.tryread(4), kind: kindOf("read(4)"), complete: (d) => d.length > 0 },
  {
    name: "tryreadline()",
    take: (reader) => reader.tryreadline(),
    kind: kindOf("readline()"),
    complete: (data, limit) => found(data, ["\n"], limit),
  },
  ...[1, 5, 40].map((n): Try => ({
    name: `tryreadexactly(${n})`,
    take: (reader) => reader.tryreadexactly(n),
    kind: kindOf(`readexactly(${n})`),
    complete: (data) => data.length >= n,
  })),
  ...[["\r\n"], ["aab", "ab", "\r\n\r\n"], ["a", "bcdefghij"]].map((separators): Try => ({
    name: `tryreaduntil(${JSON.stringify(separators)})`,
    take: (reader) => reader.tryreaduntil(separators.length === 1 ? separators[0] : separators),
    kind: kindOf(`readuntil(${JSON.stringify(separators)})`),
    complete: (data, limit) => found(data, separators, limit),
  })),
  {
    name: "tryframe()",
    take: (reader) => reader.tryframe(shortMessages),
    kind: kindOf("readframe()"),
    complete: (data) => data.length > 0 && data.length > (data[0]! & 7),
  },
];

/** What comes of a call, as text that can be compared. */
function outcomeOf(call: () => unknown): string {
  try {
    return show(call());
  } catch (error) {
    return showError(error);
  }
}

for (const { name, take, kind, complete } of tries) {
  Deno.test(`StreamReader.${name} takes what is complete and nothing else, however it came [R2, R3, R4, R5]`, () => {
    for (const sample of samples) {
      const data = bytes(sample);
      for (const limit of LIMITS) {
        for (const { name, pieces } of cuttings(data)) {
          const reader = new StreamReader({ limit });
          let fed = 0;
          for (const piece of [new Uint8Array(0), ...pieces]) {
            reader.feedData(piece);
            fed += piece.length;
            const there = data.subarray(0, fed);
            const message = `${show(there)}, limit ${limit}, ${name}`;
            const [expected, consumed] = complete(there, limit) ? kind.expect(there, limit) : ["undefined", 0];
            assertEquals(outcomeOf(() => take(reader)), expected, message);
            assertEquals(reader.buffered, fed - consumed, message);
            if (expected === "undefined") continue;
            assertEquals(text(reader.tryread(1000) ?? new Uint8Array(0)), text(there.subarray(consumed)), message);
            break;
          }
        }
      }
    }
  });

  Deno.test(`StreamReader.${name} leaves to the waiting call what the end of the stream makes of it [R2, R3, R4, R5, R8]`, async () => {
    for (const failed of [false, true]) {
      const reader = new StreamReader();
      reader.feedData(bytes(kind.waitsWith));
      if (failed) reader.setException(new Error("lost"));
      else reader.feedEof();
      assertEquals(take(reader), undefined);
      assertEquals(reader.buffered, kind.waitsWith.length);
      const [expected] = kind.expect(bytes(kind.waitsWith), 65536);
      assertEquals(
        await kind.start(reader).then(show, showError),
        failed ? kind.restAtFailure ?? "Error: lost" : expected,
      );
    }
  });

  Deno.test(`StreamReader.${name} takes what is complete also after the end, and after an error [R8]`, () => {
    for (const failed of [false, true]) {
      const reader = new StreamReader();
      reader.feedData(bytes(kind.waitsWith + kind.thenNeeds));
      if (failed) reader.setException(new Error("lost"));
      else reader.feedEof();
      assertEquals(show(take(reader)), kind.result);
    }
  });

  Deno.test(`StreamReader.${name} does while another read waits as it does else, and that read goes on [R6]`, async () => {
    const reader = new StreamReader();
    const waiting = watch(reader.readexactly(1000));
    assertEquals(take(reader), undefined);
    reader.feedData(bytes(kind.waitsWith));
    assertEquals(take(reader), undefined);
    reader.feedData(bytes(kind.thenNeeds));
    assertEquals(show(take(reader)), kind.result);
    assertEquals(take(reader), undefined);
    reader.feedData(bytes("x".repeat(1000)));
    await settle();
    assertEquals(waiting.outcome, show(bytes("x".repeat(1000))));
  });

  Deno.test(`StreamReader.${name} never resumes its transport unless it takes something [R10]`, () => {
    for (const policy of ["bounded", "none"]) {
      const reader = new StreamReader({ limit: 65536 });
      const transport = new RecordingTransport();
      if (policy === "bounded") reader.setTransport(transport);
      for (let i = 0; i < 3; i++) assertEquals(take(reader), undefined);
      reader.feedData(bytes(kind.waitsWith));
      for (let i = 0; i < 3; i++) assertEquals(take(reader), undefined);
      assertEquals(transport.calls, []);
    }
  });
}

Deno.test("StreamReader.tryread*() resume a paused transport when they leave no more than the limit [R10]", () => {
  const calls: Record<string, (reader: StreamReader) => unknown> = {
    "tryread()": (reader) => reader.tryread(5),
    "tryreadline()": (reader) => reader.tryreadline(),
    "tryreadexactly()": (reader) => reader.tryreadexactly(5),
    "tryreaduntil()": (reader) => reader.tryreaduntil("\n"),
    "tryframe()": (reader) => reader.tryframe({ decode: (queue) => queue.length < 5 ? undefined : queue.take(5) }),
    "tryframe() without a message": (reader) =>
      reader.tryframe({ decode: (queue) => queue.length < 5 ? undefined : void queue.drop(5) }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const reader = new StreamReader({ limit: 4 });
    const transport = new RecordingTransport();
    reader.setTransport(transport);
    reader.feedData(bytes("abc\n\nabcd"));
    assertEquals(transport.calls, ["pause"], name);
    call(reader);
    call(reader);
    assertEquals(transport.calls, ["pause", "resume"], name);
  }
});

Deno.test("StreamReader.tryread() takes all until the end only when the end is there [R2]", () => {
  for (const failed of [false, true]) {
    const reader = new StreamReader();
    assertEquals(reader.tryread(), undefined);
    reader.feedData(bytes("all"));
    for (const n of [undefined, -1, -100]) assertEquals(reader.tryread(n), undefined);
    if (failed) reader.setException(new Error("lost"));
    else reader.feedEof();
    assertEquals(text(reader.tryread()!), "all");
    assertEquals(reader.tryread(), undefined);
  }
});

Deno.test("StreamReader.tryread(0) and tryreadexactly(0) are empty at once, in every state [R2, R3]", () => {
  const reader = new StreamReader();
  for (const change of [() => {}, () => reader.feedData(bytes("a")), () => reader.feedEof()]) {
    change();
    assertEquals(reader.tryread(0)?.length, 0);
    assertEquals(reader.tryreadexactly(0)?.length, 0);
  }
});

Deno.test("StreamReader.tryread*() throw what the waiting calls reject with, and change nothing [R2, R3, R4]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("data"));
  const same = async (call: () => unknown, waiting: () => Promise<unknown>) => {
    const error = await waiting().then(() => null, (error) => error);
    assert(error instanceof TypeError || error instanceof RangeError, describe(error));
    assertThrows(call, error.constructor as new () => Error, error.message);
  };
  for (const n of [NaN, 1.5, Infinity, "1", null, 1n, {}] as never[]) {
    await same(() => reader.tryread(n), () => reader.read(n));
    await same(() => reader.tryreadexactly(n), () => reader.readexactly(n));
  }
  await same(() => reader.tryreadexactly(-1), () => reader.readexactly(-1));
  for (const separator of ["", [], ["a", ""], new Uint8Array(0), 1, null, {}] as never[]) {
    await same(() => reader.tryreaduntil(separator), () => reader.readuntil(separator));
  }
  for (const limit of [0, -1, NaN, "5"] as never[]) {
    await same(() => reader.tryreaduntil("\n", { limit }), () => reader.readuntil("\n", { limit }));
  }
  for (const decoder of [null, undefined, 7, {}, { decode: 1 }] as never[]) {
    await same(() => reader.tryframe(decoder), () => reader.readframe(decoder));
  }
  assertEquals(text(reader.tryread(100)!), "data");
});

Deno.test("StreamReader.tryreadline() and tryreaduntil() over the limit throw again and again, and drop nothing [R4, R5]", () => {
  const reader = new StreamReader({ limit: 4 });
  reader.feedData(bytes("too long\nok\n"));
  for (let i = 0; i < 3; i++) {
    assertEquals(assertThrows(() => reader.tryreadline(), LimitOverrunError).consumed, 5);
    assertEquals(assertThrows(() => reader.tryreaduntil("\n"), LimitOverrunError).consumed, 5);
    assertEquals(assertThrows(() => reader.tryreaduntil("ng", { limit: 5 }), LimitOverrunError).consumed, 6);
    // A match that starts too late is not passed over the second time.
    for (let again = 0; again < 2; again++) {
      const separators = ["g\n", "a longer one"];
      assertEquals(assertThrows(() => reader.tryreaduntil(separators, { limit: 5 }), LimitOverrunError).consumed, 7);
    }
  }
  assertEquals(text(reader.tryreaduntil("\n", { limit: 8 })!), "too long\n");
  assertEquals(text(reader.tryreadline()!), "ok\n");
});

Deno.test("StreamReader.tryread*() polled after every byte find what a search from scratch finds, whatever was asked before", () => {
  const separators = ["\n", "\r\n", "ab", "aab"];
  const data = "aaab\r\r\naab\nxaba\r\nb";
  // Every sequence of two polled searches, so that one continues where another one stopped.
  for (const first of separators) {
    for (const second of separators) {
      const reader = new StreamReader();
      let there = "";
      for (const letter of data) {
        reader.feedData(bytes(letter));
        there += letter;
        for (const separator of [first, second]) {
          const result = reader.tryreaduntil(separator);
          const end = there.indexOf(separator) + separator.length;
          const expected = there.includes(separator) ? there.slice(0, end) : undefined;
          assertEquals(result && text(result), expected, `${first} ${second} in ${there}`);
          if (expected !== undefined) there = there.slice(end);
        }
      }
      assertEquals(reader.buffered, there.length);
    }
  }
});

Deno.test("StreamReader.tryread*() give views, never written again, of the memory that reads give [M1]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("one\ntwo\nthree\n"));
  const first = await reader.readline();
  const second = reader.tryreadline()!;
  assertStrictEquals(second.buffer, first.buffer);
  reader.feedData(bytes("four\n".repeat(100)));
  assertEquals([text(first), text(second), text(reader.tryreadexactly(6)!)], ["one\n", "two\n", "three\n"]);
});

Deno.test("StreamReader.tryframe() calls the decoder anew for each try, and leaves its state to it", () => {
  const decoder = new KeepingDecoder();
  const reader = new StreamReader();
  reader.feedData(bytes("c"));
  assertEquals(reader.tryframe(decoder), undefined);
  assertEquals(reader.buffered, 0);
  reader.feedData(bytes("abde"));
  assertEquals(text(reader.tryframe(decoder)!), "abd");
  assertEquals(text(reader.tryread(10)!), "e");
});
