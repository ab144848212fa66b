/**
 * Transports of one direction: this process's stdin and stdout, the pipes of a child process, a file, any Web Stream.
 *
 * Each is a {@linkcode ConnTransport} over a conn of one stream. A pipe differs from a connection in its end: when its only
 * direction ends, the pipe is closed. So a read pipe closes at the end of the stream, whatever `eofReceived` returns, and a
 * write pipe after `writeEof`. The protocol of a write pipe gets no read callbacks.
 *
 * @module
 */
import { connFromReadable, connFromWritable } from "../conn/conn_from_streams.ts";
import { describeType } from "../common/describe.ts";
import { makeProtocol } from "./callbacks.ts";
import { ConnTransport } from "./conn_transport.ts";
import type { Audience, ErrorContext } from "./exception_handler.ts";
import { aFunction, type Check, checkOptions } from "../common/options.ts";
import type { BaseProtocolLike, BaseTransport, ProtocolLike } from "./types.ts";
import type { ReadTransport, StreamProtocolLike, WriteTransport } from "./types.ts";

/** A stream to read from, or an object that has one, such as `Deno.stdin` and `Deno.FsFile`. */
export type ReadablePipe = ReadableStream<Uint8Array> | { readonly readable: ReadableStream<Uint8Array> };

/** A stream to write to, or an object that has one, such as `Deno.stdout` and `Deno.FsFile`. */
export type WritablePipe = WritableStream<Uint8Array> | { readonly writable: WritableStream<Uint8Array> };

/** The transport and the protocol of a pipe to read from. */
export interface ReadPipeConnection<P> {
  /** The transport. */
  transport: ReadTransport;
  /** The protocol that the factory made. */
  protocol: P;
}

/** The transport and the protocol of a pipe to write to. */
export interface WritePipeConnection<P> {
  /** The transport. */
  transport: WriteTransport;
  /** The protocol that the factory made. */
  protocol: P;
}

/**
 * Reads a pipe for a protocol. As asyncio's `loop.connect_read_pipe`.
 *
 * The stream is locked from then on, and closed with the transport. At its end the protocol's `eofReceived` is called, then
 * `connectionLost(null)`.
 *
 * @param protocolFactory Makes the protocol; a {@linkcode StreamReaderProtocol} feeds a {@linkcode StreamReader}
 * @param pipe The stream, or an object that has it as `readable`; `getExtraInfo("pipe")` returns it
 * @returns The transport and the protocol, after `connectionMade`
 * @throws {TypeError} If it is no such pipe, or its stream is locked
 * @throws {Error} What `connectionMade` threw
 *
 * @example Reading a file line by line
 * ```ts
 * import { connectReadPipe, StreamReader, StreamReaderProtocol } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "one\ntwo\n");
 * const reader = new StreamReader();
 * await connectReadPipe(() => new StreamReaderProtocol(reader), await Deno.open(path));
 * assertEquals(await Array.fromAsync(reader.lines()), ["one", "two"]);
 * ```
 */
export async function connectReadPipe<P extends StreamProtocolLike>(
  protocolFactory: () => P,
  pipe: ReadablePipe,
): Promise<ReadPipeConnection<P>> {
  checkArguments("connect a read pipe", protocolFactory, pipe, aReadablePipe);
  const protocol = makeProtocol(protocolFactory);
  const transport = new ReadPipeTransport(readableOf(pipe)!, protocol, pipe);
  // A promise, so that what it throws rejects.
  await transport.start();
  return { transport, protocol };
}

/**
 * Writes to a pipe for a protocol. As asyncio's `loop.connect_write_pipe`.
 *
 * The stream is locked from then on, and closed with the transport: so is this process's stdout, if that is the pipe. When
 * the reader of the pipe closes it, a write that it has not taken fails, and `connectionLost` is called with
 * `Deno.errors.BrokenPipe`; without a write Deno does not report it.
 *
 * @param protocolFactory Makes the protocol, of any kind: only `connectionMade`, `pauseWriting`, `resumeWriting` and
 * `connectionLost` are called. A {@linkcode StreamReaderProtocol} serves a {@linkcode StreamWriter}
 * @param pipe The stream, or an object that has it as `writable`; `getExtraInfo("pipe")` returns it
 * @returns The transport and the protocol, after `connectionMade`
 * @throws {TypeError} If it is no such pipe, or its stream is locked
 * @throws {Error} What `connectionMade` threw
 *
 * @example Writing a file
 * ```ts
 * import { BaseProtocol, connectWritePipe } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * class Closed extends BaseProtocol {
 *   readonly lost = Promise.withResolvers<Error | null>();
 *   override connectionLost(error: Error | null) {
 *     this.lost.resolve(error);
 *   }
 * }
 *
 * const path = await Deno.makeTempFile();
 * const { transport, protocol } = await connectWritePipe(() => new Closed(), await Deno.open(path, { write: true }));
 * transport.writelines(["one\n", "two\n"]);
 * transport.close();
 * assertEquals(await protocol.lost.promise, null);
 * assertEquals(await Deno.readTextFile(path), "one\ntwo\n");
 * ```
 */
