/**
 * Reading a stream of bytes as one pleases: lines, exact sizes, up to a separator, or whatever comes.
 *
 * Each kind of read is here, as an attempt on the {@linkcode ReadQueue} that does the waiting.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { IncompleteReadError, LimitOverrunError } from "../common/errors.ts";
import { ReadQueue } from "./read_queue.ts";
import { type Match, Search, type Separator, Separators } from "../framing/separators.ts";
import type { ReadTransport } from "../transport/types.ts";

/** The default limit of a reader, in bytes. */
export const DEFAULT_LIMIT = 65536;

/** What every read takes. */
export interface ReadOptions {
  /** Aborts the read: it rejects with the reason at once, no byte is lost, and the next read works. */
  signal?: AbortSignal;
}

// The way in for the stream protocol: what it needs is no business of users.
let queueOfReader: (reader: StreamReader) => ReadQueue;

/**
 * Reads from a stream of bytes. As `asyncio.StreamReader`.
 *
 * One read waits at a time; a second one is refused with `Deno.errors.Busy`. Results are the caller's memory: they
 * are never written again, hold bytes of this connection only, and may be transferred or detached without harm to what is read
 * later. A result of up to 1 KiB may share its buffer, of at most 8 KiB, with other results of this reader; a larger one has a
 * buffer of at most twice its size.
 *
 * @example Lines and exact sizes from one stream
 * ```ts
 * import { StreamReader } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const reader = new StreamReader();
 * reader.feedData(new TextEncoder().encode("5\r\nhello"));
 * reader.feedEof();
 * const size = parseInt(new TextDecoder().decode(await reader.readuntil("\r\n")));
 * assertEquals(new TextDecoder().decode(await reader.readexactly(size)), "hello");
 * assertEquals(reader.atEof(), true);
 * ```
 */
export class StreamReader implements AsyncIterable<Bytes> {
  /** How long a line may be, and, twice over, how much is buffered ahead. In bytes. */
  readonly limit: number;
  readonly #queue: ReadQueue;
  #readable: ReadableStream<Bytes> | null = null;

  /**
   * Makes a reader without anything that feeds it.
   *
   * @param options
   * @param options.limit How long a line may be, and, twice over, how much is buffered ahead, in bytes; 65536 by default
   * @throws {TypeError} If the limit is not a number
   * @throws {RangeError} If the limit is neither a whole number above 0 nor `Infinity`
   */
  constructor({ limit = DEFAULT_LIMIT }: { limit?: number } = {}) {
    const refusal = refusalOfLimit("create a reader", limit);
    if (refusal !== null) throw refusal;
    this.limit = limit;
    this.#queue = new ReadQueue(limit);
  }

  /** How many bytes can be had without waiting. */
  get buffered(): number {
    return this.#queue.buffer.length;
  }

  /**
   * Reads some bytes, or all until the end. As `asyncio.StreamReader.read`.
   *
   * @param n The most bytes to read; negative (the default) for all until the end of the stream
   * @param options
   * @returns 1 to `n` bytes; none only at the end of the stream, or if `n` is 0
   * @throws {TypeError} If `n` is not a number
   * @throws {RangeError} If `n` is not an integer
   * @throws {Deno.errors.Busy} If it must wait while another read waits
   */
  read(n = -1, options?: ReadOptions): Promise<Bytes> {
    if (!Number.isInteger(n)) return refuseSize("read", n);
    const signal = options?.signal;
    return n < 0 ? this.#queue.get(takeAllAtEnd, null, signal) : this.#queue.get(takeSome, n, signal);
  }

