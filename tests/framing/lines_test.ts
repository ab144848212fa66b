/** lines(), jsonLines() and delimited(): endings, encodings, lines that are too long. */
import { assertEquals, assertThrows } from "@std/assert";
import { ByteBuffer, ByteQueue, delimited, FramingError, jsonLines, lines } from "../../src/framing/mod.ts";
import { chunkers } from "../../src/testing/chunkers.ts";
import { bytes, concat } from "../support/bytes.ts";
import { decodePieces, summary, wireOf } from "./codec_cases.ts";

Deno.test('lines() takes "\\n" and "\\r\\n", and strictly "\\r\\n" only that [F1]', () => {
  const wire = bytes("line 1\nline 2\r\nline 3\n\r\n\r");
  const byLf = decodePieces(lines(), [wire]);
  // As tokio-util's LinesCodec.
  assertEquals(byLf, { messages: ["line 1", "line 2", "line 3", ""], error: null, left: "\r" });
  const byCrLf = decodePieces(lines({ ending: "\r\n" }), [wire]);
  assertEquals(byCrLf, { messages: ["line 1\nline 2", "line 3\n"], error: null, left: "\r" });
});

Deno.test("lines() encodes no line that contains an ending", () => {
  const out = new ByteBuffer();
  for (const line of ["a\nb", "a\n", "a\r"]) {
    assertThrows(() => lines().encode(line, out), FramingError, "it contains the end of a line");
  }
  assertThrows(() => lines({ ending: "\r\n" }).encode("a\r\nb", out), FramingError);
  assertEquals(wireOf(lines({ ending: "\r\n" }), ["a\nb"]), bytes("a\nb\r\n"));
});

for (
  const [name, separator, options] of [
    ["lines()", "\n", {}],
    ["lines(strict CRLF)", "\r\n", { ending: "\r\n" }],
  ] as const
) {
  Deno.test(`${name} with tooLong "skip" goes on with the next line, in bounded memory [F1, F2]`, () => {
    const long = (n: number) => "x".repeat(n) + separator;
    const wire = bytes(
      long(7) + `line 2${separator}` + long(100) + long(1000) + `line 3${separator}line 4${separator}${separator}` +
        "y".repeat(50),
    );
    for (const { name, chunk } of chunkers({ separator, sizes: [2, 3, 7, 64] })) {
      const codec = lines({ ...options, limit: 6, tooLong: "skip" });
      const queue = new ByteQueue();
      const messages: string[] = [];
      let largest = 0;
      for (const piece of chunk(wire)) {
        queue.append(piece);
        for (let line; (line = codec.decode(queue)) !== undefined;) messages.push(line);
        largest = Math.max(largest, queue.length);
      }
      assertEquals(messages, ["line 2", "line 3", "line 4", ""], name);
      assertEquals(largest <= 8, true, `${name}: ${largest} bytes are kept`);
      codec.decodeEof!(queue);
      assertEquals(queue.length, 0);
    }
  });
}

Deno.test('lines() with tooLong "throw" takes nothing, and throws again [F2]', () => {
  const codec = lines({ limit: 6 });
  const queue = new ByteQueue();
  queue.append(bytes("line 1 is too long\nline 2\n"));
  for (let i = 0; i < 2; i++) {
    const error = assertThrows(() => codec.decode(queue), FramingError, "it exceeds the limit of 6 bytes");
    assertEquals([error.consumed, queue.length], [7, 26]);
  }
});

Deno.test("lines() forgets what it knows of a queue that something else takes from", () => {
  const codec = lines({ limit: 6, tooLong: "skip" });
  const queue = new ByteQueue();
  queue.append(bytes("one\ntwo\nthree\n"));
  assertEquals(codec.decode(queue), "one");
  queue.drop(1);
  assertEquals(codec.decode(queue), "wo");
  queue.drop(queue.length);
  queue.append(bytes("too long a line"));
  assertEquals(codec.decode(queue), undefined);
  queue.append(bytes("more"));
  queue.drop(4);
  queue.append(bytes("ok\n"));
  assertEquals(codec.decode(queue), "ok");
});

