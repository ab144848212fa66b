/**
 * A transport over any conn: the composition of a callbacks, a read pump and a write pump, and how it all ends.
 *
 * The end is a sequence of phases:
 *
 * | phase     | what goes on                                                                         | next                      |
 * | --------- | ------------------------------------------------------------------------------------ | ------------------------- |
 * | open      | both pumps run                                                                       | upgrading, flushing, lost |
 * | upgrading | what was written is sent, then a handshake makes another conn of this one            | open, lost                |
 * | flushing  | `close()` was called: reading stopped, what was written is being sent                | lingering, lost           |
 * | lingering | all is sent: what the peer sent is read and dropped, so that the system sends no reset | lost                      |
 * | lost      | the conn is closed; `connectionLost` is called in a later turn, once                 |                           |
 *
 * The lingering close. A system that closes a TCP socket with unread bytes resets the connection, and the peer's system then
 * drops what it had not yet handed to its program. So before an open conn is closed the bytes that have arrived are read and
 * dropped. Over plain conns only those that have arrived already; over TLS, where session tickets lie unread more often than
 * not, the writing direction is ended (close_notify) and everything is dropped until the peer's end (SPEC W7).
 *
 * Both are bounded (see `close_timers.ts`): flushing by `closeTimeout` without a byte being taken, so that a slow peer gets
 * all, lingering by as much in all.
 *
 * @module
 */
import { addressOf, closeQuietly, type ConnLike, endWriting, keepAlive } from "../conn/conn.ts";
import { prepended } from "../conn/prepended.ts";
import { type Bytes, plainView } from "../common/bytes.ts";
import { describeType } from "../common/describe.ts";
import { asError, ClosedError, lostError } from "../common/errors.ts";
import { rejected } from "../common/handled.ts";
import { type Audience, callExceptionHandler, type ErrorContext, type ErrorReporter } from "./exception_handler.ts";
import type { BlockSource, SourceTransport } from "./block_source.ts";
import { type Idler, IdleWatch } from "./idle_watch.ts";
import { Callbacks, type CallbacksOwner } from "./callbacks.ts";
import { CloseTimers, DEFAULT_CLOSE_TIMEOUT } from "./close_timers.ts";
import { tell } from "./observe.ts";
import { ReadPump, type ReadPumpOwner } from "./read_pump.ts";
import type {
  BaseProtocolLike,
  ExtraInfo,
  StreamProtocolLike,
  Transport,
  TransportStats,
  WriteBufferLimits,
} from "./types.ts";
import { Upgrade, type Upgraded } from "./upgrade.ts";
import { WritePump, type WritePumpOwner } from "./write_pump.ts";

type Phase = "open" | "upgrading" | "flushing" | "lingering" | "lost";

/** The options of a transport, or of several. */
export interface ConnTransportOptions {
  /** More to tell by `getExtraInfo`; a connection that has `tls` is closed as TLS is. */
  extra?: Partial<ExtraInfo>;
  /** Whether a server accepted it. */
  serverSide?: boolean;
  /** The host it was connected to, if it was by name or address. */
  hostname?: string | undefined;
  /**
   * How long closing may take, in milliseconds: sending what was written, without a byte being taken, and waiting for the
   * peer's end, in all. Default: 30000.
   */
  closeTimeout?: number | undefined;
  /** For TLS: how long the wait for the peer's end may take instead, in milliseconds. */
  shutdownTimeout?: number | undefined;
  /** For how long no byte may be sent or received, in milliseconds; 0, the default, for any time. */
  idleTimeout?: number | undefined;
  /** Gets errors that no call rejects with; the exception handler by default. */
  report?: (context: ErrorContext, audience: Audience) => void;
  /** Called after `connectionLost`. */
  onLost?: (transport: ConnTransport) => void;
}