  /**
   * Reads a line, its "\n" included. As `asyncio.StreamReader.readline`, but a line that is too long is not dropped:
   * {@linkcode StreamReader.skipuntil} does that.
   *
   * @param options
   * @returns The line; at the end of the stream what there is, maybe nothing
   * @throws {LimitOverrunError} If the line is longer than the limit
   * @throws {Deno.errors.Busy} If it must wait while another read waits
   */
  readline(options?: ReadOptions): Promise<Bytes> {
    // The line is mostly there: 10 M lines/s without, 6 M with an attempt of its own.
    if (options === undefined) {
      const { buffer } = this.#queue;
      const newline = buffer.indexOf(NEWLINE, 0, Math.min(buffer.length, this.limit + 1));
      if (newline >= 0) return Promise.resolve(this.#queue.take(newline + 1));
    }
    return this.#queue.get(takeLine, this.#searchFor(newlines, "read a line"), options?.signal);
  }

  /**
   * Reads exactly so many bytes, not bound by the limit. As `asyncio.StreamReader.readexactly`.
   *
   * @param n How many bytes
   * @param options
   * @returns The bytes
   * @throws {TypeError} If `n` is not a number
   * @throws {RangeError} If `n` is negative or not an integer
   * @throws {IncompleteReadError} If the stream ends before; its `partial` are the bytes that were there
   * @throws {Deno.errors.Busy} If it must wait while another read waits
   */
  readexactly(n: number, options?: ReadOptions): Promise<Bytes> {
    if (!Number.isInteger(n) || n < 0) return refuseSize("read exactly", n);
    return this.#queue.get(takeExactly, n, options?.signal);
  }

  /**
   * Reads up to a separator, which is part of the result. As `asyncio.StreamReader.readuntil`.
   *
   * Of several separators the match that ends first wins, of equal ends the shortest. Whether the limit is overrun depends
   * on the bytes alone, not on how they arrived: with L the length of the longest separator, only the first limit + L bytes
   * count.
   *
   * @param separator The separator, or a list of which any counts; "\n" by default
   * @param options `limit`: the limit of this read, in bytes, instead of the reader's
   * @returns The bytes, the separator included
   * @throws {TypeError} If a separator is empty or no separator, if there is none, or if the limit is not a number
   * @throws {RangeError} If the limit is neither a whole number above 0 nor `Infinity`
   * @throws {LimitOverrunError} If no separator starts within the limit; the bytes stay
   * @throws {IncompleteReadError} If the stream ends before; its `partial` are the bytes that were there
   * @throws {Deno.errors.Busy} If it must wait while another read waits
   */
  readuntil(
    separator: Separator | readonly Separator[] = "\n",
    options?: ReadOptions & { limit?: number },
  ): Promise<Bytes> {
    const limit = options?.limit ?? this.limit;
    const refusal = refusalOfLimit("read until a separator", limit);
    if (refusal !== null) return Promise.reject(refusal);
    const separators = separatorsOf(separator);
    if (separators instanceof TypeError) return Promise.reject(separators);
    return this.#queue.get(
      takeMatch,
      this.#searchFor(separators, "read until a separator", limit),
      options?.signal,
    );
  }

  /**
   * Reads into memory of the caller's, as `Deno.Conn.read` does.
   *
   * When nothing is buffered the bytes come straight from the connection, without a copy, and the memory is in use until
   * the promise settles. A read from the system cannot be taken back, so that nothing but bytes and the end of the
   * connection settles it: what is fed or set meanwhile, by `setException` say, is told then. With a `signal` the bytes
   * are copied once, and the read can be given up at any time.
   *
   * @param p The memory
   * @param options
   * @returns How many bytes were put at its start, at least one unless it is empty; `null` at the end of the stream
   * @throws {TypeError} If it is not a `Uint8Array`
   * @throws {Deno.errors.Busy} If it must wait while another read waits
   */
  readinto(p: Uint8Array, options?: ReadOptions): Promise<number | null> {
    if (!(p instanceof Uint8Array)) {
      return Promise.reject(new TypeError(`Cannot read: the memory must be a Uint8Array, not "${typeof p}"`));
    }
    const signal = options?.signal;
    return this.#queue.get(takeInto, p, signal, signal === undefined ? p : null);
  }

