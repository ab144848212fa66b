/** lengthPrefixed(): the cases that Netty and tokio-util document, and hostile lengths. */
import { assertEquals, assertThrows } from "@std/assert";
import {
  ByteBuffer,
  ByteQueue,
  FramingError,
  lengthPrefixed,
  type LengthPrefixedOptions,
} from "../../src/framing/mod.ts";
import { bytes, text } from "../support/bytes.ts";
import { decodePieces, wireOf } from "./codec_cases.ts";

function queueOf(...data: number[]): ByteQueue {
  const queue = new ByteQueue();
  queue.append(new Uint8Array(data));
  return queue;
}

const HELLO = [...bytes("HELLO, WORLD")];

const documented: [name: string, options: LengthPrefixedOptions, wire: number[], message: number[]][] = [
  ["Netty: 2 bytes length field at offset 0", { bytes: 2 }, [0, 12, ...HELLO], HELLO],
  [
    "Netty: the length field represents the length of the whole message",
    { bytes: 2, adjust: -2 },
    [0, 14, ...HELLO],
    HELLO,
  ],
  ["the same by includesHeader", { bytes: 2, includesHeader: true }, [0, 14, ...HELLO], HELLO],
  [
    "Netty: 3 bytes length field at the end of a 5 bytes header",
    { bytes: 3, offset: 2 },
    [0xca, 0xfe, 0, 0, 12, ...HELLO],
    [0xca, 0xfe, ...HELLO],
  ],
  [
    "Netty: 3 bytes length field at the beginning of a 5 bytes header",
    { bytes: 3, adjust: 2 },
    [0, 0, 12, 0xca, 0xfe, ...HELLO],
    [0xca, 0xfe, ...HELLO],
  ],
  [
    "Netty: 2 bytes length field at offset 1 in the middle of a 4 bytes header",
    { bytes: 2, offset: 1, adjust: 1 },
    [0xca, 0, 12, 0xfe, ...HELLO],
    [0xca, 0xfe, ...HELLO],
  ],
  [
    "Netty: the same, with the length of the whole message",
    { bytes: 2, offset: 1, adjust: -3 },
    [0xca, 0, 16, 0xfe, ...HELLO],
    [0xca, 0xfe, ...HELLO],
  ],
  [
    "the same by includesHeader",
    { bytes: 2, offset: 1, includesHeader: true },
    [0xca, 0, 16, 0xfe, ...HELLO],
    [0xca, 0xfe, ...HELLO],
  ],
  ["tokio-util: 2 bytes, big-endian", { bytes: 2 }, [0, 11, ...bytes("Hello world")], [...bytes("Hello world")]],
  [
    "tokio-util: 2 bytes that count themselves",
    { bytes: 2, adjust: -2 },
    [0, 13, ...bytes("Hello world")],
    [...bytes("Hello world")],
  ],
  [
    "tokio-util: little-endian",
    { bytes: 4, littleEndian: true },
    [11, 0, 0, 0, ...bytes("Hello world")],
    [...bytes("Hello world")],
  ],
];

for (const [name, options, wire, message] of documented) {
  Deno.test(`lengthPrefixed(): ${name}`, () => {
    const codec = lengthPrefixed(options);
    assertEquals(decodePieces(codec, [new Uint8Array(wire)]).messages, [new Uint8Array(message)]);
    assertEquals(decodePieces(codec, wire.map((byte) => new Uint8Array([byte]))).messages, [new Uint8Array(message)]);
    assertEquals([...wireOf(codec, [new Uint8Array(message)])], wire);
  });
}

const hostile: [name: string, options: LengthPrefixedOptions, wire: number[], message: string, consumed: number][] = [
  ["2^32 - 1", { bytes: 4 }, [255, 255, 255, 255], "it exceeds the limit of 65536 bytes", 4],
  ["2^63", { bytes: 8 }, [128, 0, 0, 0, 0, 0, 0, 0], "it exceeds the limit of 65536 bytes", 8],
  ["2^64 - 1", { bytes: 8 }, Array(8).fill(255), "it exceeds the limit of 65536 bytes", 8],
  [
    "2^63, little-endian",
    { bytes: 8, littleEndian: true },
    [0, 0, 0, 0, 0, 0, 0, 128],
    "it exceeds the limit of 65536 bytes",
    8,
  ],
  ["one more than the limit", { bytes: 4, limit: 10 }, [0, 0, 0, 11], "it exceeds the limit of 10 bytes", 4],
  ["negative by adjust", { bytes: 2, adjust: -4 }, [0, 3], "its length is less than that of its header", 2],
  [
    "less than the header that it includes",
    { bytes: 4, includesHeader: true },
    [0, 0, 0, 3],
    "its length is less than that of its header",
    4,
  ],
  [
    "less than the header before it that it includes",
    { bytes: 2, offset: 3, includesHeader: true },
    [1, 2, 3, 0, 4],
    "its length is less than that of its header",
    5,
  ],
  ["a varint that never ends", { bytes: "varint" }, Array(10).fill(128), "its length has more than 10 bytes", 10],
  ["a varint that is over-long", { bytes: "varint" }, [0x85, 0x80, 0], "its length has more bytes than needed", 3],
  ["a zero as two bytes of varint", { bytes: "varint" }, [0x80, 0], "its length has more bytes than needed", 2],
  [
    "a varint of 2^63",
    { bytes: "varint" },
    [...Array(9).fill(128), 1],
    "it exceeds the limit of 65536 bytes",
    10,
  ],
];

