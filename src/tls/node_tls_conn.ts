/**
 * A {@linkcode ConnLike} that speaks TLS over another one, by `node:tls`.
 *
 * ## Theory of operation
 *
 * The engine gets the peer's ciphertext, and gives its own, through an {@linkcode EngineStream}; this class moves both
 * between the engine and the conn underneath.
 *
 * - Reading is on demand: while a `read()` waits and no plaintext is left, one block is read from the conn and fed into the
 *   engine. So at most one block is held, and back pressure reaches the peer. Left to itself, Deno's engine reads without
 *   bound while no read waits, and loses the end of the stream behind the bytes that it holds.
 * - The end of the conn is the end of the stream only after the peer's close_notify. Without it the connection may have
 *   been cut by an attacker, which is an error.
 * - A `write()` is done when the conn has taken its ciphertext. The engine has one write to encrypt at a time; its records
 *   leave together.
 *
 * The writing direction is `open`, then `ended`; both are `closed` at once. The reading direction is what comes after the
 * plaintext that is held: not known yet, the end, or an error.
 *
 * @module
 */
import type { TLSSocket } from "node:tls";
import { type ConnLike, readFrom, writeTo } from "../conn/conn.ts";
import { brokenError, busyError, closedError, interruptedError } from "../conn/conn_errors.ts";
import { EngineStream } from "./engine_stream.ts";
import { closeQuietly } from "./handshake.ts";
import { type NodeModules, nodeModules } from "./node_modules.ts";

/** What a handshake came to. */
export type Outcome = TLSSocket | Error;

// A block that one read fills makes the next one twice as large: an idle conn holds little, a busy one reads much.
const MIN_BLOCK = 4096;
const MAX_BLOCK = 131072;

/** The most that one write encrypts, in bytes. */
const MAX_WRITE = 131072;

/** How many reads discard what a refused peer has sent, at most. */
const MOST_DISCARDED = 8;

/** TLS over a conn. Made by {@linkcode NodeTlsConn.make}, usable after {@linkcode NodeTlsConn.handshake}. */
export class NodeTlsConn implements ConnLike {
  readonly localAddr?: Deno.Addr;
  readonly remoteAddr?: Deno.Addr;
  readonly #conn: ConnLike;
  readonly #nextTick: NodeModules["nextTick"];
  readonly #engine: EngineStream;
  #state: "open" | "ended" | "closed" = "open";

  #block = new Uint8Array(MIN_BLOCK);
  #reading = false;
  readonly #plain: Uint8Array[] = [];
  /** What comes after the plaintext: the end, or an error; undefined while that is not known. */
  #afterPlain: null | Error | undefined;

  #writing = false;
  readonly #unsent: Uint8Array[] = [];
  #sending: Promise<void> | null = null;
  #sendError: Error | null = null;