  /**
   * Looks at the bytes to come and leaves them there.
   *
   * @param n How many bytes to wait for; at most twice the limit
   * @param options
   * @returns A view of `n` bytes, or of what there is at the end of the stream
   * @throws {TypeError} If `n` is not a number
   * @throws {RangeError} If `n` is negative, not an integer, or more than twice the limit
   * @throws {Deno.errors.Busy} If it must wait while another read waits
   */
  peek(n: number, options?: ReadOptions): Promise<Bytes> {
    if (!Number.isInteger(n) || n < 0) return refuseSize("peek", n);
    if (n > 2 * this.limit) {
      return Promise.reject(
        new RangeError(`Cannot peek "${n}" bytes: at most ${2 * this.limit}, twice the limit, are buffered`),
      );
    }
    return this.#queue.get(peekAt, n, options?.signal);
  }

  /**
   * Drops everything through a separator, in bounded memory. So a line that is too long is done with.
   *
   * An abort leaves dropped what was dropped until then.
   *
   * @param separator The separator, or a list of which any counts; "\n" by default
   * @param options
   * @returns How many bytes were dropped, the separator included; at the end of the stream how many until then
   * @throws {TypeError} If a separator is empty or no separator, or if there is none
   * @throws {Deno.errors.Busy} If it must wait while another read waits; nothing is dropped then
   */
  skipuntil(separator: Separator | readonly Separator[] = "\n", options?: ReadOptions): Promise<number> {
    const separators = separatorsOf(separator);
    if (separators instanceof TypeError) return Promise.reject(separators);
    const search = new Search(separators);
    let dropped = 0;
    let expected = this.#queue.buffer.taken;
    const skip = (queue: ReadQueue): number | undefined => {
      const { buffer } = queue;
      if (buffer.taken !== expected) search.reset();
      const end = search.next(buffer, buffer.length)?.end ?? (queue.atEnd() ? buffer.length : undefined);
      if (end !== undefined) {
        queue.drop(end);
        return dropped + end;
      }
      // About to be refused: then nothing may be dropped.
      if (queue.busy) return undefined;
      // What may be the start of a separator is kept, so that an abort does not tear it.
      const n = search.position - search.begun;
      buffer.drop(n);
      search.dropped(n);
      dropped += n;
      expected = buffer.taken;
      return undefined;
    };
    return this.#queue.get(skip, null, options?.signal);
  }

  /**
   * The lines as text, without their "\n" or "\r\n", and without a byte order mark before the first.
   *
   * @param options `encoding`: a label of the Encoding Standard, "utf-8" by default
   * @returns The lines, until the end of the stream
   * @throws {RangeError} If the encoding is unknown, or does not keep ASCII as it is, as UTF-16 does not
   *
   * @example Numbered lines
   * ```ts
   * import { StreamReader } from "@tideline/net";
   * import { assertEquals } from "@std/assert";
   *
   * const reader = new StreamReader();
   * reader.feedData(new TextEncoder().encode("one\r\ntwo\nthree"));
   * reader.feedEof();
   * assertEquals(await Array.fromAsync(reader.lines()), ["one", "two", "three"]);
   * ```
   */
  lines({ encoding = "utf-8", signal }: ReadOptions & { encoding?: string } = {}): AsyncIterableIterator<string> {
    const decode = lineDecoder(encoding);
    const options = signal === undefined ? undefined : { signal };
    return iterate(() => this.readline(options), (line) => withoutEnd(decode(line)));
  }

  /** The rest of the stream as a byte stream that pulls. Cancelling it ends the pull, not the connection. */
  get readable(): ReadableStream<Bytes> {
    return this.#readable ??= readableOf(this);
  }

  /**
   * Tells whether the stream has ended and all of it was read. As `asyncio.StreamReader.at_eof`.
   *
   * @returns Whether nothing is left and nothing will come
   */
  atEof(): boolean {
    return this.#queue.ended && this.#queue.buffer.length === 0;
  }

  /**
   * The error the stream ended with. As `asyncio.StreamReader.exception`.
   *
   * @returns The error, or `null`
   */
  exception(): Error | null {
    return this.#queue.exception;
  }

