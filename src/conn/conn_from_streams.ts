/**
 * A {@linkcode ConnLike} over Web Streams: both directions, or only one of them for pipes.
 *
 * @module
 */
import { plainView } from "../common/bytes.ts";
import { describeType } from "../common/describe.ts";
import type { ConnLike } from "./conn.ts";
import { brokenError, busyError, closedError, interruptedError, resetError } from "./conn_errors.ts";

/** A byte stream each way, as `WebSocketStream`, `WebTransport` and `TransformStream` have them. */
export interface StreamsPair<W = Uint8Array> {
  /** What is read. */
  readable: ReadableStream<Uint8Array>;
  /** What is written to. */
  writable: WritableStream<W>;
}

/**
 * Makes a conn of a readable and a writable stream, such as those of `Deno.stdin` and `Deno.stdout`.
 *
 * Both streams are locked from then on. A write is done when the stream has taken it, so back pressure goes through; it
 * takes at most 65536 bytes, of which the stream gets a copy, because a stream may keep what it is given. Nothing is
 * read ahead, except the rest of a chunk that is larger than what was asked for. `closeWrite()` closes the writable
 * stream; `close()` cancels the readable one and closes the writable one, or aborts it where a write is under way. What
 * a stream fails with, a read or a write rejects with.
 *
 * @param streams The streams
 * @returns The conn
 * @throws {TypeError} If a stream is locked
 *
 * @example Echoing through a TransformStream
 * ```ts
 * import { connFromStreams, openConnection } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const conn = connFromStreams(new TransformStream<Uint8Array, Uint8Array>());
 * await using connection = await openConnection({ conn });
 * connection.writer.write("hello\n");
 * assertEquals(new TextDecoder().decode(await connection.reader.readline()), "hello\n");
 * ```
 */
export function connFromStreams(streams: StreamsPair): ConnLike;
/**
 * The same for streams whose writable takes any `BufferSource`, as that of a `CompressionStream`.
 *
 * @param streams The streams
 * @returns The conn
 * @throws {TypeError} If a stream is locked
 */
export function connFromStreams(streams: StreamsPair<BufferSource>): ConnLike;
export function connFromStreams({ readable, writable }: StreamsPair | StreamsPair<BufferSource>): ConnLike {
  const reading = new ReadHalf(readable);
  // Every stream gets arrays only, so that one of any BufferSource will do.
  const writing = new WriteHalf(writable as WritableStream<Uint8Array>);
  return {
    read: (p) => reading.read(p),
    write: (p) => writing.write(p),
    closeWrite: () => writing.closeWrite(),
    close() {
      reading.close();
      writing.close();
    },
  };
}

/**
 * Makes a conn of a readable stream alone. Writing to it fails with `BrokenPipe`.
 *
 * @param readable The stream
 * @returns The conn, without `closeWrite`
 * @throws {TypeError} If the stream is locked
 */
export function connFromReadable(readable: ReadableStream<Uint8Array>): ConnLike {
  const reading = new ReadHalf(readable);
  return {
    read: (p) => reading.read(p),
    write: () => Promise.reject(brokenError("this pipe is for reading")),
    close: () => reading.close(),
  };
}

/**
 * Makes a conn of a writable stream alone. A read of it waits for the end of the stream and so tells of a reader that
 * left: it rejects with what the stream fails with, and finds the end once `closeWrite()` is done. (An end at once
 * would make a transport close.)
 *
 * @param writable The stream
 * @returns The conn
 * @throws {TypeError} If the stream is locked
 */
export function connFromWritable(writable: WritableStream<Uint8Array>): ConnLike {
  const writing = new WriteHalf(writable);
  return {
    read: () => writing.ended(),
    write: (p) => writing.write(p),
    closeWrite: () => writing.closeWrite(),
    close: () => writing.close(),
  };
}

/** The most that one write hands to a stream: the bound of what a stream that takes one chunk at a time holds. */
const MAX_WRITE = 65536;
/** The most that one read asks a byte stream for. */
const MAX_READ = 65536;

/** A call that waits for a stream, which `close()` makes reject: the stream itself may never settle it. */
class Pending<T> {
  readonly promise: Promise<T>;
  reject!: (error: Error) => void;

  constructor(work: Promise<T>) {
    this.promise = new Promise((resolve, reject) => {
      this.reject = reject;
      work.then(resolve, reject);
    });
  }
}

class ReadHalf {
  readonly #source: Source;
  #state: "open" | "closed" = "open";
  #pending: Pending<number | null> | undefined;

  constructor(readable: ReadableStream<Uint8Array>) {
    if (readable.locked) throw new TypeError("Cannot make a conn of a readable stream: it is locked");
    this.#source = sourceOf(readable);
  }

