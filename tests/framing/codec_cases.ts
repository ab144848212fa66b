/** Every codec, with messages and what they are on the wire, and ways to decode a wire. */
import { StreamReader } from "../../src/streams/stream_reader.ts";
import { ByteBuffer, ByteQueue, type Codec, type Decoder, FramingError } from "../../src/framing/mod.ts";
import {
  delimited,
  fixed,
  headed,
  jsonLines,
  lengthPrefixed,
  lines,
  netstrings,
  octetCounted,
} from "../../src/framing/mod.ts";
import { bytes, concat, pattern, text } from "../support/bytes.ts";

/** A codec whose messages are compared as text. */
export interface CodecCase {
  name: string;
  /** The codec, with a limit, in bytes. */
  make(limit?: number): Codec<unknown, unknown>;
  messages: unknown[];
  /** The most bytes that it can declare, if that is less than the default limit. */
  capacity?: number;
  /** A message of so many bytes. */
  ofSize?(n: number): unknown;
  /** What is searched for, or else stands in the middle of a frame: chunkers split there. */
  separator: string;
}

const end = bytes("\r\n\r\n");

/** The sizes of a header that ends with an empty line and says how long the body is. */
export function measure(queue: ByteQueue): { header: number; body: number } | undefined {
  const header = queue.indexOf(end) + end.length;
  if (header < end.length) return undefined;
  const found = /^length: (\d+)\r$/m.exec(text(queue.peek(header)));
  if (found === null) throw new FramingError("Cannot decode a message: it has no length", header);
  return { header, body: Number(found[1]) };
}

/** A message of {@linkcode measure}. */
export function withHeader(body: Uint8Array) {
  return { header: bytes(`length: ${body.length}\r\n\r\n`), body };
}

const BINARY = [bytes("hello"), new Uint8Array(0), pattern(127), pattern(128), pattern(300), bytes("\r\n\0,:")];
const LINES = ["hello", "", "grüezi 🎉", "x".repeat(127), "a\rb", "1".repeat(300)];

function prefixed(name: string, options: Parameters<typeof lengthPrefixed>[0], messages = BINARY): CodecCase {
  return {
    name: `lengthPrefixed(${name})`,
    make: (limit) => lengthPrefixed({ ...options, limit }) as Codec<unknown>,
    messages,
    ...(options.bytes === 1 || options.bytes === 2) && { capacity: 256 ** options.bytes - 1 },
    ofSize: pattern,
    separator: "\0",
  };
}