  /**
   * Adds bytes to the stream, from a protocol. As `asyncio.StreamReader.feed_data`.
   *
   * @param data The bytes, which are copied
   * @throws {TypeError} If it is not a `Uint8Array`
   * @throws {Error} After `feedEof`
   */
  feedData(data: Uint8Array): void {
    if (!(data instanceof Uint8Array)) {
      throw new TypeError(`Cannot feed data: it must be a Uint8Array, not "${typeof data}"`);
    }
    if (this.#queue.ended) throw new Error("Cannot feed data: the end of the stream was fed");
    if (data.length > 0) this.#queue.feed(data);
  }

  /** Ends the stream. As `asyncio.StreamReader.feed_eof`. */
  feedEof(): void {
    this.#queue.end();
  }

  /**
   * Ends the stream with an error; what is buffered stays readable. As `asyncio.StreamReader.set_exception`.
   *
   * @param error Why
   * @throws {TypeError} If it is not an `Error`
   */
  setException(error: Error): void {
    if (!(error instanceof Error)) {
      throw new TypeError(`Cannot set the exception of a reader: it must be an Error, not "${typeof error}"`);
    }
    this.#queue.fail(error);
  }

  /**
   * Tells the transport that feeds this reader, to be paused and resumed. As `asyncio.StreamReader.set_transport`.
   *
   * @param t The transport
   */
  setTransport(t: ReadTransport): void {
    this.#queue.attach(t, "bounded");
  }

  /**
   * The lines as bytes, their "\n" included, until the end of the stream. As iterating over an `asyncio.StreamReader`.
   *
   * @returns The lines
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Bytes> {
    return iterate(() => this.readline(), (line) => line);
  }

  /** A search that goes on where it stopped, and overruns where the rule R4 says so. */
  #searchFor(separators: Separators, doing: string, limit = this.limit): Finder {
    const search = new Search(separators);
    const { buffer } = this.#queue;
    const window = limit + separators.longest;
    let expected = buffer.taken;
    return () => {
      if (buffer.taken !== expected) {
        // Another read took bytes while this one waited.
        search.reset();
        expected = buffer.taken;
      }
      const match = search.next(buffer, Math.min(buffer.length, window));
      if (match !== null && match.start <= limit) return match;
      if (match === null && buffer.length < window) return undefined;
      search.reset();
      throw match === null
        ? new LimitOverrunError(`Cannot ${doing}: there is none within the limit of ${limit} bytes`, limit + 1)
        : new LimitOverrunError(
          `Cannot ${doing}: it starts after ${match.start} bytes, beyond the limit of ${limit}`,
          match.start,
        );
    };
  }

  static {
    queueOfReader = (reader) => reader.#queue;
  }
}

/**
 * The queue inside a reader; not exported from the package.
 *
 * @param reader The reader
 * @returns Its queue
 */
export function queueOf(reader: StreamReader): ReadQueue {
  return queueOfReader(reader);
}

// The attempts. That they are no closures spares a read 0.1 KB of garbage.

type Finder = () => Match | undefined;

function takeSome(queue: ReadQueue, n: number): Bytes | undefined {
  const { length } = queue.buffer;
  if (length > 0 && n > 0) return queue.take(Math.min(n, length));
  return n === 0 || queue.atEnd() ? NOTHING : undefined;
}

function takeAllAtEnd(queue: ReadQueue): Bytes | undefined {
  const { buffer, ended, exception } = queue;
  if (buffer.length > 0) return ended || exception !== null ? queue.take(buffer.length) : undefined;
  return queue.atEnd() ? NOTHING : undefined;
}

function takeExactly(queue: ReadQueue, n: number): Bytes | undefined {
  return queue.buffer.length >= n ? queue.take(n) : failAtEnd(queue, n);
}

function takeLine(queue: ReadQueue, find: Finder): Bytes | undefined {
  const line = find();
  return line !== undefined ? queue.take(line.end) : takeAllAtEnd(queue);
}