Deno.test("lines() refuses invalid text, and replaces it if it is not fatal [F5]", () => {
  const wire = concat([bytes("good\n"), new Uint8Array([0x61, 0xff, 0x0a]), bytes("next\n")]);
  for (const pieces of [[wire], [...wire].map((byte) => new Uint8Array([byte]))]) {
    const strict = decodePieces(lines(), pieces);
    assertEquals(strict.messages, ["good"]);
    assertEquals(strict.error, { message: "Cannot decode a line: it is no valid text in utf-8", consumed: 3 });
    assertEquals(decodePieces(lines({ fatal: false }), pieces).messages, ["good", "a\ufffd", "next"]);
  }
  const json = decodePieces(jsonLines(), [concat([new Uint8Array([0x22, 0xff, 0x22, 0x0a])])]);
  assertEquals(json.error?.message, "Cannot decode a line: it is no valid text in utf-8");
});

Deno.test("lines() keeps a byte order mark, and text of other encodings", () => {
  assertEquals(decodePieces(lines(), [bytes("\ufeffa\nb\n")]).messages, ["\ufeffa", "b"]);
  const latin = decodePieces(lines({ encoding: "iso-8859-1" }), [new Uint8Array([0x67, 0x72, 0xfc, 0x0a])]);
  assertEquals(latin.messages, ["grü"]);
  assertThrows(() => wireOf(lines({ encoding: "iso-8859-1" }), ["grü"]), FramingError, "only ASCII can be written");
  assertThrows(() => lines({ encoding: "utf-16le" }), RangeError, "does not keep ASCII as it is");
  assertThrows(() => lines({ encoding: "utf-9" }), RangeError, 'there is no encoding "utf-9"');
});

Deno.test("lines() is given blocks of many lines and of none, at every place", () => {
  const all = Array.from({ length: 3000 }, (_, i) => i % 7 === 0 ? `ü${i}` : "x".repeat(i % 90));
  const wire = wireOf(lines(), all);
  for (const { name, chunk } of chunkers({ sizes: [4095, 4096, 4097], seeds: [1] })) {
    assertEquals(decodePieces(lines(), chunk(wire)).messages, all, name);
  }
});

Deno.test("jsonLines() refuses what is no JSON, without showing it", () => {
  for (const line of ["secret", "", "{}{}", "1,"]) {
    const { error, left } = decodePieces(jsonLines(), [bytes(`${line}\n`)]);
    assertEquals(error?.message, "Cannot decode a line: it is no JSON");
    assertEquals(error?.consumed, line.length + 1);
    assertEquals(left, `${line}\n`);
  }
  assertThrows(() => wireOf(jsonLines(), [undefined]), FramingError, "JSON has none of its type");
});

Deno.test("delimited() counts the longest of separators that end together, and the first that ends [F1]", () => {
  const decoded = decodePieces(delimited(["\n", "\r\n", "END"]), [bytes("a\r\nb\ncENDd\rEND")]);
  assertEquals(decoded.messages, [bytes("a"), bytes("b"), bytes("c"), bytes("d\r")]);
});

Deno.test("delimited() encodes no message in which a separator would end earlier", () => {
  const out = new ByteBuffer();
  const refused: [separators: string | string[], message: string][] = [
    ["\0", "a\0b"],
    ["aa", "a"],
    ["abab", "ab"],
    [["\n", "\r\n"], "a\r"],
    [["end", "x"], "x"],
    [["end", "aend"], "a"],
  ];
  for (const [separators, message] of refused) {
    const error = assertThrows(() => delimited(separators).encode(bytes(message), out), FramingError);
    assertEquals(summary(error), { message: "Cannot encode a message: it contains a separator", consumed: 0 });
  }
  assertEquals(wireOf(delimited(["\r\n", "\n"]), [bytes("a")]), bytes("a\r\n"));
});
