/**
 * Writing a stream of bytes, with back pressure by `drain`.
 *
 * A writer adds to its transport what waits: `drain` and `waitClosed`, which its protocol settles. No promise of it needs to be
 * awaited (SPEC S3).
 *
 * @module
 */
import { ClosedError } from "../common/errors.ts";
import { ignorable, observed, rejected } from "../common/handled.ts";
import { LoopBudget } from "../common/loop_budget.ts";
import { FileSource, type SendFileOptions } from "./send_file.ts";
import type { Check } from "../common/options.ts";
import { checkWait, limited, type WaitOptions, within } from "../common/wait.ts";
import type { StreamReader } from "./stream_reader.ts";
import { type StartTlsOptions, startTlsWithUnread } from "../tls/start_tls.ts";
import { type BlockSource, sendBlocks, takesSources } from "../transport/block_source.ts";
import type { ExtraInfo, Transport } from "../transport/types.ts";

/** The part of a protocol that a writer needs: back pressure and the end. A {@linkcode StreamReaderProtocol} has it. */
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
  #state: "open" | "closed" = "open";
  /** The file being sent over a transport that cannot queue it. Writes meanwhile would be mixed with its bytes. */
  #file: Promise<unknown> | null = null;
  #writable: WritableStream<Uint8Array> | null = null;

  /**
   * Makes a writer on a transport. Usually `openConnection` and servers do.
   *
   * @param transport Where to write
   * @param protocol The protocol of the transport, which gets `pauseWriting` and `connectionLost`
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
   * @throws {ClosedError} After one's own `writeEof`, `close` or `abort`
   */
  write(data: Uint8Array | string): void {
    this.#checkOpen("write");
    this.transport.write(data);
  }

  /**
   * Writes several pieces in order, in few system calls. As `asyncio.StreamWriter.writelines`.
   *
   * @param chunks What to write; the memory may be reused at once
   * @throws {TypeError} If one is neither a `Uint8Array` nor a string; nothing is written then
   * @throws {ClosedError} After one's own `writeEof`, `close` or `abort`
   */
  writelines(chunks: Iterable<Uint8Array | string>): void {
    this.#checkOpen("write");
    this.transport.writelines(chunks);
  }

  /**
   * Waits until more may be written. As `asyncio.StreamWriter.drain`.
   *
   * @param options `signal` and `timeout` end the wait
   * @returns Resolves at once while the write buffer is below its limits; need not be awaited
   * @throws {Error} What the reader or the connection failed with
   * @throws {Deno.errors.ConnectionReset} If the connection is lost
   */
  drain(options?: WaitOptions): Promise<void> {
    if (options !== undefined) {
      try {
        checkWait("drain", options);
      } catch (error) {
        return rejected(error);
      }
    }
    const error = this.#reader?.exception() ?? null;
    if (error !== null) return rejected(error);
    const drained = this.#drain();
    return options === undefined ? drained : ignorable(within("drain", drained, options));
  }

  /**
   * Writes bytes without a copy, in order with everything else that is written.
   *
   * @param data The bytes, which must not change until the promise settles
   * @param options `signal` and `timeout` give up the transfer. The number of bytes sent is unknown then, so the connection is
   * aborted
   * @returns Resolves when the system has taken all of them, and all that was written before; need not be awaited
   * @throws {TypeError} If it is not a `Uint8Array`, or its memory is detached meanwhile, which ends the connection
   * @throws {ClosedError} After one's own `writeEof`, `close` or `abort`
   * @throws {Deno.errors.TimedOut} If the time is over
   * @throws {Error} What the connection was lost with, or `signal.reason`
   */
  sendall(data: Uint8Array, options?: WaitOptions): Promise<void> {
    try {
      this.#checkOpen("send");
      if (options !== undefined) checkWait("send", options);
    } catch (error) {
      return rejected(error);
    }
    const sent = this.transport.sendall(data);
    return options === undefined ? sent : this.#aborting("send", options, sent);
  }

  /**
   * Sends a file, in order with everything else that is written: what follows need not wait for it, and `close()` sends all of
   * it. As asyncio's `loop.sendfile`.
   *
   * If the file cannot be read to the end, the call rejects, and what was written after it follows all the same: a protocol
   * that has announced a length should abort the connection then. Pipes and devices are sent from where they are, so `offset`
   * must be 0.
   *
   * @param file The file, which stays open, or the path of one
   * @param options `offset`: where to begin, in bytes from the start of the file, 0 by default; `count`: how many bytes, all
   * by default; `signal` and `timeout` give the transfer up, and abort the connection
   * @returns How many bytes were sent, fewer than `count` if the file is shorter. The file's position is offset + that, even
   * after a failure. Need not be awaited
   * @throws {RangeError} If `offset` or `count` is negative or not an integer
   * @throws {ClosedError} After one's own `writeEof`, `close` or `abort`
   * @throws {Deno.errors.NotFound | Deno.errors.IsADirectory} If there is no such file, or it is a directory
   * @throws {Error} What the connection was lost with, or `signal.reason`
   */
  sendfile(file: Deno.FsFile | string, options: SendFileOptions = {}): Promise<number> {
    let source: FileSource;
    try {
      this.#checkOpen("send a file");
      checkWait("send a file", options, { offset: anyValue, count: anyValue });
      // The source checks their values.
      source = new FileSource(file, { offset: options.offset, count: options.count });
    } catch (error) {
      return rejected(error);
    }
    const sent = ignorable(source.sendBy((source) => this.#sendSource(source)));
    return this.#aborting("send a file", options, sent);
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
    if (this.#file !== null) this.#checkOpen("write EOF");
    this.transport.writeEof();
  }

  /**
   * Closes the connection after what was written is sent. As `asyncio.StreamWriter.close`.
   *
   * @returns As {@linkcode StreamWriter.waitClosed}, but need not be awaited
   */
  close(): Promise<void> {
    this.#state = "closed";
    if (this.#file === null) this.transport.close();
    else this.#file.finally(() => this.transport.close()).catch(() => {});
    return this.waitClosed();
  }

  /**
   * Waits until the connection is lost. As `asyncio.StreamWriter.wait_closed`.
   *
   * @param options `signal` and `timeout` end the wait
   * @returns Resolves if it was closed in order; need not be awaited
   * @throws {Error} What the connection was lost with
   */
  waitClosed(options?: WaitOptions): Promise<void> {
    const closed = ignorable(this.#flow.waitClosed());
    let outcome = closed;
    if (options !== undefined) {
      try {
        checkWait("wait for the end", options);
        outcome = ignorable(within("wait for the end", closed, options));
      } catch (error) {
        return rejected(error);
      }
    }
    // While something awaits the end, the wait for it keeps the process alive; else it does not (SPEC W7).
    return observed(outcome, () => this.transport.ref());
  }

  /** Closes at once; what was written and not yet sent is dropped. */
  abort(): void {
    this.#state = "closed";
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
   * Upgrades the connection to TLS, after what was written is sent. As `asyncio.StreamWriter.start_tls`, and, beyond it, on the server side.
   *
   * Reader and writer stay the same. It works after any earlier traffic; but bytes that the peer sent in plain text beyond
   * what was read are an attempt to have them taken for encrypted ones (CVE-2011-0411), and end the connection. On the
   * server side `buffered: "handshake"` says that they are the beginning of the peer's handshake: look at them with
   * {@linkcode StreamReader.peek} to serve TLS and plain text on one port.
   *
   * @param options As of {@linkcode TlsClientOptions}; on a writer that came from a server as of {@linkcode TlsServerOptions}.
   * `serverSide` overrides which side this is; `signal` and `timeout` end it, and the connection
   * @returns Resolves after the handshake
   * @throws {TypeError | RangeError} If the options are wrong; nothing is done then
   * @throws {Deno.errors.InvalidData} If plain bytes are buffered, or a certificate is refused; the connection is lost
   * @throws {Deno.errors.TimedOut} If the handshake takes longer than `handshakeTimeout`, or the whole call longer than
   * `timeout`; the connection is lost
   */
  startTls(options: StartTlsOptions = {}): Promise<void> {
    return ignorable(this.#startTls(options));
  }

  /**
   * Tells about the connection. As `asyncio.StreamWriter.get_extra_info`.
   *
   * @param name The name of the information, such as "peername", "sockname", "conn" or "tls"
   * @param defaultValue The result if it is not known
   * @returns The information, or the default
   */
  getExtraInfo<K extends keyof ExtraInfo, D = undefined>(name: K, defaultValue?: D): ExtraInfo[K] | D {
    return this.transport.getExtraInfo(name, defaultValue as D);
  }

  /**
   * This writer as a stream that waits for drain. Closing it ends this direction, or the connection where that cannot be done,
   * and is done when all is sent (SPEC W9); aborting it aborts the connection.
   */
  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= new WritableStream({
      write: (chunk) => {
        this.write(chunk);
        return this.drain();
      },
      close: async () => {
        if (!this.canWriteEof()) return await this.close();
        const sent = this.sendall(NOTHING);
        this.writeEof();
        await sent;
      },
      abort: () => this.abort(),
    });
  }

  /** Closes the connection and waits for it, whatever it was lost with. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close().catch(() => {});
  }

  async #startTls(options: StartTlsOptions): Promise<void> {
    this.#checkOpen("start TLS");
    const reader = this.#reader;
    await startTlsWithUnread(this.transport, this.transport.getProtocol(), options, {
      length: reader?.buffered ?? 0,
      take: () => reader?.tryread(reader.buffered) ?? new Uint8Array(0),
    });
  }

  #drain(): Promise<void> {
    // On a closing transport it yields, so that a loop of write and drain learns of the loss.
    const turn = this.transport.isClosing() ? nextTurn() : this.#budget.spend(1);
    return turn === null ? this.#flow.drain() : ignorable(turn.then(() => this.#flow.drain()));
  }

  #sendSource(source: BlockSource): Promise<number> {
    const { transport } = this;
    if (takesSources(transport)) return transport.sendSource(source);
    const sending = sendBlocks(source, new Uint8Array(source.blockSize), (block) => transport.sendall(block));
    this.#file = sending;
    return sending.finally(() => this.#file = null);
  }

  /** A transfer that is given up may be sent in part: the connection is of no use then. Its memory is in use until then. */
  #aborting<T>(doing: string, options: WaitOptions, transfer: Promise<T>): Promise<T> {
    if (options.signal === undefined && (options.timeout ?? Infinity) === Infinity) return transfer;
    return ignorable(limited(doing, options, async (signal) => {
      const abort = () => this.transport.abort();
      signal!.addEventListener("abort", abort, { once: true });
      try {
        return await transfer;
      } catch (error) {
        throw signal!.aborted ? signal!.reason : error;
      } finally {
        signal!.removeEventListener("abort", abort);
      }
    }));
  }

  #checkOpen(doing: string): void {
    if (this.#state === "closed") throw new ClosedError(`Cannot ${doing}: the writer was closed`);
    if (this.#file !== null) throw new Deno.errors.Busy(`Cannot ${doing}: a file is being sent`);
  }
}

const anyValue: Check = () => null;

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

const NOTHING = new Uint8Array(0);
