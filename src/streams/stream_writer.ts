/**
 * Writing a stream of bytes, with back pressure by `drain`.
 *
 * A writer adds to its transport what needs waiting: the gate that its protocol opens and shuts.
 *
 * @module
 */
import { abortable } from "../common/abort.ts";
import { ClosedError } from "../common/errors.ts";
import { LoopBudget } from "../common/loop_budget.ts";
import { sendFile, type SendFileOptions } from "./send_file.ts";
import type { ReadOptions, StreamReader } from "./stream_reader.ts";
import { type StartTlsOptions, startTlsUnlessBuffered } from "../tls/start_tls.ts";
import type { ExtraInfo, Transport } from "../transport/types.ts";

/** What a writer needs of the protocol of its transport. A {@linkcode StreamReaderProtocol} has it. */
export interface FlowControl {
  /** Resolves when writing is not paused, rejects when the connection is lost. */
  drain(): Promise<void>;
  /** Resolves when the connection is lost in order, rejects with the error it is lost with; may be ignored. */
  waitClosed(): Promise<void>;
}

/**
 * Writes to a stream of bytes. As `asyncio.StreamWriter`.
 *
 * @example A round trip in memory
 * ```ts
 * import { connPair, openConnection } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = connPair();
 * const { writer } = await openConnection({ conn: a });
 * const { reader, writer: other } = await openConnection({ conn: b });
 * writer.write("hello\n");
 * await writer.drain();
 * assertEquals(new TextDecoder().decode(await reader.readline()), "hello\n");
 * await writer.close();
 * await other.close();
 * ```
 */
export class StreamWriter implements AsyncDisposable {
  /** The transport underneath. */
  readonly transport: Transport;
  readonly #flow: FlowControl;
  readonly #reader: StreamReader | null;
  readonly #budget = new LoopBudget();
  #closed = false;
  #writable: WritableStream<Uint8Array> | null = null;

  /**
   * Makes a writer on a transport, whose protocol knows when writing is paused.
   *
   * @param transport Where to write
   * @param protocol The protocol of the transport, which knows when writing is paused
   * @param reader The reader of the same connection, whose error `drain` throws; `null` if there is none
   */
  constructor(transport: Transport, protocol: FlowControl, reader: StreamReader | null) {
    this.transport = transport;
    this.#flow = protocol;
    this.#reader = reader;
  }