  private constructor(conn: ConnLike, duplex: NodeModules["Duplex"], nextTick: NodeModules["nextTick"]) {
    this.#conn = conn;
    this.#nextTick = nextTick;
    this.#engine = new EngineStream(duplex, {
      ciphertext: (data) => this.#enqueue(data),
      plaintext: (data) => void this.#plain.push(data),
      ended: () => this.#finish(null),
      failed: (error) => this.#finish(decryptError(error)),
    });
    if (conn.localAddr) this.localAddr = conn.localAddr;
    if (conn.remoteAddr) this.remoteAddr = conn.remoteAddr;
  }

  /**
   * Prepares TLS over a conn.
   *
   * @param conn The conn; from now on it is used by the new one alone, and closed with it
   * @returns The conn that will speak TLS
   */
  static async make(conn: ConnLike): Promise<NodeTlsConn> {
    const { Duplex, nextTick } = await nodeModules();
    return new NodeTlsConn(conn, Duplex, nextTick);
  }

  /**
   * Moves bytes until the engine has done its handshake. If the engine fails, its alert is sent.
   *
   * @param begin Makes the engine over a stream, and calls `done` at once when its handshake succeeds or fails; with
   * `silent` nothing is sent any more: a peer that is refused by what its handshake told must not take it for a success
   * @param prefix Bytes that were read from the conn already, if any
   * @returns The engine, to be asked about the peer
   */
  async handshake(
    begin: (stream: EngineStream, done: (outcome: Outcome, silent?: boolean) => void) => void,
    prefix?: Uint8Array,
  ): Promise<TLSSocket> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    let isDone = false;
    begin(this.#engine, (outcome, silent = false) => {
      if (isDone) return;
      isDone = true;
      if (silent) this.#stopSending(outcome as Error);
      // Before the engine goes on, so that nothing it says later is missed.
      if (!(outcome instanceof Error)) this.#engine.attach(outcome);
      resolve(outcome);
    });
    if (prefix?.length) this.#engine.feed(prefix);
    const fed = (async () => {
      // The engine tells of what it was fed a moment later.
      for (await this.#tick(); !isDone && this.#afterPlain === undefined; await this.#tick()) await this.#fill();
      return this.#afterPlain ?? null;
    })();
    const outcome = await Promise.race([promise, fed.then((after) => isDone || after === null ? promise : after)]);
    if (outcome instanceof Error) {
      // The alert comes a moment after the error.
      await this.#tick();
      const alert = this.#unsent.shift();
      if (alert !== undefined) this.#sending ??= this.#send(alert);
    }
    await this.#sending;
    if (outcome instanceof Error) {
      if (!this.#reading && this.#sendError === null && this.#afterPlain === undefined) await this.#discard();
      throw outcome;
    }
    if (this.#sendError) throw this.#sendError;
    return outcome;
  }

  async read(p: Uint8Array): Promise<number | null> {
    if (this.#isClosed()) throw closedError("read");
    if (this.#reading) throw busyError("read");
    if (p.length === 0) return 0;
    while (this.#plain.length === 0) {
      if (this.#afterPlain === null) return null;
      if (this.#afterPlain !== undefined) throw this.#afterPlain;
      await this.#fill();
      if (this.#isClosed()) throw interruptedError("read");
    }
    return this.#takePlain(p);
  }

  async write(p: Uint8Array): Promise<number> {
    this.#mayWrite("write");
    if (p.length === 0) return 0;
    const piece = p.length <= MAX_WRITE ? p : p.subarray(0, MAX_WRITE);
    this.#writing = true;
    try {
      const encrypting = this.#engine.encrypt(piece);
      if (encrypting !== null) await encrypting;
      await this.#sending;
    } finally {
      this.#writing = false;
    }
    if (this.#isClosed()) throw interruptedError("write");
    const error = this.#sendError ?? this.#afterPlain;
    if (error) throw error;
    if (this.#engine.destroyed) throw brokenError("the connection was closed");
    return piece.length;
  }

  async closeWrite(): Promise<void> {
    if (this.#state === "ended") return;
    this.#mayWrite("end writing");
    this.#state = "ended";
    await this.#engine.end();
    await this.#sending;
    if (this.#isClosed()) throw interruptedError("end writing");
    if (this.#sendError) throw this.#sendError;
    await this.#conn.closeWrite?.();
  }

  close(): void {
    if (this.#isClosed()) throw closedError("close");
    this.#state = "closed";
    this.#unsent.length = 0;
    this.#engine.destroy();
    closeQuietly(this.#conn);
  }

  /** Lets it keep the process alive, where the conn underneath can. */
  ref(): void {
    (this.#conn as Partial<Deno.Conn>).ref?.();
  }

  /** Lets the process end meanwhile, where the conn underneath can. */
  unref(): void {
    (this.#conn as Partial<Deno.Conn>).unref?.();
  }

  #enqueue(data: Uint8Array): void {
    if (this.#isClosed() || this.#sendError !== null) return;
    if (this.#sending !== null || this.#engine.gaveUp) this.#unsent.push(data);
    else this.#sending = this.#send(data);
  }

  #finish(after: null | Error): void {
    if (this.#afterPlain === undefined) this.#afterPlain = after;
  }

  /** Reads one block and lets the engine have it. */
  #fill(): Promise<void> {
    this.#reading = true;
    return readFrom(this.#conn, this.#block).then(this.#onRead, this.#onReadError);
  }

  readonly #onRead = (n: number | null): void => {
    this.#reading = false;
    if (this.#isClosed()) return;
    if (n === null) return this.#finish(cutError());
    const block = this.#block;
    this.#engine.feed(n === block.length ? block : block.subarray(0, n));
    if (n === block.length && n < MAX_BLOCK) this.#block = new Uint8Array(2 * n);
  };

  readonly #onReadError = (error: unknown): void => {
    this.#reading = false;
    this.#finish(error as Error);
  };

  #takePlain(p: Uint8Array): number {
    let taken = 0;
    while (taken < p.length && this.#plain.length > 0) {
      const piece = this.#plain[0]!;
      const part = piece.length <= p.length - taken ? piece : piece.subarray(0, p.length - taken);
      p.set(part, taken);
      taken += part.length;
      if (part === piece) release(this.#plain.shift()!);
      else this.#plain[0] = piece.subarray(part.length);
    }
    return taken;
  }

  /** Sends what is to be sent, in order, until nothing is. */
  #send(data: Uint8Array): Promise<void> {
    return writeTo(this.#conn, data).then((n) => {
      if (n === data.length) release(data);
      const rest = n < data.length ? data.subarray(n) : this.#unsent.shift();
      if (rest !== undefined) return this.#send(rest);
      this.#sending = null;
    }, this.#onSendError);
  }

  readonly #onSendError = (error: unknown): void => {
    this.#sending = null;
    this.#stopSending(error as Error);
  };

  #stopSending(error: Error): void {
    this.#sendError ??= error;
    this.#unsent.length = 0;
  }

  /** Discards what the peer has sent already: a socket that is closed with bytes unread takes the alert back. */
  async #discard(): Promise<void> {
    for (let reads = 0; reads < MOST_DISCARDED && !this.#isClosed(); reads++) {
      let isDone = false, isEmpty = false;
      this.#conn.read(this.#block).then((n) => [isDone, isEmpty] = [true, n === null], () => isEmpty = true);
      // A read that finds bytes settles within two hops of the microtask queue.
      for (let hops = 0; hops < 4; hops++) await null;
      if (!isDone || isEmpty) return;
    }
  }

  /** Waits until what the engine has queued is done. */
  #tick(): Promise<void> {
    return new Promise<void>((resolve) => this.#nextTick(resolve));
  }

  #mayWrite(doing: string): void {
    if (this.#isClosed()) throw closedError(doing);
    if (this.#state === "ended") throw brokenError("this direction was ended");
    if (this.#writing) throw busyError("write");
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }
}

/** What the engine cannot decrypt, and the peer's alerts. */
function decryptError(error: Error): Error {
  return new Deno.errors.InvalidData(`Cannot read: ${error.message}`, { cause: error });
}

function cutError(): Error {
  return new Deno.errors.UnexpectedEof(
    "Cannot read: the peer closed the connection without ending TLS (close_notify)",
  );
}

/**
 * Frees memory that only the engine and this conn knew. Left to the collector, memory of this size makes it run a full
 * collection some ten times a second.
 */
function release({ buffer, length }: Uint8Array): void {
  if (length >= LEAST_RELEASED && length === buffer.byteLength) (buffer as ArrayBuffer).transfer(0);
}

const LEAST_RELEASED = 4096;