export async function connectWritePipe<P extends BaseProtocolLike>(
  protocolFactory: () => P,
  pipe: WritablePipe,
): Promise<WritePipeConnection<P>> {
  checkArguments("connect a write pipe", protocolFactory, pipe, aWritablePipe);
  const protocol = makeProtocol(protocolFactory);
  const transport = new WritePipeTransport(writableOf(pipe)!, protocol, pipe);
  // A promise, so that what it throws rejects.
  await transport.start();
  return { transport, protocol };
}

/** A transport over a readable stream. */
export class ReadPipeTransport extends ConnTransport {
  /**
   * @param readable The stream, the transport's from now on
   * @param protocol The protocol
   * @param pipe What the stream is of
   * @throws {TypeError} If the stream is locked, or the protocol is none
   */
  constructor(readable: ReadableStream<Uint8Array>, protocol: StreamProtocolLike, pipe: unknown = readable) {
    super(connFromReadable(readable), protocol, { extra: { pipe } });
  }

  override readingEnded(): void {
    super.readingEnded(false);
  }
}

/** A transport over a writable stream. It also reads, but only to notice that the stream fails. */
export class WritePipeTransport extends ConnTransport {
  readonly #calls: WriteCalls;

  /**
   * @param writable The stream, the transport's from now on
   * @param protocol The protocol
   * @param pipe What the stream is of
   * @throws {TypeError} If the stream is locked, or the protocol is none
   */
  constructor(writable: WritableStream<Uint8Array>, protocol: BaseProtocolLike, pipe: unknown = writable) {
    const calls = new WriteCalls(protocol);
    super(connFromWritable(writable), calls, { extra: { pipe } });
    this.#calls = calls;
  }

  override getProtocol(): StreamProtocolLike {
    // The base class knows no other kind.
    return this.#calls.protocol as StreamProtocolLike;
  }

  override setProtocol(protocol: BaseProtocolLike): void {
    this.#calls.protocol = protocol;
  }

  override report(context: ErrorContext, audience?: Audience): void {
    super.report({ ...context, protocol: this.getProtocol() }, audience);
  }

  // A protocol that reads on demand pauses its transport at once. A write pipe has no data to hold back.
  override pauseReading(): void {}
  override resumeReading(): void {}
}

/** Passes the callbacks of writing to a protocol, and drops those of reading. */
class WriteCalls implements ProtocolLike {
  #protocol!: BaseProtocolLike;

  constructor(protocol: BaseProtocolLike) {
    this.protocol = protocol;
  }

  get protocol(): BaseProtocolLike {
    return this.#protocol;
  }

  set protocol(protocol: BaseProtocolLike) {
    const { connectionMade, connectionLost } = (protocol ?? {}) as Partial<BaseProtocolLike>;
    if (typeof connectionMade !== "function" || typeof connectionLost !== "function") {
      throw new TypeError(
        `Cannot use ${describeType(protocol)} as a protocol: it must have connectionMade() and connectionLost()`,
      );
    }
    this.#protocol = protocol;
  }

  // What an `async` callback returns must get to the caller.
  connectionMade(transport: BaseTransport): void {
    return this.#protocol.connectionMade(transport);
  }

  connectionLost(error: Error | null): void {
    return this.#protocol.connectionLost(error);
  }

  pauseWriting(): void {
    return this.#protocol.pauseWriting();
  }

  resumeWriting(): void {
    return this.#protocol.resumeWriting();
  }

  dataReceived(): void {}
  eofReceived(): void {}
}

function readableOf(pipe: ReadablePipe): ReadableStream<Uint8Array> | null {
  const stream = pipe instanceof ReadableStream ? pipe : pipe?.readable;
  return stream instanceof ReadableStream ? stream : null;
}

function writableOf(pipe: WritablePipe): WritableStream<Uint8Array> | null {
  const stream = pipe instanceof WritableStream ? pipe : pipe?.writable;
  return stream instanceof WritableStream ? stream : null;
}

const aReadablePipe: Check = (pipe) =>
  readableOf(pipe as ReadablePipe) === null ? "must be a ReadableStream, or have one as readable" : null;

const aWritablePipe: Check = (pipe) =>
  writableOf(pipe as WritablePipe) === null ? "must be a WritableStream, or have one as writable" : null;

/** Arguments are checked as options are, but cannot be left out. */
function checkArguments(doing: string, protocolFactory: unknown, pipe: unknown, aPipe: Check): void {
  const given = { protocolFactory: protocolFactory ?? null, pipe: pipe ?? null };
  checkOptions(doing, given, { protocolFactory: aFunction, pipe: aPipe });
}