  /**
   * Writes bytes, or a string as UTF-8, and does not wait: {@linkcode StreamWriter.drain} does. As
   * `asyncio.StreamWriter.write`.
   *
   * @param data What to write; the memory may be reused at once
   * @throws {TypeError} If it is neither a `Uint8Array` nor a string
   * @throws {Error} After `writeEof` or `close`
   */
  write(data: Uint8Array | string): void {
    if (this.#closed) this.#refuse("write");
    this.transport.write(data);
  }

  /**
   * Writes several pieces in order, in few system calls. As `asyncio.StreamWriter.writelines`.
   *
   * @param chunks What to write; the memory may be reused at once
   * @throws {TypeError} If one is neither a `Uint8Array` nor a string; nothing is written then
   * @throws {Error} After `writeEof` or `close`
   */
  writelines(chunks: Iterable<Uint8Array | string>): void {
    if (this.#closed) this.#refuse("write");
    this.transport.writelines(chunks);
  }

  /**
   * Waits until more may be written. As `asyncio.StreamWriter.drain`.
   *
   * @param options
   * @returns Resolves at once while the write buffer is below its limits
   * @throws {Error} What the reader or the connection failed with
   * @throws {Deno.errors.ConnectionReset} If the connection is lost
   */
  drain(options?: ReadOptions): Promise<void> {
    const signal = options?.signal;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const error = this.#reader?.exception() ?? null;
    if (error !== null) return Promise.reject(error);
    if (this.transport.isClosing()) {
      // Yields, so that a loop of write and drain learns of the loss.
      return abortable(nextTurn().then(() => this.#flow.drain()), signal);
    }
    const turn = this.#budget.spend(1);
    return abortable(turn === null ? this.#flow.drain() : turn.then(() => this.#flow.drain()), signal);
  }

  /**
   * Writes bytes without a copy.
   *
   * @param data The bytes, which must not change until the promise settles
   * @returns Resolves when the system has taken all of them
   * @throws {TypeError} If it is not a `Uint8Array`
   * @throws {Error} After `writeEof` or `close`, or what the connection was lost with
   */
  sendall(data: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closedError("send"));
    return this.transport.sendall(data);
  }

  /**
   * Sends a file, after what was written before. As asyncio's `loop.sendfile`.
   *
   * @param file The file, which stays open, or the path of one
   * @param options `offset`: where to begin, in bytes from the start of the file, 0 by default; `count`: how many bytes, all
   * by default
   * @returns How many bytes were sent. The file's position is offset + that, even after a failure
   * @throws {RangeError} If `offset` or `count` is negative or not an integer
   * @throws {Error} What the connection was lost with
   */
  sendfile(file: Deno.FsFile | string, options: SendFileOptions = {}): Promise<number> {
    if (this.#closed) return Promise.reject(this.#closedError("send a file"));
    return sendFile((chunk) => this.transport.sendall(chunk), file, options);
  }

  /**
   * Tells whether `writeEof` can be done. As `asyncio.StreamWriter.can_write_eof`.
   *
   * @returns Whether the connection can half-close
   */
  canWriteEof(): boolean {
    return this.transport.canWriteEof();
  }

  /** Sends what was written, then ends this direction; the other one goes on. As `asyncio.StreamWriter.write_eof`. */
  writeEof(): void {
    this.transport.writeEof();
  }

  /**
   * Closes the connection after what was written is sent. As `asyncio.StreamWriter.close`.
   *
   * @returns As {@linkcode StreamWriter.waitClosed}, but need not be awaited
   */
  close(): Promise<void> {
    this.#closed = true;
    this.transport.close();
    return this.#flow.waitClosed();
  }

  /**
   * Waits until the connection is lost. As `asyncio.StreamWriter.wait_closed`.
   *
   * @returns Resolves if it was closed in order
   * @throws {Error} What the connection was lost with
   */
  waitClosed(): Promise<void> {
    return this.#flow.waitClosed();
  }

  /** Closes at once; what was written and not yet sent is dropped. */
  abort(): void {
    this.#closed = true;
    this.transport.abort();
  }

  /**
   * Tells whether the connection is closing or closed. As `asyncio.StreamWriter.is_closing`.
   *
   * @returns Whether it is
   */
  isClosing(): boolean {
    return this.transport.isClosing();
  }

  /**
   * Goes over to TLS, after what was written is sent. As `asyncio.StreamWriter.start_tls`, and, beyond it, on the server side.
   *
   * Reader and writer stay the same. It works after any earlier traffic; but bytes that the peer sent in plain text beyond
   * what was read are an attempt to have them taken for encrypted ones (CVE-2011-0411), and end the connection.
   *
   * @param options As of {@linkcode TlsClientOptions}; on a writer that came from a server as of {@linkcode TlsServerOptions}.
   * `serverSide` overrides which side this is
   * @returns Resolves after the handshake
   * @throws {TypeError | RangeError} If the options are wrong; nothing is done then
   * @throws {Deno.errors.InvalidData} If plain bytes are buffered, or a certificate is refused; the connection is lost
   * @throws {Deno.errors.TimedOut} If the handshake takes longer than `handshakeTimeout`; the connection is lost
   */
  async startTls(options: StartTlsOptions = {}): Promise<void> {
    if (this.#closed) this.#refuse("start TLS");
    await startTlsUnlessBuffered(
      this.transport,
      this.transport.getProtocol(),
      options,
      () => this.#reader?.buffered ?? 0,
    );
  }

  /**
   * Tells about the connection. As `asyncio.StreamWriter.get_extra_info`.
   *
   * @param name What to tell: "peername", "sockname", "conn" or "tls"
   * @param defaultValue What to return if it is not known
   * @returns The answer, or the default
   */
  getExtraInfo<K extends keyof ExtraInfo, D = undefined>(name: K, defaultValue?: D): ExtraInfo[K] | D {
    return this.transport.getExtraInfo(name, defaultValue as D);
  }

  /** This writer as a stream that waits for drain. Closing it ends this direction; aborting it aborts the connection. */
  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= new WritableStream({
      write: (chunk) => {
        this.write(chunk);
        return this.drain();
      },
      close: async () => {
        if (!this.canWriteEof()) return this.close();
        this.writeEof();
        await this.drain();
      },
      abort: () => this.abort(),
    });
  }

  /** Closes the connection and waits for it, whatever it was lost with. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close().catch(() => {});
  }

  #refuse(doing: string): never {
    throw this.#closedError(doing);
  }

  #closedError(doing: string): Error {
    return new ClosedError(`Cannot ${doing}: the writer was closed`);
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
