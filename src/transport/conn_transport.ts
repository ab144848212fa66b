/**
 * A transport over any conn: the composition of a callbacks, a read pump and a write pump, and how it all ends.
 *
 * The end is a sequence of phases:
 *
 * | phase    | what goes on                                                                  | next               |
 * | -------- | ----------------------------------------------------------------------------- | ------------------ |
 * | open      | both pumps run                                                                | upgrading, flushing, lost |
 * | upgrading | what was written is sent, then a handshake makes another conn of this one     | open, lost |
 * | flushing | `close()` was called: reading stopped, what was written is being sent         | parting, lost      |
 * | parting  | all is sent: the goodbye that keeps the system from destroying what was sent  | lost               |
 * | lost     | the conn is closed; `connectionLost` is called in a later turn, once          |                    |
 *
 * The goodbye. A system that closes a TCP socket with unread bytes resets the connection, and the peer's system then
 * throws away what it had not yet handed to its program. So before an open conn is closed the bytes that lie there are
 * read and dropped. Over plain conns only those that are there already; over TLS, where session tickets lie unread more often
 * than not, the writing direction is ended (close_notify) and everything is dropped until the peer's end (SPEC W7).
 *
 * @module
 */
import { addressOf, type ConnLike, endWriting } from "../conn/conn.ts";
import { prepended } from "../conn/prepended.ts";
import { ClosedError, lostError } from "../common/errors.ts";
import { type Audience, callExceptionHandler, type ErrorContext, type ErrorReporter } from "./exception_handler.ts";
import { Callbacks, type CallbacksOwner } from "./callbacks.ts";
import { MAX_TIMER } from "../common/timer.ts";
import { ReadPump, type ReadPumpOwner } from "./read_pump.ts";
import type { BaseProtocolLike, ExtraInfo, StreamProtocolLike, Transport, WriteBufferLimits } from "./types.ts";
import { Upgrade, type Upgraded } from "./upgrade.ts";
import { WritePump, type WritePumpOwner } from "./write_pump.ts";

type Phase = "open" | "upgrading" | "flushing" | "parting" | "lost";

/** What is around a transport, or around several alike. */
export interface ConnTransportOptions {
  /** More to tell by `getExtraInfo`. */
  extra?: Partial<ExtraInfo>;
  /** Whether a server accepted it. */
  serverSide?: boolean;
  /** The host it was connected to, if it was by name or address. */
  hostname?: string | undefined;
  /** For TLS: how long flush and goodbye may take together, in milliseconds. */
  shutdownTimeout?: number;
  /** Where errors go that no caller waits for; the exception handler by default. */
  report?: (context: ErrorContext, audience: Audience) => void;
  /** Called after `connectionLost`. */
  onLost?: (transport: ConnTransport) => void;
}

