/**
 * Messages over a connection, by a codec.
 *
 * A {@linkcode Framed} keeps no bytes of its own: messages are decoded from what its reader has buffered, and encoded into the
 * transport's buffer. So the codec may be changed between two messages, and the reader and the writer may be used directly.
 *
 * Nothing here or in what it loads needs Deno: reader and writer are types only.
 *
 * @module
 */
import { rejected } from "../common/handled.ts";
import { IncompleteReadError } from "../common/incomplete_read_error.ts";
import type { WaitOptions } from "../common/wait.ts";
import { encodeTo } from "../framing/byte_buffer.ts";
import type { ByteQueue } from "../framing/byte_queue.ts";
import type { Codec, Decoder } from "../framing/codec.ts";
import type { StreamConnection } from "./open_connection.ts";
import type { StreamReader } from "./stream_reader.ts";
import type { StreamWriter } from "./stream_writer.ts";

/**
 * Makes messages of a connection.
 *
 * @param connection The reader and the writer, which are still of use for other reads and writes
 * @param codec Turns bytes into messages and messages into bytes. It may serve any number of connections
 * @returns The messages; to be closed by `await using`, or by its `writer`
 * @throws {TypeError} If the connection or the codec is none
 *
 * @example An upper-case server
 * ```ts
 * import { openConnection, startServer } from "@tideline/net";
 * import { framed, lines } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await startServer(async (reader, writer) => {
 *   const messages = framed({ reader, writer }, lines());
 *   for await (const line of messages) await messages.send(line.toUpperCase());
 * }, { hostname: "127.0.0.1", port: 0 });
 *
 * await using client = framed(await openConnection({ port: server.port }), lines());
 * await client.send("hello");
 * assertEquals(await client.receive(), "HELLO");
 * ```
 */
export function framed<In, Out = In>(
  connection: Pick<StreamConnection, "reader" | "writer">,
  codec: Codec<In, Out>,
): Framed<In, Out> {
  return new Framed(connection, codec);
}

/**
 * Messages over a connection: what {@linkcode framed} makes.
 *
 * When a codec throws on what was received, the stream of messages is over: where the next one begins is not known. Every
 * later call throws the same error. The bytes stay in the reader, and the writer can still be used, to tell the peer.
 *
 * @example All messages that have come, and one flush for their answers
 * ```ts
 * import { connPair, openConnection } from "@tideline/net";
 * import { framed, lines } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = connPair();
 * await using client = framed(await openConnection({ conn: a }), lines());
 * await using server = framed(await openConnection({ conn: b }), lines());
 * for (const name of ["Ada", "Grace"]) client.push(name);
 * client.writer.writeEof();
 * for await (const names of server.batches()) {
 *   for (const name of names) server.push(`Hello ${name}`);
 *   await server.writer.drain();
 * }
 * assertEquals([await client.receive(), await client.receive()], ["Hello Ada", "Hello Grace"]);
 * ```
 */
export class Framed<In, Out = In> implements AsyncIterable<In>, AsyncDisposable {
  /** What the messages are read from. No byte beyond a message is taken from it. */
  readonly reader: StreamReader;
  /** What the messages are written to. */
  readonly writer: StreamWriter;
  /** The codec. It may be changed between two messages: those that come after are decoded by the new one. */
  codec: Codec<In, Out>;
  readonly #decoder: FramedDecoder<In>;

  /**
   * Makes messages of a connection: see {@linkcode framed}.
   *
   * @param connection The reader and the writer
   * @param codec Turns bytes into messages and messages into bytes
   * @throws {TypeError} If the connection or the codec is none
   */
  constructor({ reader, writer }: Pick<StreamConnection, "reader" | "writer">, codec: Codec<In, Out>) {
    if (typeof reader?.readframe !== "function" || typeof writer?.write !== "function") {
      throw new TypeError("Cannot make messages of a connection: it must have a reader and a writer");
    }
    if (typeof codec?.decode !== "function" || typeof codec.encode !== "function") {
      throw new TypeError("Cannot make messages of a connection: the codec must have decode() and encode()");
    }
    this.reader = reader;
    this.writer = writer;
    this.codec = codec;
    this.#decoder = new FramedDecoder(this);
  }