for (const [name, options, wire, message, consumed] of hostile) {
  Deno.test(`lengthPrefixed() refuses ${name} before a byte of the body comes [F2]`, () => {
    const error = { message: `Cannot decode a message: ${message}`, consumed };
    for (const pieces of [[new Uint8Array(wire)], wire.map((byte) => new Uint8Array([byte]))]) {
      const decoded = decodePieces(lengthPrefixed(options), pieces);
      assertEquals([decoded.messages, decoded.error], [[], error]);
      assertEquals(decoded.left.length > 0, true);
    }
  });
}

Deno.test("lengthPrefixed() refuses to encode what its length field cannot declare", () => {
  const out = new ByteBuffer();
  const one = lengthPrefixed({ bytes: 1 });
  assertThrows(() => one.encode(new Uint8Array(256), out), FramingError, "does not fit into 1 bytes");
  one.encode(new Uint8Array(255), out);
  const grown = lengthPrefixed({ bytes: 1, includesHeader: true });
  assertThrows(() => grown.encode(new Uint8Array(255), out), FramingError, "does not fit into 1 bytes");
  const short = lengthPrefixed({ bytes: 2, adjust: 4 });
  assertThrows(() => short.encode(new Uint8Array(3), out), FramingError, "the length to declare is negative");
  const started = lengthPrefixed({ bytes: 2, offset: 3 });
  assertThrows(() => started.encode(new Uint8Array(2), out), FramingError, "fewer than the 3 of its start");
});

Deno.test("lengthPrefixed() writes varints of every size as short as they can be, also if they count themselves", () => {
  for (const includesHeader of [false, true]) {
    const codec = lengthPrefixed({ bytes: "varint", includesHeader, limit: 1 << 22 });
    for (const around of [0, 126, 127, 128, 16381, 16382, 16383, 16384, 2097148, 2097149, 2097150, 2097152]) {
      const message = new Uint8Array(around);
      const wire = wireOf(codec, [message]);
      const { messages, error } = decodePieces(codec, [wire]);
      assertEquals([messages.length, (messages[0] as Uint8Array).length, error], [1, around, null]);
    }
  }
});

Deno.test("lengthPrefixed() checks its options", () => {
  const wrong: [unknown, string][] = [
    [{}, 'bytes must be 1, 2, 3, 4, 8 or "varint", not undefined'],
    [{ bytes: 5 }, 'bytes must be 1, 2, 3, 4, 8 or "varint", not 5'],
    [{ bytes: 2, limit: 0 }, "limit must be a whole number above 0 bytes, not 0"],
    [{ bytes: 2, limit: Infinity }, "limit must be a whole number above 0 bytes, not Infinity"],
    [{ bytes: 2, limit: "1" }, 'limit must be a number, not "1"'],
    [{ bytes: 2, offset: -1 }, "offset must be a whole number from 0, not -1"],
    [{ bytes: 2, adjust: 0.5 }, "adjust must be a whole number, not 0.5"],
    [{ bytes: 2, littleEndian: 1 }, "littleEndian must be a boolean, not 1"],
    [{ bytes: 2, litleEndian: true }, 'there is no option "litleEndian"; did you mean "littleEndian"?'],
  ];
  for (const [options, message] of wrong) {
    assertThrows(
      () => lengthPrefixed(options as LengthPrefixedOptions),
      Error,
      `Cannot make lengthPrefixed(): ${message}`,
    );
  }
  const codec = lengthPrefixed({
    bytes: 2,
    limit: undefined,
    offset: undefined,
    adjust: undefined,
    littleEndian: undefined,
    includesHeader: undefined,
  });
  assertEquals(text(codec.decode(queueOf(0, 1, 65))!), "A");
});