export const cases: CodecCase[] = [
  {
    name: "lines()",
    make: (limit) => lines({ limit }) as Codec<unknown>,
    messages: LINES,
    ofSize: (n) => "x".repeat(n),
    separator: "\n",
  },
  {
    name: "lines(strict CRLF)",
    make: (limit) => lines({ limit, ending: "\r\n" }) as Codec<unknown>,
    messages: [...LINES, "a\nb", "\r", "\n", "c\r"],
    ofSize: (n) => "x".repeat(n),
    separator: "\r\n",
  },
  {
    name: "lines(windows-1252)",
    make: (limit) => lines({ limit, encoding: "windows-1252" }) as Codec<unknown>,
    messages: ["hello", "", "x".repeat(5000)],
    ofSize: (n) => "x".repeat(n),
    separator: "\n",
  },
  {
    name: "delimited(byte)",
    make: (limit) => delimited("\0", { limit }) as Codec<unknown>,
    messages: [bytes("hello"), new Uint8Array(0), bytes("a\nb"), pattern(255, 1).map((byte) => byte || 1)],
    ofSize: (n) => pattern(n).fill(7),
    separator: "\0",
  },
  {
    name: "delimited(sequence)",
    make: (limit) => delimited("\r\n.\r\n", { limit }) as Codec<unknown>,
    messages: [bytes("hello"), new Uint8Array(0), bytes("\r\n"), bytes("\r\n\r\n\r\n.\r"), bytes("\r\n.\n")],
    ofSize: (n) => pattern(n).fill(7),
    separator: "\r\n.\r\n",
  },
  {
    name: "delimited(several)",
    make: (limit) => delimited(["\r\n", "\n", new Uint8Array([0])], { limit }) as Codec<unknown>,
    messages: [bytes("hello"), new Uint8Array(0), bytes("\r"), bytes("a\rb")],
    ofSize: (n) => pattern(n).fill(7),
    separator: "\r\n",
  },
  {
    name: "fixed(5)",
    make: () => fixed(5) as Codec<unknown>,
    messages: [bytes("hello"), bytes("world"), new Uint8Array(5)],
    separator: "l",
  },
  {
    name: "netstrings()",
    make: (limit) => netstrings({ limit }) as Codec<unknown>,
    messages: BINARY,
    ofSize: pattern,
    separator: ":",
  },
  {
    name: "octetCounted()",
    make: (limit) => octetCounted({ limit }) as Codec<unknown>,
    messages: BINARY.filter(({ length }) => length > 0),
    ofSize: pattern,
    separator: " ",
  },
  {
    name: "jsonLines()",
    make: (limit) => jsonLines({ limit }) as Codec<unknown>,
    messages: [{ a: [1, "ü\n", null] }, 0, "", [], true, null, "x".repeat(200)],
    ofSize: (n) => "x".repeat(n - 2),
    separator: "\n",
  },
  prefixed("1", { bytes: 1 }, BINARY.filter(({ length }) => length < 256)),
  prefixed("2", { bytes: 2 }),
  prefixed("2 little-endian", { bytes: 2, littleEndian: true }),
  prefixed("3", { bytes: 3 }),
  prefixed("3 little-endian", { bytes: 3, littleEndian: true }),
  prefixed("4", { bytes: 4 }),
  prefixed("4 including its header", { bytes: 4, includesHeader: true }),
  prefixed("8", { bytes: 8 }),
  prefixed("8 little-endian", { bytes: 8, littleEndian: true }),
  prefixed("varint", { bytes: "varint" }),
  prefixed("varint including its header", { bytes: "varint", includesHeader: true }),
  prefixed(
    "4 after 1, as PostgreSQL's",
    { bytes: 4, offset: 1, adjust: -4 },
    BINARY.filter(({ length }) => length > 0),
  ),
  {
    name: "headed()",
    make: (limit) => headed(measure, { limit }) as Codec<unknown, unknown>,
    messages: BINARY.map(withHeader),
    ofSize: (n) => {
      const header = bytes(`length: ${String(n).padStart(9, "0")}\r\n\r\n`);
      return {
        header: bytes(text(header).replace(/\d+/, String(n - header.length).padStart(9, "0"))),
        body: pattern(n - header.length),
      };
    },
    separator: "\r\n\r\n",
  },
];

/** The bytes of messages. */
export function wireOf<T>(codec: Codec<unknown, T>, messages: readonly T[]): Uint8Array<ArrayBuffer> {
  const out = new ByteBuffer();
  for (const message of messages) codec.encode(message, out);
  return out.take();
}

/** What decoding comes to: the messages, what was thrown after them, and the bytes that are left. */
export interface Decoded {
  messages: unknown[];
  error: { message: string; consumed: unknown } | null;
  left: string;
}

/** Decodes pieces without a reader, as many messages as there are after each. */
export function decodePieces(decoder: Decoder<unknown>, pieces: readonly Uint8Array[]): Decoded {
  const queue = new ByteQueue();
  const messages: unknown[] = [];
  let error: Decoded["error"] = null;
  for (const piece of pieces) {
    queue.append(piece);
    while (error === null) {
      try {
        const message = decoder.decode(queue);
        if (message === undefined) break;
        messages.push(message);
      } catch (thrown) {
        error = summary(thrown);
      }
    }
  }
  return { messages, error, left: text(queue.peek(queue.length)) };
}

/** Decodes pieces by `readframe()`, which waits for each. */
export async function decodeByReader(decoder: Decoder<unknown>, pieces: readonly Uint8Array[]): Promise<Decoded> {
  const reader = new StreamReader();
  const messages: unknown[] = [];
  let error: Decoded["error"] = null;
  let running = true;
  const reading = (async () => {
    try {
      while (running) {
        const message = await reader.readframe(decoder);
        if (message === null && reader.atEof()) break;
        messages.push(message);
      }
    } catch (thrown) {
      error = summary(thrown);
    }
  })();
  for (const piece of pieces) {
    reader.feedData(piece);
    await null;
  }
  // Not the end of the stream, so that what is left is seen.
  for (let hops = 0; hops < 10; hops++) await null;
  running = false;
  const left = text(reader.tryread(reader.buffered) ?? concat([]));
  reader.feedEof();
  await reading;
  return { messages, error, left };
}

/** What is compared of what a decoder threw. */
export function summary(thrown: unknown): { message: string; consumed: unknown } {
  if (!(thrown instanceof Error)) throw thrown;
  return { message: thrown.message, consumed: (thrown as Partial<FramingError>).consumed };
}