  async read(p: Uint8Array): Promise<number | null> {
    if (this.#state === "closed") throw closedError("read");
    if (this.#pending !== undefined) throw busyError("read");
    const memory = plainView(p);
    if (memory.length === 0) return 0;
    this.#pending = new Pending(this.#source.read(memory));
    try {
      return await this.#pending.promise;
    } catch (reason) {
      throw reason ?? resetError("read", "the stream failed without a reason");
    } finally {
      this.#pending = undefined;
    }
  }

  close(): void {
    if (this.#state === "closed") throw closedError("close");
    this.#state = "closed";
    this.#pending?.reject(interruptedError("read"));
    // The reason is what the other side's writes reject with, where the other side is in this process.
    const reason = brokenError("the peer closed the connection");
    this.#source.cancel(reason).catch(ignore);
  }
}

class WriteHalf {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #state: "open" | "ended" | "closed" = "open";
  #pending: Pending<void> | undefined;
  #ending: Pending<void> | undefined;
  #watching: Pending<void> | undefined;

  constructor(writable: WritableStream<Uint8Array>) {
    if (writable.locked) throw new TypeError("Cannot make a conn of a writable stream: it is locked");
    this.#writer = writable.getWriter();
  }

  async write(p: Uint8Array): Promise<number> {
    if (this.#state === "closed") throw closedError("write");
    if (this.#state === "ended") throw brokenError("this direction was ended");
    if (this.#pending !== undefined) throw busyError("write");
    const bytes = plainView(p);
    if (bytes.length === 0) return 0;
    const chunk = new Uint8Array(bytes.subarray(0, MAX_WRITE));
    this.#pending = new Pending(this.#writer.write(chunk));
    try {
      await this.#pending.promise;
      return chunk.length;
    } catch (reason) {
      throw reason ?? brokenError("the stream was closed by its other side");
    } finally {
      this.#pending = undefined;
    }
  }

  closeWrite(): Promise<void> {
    if (this.#state === "closed") return Promise.reject(closedError("end writing"));
    this.#state = "ended";
    this.#ending ??= new Pending(this.#writer.close());
    return this.#ending.promise;
  }

  /** Waits for the end of the stream. */
  async ended(): Promise<null> {
    if (this.#state === "closed") throw closedError("read");
    this.#watching ??= new Pending(this.#writer.closed);
    try {
      await this.#watching.promise;
      return null;
    } catch (reason) {
      throw reason ?? brokenError("the stream was closed by its other side");
    }
  }

  close(): void {
    if (this.#state === "closed") throw closedError("close");
    const ended = this.#state === "ended";
    this.#state = "closed";
    this.#pending?.reject(interruptedError("write"));
    this.#ending?.reject(interruptedError("end writing"));
    this.#watching?.reject(interruptedError("read"));
    if (this.#pending !== undefined) {
      this.#writer.abort(resetError("read", "the peer closed during a write")).catch(ignore);
    } else if (!ended) {
      this.#writer.close().catch(ignore);
    }
  }
}

/** Where bytes come from: the two kinds of readable streams. */
interface Source {
  read(p: Uint8Array): Promise<number | null>;
  cancel(reason: Error): Promise<void>;
}

function sourceOf(readable: ReadableStream<Uint8Array>): Source {
  try {
    return new ByteSource(readable.getReader({ mode: "byob" }));
  } catch {
    // There is no other way to learn that it is not a byte stream.
    return new ChunkSource(readable.getReader());
  }
}

/** A byte stream fills the memory it is given, but takes that memory away meanwhile: so not the caller's own. */
class ByteSource implements Source {
  readonly #reader: ReadableStreamBYOBReader;
  #memory = new ArrayBuffer(0);

  constructor(reader: ReadableStreamBYOBReader) {
    this.#reader = reader;
  }

  async read(p: Uint8Array): Promise<number | null> {
    const size = Math.min(p.length, MAX_READ);
    if (this.#memory.byteLength < size) this.#memory = new ArrayBuffer(size);
    const { value, done } = await this.#reader.read(new Uint8Array(this.#memory, 0, size));
    if (value !== undefined) this.#memory = value.buffer as ArrayBuffer;
    if (done) return null;
    p.set(value);
    return value.length;
  }

  cancel(reason: Error): Promise<void> {
    return this.#reader.cancel(reason);
  }
}

class ChunkSource implements Source {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>) {
    this.#reader = reader;
  }

  async read(p: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#reader.read();
      if (done) return null;
      if (!((value as unknown) instanceof Uint8Array)) {
        throw new TypeError(`Cannot read: the chunks of the stream must be Uint8Arrays, not ${describeType(value)}`);
      }
      this.#rest = plainView(value);
    }
    const piece = this.#rest.subarray(0, p.length);
    p.set(piece);
    this.#rest = this.#rest.subarray(piece.length);
    return piece.length;
  }

  cancel(reason: Error): Promise<void> {
    this.#rest = new Uint8Array(0);
    return this.#reader.cancel(reason);
  }
}

// close() returns nothing, so no caller can be told.
function ignore(): void {}
