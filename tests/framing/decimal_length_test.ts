/** netstrings(), octetCounted(), fixed(), headed(): what their formats say. */
import { assertEquals, assertThrows } from "@std/assert";
import { ByteQueue, fixed, FramingError, headed, netstrings, octetCounted } from "../../src/framing/mod.ts";
import { bytes } from "../support/bytes.ts";
import { decodePieces, measure, wireOf } from "./codec_cases.ts";

Deno.test("netstrings() decodes the examples of the specification", () => {
  const wire = new Uint8Array([
    0x31,
    0x32,
    0x3a,
    0x68,
    0x65,
    0x6c,
    0x6c,
    0x6f,
    0x20,
    0x77,
    0x6f,
    0x72,
    0x6c,
    0x64,
    0x21,
    0x2c,
  ]);
  assertEquals(decodePieces(netstrings(), [wire, bytes("0:,")]).messages, [bytes("hello world!"), bytes("")]);
  assertEquals(wireOf(netstrings(), [bytes("hello world!"), bytes("")]), new Uint8Array([...wire, ...bytes("0:,")]));
});

for (
  const [wire, message, consumed] of [
    ["99999:", "it exceeds the limit of 1000 bytes", 4],
    ["1001", "it exceeds the limit of 1000 bytes", 4],
    ["9223372036854775808:", "it exceeds the limit of 1000 bytes", 4],
    ["05:hello,", "its length begins with 0", 2],
    ["00:,", "its length begins with 0", 2],
    ["-1:", 'its length is not a number and ":"', 1],
    ["+5:hello,", 'its length is not a number and ":"', 1],
    [":hello,", 'its length is not a number and ":"', 1],
    ["5 hello,", 'its length is not a number and ":"', 2],
    ["5:hello;", '"," does not follow it', 8],
    ["5:hello world", '"," does not follow it', 8],
  ] as const
) {
  Deno.test(`netstrings() refuses ${JSON.stringify(wire)}, however it is split [F1, F2]`, () => {
    const error = { message: `Cannot decode a netstring: ${message}`, consumed };
    const codec = netstrings({ limit: 1000 });
    assertEquals(decodePieces(codec, [bytes(wire)]), { messages: [], error, left: wire });
    assertEquals(decodePieces(codec, [...wire].map(bytes)), { messages: [], error, left: wire });
  });
}

Deno.test("octetCounted() is the framing of RFC 6587, section 3.4.1: MSG-LEN SP SYSLOG-MSG", () => {
  const message = "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - failed for lonvick on /dev/pts/8\n";
  const wire = `${message.length} ${message}3 abc`;
  assertEquals(decodePieces(octetCounted(), [bytes(wire)]).messages, [bytes(message), bytes("abc")]);
  // MSG-LEN = NONZERO-DIGIT *DIGIT
  for (const refused of ["0 ", "01 a", "<34>1 non-transparent\n", " a"]) {
    assertEquals(decodePieces(octetCounted(), [bytes(refused)]).error !== null, true, refused);
  }
  assertThrows(() => wireOf(octetCounted(), [bytes("")]), FramingError, "it is empty");
});

Deno.test("fixed() has one size, in both directions [F2]", () => {
  assertThrows(() => wireOf(fixed(3), [bytes("ab")]), FramingError, "it has 2 bytes, not 3");
  for (const size of [0, -1, 1.5, NaN, Infinity, "3", undefined]) {
    assertThrows(() => fixed(size as number), Error, "Cannot make fixed(): size must be a");
  }
});

Deno.test("headed() fails when the header has no end within the limit, and when the sizes exceed it [F2]", () => {
  const codec = headed(measure, { limit: 40 });
  const endless = decodePieces(codec, [bytes("x".repeat(41))]);
  assertEquals(endless.error?.message, "Cannot decode the header of a message: it exceeds the limit of 40 bytes");
  const large = decodePieces(codec, [bytes("length: 99999999999999\r\n\r\n")]);
  assertEquals(large.error, { message: "Cannot decode a message: it exceeds the limit of 40 bytes", consumed: 26 });
});

Deno.test("headed() refuses sizes that are none, and messages of nothing, which would never end", () => {
  const queue = new ByteQueue();
  queue.append(bytes("abc"));
  for (
    const sizes of [{ header: -1, body: 2 }, { header: 1, body: NaN }, { header: 0.5, body: 0 }, { header: 0, body: 0 }]
  ) {
    assertThrows(() => headed(() => sizes).decode(queue), RangeError, "Cannot decode a message: ");
  }
  assertThrows(() => headed(undefined as never), TypeError, "measure must be a function, not undefined");
});