/** A transport over a conn. */
export class ConnTransport
  implements Transport, SourceTransport, CallbacksOwner, ErrorReporter, ReadPumpOwner, WritePumpOwner, Idler {
  #options: ConnTransportOptions;
  readonly #callbacks: Callbacks;
  #conn: ConnLike;
  #reads: ReadPump;
  #writes: WritePump;
  #phase: Phase = "open";
  #upgrade: Upgrade | null = null;
  /** How many writes were dropped since it is closing. */
  #dropped = 0;
  /** The bytes of the conns that were upgraded. */
  #bytesBefore = NO_BYTES;
  readonly #openedAt = Date.now();
  /** When bytes were taken, or the conn was replaced, last. */
  #lastWritten = this.#openedAt;
  /** How many bytes had been read when bytes were written last. */
  #readBeforeWrite = 0;
  /** Whether the user closed or aborted it, rather than a protocol's answer or a failure. */
  #closedByUser = false;
  /** What the user said about keeping the process alive: nothing, `ref()` or `unref()`. */
  #alive: "default" | "ref" | "unref" = "default";
  #closeTimers: CloseTimers | null = null;
  #idleWatch: IdleWatch | null = null;

  /**
   * @param conn The conn, the transport's from now on
   * @param protocol The protocol
   * @param options What there is to know of it
   * @throws {TypeError} If the protocol is none
   */
  constructor(conn: ConnLike, protocol: StreamProtocolLike, options: ConnTransportOptions = {}) {
    this.#conn = conn;
    this.#options = options;
    this.#callbacks = new Callbacks(this, protocol);
    this.#reads = new ReadPump(conn, this.#callbacks, this);
    this.#writes = new WritePump(conn, this.#callbacks, this);
  }

  /**
   * Tells the protocol of its connection, and begins to read.
   *
   * @throws {Error} What `connectionMade` threw
   */
  start(): void {
    if (!this.#isPipe) tell("opened", this);
    this.#callbacks.connectionMade(this);
    this.#watchIdleness();
    this.#writes.flushSoon();
    this.#reads.start();
  }

  /** Whether a server accepted it. */
  get serverSide(): boolean {
    return this.#options.serverSide ?? false;
  }

  /** The host it was connected to, if it was by name or address. */
  get hostname(): string | undefined {
    return this.#options.hostname;
  }

  /**
   * Replaces the conn by another one, made of it by a handshake, after flushing. The protocol stays, and so
   * does this object. On failure the connection is lost.
   *
   * @param handshake Makes the other conn; closes this one if it fails, or when the signal aborts
   * @param shutdownTimeout How long the lingering close of the other conn may take, in milliseconds; by default as long as
   * that of this one
   * @param takesKept Whether bytes that were read and not delivered are the other conn's, rather than an error
   * @param signal Aborts it, and loses the connection
   * @throws {Error} If the transport is closing, or is being upgraded
   * @throws {Deno.errors.InvalidData} If the peer sent bytes before it could know of the upgrade
   */
  async upgrade(
    handshake: (conn: ConnLike, signal: AbortSignal) => Promise<Upgraded>,
    shutdownTimeout?: number | undefined,
    takesKept = false,
    signal?: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#closedByUser) throw new ClosedError("Cannot upgrade the connection: it was closed");
    if (this.#phase !== "open") throw new Error("Cannot upgrade the connection: it is closing, or being upgraded");
    if (this.#writes.ending) throw new ClosedError("Cannot upgrade the connection: writeEof() was called before");
    const abort = () => this.#lose(asError(signal!.reason, "the upgrade"));
    const upgrade = this.#upgrade = new Upgrade(this.#reads.reading);
    this.#phase = "upgrading";
    this.#reads.pause();
    signal?.addEventListener("abort", abort);
    try {
      this.#writes.flush();
      if (!this.#writes.flushed) await upgrade.flushed;
      const readUnderWay = this.#reads.detach(takesKept);
      const bare = readUnderWay === null ? this.#conn : prepended(this.#conn, readUnderWay);
      const { conn, info } = await handshake(bare, upgrade.signal);
      if (upgrade.signal.aborted) {
        closeQuietly(conn);
        throw upgrade.signal.reason;
      }
      this.#goOnWith(conn, { ...this.#options.extra, tls: info }, shutdownTimeout);
    } catch (error) {
      this.#lose(error as Error);
      throw signal?.aborted ? signal.reason : error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  getExtraInfo<K extends keyof ExtraInfo, D = undefined>(name: K, defaultValue?: D): ExtraInfo[K] | D {
    return this.#extraInfo(name) ?? defaultValue as D;
  }

  stats(): TransportStats {
    return {
      bytesRead: this.bytesRead,
      bytesWritten: this.bytesWritten,
      openedAt: this.#openedAt,
      lastActive: Math.max(this.#lastWritten, this.#reads.lastRead),
      pausedSince: this.#writes.marks.pausedSince,
    };
  }

  getProtocol(): StreamProtocolLike {
    return this.#callbacks.protocol;
  }

  setProtocol(protocol: BaseProtocolLike): void {
    this.#callbacks.protocol = protocol as StreamProtocolLike;
  }

  isClosing(): boolean {
    return this.#phase !== "open" && this.#phase !== "upgrading";
  }

  isReading(): boolean {
    return this.#upgrade?.wantsToRead ?? (this.#phase === "open" && this.#reads.reading);
  }

  pauseReading(): void {
    if (this.#upgrade !== null) this.#upgrade.wantsToRead = false;
    else this.#reads.pause();
  }

  /** Besides, what was written leaves: a protocol that reads on demand has nothing more to write until it has read. */
  resumeReading(): void {
    if (this.#upgrade !== null) {
      this.#upgrade.wantsToRead = true;
      return;
    }
    this.#writes.flushSoon();
    this.#reads.resume();
  }

  afterRead<T>(settle: () => T | Promise<T>): Promise<T> {
    return this.#reads.afterRead(settle);
  }

  giveBack(data: Bytes): void {
    if (this.#phase === "open") this.#reads.giveBack(data);
  }

  write(data: Uint8Array | string): void {
    if (typeof data === "string") {
      this.#checkMayWrite("write");
      this.#writeText(data);
    } else {
      this.#writeBytes(this.#checked(data));
    }
  }

  writelines(chunks: Iterable<Uint8Array | string>): void {
    if (typeof (chunks as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator] !== "function") {
      throw new TypeError(`Cannot write: the chunks must be an iterable, not ${describeType(chunks)}`);
    }
    this.#checkMayWrite("write");
    // All are checked before the first is written; they leave together, as writes of one turn do.
    const list = Array.from(chunks, (chunk) => typeof chunk === "string" ? chunk : this.#checked(chunk))
      .filter((chunk) => chunk.length > 0);
    if (!this.#takesWrites) {
      if (list.length > 0) this.#drop();
      return;
    }
    for (const chunk of list) {
      if (typeof chunk === "string") this.#writeText(chunk);
      else this.#writeBytes(chunk);
    }
  }

  sendall(data: Uint8Array): Promise<void> {
    try {
      if (!(data instanceof Uint8Array)) {
        throw new TypeError(`Cannot send: data must be a Uint8Array, not ${describeType(data)}`);
      }
      this.#checkMaySend();
    } catch (error) {
      return rejected(error);
    }
    return data.length === 0 && this.#writes.flushed ? Promise.resolve() : this.#writes.sendall(data);
  }

  sendSource(source: BlockSource): Promise<number> {
    try {
      this.#checkMaySend();
    } catch (error) {
      return rejected(error);
    }
    return this.#writes.sendSource(source);
  }

  canWriteEof(): boolean {
    return this.#conn.closeWrite !== undefined;
  }

  writeEof(): void {
    if (!this.canWriteEof()) {
      throw new Error("Cannot write EOF: the connection cannot close its writing direction alone");
    }
    if (this.#phase === "open") this.#writes.end();
  }

  close(): void {
    if (!this.isClosing()) this.#closedByUser = true;
    this.#close();
  }

  abort(): void {
    if (this.#phase !== "lost") this.#closedByUser = true;
    this.#lose(null);
  }

  ref(): void {
    this.#alive = "ref";
    this.#keepAlive(true);
  }

  unref(): void {
    this.#alive = "unref";
    this.#keepAlive(false);
  }

  getWriteBufferSize(): number {
    return this.#writes.size;
  }

  getWriteBufferLimits(): WriteBufferLimits {
    return this.#writes.marks.limits;
  }

  setWriteBufferLimits(limits?: { high?: number; low?: number }): void {
    this.#writes.marks.set(limits);
    this.#writes.checkMarks();
  }

  /** How many bytes were received, without those of a TLS handshake. */
  get bytesRead(): number {
    return this.#bytesBefore.read + this.#reads.bytes;
  }

  /** How many bytes the system has taken, without those of a TLS handshake. */
  get bytesWritten(): number {
    return this.#bytesBefore.written + this.#writes.bytes;
  }

  /** Whether silence is the peer's or the user's: not while a handshake or a close is under way, which have bounds of their own. */
  get mayIdle(): boolean {
    return this.#phase === "open";
  }

  /**
   * Loses the connection because no byte was sent or received for too long.
   *
   * @param ms For how long, in milliseconds
   */
  idled(ms: number): void {
    this.#lose(new Deno.errors.TimedOut(`Cannot go on: no byte was sent or received for ${ms} ms`));
  }

  /** Tells the protocol that its server begins to shut down. */
  serverClosing(): void {
    this.#callbacks.serverClosing();
  }

  // What the callbacks and the pumps call.

  report(context: ErrorContext, audience: Audience = "everyone"): void {
    if (this.#options.report !== undefined) this.#options.report(context, audience);
    else if (audience === "everyone") callExceptionHandler(context);
  }

  protocolFailed(error: Error): void {
    this.#lose(error);
  }

  get inCallback(): boolean {
    return this.#reads.delivering;
  }

  readingEnded(keepOpen: boolean): void {
    if (!keepOpen) this.#close();
  }

  readingFailed(error: Error): void {
    this.#lose(error);
  }

  writingProgressed(): void {
    // The first bytes after a read count as of that read: another look at the clock would be 2 % of a small echo.
    const { bytesRead } = this;
    if (bytesRead === this.#readBeforeWrite) this.#lastWritten = Date.now();
    else this.#readBeforeWrite = bytesRead;
    this.#closeTimers?.progress();
  }

  writingFlushed(): void {
    if (this.#phase === "flushing") this.#linger();
    else this.#upgrade?.setFlushed();
  }

  writingFailed(error: Error): void {
    this.#lose(error);
  }

  #extraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | undefined {
    switch (name) {
      case "conn":
        return this.#conn as ExtraInfo[K];
      case "peername":
        return (this.#options.extra?.peername ?? addressOf(this.#conn, "remoteAddr")) as ExtraInfo[K];
      case "sockname":
        return addressOf(this.#conn, "localAddr") as ExtraInfo[K];
      default:
        return this.#options.extra?.[name];
    }
  }

  get #isPipe(): boolean {
    return this.#options.extra?.pipe !== undefined;
  }

  get #takesWrites(): boolean {
    return this.#phase === "open";
  }

  /** The bytes of what is to be written, if it may be (SPEC W5). */
  #checked(data: Uint8Array): Uint8Array {
    if (!(data instanceof Uint8Array)) {
      throw new TypeError(`Cannot write: data must be a Uint8Array or a string, not ${describeType(data)}`);
    }
    this.#checkMayWrite("write");
    return plainView(data);
  }

  #checkMayWrite(doing: string): void {
    if (this.#writes.ending) throw new ClosedError(`Cannot ${doing}: writeEof() was called before`);
    if (this.#phase === "upgrading") throw new Error(`Cannot ${doing}: the connection is being upgraded`);
  }

  /** Refuses what has a promise to reject, where a write is dropped (SPEC W6). */
  #checkMaySend(): void {
    this.#checkMayWrite("send");
    if (this.#takesWrites) return;
    throw this.#closedByUser ? new ClosedError("Cannot send: the connection was closed") : lostError(null, "send");
  }

  #writeText(text: string): void {
    if (text.length === 0) return;
    if (this.#takesWrites) this.#writes.writeText(text);
    else this.#drop();
  }

  #writeBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#takesWrites) this.#writes.write(bytes);
    else this.#drop();
  }

  /** Drops a write on a connection that is closing (SPEC W6). */
  #drop(): void {
    if (++this.#dropped < FIRST_WARNED_DROP) return;
    const error = new Error(`Cannot write: the connection is closing; ${this.#dropped} writes were dropped`);
    this.report({
      message: "Write dropped",
      error,
      protocol: this.getProtocol(),
      transport: this,
    });
  }

  #close(): void {
    if (this.#phase === "upgrading") this.#lose(null);
    if (this.#phase !== "open") return;
    this.#phase = "flushing";
    this.#reads.stop();
    this.#writes.flush();
    if (this.#writes.flushed) return this.#linger();
    this.#closeTimers = new CloseTimers((error) => this.#lose(error));
    this.#closeTimers.boundFlush(this.#closeTimeout);
  }

  /** Everything is sent: the lingering close. Its errors do not count, as nothing is lost by them. */
  #linger(): void {
    this.#phase = "lingering";
    const overTls = this.#options.extra?.tls !== undefined;
    if (this.#reads.sawEnd && !overTls) return this.#lose(null);
    if (overTls) this.#boundLinger();
    else this.#closeTimers?.end();
    const over = overTls ? this.#shutDownTls() : this.#reads.dropReceived();
    over.catch(() => {}).then(() => this.#lose(null));
  }

  /**
   * Nothing is lost if the process ends now, so the wait keeps it alive no longer than a peer in order takes to answer. Unless
   * something waits for the end: what awaits `close()` calls `ref()`, and a server's `waitClosed()` waits for all its connections.
   */
  #boundLinger(): void {
    const limited = this.#alive === "default" && !this.serverSide;
    const letGo = () => this.#keepAlive(this.#alive === "ref");
    this.#closeTimers ??= new CloseTimers((error) => this.#lose(error));
    this.#closeTimers.boundLinger(this.#options.shutdownTimeout ?? this.#closeTimeout, limited ? letGo : null);
    if (this.#alive === "unref") this.#keepAlive(false);
  }

  async #shutDownTls(): Promise<void> {
    if (!this.#writes.ending) await endWriting(this.#conn);
    if (!this.#reads.sawEnd) await this.#reads.discard();
  }

  #keepAlive(alive: boolean): void {
    keepAlive(this.#conn, alive);
    this.#closeTimers?.keepAlive(alive);
  }

  #watchIdleness(): void {
    const { idleTimeout = 0 } = this.#options;
    if (this.#phase !== "lost" && idleTimeout > 0 && idleTimeout < Infinity) {
      this.#idleWatch = new IdleWatch(this, idleTimeout);
    }
  }

  get #closeTimeout(): number {
    return this.#options.closeTimeout ?? DEFAULT_CLOSE_TIMEOUT;
  }

  #goOnWith(conn: ConnLike, extra: Partial<ExtraInfo>, shutdownTimeout: number | undefined): void {
    const { wantsToRead } = this.#upgrade!;
    this.#upgrade = null;
    this.#phase = "open";
    this.#bytesBefore = { read: this.bytesRead, written: this.bytesWritten };
    this.#lastWritten = Date.now();
    this.#conn = conn;
    this.#options = { ...this.#options, extra, shutdownTimeout };
    this.#reads = new ReadPump(conn, this.#callbacks, this);
    this.#writes = new WritePump(conn, this.#callbacks, this, this.#writes.marks);
    if (this.#alive === "unref") keepAlive(conn, false);
    if (wantsToRead) this.#reads.start();
    else this.#reads.pause();
  }

  #lose(error: Error | null): void {
    if (this.#phase === "lost") return;
    this.#phase = "lost";
    this.#upgrade?.abort(lostError(error, "upgrade the connection"));
    this.#upgrade = null;
    this.#closeTimers?.end();
    this.#idleWatch?.end();
    this.#reads.stop();
    const thrown = closeQuietly(this.#conn);
    const cause = error ?? thrown;
    this.#writes.close(cause);
    queueMicrotask(() => {
      this.#callbacks.connectionLost(cause);
      this.#options.onLost?.(this);
      if (!this.#isPipe) tell("lost", this, cause);
    });
  }
}

const NO_BYTES = { read: 0, written: 0 };

// As asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
const FIRST_WARNED_DROP = 5;
