/**
 * The stream that an engine of `node:tls` runs over. It exists in memory only: ciphertext of the peer is fed into the
 * engine, and what the engine wants to send is collected.
 *
 * ## Theory of operation
 *
 * `node:tls` runs over any Duplex. This one has no buffers: `feed()` hands ciphertext to the engine, which delivers the
 * plaintext before `feed()` returns, and `write()` passes the engine's ciphertext on. So nothing is read that was not asked
 * for, and nothing is held between the engine and the conn.
 *
 * Deno's engine also takes and gives ciphertext by two methods of its handle, `readBuffer()` and `drainEncOut()`, which
 * the events above end up in after a microtask and a copy. Where they exist they are called directly (10 KiB echo: 0.97 of
 * plain `node:tls` instead of 0.84). The engine's `push()`, a method that a Readable calls with its own data, is taken over
 * for the same reason: plaintext does not pass through the buffer of a stream.
 *
 * Listening by `node:net`, so that the engine has the kernel's socket, was rejected: out of descriptors, Deno 2.9.6 never
 * accepts again, and accepting cannot be stopped at a limit. See docs/TLS.md.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";

/** What an engine tells. */
export interface EngineEvents {
  /** Ciphertext is to be sent. */
  ciphertext(data: Uint8Array): void;
  /** Bytes were decrypted; they are valid for good. */
  plaintext(data: Uint8Array): void;
  /** The peer sent close_notify. */
  ended(): void;
  /** The peer broke the protocol, or sent an alert. */
  failed(error: Error): void;
}

/** What Deno's handle of an engine has beyond the interface of node. */
interface DirectHandle {
  readBuffer(ciphertext: Uint8Array): void;
  drainEncOut(): Uint8Array;
}

/** An engine's stream, and the engine once it is attached. */
export class EngineStream {
  /** What to make the engine over. */
  readonly duplex: Duplex;
  readonly #events: EngineEvents;
  #socket: TLSSocket | null = null;
  #direct: DirectHandle | null = null;

  /**
   * @param DuplexClass The class, which is loaded late
   * @param events What to tell
   */
  constructor(DuplexClass: typeof Duplex, events: EngineEvents) {
    this.#events = events;
    this.duplex = new DuplexClass({ read() {} });
    const write = (data: Uint8Array, callback?: () => void): boolean => {
      events.ciphertext(data);
      callback?.();
      return true;
    };
    this.duplex.write = write as Duplex["write"];
    this.duplex.on("error", (error) => events.failed(error));
  }

  /** Whether the engine gave its handshake up; what it still wants to send may be an alert, or the end of a handshake. */
  get gaveUp(): boolean {
    return this.#socket === null && this.duplex.destroyed;
  }

  /** Whether the engine was destroyed. */
  get destroyed(): boolean {
    return this.#socket === null || this.#socket.destroyed;
  }

  /**
   * Takes an engine whose handshake is done, before it delivers anything.
   *
   * @param socket The engine
   */
  attach(socket: TLSSocket): void {
    this.#socket = socket;
    this.#direct = directHandleOf(socket);
    socket.push = (data: Uint8Array | null): boolean => {
      if (data === null) this.#events.ended();
      else this.#events.plaintext(data);
      return true;
    };
    socket.on("error", (error) => {
      // The alert that says why.
      if (this.#direct !== null) this.#take();
      this.#events.failed(error);
    });
    // What comes next is delivered only to a stream that is read from.
    socket.resume();
  }

  /**
   * Decrypts.
   *
   * @param ciphertext Bytes of the peer; used until the call returns
   */
  feed(ciphertext: Uint8Array): void {
    // What the engine answers, if anything, leaves with the next write.
    if (this.#direct === null) this.duplex.emit("data", ciphertext);
    else this.#direct.readBuffer(ciphertext);
  }

  /**
   * Encrypts.
   *
   * @param plaintext The bytes; used until the promise settles
   * @returns Resolves when the ciphertext was told; `null` if it was already
   */
  encrypt(plaintext: Uint8Array): Promise<void> | null {
    // An error here only says that the engine is gone; what ended it is known better.
    if (this.#direct === null) return new Promise((resolve) => this.#socket!.write(plaintext, () => resolve()));
    this.#socket!.write(plaintext);
    if (!this.#take() || plaintext.length > ENCRYPTED_AT_ONCE) this.#takeAll();
    return null;
  }

  /**
   * Ends the direction with close_notify.
   *
   * @returns Resolves when it was told
   */
  async end(): Promise<void> {
    // Called as well when there is no engine left to send it.
    await new Promise<void>((resolve) => this.#socket!.end(() => resolve()));
    if (this.#direct !== null) this.#takeAll();
  }

  /** During the handshake: lets the engine go on after it waited for something else than the peer. */
  poke(): void {
    this.duplex.emit("data", NOTHING);
  }

  /** Releases the engine. */
  destroy(): void {
    this.#socket?.destroy();
    this.duplex.destroy();
  }

  /** Takes what the engine has encrypted, and tells whether there was anything. */
  #take(): boolean {
    const data = this.#direct!.drainEncOut();
    if (data.length === 0) return false;
    this.#events.ciphertext(data);
    return true;
  }

  /** The same until nothing is left: the engine goes on when asked again. */
  #takeAll(): void {
    do this.#direct!.readBuffer(NOTHING); while (this.#take());
  }
}

/** What Deno's engine encrypts before its output is taken, in bytes. */
const ENCRYPTED_AT_ONCE = 49152;
const NOTHING = new Uint8Array(0);

function directHandleOf(socket: TLSSocket): DirectHandle | null {
  const { ssl } = socket as { ssl?: Partial<DirectHandle> };
  const hasBoth = typeof ssl?.readBuffer === "function" && typeof ssl.drainEncOut === "function";
  return hasBoth ? ssl as DirectHandle : null;
}