function takeMatch(queue: ReadQueue, find: Finder): Bytes | undefined {
  const match = find();
  return match !== undefined ? queue.take(match.end) : failAtEnd(queue, null);
}

function takeInto(queue: ReadQueue, p: Uint8Array): number | null | undefined {
  if (queue.buffer.length > 0 || p.length === 0) return queue.takeInto(p);
  return queue.atEnd() ? null : undefined;
}

function peekAt(queue: ReadQueue, n: number): Bytes | undefined {
  const { buffer } = queue;
  if (buffer.length >= n) return buffer.peek(n);
  return queue.atEnd() ? buffer.peek(buffer.length) : undefined;
}

function failAtEnd(queue: ReadQueue, expected: number | null): undefined {
  if (queue.atEnd()) throw new IncompleteReadError(queue.take(queue.buffer.length), expected);
}

const NOTHING = new Uint8Array(0);
const NEWLINE = 10;
const newlines = new Separators("\n");

function separatorsOf(separator: Separator | readonly Separator[]): Separators | TypeError {
  try {
    return new Separators(separator);
  } catch (error) {
    return error as TypeError;
  }
}

function refuseSize(doing: string, n: unknown): Promise<never> {
  return Promise.reject(
    typeof n === "number"
      ? new RangeError(`Cannot ${doing}: the size must be a whole number of bytes, not "${n}"`)
      : new TypeError(`Cannot ${doing}: the size must be a number, not "${typeof n}"`),
  );
}

function refusalOfLimit(doing: string, limit: unknown): Error | null {
  if (typeof limit !== "number") {
    return new TypeError(`Cannot ${doing}: the limit must be a number, not "${typeof limit}"`);
  }
  if (limit > 0 && (Number.isInteger(limit) || limit === Infinity)) return null;
  return new RangeError(`Cannot ${doing}: the limit must be a whole number above 0, not "${limit}"`);
}

function readableOf(reader: StreamReader): ReadableStream<Bytes> {
  const cancelled = new AbortController();
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      try {
        // No more than is asked for: what lies in the stream is lost to the reader.
        const n = controller.byobRequest?.view?.byteLength ?? DEFAULT_LIMIT;
        const bytes = await reader.read(n, { signal: cancelled.signal });
        if (bytes.length > 0) return controller.enqueue(bytes.slice());
        controller.close();
        // A pending BYOB request must be answered for the close to be seen.
        controller.byobRequest?.respond(0);
      } catch (error) {
        if (!cancelled.signal.aborted) controller.error(error);
      }
    },
    cancel(reason) {
      cancelled.abort(reason);
    },
  }, { highWaterMark: 0 });
}

function withoutEnd(line: string): string {
  return line.endsWith("\n") ? line.slice(0, line.endsWith("\r\n") ? -2 : -1) : line;
}

/**
 * Decodes a line after the other, as one decoder of the whole would: only at the start a byte order mark is one, and the
 * "\n" is decoded too, as it ends what is no valid text.
 */
function lineDecoder(encoding: string): (line: Uint8Array) => string {
  let decoder = new TextDecoder(encoding);
  if (decoder.encoding.startsWith("utf-16")) {
    throw new RangeError(`Cannot read lines: the encoding "${encoding}" does not keep ASCII as it is`);
  }
  const decoderOfTheRest = new TextDecoder(encoding, { ignoreBOM: true });
  return (line) => {
    const text = decoder.decode(line);
    decoder = decoderOfTheRest;
    return text;
  };
}

/** Iterates over lines until an empty one. An object of its own is 3 times as fast as an async generator. */
function iterate<T>(readline: () => Promise<Bytes>, convert: (line: Bytes) => T): AsyncIterableIterator<T> {
  let done = false;
  const toResult = (line: Bytes): IteratorResult<T> => {
    done ||= line.length === 0;
    return done ? { done: true, value: undefined } : { done: false, value: convert(line) };
  };
  return {
    next: () => done ? Promise.resolve({ done, value: undefined }) : readline().then(toResult),
    return: () => {
      done = true;
      return Promise.resolve({ done, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
