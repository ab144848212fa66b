/**
 * A {@linkcode ConnLike} that speaks TLS over another one, by `node:tls`.
 *
 * ## Theory of operation
 *
 * A socket of `node:tls` is used as an engine, not as a stream: it gets its ciphertext from, and gives it to, a Duplex
 * that exists in memory only, and this class moves the bytes between that and the conn underneath.
 *
 * - Reading is on demand: only while a `read()` waits, and what was decrypted is used up, one block is read from the conn
 *   and pushed into the engine, which hands out the plaintext before `push()` returns. So at most one block is ever held,
 *   and back pressure reaches the peer. Left to itself, Deno's engine would read without bound when nobody does, and
 *   lose the end of the stream behind the bytes that it holds.
 * - The engine says the same at the peer's close_notify and at an end of the conn without one. The two are told apart
 *   by what came first: the engine's end, or the conn's. The second may be an attacker's cut, and is an error.
 * - A `write()` is done when the ciphertext was taken by the conn. The engine only ever has one write to encrypt.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { ConnLike } from "../conn/conn.ts";
import { brokenError, busyError, closedError, interruptedError } from "../conn/conn_errors.ts";
import { closeQuietly } from "./handshake.ts";

/** What a handshake came to. */
export type Outcome = TLSSocket | Error;

// A block that one read fills makes the next one twice as large: an idle conn holds little, a busy one reads much.
const MIN_BLOCK = 4096;
const MAX_BLOCK = 65536;

/** The most that one write encrypts. */
const MAX_WRITE = 65536;

/** TLS over a conn. Made by {@linkcode NodeTlsConn.make}, usable after {@linkcode NodeTlsConn.handshake}. */
export class NodeTlsConn implements ConnLike {
  readonly localAddr?: Deno.Addr;
  readonly remoteAddr?: Deno.Addr;
  readonly #conn: ConnLike;
  readonly #wire: Duplex;
  readonly #nextTick: NextTick;
  #socket: TLSSocket | undefined;
  #state: "open" | "ended" | "closed" = "open";

  #block = new Uint8Array(MIN_BLOCK);
  #filling = false;
  readonly #plain: Uint8Array[] = [];
  /** What comes after the plaintext: the end, or an error; undefined while that is not known. */
  #afterPlain: null | Error | undefined;
  #wakeReader: (() => void) | undefined;

  #writing = false;
  #sent: Promise<void> = Promise.resolve();
  #sendError: Error | undefined;

