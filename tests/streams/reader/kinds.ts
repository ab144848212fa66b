/** The kinds of reads that tests run all through the same rules, and what each comes to. */
import type { Bytes } from "../../../src/common/bytes.ts";
import type { ByteQueue } from "../../../src/framing/byte_queue.ts";
import type { Decoder } from "../../../src/framing/codec.ts";
import type { StreamReader } from "../../../src/streams/stream_reader.ts";
import { naiveSearch, show, text } from "../../support/reader_outcomes.ts";
import { bytes } from "../../support/bytes.ts";

export type Options = { signal?: AbortSignal };

/** A kind of read, and what it must come to on a stream that is all there and has ended. */
export interface Kind {
  name: string;
  start(reader: StreamReader, options?: Options): Promise<unknown>;
  /** Outcome, and how many bytes are consumed. */
  expect(data: Uint8Array, limit: number): [outcome: string, consumed: number];
  /** Bytes that the read waits with, and bytes that then satisfy it. */
  waitsWith: string;
  thenNeeds: string;
  result: string;
  /** What a failed stream gives first: the outcome of a read that waits with bytes. */
  restAtFailure?: string;
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

function integerKind(
  name: string,
  size: number,
  start: (reader: StreamReader, options?: Options) => Promise<unknown>,
  valueOf: (view: DataView) => number | bigint,
): Kind {
  const value = (data: Uint8Array) => String(valueOf(new DataView(Uint8Array.from(data).buffer)));
  const sample = "abcdefgh".slice(0, size);
  return {
    name,
    start,
    expect: (data) =>
      data.length >= size ? [value(data), size] : [`IncompleteReadError(${show(data)}, ${size})`, data.length],
    waitsWith: sample.slice(0, -1),
    thenNeeds: sample.slice(-1),
    result: value(bytes(sample)),
  };
}

/** Messages of 0 to 7 bytes behind a byte that says how many. */
export const shortMessages: Decoder<Bytes> = {
  decode(queue) {
    if (queue.length === 0) return undefined;
    const length = queue.at(0) & 7;
    if (queue.length < 1 + length) return undefined;
    queue.drop(1);
    return queue.take(length);
  },
};

/** The same where the decoder keeps what it has understood, and gives what it has at the end of the stream. */
export class KeepingDecoder implements Decoder<Bytes> {
  #length: number | null = null;

  decode(queue: ByteQueue): Bytes | undefined {
    if (this.#length === null) {
      if (queue.length === 0) return undefined;
      this.#length = queue.at(0) & 7;
      queue.drop(1);
    }
    return queue.length < this.#length ? undefined : this.#take(queue, this.#length);
  }

  decodeEof(queue: ByteQueue): Bytes | undefined {
    return this.#length === null ? undefined : this.#take(queue, queue.length);
  }

  #take(queue: ByteQueue, n: number): Bytes {
    this.#length = null;
    return queue.take(n);
  }
}

/** The reads whose outcome depends on the bytes alone. */
export const kinds: Kind[] = [
  {
    name: "read()",
    start: (reader, options) => reader.read(undefined, options),
    expect: (data) => [show(data), data.length],
    waitsWith: "some",
    thenNeeds: "",
    result: '"some"',
    restAtFailure: '"some"',
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
    restAtFailure: '"some"',
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
  {
    name: "readline({ encoding })",
    start: (reader, options) => reader.readline({ ...options, encoding: "latin1" }),
    expect(data, limit) {
      const found = naiveSearch(data, NEWLINE, limit);
      if (found !== null && "consumed" in found) return [`LimitOverrunError(${found.consumed})`, 0];
      const end = found === null ? data.length : found.end;
      return [text(data.subarray(0, end)), end];
    },
    waitsWith: "some",
    thenNeeds: "\n",
    result: "some\n",
    restAtFailure: "some",
  },
  {
    name: "readuntil({ encoding })",
    start: (reader, options) => reader.readuntil("\r\n", { ...options, encoding: "latin1" }),
    expect(data, limit) {
      const found = naiveSearch(data, [bytes("\r\n")], limit);
      if (found === null) return [`IncompleteReadError(${show(data)}, null)`, data.length];
      if ("consumed" in found) return [`LimitOverrunError(${found.consumed})`, 0];
      return [text(data.subarray(0, found.end)), found.end];
    },
    waitsWith: "some\r",
    thenNeeds: "\n",
    result: "some\r\n",
  },
  integerKind("readUint8()", 1, (reader, options) => reader.readUint8(options), (view) => view.getUint8(0)),
  integerKind("readUint16()", 2, (reader, options) => reader.readUint16(false, options), (view) => view.getUint16(0)),
  integerKind(
    "readUint16(true)",
    2,
    (reader, options) => reader.readUint16(true, options),
    (view) => view.getUint16(0, true),
  ),
  integerKind(
    "readUint32()",
    4,
    (reader, options) => reader.readUint32(undefined, options),
    (view) => view.getUint32(0),
  ),
  integerKind(
    "readBigUint64(true)",
    8,
    (reader, options) => reader.readBigUint64(true, options),
    (view) => view.getBigUint64(0, true),
  ),
  {
    name: "readframe()",
    start: (reader, options) => reader.readframe(shortMessages, options),
    expect(data) {
      if (data.length === 0) return ["null", 0];
      const end = 1 + (data[0]! & 7);
      return data.length >= end
        ? [show(data.subarray(1, end)), end]
        : [`IncompleteReadError(${show(data)}, null)`, data.length];
    },
    waitsWith: "cab",
    thenNeeds: "d",
    result: '"abd"',
  },
  skipuntilKind(["\n"], "some", "\n"),
  skipuntilKind(["aab", "\r\n"], "aa", "b"),
];

/** The reads that take what is buffered. */
export const takers: Kind[] = [
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

export const all = [...kinds, ...takers];

export const samples = [
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

export const LIMITS = [1, 2, 3, 4, 7, 8, 9, 50, 51, 65536];