  /**
   * Receives one message.
   *
   * @param options The `signal` that aborts the wait, and its `timeout` in milliseconds: no byte is lost then, and the next
   * call works
   * @returns The message; `null` if the stream has ended between two messages
   * @throws {FramingError} If the bytes are no message; every later call throws the same
   * @throws {IncompleteReadError} If the stream ends inside a message; every later call throws the same
   * @throws {Deno.errors.TimedOut} If it takes longer than the timeout
   * @throws {Deno.errors.Busy} If it must wait while another read waits
   */
  receive(options?: WaitOptions): Promise<In | null> {
    const { failure } = this.#decoder;
    return failure === null ? this.reader.readframe(this.#decoder, options) : Promise.reject(failure.error);
  }

  /**
   * Receives all messages that have come, and waits if there is none: one promise for many messages, and one moment at which
   * to wait for the writer.
   *
   * Where batches end depends on how the bytes arrived; the messages do not.
   *
   * @param options The `signal` that aborts the waits, and the `timeout` of each, in milliseconds
   * @returns The batches, each of at least one message, until the end of the stream
   */
  batches(options?: WaitOptions): AsyncIterableIterator<In[]> {
    return new Batches(this.reader, this.#decoder, () => this.receive(options));
  }

  /**
   * Writes a message and does not wait.
   *
   * @param message The message; its memory may be reused at once
   * @throws {FramingError} If it cannot be encoded; nothing of it is written then, and later calls work
   * @throws {ClosedError} After one's own `writeEof`, `close` or `abort`
   * @throws {Error} What ended the stream of received messages
   */
  push(message: Out): void {
    const { failure } = this.#decoder;
    if (failure !== null) throw failure.error;
    encodeTo(this.codec, message, this.writer);
  }

  /**
   * Writes a message, in order with everything else that is written, and waits until more may be written.
   *
   * @param message The message
   * @param options The `signal` that ends the wait, and its `timeout` in milliseconds; the message is written all the same
   * @returns As `drain()` of the writer; need not be awaited
   * @throws {FramingError} If it cannot be encoded; nothing of it is written then, and later calls work
   * @throws {ClosedError} After one's own `writeEof`, `close` or `abort`
   * @throws {Error} What ended the stream of received messages, or the connection failed with
   */
  send(message: Out, options?: WaitOptions): Promise<void> {
    try {
      this.push(message);
    } catch (error) {
      return rejected(error);
    }
    return this.writer.drain(options);
  }

  /**
   * Receives one message after the other, until the end of the stream. After a `break` the next call of any kind continues.
   *
   * @returns The messages
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<In> {
    return new Messages(this.#decoder, () => this.receive());
  }

  /** Closes the connection and waits for it, whatever it was lost with. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.writer[Symbol.asyncDispose]();
  }
}

/** Decodes by the codec of the moment, and remembers how the stream of messages ended. */
class FramedDecoder<In> implements Decoder<In> {
  /** What ended it, if something was thrown. */
  failure: { error: unknown } | null = null;
  /** Whether it ended between two messages. */
  ended = false;
  readonly #owner: { codec: Decoder<In> };

  constructor(owner: { codec: Decoder<In> }) {
    this.#owner = owner;
  }

  decode(bytes: ByteQueue): In | undefined {
    try {
      return this.#owner.codec.decode(bytes);
    } catch (error) {
      this.failure = { error };
      throw error;
    }
  }

  decodeEof(bytes: ByteQueue): In | undefined {
    try {
      const message = this.#owner.codec.decodeEof?.(bytes);
      if (message !== undefined) return message;
      const { length } = bytes;
      if (length > 0) throw new IncompleteReadError(bytes.take(length), null, "a message");
    } catch (error) {
      this.failure = { error };
      throw error;
    }
    this.ended = true;
  }
}

/** One message after the other. An object of its own is 3 times as fast as an async generator. */
class Messages<In> implements AsyncIterableIterator<In> {
  readonly #decoder: FramedDecoder<In>;
  readonly #receive: () => Promise<In | null>;
  #done = false;

  constructor(decoder: FramedDecoder<In>, receive: () => Promise<In | null>) {
    this.#decoder = decoder;
    this.#receive = receive;
  }

  next(): Promise<IteratorResult<In>> {
    return this.#done ? this.return() : this.#receive().then(this.#toResult);
  }

  return(): Promise<IteratorResult<In>> {
    this.#done = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #toResult = (message: In | null): IteratorResult<In> => {
    // Null may be a message.
    this.#done ||= message === null && this.#decoder.ended;
    return this.#done ? { done: true, value: undefined } : { done: false, value: message as In };
  };
}

/** All messages that have come, one batch after the other. */
class Batches<In> implements AsyncIterableIterator<In[]> {
  readonly #reader: StreamReader;
  readonly #decoder: FramedDecoder<In>;
  readonly #receive: () => Promise<In | null>;
  #done = false;

  constructor(reader: StreamReader, decoder: FramedDecoder<In>, receive: () => Promise<In | null>) {
    this.#reader = reader;
    this.#decoder = decoder;
    this.#receive = receive;
  }

  next(): Promise<IteratorResult<In[]>> {
    return this.#done ? this.return() : this.#receive().then(this.#toResult);
  }

  return(): Promise<IteratorResult<In[]>> {
    this.#done = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #toResult = (first: In | null): IteratorResult<In[]> => {
    this.#done ||= first === null && this.#decoder.ended;
    if (this.#done) return { done: true, value: undefined };
    const batch = [first as In];
    try {
      // A codec that takes no bytes for its messages would never come to an end.
      for (let left = -1; left !== this.#reader.buffered;) {
        left = this.#reader.buffered;
        const message = this.#reader.tryframe(this.#decoder);
        if (message === undefined) break;
        batch.push(message);
      }
    } catch {
      // The messages before the error come first: the next call throws it.
    }
    return { done: false, value: batch };
  };
}