  private constructor(conn: ConnLike, duplex: typeof Duplex, nextTick: NextTick) {
    this.#conn = conn;
    this.#nextTick = nextTick;
    if (conn.localAddr) this.localAddr = conn.localAddr;
    if (conn.remoteAddr) this.remoteAddr = conn.remoteAddr;
    this.#wire = new duplex({
      read() {},
      write: (chunk: Uint8Array, _encoding, callback) => {
        this.#send(chunk);
        callback();
      },
    });
    this.#wire.on("error", (error) => this.#finish(error));
  }

  /**
   * Prepares TLS over a conn.
   *
   * @param conn The conn; from now on it is used by the new one alone, and closed with it
   * @returns The conn that will speak TLS
   */
  static async make(conn: ConnLike): Promise<NodeTlsConn> {
    const [{ Duplex }, { nextTick }] = await Promise.all([import("node:stream"), import("node:process")]);
    return new NodeTlsConn(conn, Duplex, nextTick);
  }

  /**
   * Moves bytes until the engine has done its handshake.
   *
   * @param begin Makes the engine over a stream, and calls `done` at once when its handshake succeeds or fails
   * @param prefix Bytes that were read from the conn already, if any
   * @returns The engine, to be asked about the peer
   */
  async handshake(
    begin: (wire: Duplex, done: (outcome: Outcome) => void) => void,
    prefix?: Uint8Array,
  ): Promise<TLSSocket> {
    let outcome: Outcome | undefined;
    begin(this.#wire, (result) => {
      outcome ??= result;
      // Before the engine goes on, so that nothing it says later is missed.
      if (outcome === result && !(result instanceof Error)) this.#attach(result);
      this.#wakeReader?.();
    });
    if (prefix?.length) this.#wire.push(new Uint8Array(prefix));
    while (outcome === undefined && this.#afterPlain === undefined) await this.#moreToRead();
    if (outcome instanceof Error) throw outcome;
    if (outcome === undefined) throw this.#afterPlain;
    await this.#sent;
    if (this.#sendError) throw this.#sendError;
    return outcome;
  }

  async read(p: Uint8Array): Promise<number | null> {
    if (this.#state === "closed") throw closedError("read");
    if (this.#wakeReader !== undefined) throw busyError("read");
    if (p.length === 0) return 0;
    while (this.#plain.length === 0) {
      if (this.#afterPlain === null) return null;
      if (this.#afterPlain !== undefined) throw this.#afterPlain;
      await this.#moreToRead();
    }
    return this.#takePlain(p);
  }

  async write(p: Uint8Array): Promise<number> {
    this.#mayWrite("write");
    if (p.length === 0) return 0;
    const piece = p.subarray(0, MAX_WRITE);
    this.#writing = true;
    try {
      // An error here only says that the engine is gone; what ended it is known better.
      await new Promise<void>((resolve) => this.#socket!.write(piece, () => resolve()));
      await this.#sent;
    } finally {
      this.#writing = false;
    }
    if (this.#isClosed()) throw interruptedError("write");
    const error = this.#sendError ?? this.#afterPlain;
    if (error) throw error;
    if (this.#socket!.destroyed) throw brokenError("the connection was closed");
    return piece.length;
  }

  async closeWrite(): Promise<void> {
    if (this.#state === "ended") return;
    this.#mayWrite("end writing");
    this.#state = "ended";
    // Sends close_notify. Done as well when there is no engine left to send it.
    await new Promise<void>((resolve) => this.#socket!.end(() => resolve()));
    await this.#sent;
    if (this.#isClosed()) throw interruptedError("end writing");
    if (this.#sendError) throw this.#sendError;
    await this.#conn.closeWrite?.();
  }

  close(): void {
    if (this.#state === "closed") throw closedError("close");
    this.#state = "closed";
    this.#socket?.destroy();
    this.#wire.destroy();
    closeQuietly(this.#conn);
    this.#wakeReader?.();
  }

  #attach(socket: TLSSocket): void {
    this.#socket = socket;
    socket.on("data", (data: Uint8Array) => {
      this.#plain.push(data);
      this.#wakeReader?.();
    });
    socket.on("end", () => this.#finish(null));
    socket.on("error", (error) => this.#finish(decryptError(error)));
  }

  #finish(after: null | Error): void {
    if (this.#afterPlain === undefined) this.#afterPlain = after;
    this.#wakeReader?.();
  }

  /** Waits until there is plaintext, or an outcome, or just another block was read. */
  async #moreToRead(): Promise<void> {
    if (!this.#filling) this.#fill();
    await new Promise<void>((resolve) => this.#wakeReader = resolve);
    this.#wakeReader = undefined;
    if (this.#isClosed()) throw interruptedError("read");
  }

  /** Reads one block and lets the engine have it. The engine's end may come first; then the read waits for the close. */
  async #fill(): Promise<void> {
    this.#filling = true;
    try {
      const n = await this.#conn.read(this.#block);
      if (n === null) await this.#wireEnded();
      else this.#feed(n);
    } catch (error) {
      this.#finish(error as Error);
    }
    this.#filling = false;
    this.#wakeReader?.();
  }

  #feed(n: number): void {
    this.#wire.push(this.#block.subarray(0, n));
    const isKept = this.#wire.readableLength > 0;
    const isFull = n === this.#block.length && n < MAX_BLOCK;
    if (isKept || isFull) this.#block = new Uint8Array(isFull ? 2 * n : this.#block.length);
  }

  async #wireEnded(): Promise<void> {
    // The engine tells of a close_notify that came just before by a tick that is queued already.
    await new Promise<void>((resolve) => this.#nextTick(resolve));
    this.#finish(
      new Deno.errors.UnexpectedEof("Cannot read: the peer closed the connection without ending TLS (close_notify)"),
    );
  }

  #takePlain(p: Uint8Array): number {
    let taken = 0;
    while (taken < p.length && this.#plain.length > 0) {
      const piece = this.#plain[0]!;
      const part = piece.subarray(0, p.length - taken);
      p.set(part, taken);
      taken += part.length;
      if (part.length < piece.length) this.#plain[0] = piece.subarray(part.length);
      else this.#plain.shift();
    }
    return taken;
  }

  #send(ciphertext: Uint8Array): void {
    this.#sent = this.#sent.then(async () => {
      if (this.#sendError) return;
      try {
        for (let rest = ciphertext; rest.length > 0;) rest = rest.subarray(await this.#conn.write(rest));
      } catch (error) {
        this.#sendError = error as Error;
      }
    });
  }

  #mayWrite(doing: string): void {
    if (this.#state === "closed") throw closedError(doing);
    if (this.#state === "ended") throw brokenError("this direction was ended");
    if (this.#writing) throw busyError("write");
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }
}

type NextTick = (callback: () => void) => void;

/** What the engine cannot decrypt, and the peer's alerts. */
function decryptError(error: Error): Error {
  return new Deno.errors.InvalidData(`Cannot read: ${error.message}`, { cause: error });
}