/** A transport over a conn. */
export class ConnTransport implements Transport, CallbacksOwner, ErrorReporter, ReadPumpOwner, WritePumpOwner {
  #options: ConnTransportOptions;
  readonly #callbacks: Callbacks;
  #conn: ConnLike;
  #reads: ReadPump;
  #writes: WritePump;
  #phase: Phase = "open";
  #upgrade: Upgrade | null = null;
  #dropped = 0;
  /** The bytes of the conns that were upgraded. */
  #bytesBefore = NO_BYTES;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param conn The conn, the transport's from now on
   * @param protocol The protocol
   * @param options What is around
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
    this.#callbacks.connectionMade(this);
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
   * Goes over to another conn, made of this one by a handshake, after what was written is sent. The protocol stays, and so
   * does this object. On failure the connection is lost.
   *
   * @param handshake Makes the other conn; closes this one if it fails, or when the signal aborts
   * @param shutdownTimeout How long flush and goodbye of the other conn may take, in milliseconds
   * @throws {Error} If the transport is closing, or is being upgraded
   * @throws {Deno.errors.InvalidData} If the peer sent bytes before it could know of the upgrade
   */
  async upgrade(
    handshake: (conn: ConnLike, signal: AbortSignal) => Promise<Upgraded>,
    shutdownTimeout: number,
  ): Promise<void> {
    if (this.#phase !== "open") throw new Error("Cannot upgrade the connection: it is closing, or being upgraded");
    if (this.#writes.ending) throw new ClosedError("Cannot upgrade the connection: writeEof() was called before");
    const upgrade = this.#upgrade = new Upgrade(this.#reads.reading);
    this.#phase = "upgrading";
    this.#reads.pause();
    try {
      if (!this.#writes.flushed) await upgrade.flushed;
      const readUnderWay = this.#reads.detach();
      const bare = readUnderWay === null ? this.#conn : prepended(this.#conn, readUnderWay);
      const { conn, info } = await handshake(bare, upgrade.signal);
      if (upgrade.signal.aborted) {
        conn.close();
        throw upgrade.signal.reason;
      }
      this.#goOnWith(conn, { ...this.#options.extra, tls: info }, shutdownTimeout);
    } catch (error) {
      this.#lose(error as Error);
      throw error;
    }
  }

  getExtraInfo<K extends keyof ExtraInfo, D = undefined>(name: K, defaultValue?: D): ExtraInfo[K] | D {
    return this.#extraInfo(name) ?? defaultValue as D;
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

  resumeReading(): void {
    if (this.#upgrade !== null) this.#upgrade.wantsToRead = true;
    else this.#reads.resume();
  }

  afterRead<T>(settle: () => T | Promise<T>): Promise<T> {
    return this.#reads.afterRead(settle);
  }

  write(data: Uint8Array | string): void {
    this.#write(this.#checked(data, "write"));
  }

  writelines(chunks: Iterable<Uint8Array | string>): void {
    // All are checked before the first is written; they leave together, as writes of one turn do.
    const list = Array.from(chunks, (chunk) => this.#checked(chunk, "write")).filter((bytes) => bytes.length > 0);
    if (this.#phase === "open") { for (const bytes of list) this.#write(bytes); }
    else if (list.length > 0) this.#drop();
  }

  sendall(data: Uint8Array): Promise<void> {
    try {
      if (!(data instanceof Uint8Array)) {
        throw new TypeError(`Cannot send: data must be a Uint8Array, not "${typeof data}"`);
      }
      this.#checked(data, "send");
    } catch (error) {
      return Promise.reject(error);
    }
    if (data.length === 0) return Promise.resolve();
    if (this.#phase !== "open") return Promise.reject(lostError(null, "send"));
    return this.#writes.sendall(data);
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
    if (this.#phase === "upgrading") this.#lose(null);
    if (this.#phase !== "open") return;
    this.#phase = "flushing";
    this.#reads.stop();
    const { shutdownTimeout } = this.#options;
    if (shutdownTimeout !== undefined) {
      this.#timer = setTimeout(() => this.#shutdownTimedOut(), Math.min(shutdownTimeout, MAX_TIMER));
    }
    if (this.#writes.flushed) this.#part();
  }

  abort(): void {
    this.#lose(null);
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

  /** Tells the protocol that its server begins to shut down. */
  serverClosing(): void {
    this.#callbacks.serverClosing();
  }

  // What the callbacks and the pumps call.

  get readCount(): number {
    return this.#reads.count;
  }

  report(context: ErrorContext, audience: Audience = "everyone"): void {
    if (this.#options.report !== undefined) this.#options.report(context, audience);
    else if (audience === "everyone") callExceptionHandler(context);
  }

  protocolFailed(error: Error): void {
    this.#lose(error);
  }

  readingEnded(keepOpen: boolean): void {
    if (!keepOpen) this.close();
  }

  readingFailed(error: Error): void {
    this.#lose(error);
  }

  writingFlushed(): void {
    if (this.#phase === "flushing") this.#part();
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
        return addressOf(this.#conn, "remoteAddr") as ExtraInfo[K];
      case "sockname":
        return addressOf(this.#conn, "localAddr") as ExtraInfo[K];
      default:
        return this.#options.extra?.[name];
    }
  }

  /** The bytes of what is to be written, if it may be (SPEC W5). */
  #checked(data: Uint8Array | string, doing: string): Uint8Array {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    if (!(bytes instanceof Uint8Array)) {
      throw new TypeError(`Cannot ${doing}: data must be a Uint8Array or a string, not "${typeof data}"`);
    }
    if (this.#writes.ending) throw new ClosedError(`Cannot ${doing}: writeEof() was called before`);
    if (this.#phase === "upgrading") throw new Error(`Cannot ${doing}: the connection is being upgraded`);
    return bytes;
  }

  #write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#phase === "open") this.#writes.write(bytes);
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

  /** Everything is sent: the goodbye. Its errors do not count, as nothing is lost by them. */
  #part(): void {
    this.#phase = "parting";
    const overTls = this.#options.shutdownTimeout !== undefined;
    if (this.#reads.sawEnd && !overTls) return this.#lose(null);
    const goodbye = overTls ? this.#sayGoodbye() : this.#reads.dropWhatLiesThere();
    goodbye.catch(() => {}).then(() => this.#lose(null));
  }

  async #sayGoodbye(): Promise<void> {
    if (!this.#writes.ending) await endWriting(this.#conn);
    if (!this.#reads.sawEnd) await this.#reads.discard();
  }

  #shutdownTimedOut(): void {
    this.#lose(
      this.#phase === "parting" ? null : new Deno.errors.TimedOut(
        `Cannot close in order: "${this.#writes.size}" bytes were not sent within ${this.#options.shutdownTimeout} ms`,
      ),
    );
  }

  #goOnWith(conn: ConnLike, extra: Partial<ExtraInfo>, shutdownTimeout: number): void {
    const { wantsToRead } = this.#upgrade!;
    this.#upgrade = null;
    this.#phase = "open";
    this.#bytesBefore = { read: this.bytesRead, written: this.bytesWritten };
    this.#conn = conn;
    this.#options = { ...this.#options, extra, shutdownTimeout };
    this.#reads = new ReadPump(conn, this.#callbacks, this);
    this.#writes = new WritePump(conn, this.#callbacks, this, this.#writes.marks);
    if (wantsToRead) this.#reads.start();
    else this.#reads.pause();
  }

  #lose(error: Error | null): void {
    if (this.#phase === "lost") return;
    this.#phase = "lost";
    this.#upgrade?.abort(lostError(error, "upgrade the connection"));
    this.#upgrade = null;
    // Deno loads its timers when they are first used, 0.9 MB of heap, which every marking of the collector goes through.
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    this.#reads.stop();
    this.#writes.close(error);
    closeQuietly(this.#conn);
    queueMicrotask(() => {
      this.#callbacks.connectionLost(error);
      this.#options.onLost?.(this);
    });
  }
}

function closeQuietly(conn: ConnLike): void {
  try {
    conn.close();
  } catch (error) {
    // Whoever made another conn of it closed it before.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

const NO_BYTES = { read: 0, written: 0 };
const encoder = new TextEncoder();

// As asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
const FIRST_WARNED_DROP = 5;
