/**
 * The reading half of a connection: reads from a conn and passes the bytes to the protocol.
 *
 * Theory of operation. A read cannot be cancelled. So a state tells whether a read is pending and whether the protocol wants
 * its bytes:
 *
 * | state      | a read is pending | bytes are wanted                                                    |
 * | ---------- | ----------------- | ------------------------------------------------------------------- |
 * | init       | no                | not yet: `connectionMade` has not returned                          |
 * | reading    | yes               | yes                                                                 |
 * | delivering | no                | yes: a callback runs, or has returned and the next read is to begin |
 * | paused     | no                | no                                                                  |
 * | keeping    | yes               | no: they are kept                                                   |
 * | kept       | no                | no: bytes, or the end of the stream, are kept                       |
 * | due        | no                | yes: what was kept is delivered in the next microtask               |
 * | stopping   | yes               | no: they are dropped                                                |
 * | discarding | yes               | no: everything up to the end of the stream is dropped               |
 * | detached   | yes               | by the new owner of the conn                                        |
 * | ended      | no                | no                                                                  |
 *
 * A pause inside a callback leads from `delivering` to `paused`, where no read is pending (SPEC C5). So a protocol that pauses
 * after each piece reads on demand, and never more than it asked for.
 *
 * A read whose bytes are there already may have to wait for its turn, so that other connections are served first (SPEC C10,
 * see `loop_budget.ts`). It counts as pending until then: a pause, a stop or a detach in between has the same effect as during
 * any other read, and nothing is delivered after them.
 *
 * The next read begins one microtask after a callback. So the answers of many connections in one turn of the event loop leave
 * together, while their receivers are awake: 1 KiB echo by protocol over 100 connections is a tenth faster.
 *
 * For a plain protocol bytes are read into a block (see `receive_buffer.ts`) and handed out as a copy; for a buffered one into
 * its own memory. The size of a read follows the sizes of those before it (see `read_size_predictor.ts`): an idle connection
 * waits with 1.5 KiB, and a message of 100 KiB is read in one call if such messages came before.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { type ConnLike, readFrom } from "../conn/conn.ts";
import { detachedError } from "../conn/conn_errors.ts";
import { toNetError } from "../common/errors.ts";
import { afterHandOver, costOfCall, LoopBudget } from "../common/loop_budget.ts";
import { ReadSizePredictor } from "../memory/read_size_predictor.ts";
import type { Callbacks } from "./callbacks.ts";
import { copyOf } from "../memory/handed_out.ts";
import { ReceiveBuffer } from "../memory/receive_buffer.ts";
import type { BufferedProtocolLike } from "./types.ts";

type State =
  | "init"
  | "reading"
  | "delivering"
  | "paused"
  | "keeping"
  | "kept"
  | "due"
  | "stopping"
  | "discarding"
  | "detached"
  | "ended";

/** Where the bytes of a read are: in a block of the pump, in memory that is handed out as it is, or in a protocol's own. */
type Source = "block" | "handed out" | BufferedProtocolLike;

/** What a pump needs of its transport. */
export interface ReadPumpOwner {
  /** Called at the end of the stream, with what `eofReceived` returned. */
  readingEnded(keepOpen: boolean): void;
  /** Called when a read fails. */
  readingFailed(error: Error): void;
}

/** Reads from a conn and calls a protocol. */
export class ReadPump {
  readonly #conn: ConnLike;
  readonly #callbacks: Callbacks;
  readonly #owner: ReadPumpOwner;
  #state: State = "init";
  #bytesRead = 0;
  /** When bytes arrived last, as `Date.now()`; 0 if none have. */
  lastRead = 0;
  readonly #predictor = new ReadSizePredictor();
  /** The block of a plain protocol's reads; made at the first. */
  #receiveBuffer: ReceiveBuffer | null = null;
  /** The memory of the pending read, or of the bytes that are kept, and its kind. */
  #memory: Uint8Array = NO_MEMORY;
  #source: Source = "block";
  /** The number of bytes that are kept; `null` for the end of the stream. */
  #kept: number | null = 0;
  readonly #budget = new LoopBudget();
  #sawEnd = false;
  #discarded = 0;
  /** The promise of the latest read, and what is called before it settles. */
  #pending: Promise<unknown> | null = null;
  #afterRead: (() => unknown) | null = null;
  #readNext: (() => void) | null = null;
  /** Resolves the promise of {@linkcode discard} or {@linkcode detach}. */
  #onSettled: ((n: number | null) => void) | null = null;

  /**
   * @param conn What to read from
   * @param callbacks What to pass the bytes to
   * @param owner The transport
   */
  constructor(conn: ConnLike, callbacks: Callbacks, owner: ReadPumpOwner) {
    this.#conn = conn;
    this.#callbacks = callbacks;
    this.#owner = owner;
  }

  /** Whether bytes are wanted. */
  get reading(): boolean {
    const state = this.#state;
    return state === "init" || state === "reading" || state === "delivering" || state === "due";
  }

  /** Whether a callback that takes bytes runs, or has just returned. */
  get delivering(): boolean {
    return this.#state === "delivering";
  }

  /** The number of bytes read. */
  get bytes(): number {
    return this.#bytesRead;
  }

  /** Whether a read found the end of the stream. */
  get sawEnd(): boolean {
    return this.#sawEnd;
  }

  /** Begins to read, unless it is paused. */
  start(): void {
    if (this.#state === "init") this.#read();
  }

  /** Holds back the protocol's callbacks. */
  pause(): void {
    switch (this.#state) {
      case "init":
      case "delivering":
        this.#state = "paused";
        break;
      case "reading":
        this.#state = "keeping";
        break;
      case "due":
        this.#state = "kept";
        break;
    }
  }

  /** Lets callbacks come again. What was kept is delivered in a microtask, not inside this call. */
  resume(): void {
    switch (this.#state) {
      case "paused":
        this.#read();
        break;
      case "keeping":
        this.#state = "reading";
        break;
      case "kept":
        this.#state = "due";
        queueMicrotask(() => this.#deliverKept());
        break;
    }
  }

  /**
   * Keeps bytes that a callback was given and did not use.
   *
   * @param data The bytes, not empty
   */
  giveBack(data: Bytes): void {
    if (this.#state === "delivering") {
      this.#state = "due";
      queueMicrotask(() => this.#deliverKept());
    } else if (this.#state === "paused") {
      this.#state = "kept";
    } else {
      return;
    }
    this.#memory = data;
    this.#source = "handed out";
    this.#kept = data.length;
  }

  /**
   * Waits for the end of the pending read. See {@linkcode ReadTransport.afterRead}.
   *
   * @param settle Called when the read has settled and its bytes are delivered; at once if no read is pending
   * @returns Settles with what `settle` returns or throws. It is the promise of the read itself, which saves one
   */
  afterRead<T>(settle: () => T | Promise<T>): Promise<T> {
    if (this.#state !== "reading" && !PENDING.has(this.#state)) return new Promise((resolve) => resolve(settle()));
    this.#afterRead = settle;
    return this.#pending as Promise<T>;
  }

  /** Ends reading: no read begins, and nothing is delivered. */
  stop(): void {
    switch (this.#state) {
      case "reading":
      case "keeping":
        this.#state = "stopping";
        break;
      case "stopping":
      case "discarding":
        break;
      default:
        this.#end();
    }
  }

  /**
   * After {@linkcode stop}: reads and drops everything up to the end of the stream.
   *
   * @returns Resolves at the end of the stream, or when a read fails
   */
  discard(): Promise<unknown> {
    const done = new Promise<number | null>((resolve) => this.#onSettled = resolve);
    if (this.#state !== "stopping") {
      this.#acquireForDiscarding();
      this.#issue();
    }
    this.#state = "discarding";
    return done;
  }

  /**
   * After {@linkcode stop}: reads and drops the bytes that have arrived, at most 1 MiB.
   *
   * @returns Resolves when none are left
   */
  async dropReceived(): Promise<void> {
    // A read that waits for bytes found none. A read that waits for its turn may have left some.
    if (this.#isStopping()) await afterHandOver();
    if (this.#isStopping()) return;
    this.discard();
    for (let before = -1; before < this.#discarded && this.#discarded < MOST_DROPPED;) {
      before = this.#discarded;
      // A read that finds bytes settles within two microtasks.
      for (let hops = 0; hops < 4; hops++) await null;
      await afterHandOver();
    }
  }

  /**
   * Ends reading, for a new owner of the conn.
   *
   * @param takesKept Whether bytes that are kept go to the new owner
   * @returns The bytes that are kept, or those of the pending read, `null` at the end of the stream; or `null` if there are
   * neither
   * @throws {Deno.errors.InvalidData} If bytes are kept that do not go to the new owner
   */
  detach(takesKept = false): Promise<Uint8Array | null> | null {
    switch (this.#state) {
      case "kept":
      case "due":
        if (takesKept) return this.#takeKept();
        throw new Deno.errors.InvalidData(
          `Cannot take the connection over: ${this.#kept ?? "the end of the stream and 0"} bytes were received before`,
        );
      case "reading":
      case "keeping": {
        const memory = this.#memory;
        this.#state = "detached";
        this.#receiveBuffer?.abandon();
        return new Promise<number | null>((resolve) => this.#onSettled = resolve)
          .then((n) => n === null ? null : new Uint8Array(memory.subarray(0, n)));
      }
      default:
        this.#end();
        return null;
    }
  }

  #isStopping(): boolean {
    return this.#state === "stopping";
  }

  #read(): void {
    const { buffered } = this.#callbacks;
    if (buffered === null) {
      this.#acquire();
    } else {
      this.#state = "delivering";
      const memory = this.#callbacks.getBuffer(this.#predictor.issue());
      // getBuffer() failed, paused or closed.
      if (memory === null || (this.#state as State) !== "delivering") return this.#predictor.settle();
      this.#memory = memory;
      this.#source = buffered;
    }
    this.#state = "reading";
    this.#issue();
  }

  #acquire(): void {
    this.#receiveBuffer ??= new ReceiveBuffer();
    this.#memory = this.#receiveBuffer.acquire(this.#predictor.issue());
    this.#source = "block";
  }

  #acquireForDiscarding(): void {
    this.#receiveBuffer ??= new ReceiveBuffer();
    this.#memory = this.#receiveBuffer.acquire(this.#predictor.size);
    this.#source = "block";
  }

  #issue(): void {
    this.#pending = readFrom(this.#conn, this.#memory).then(this.#onRead, this.#onError);
  }

  readonly #onRead = (n: number | null): unknown => {
    // The state stays as it is until the turn comes: the read counts as pending.
    const turn = n === null ? null : this.#budget.spend(costOfCall(n));
    return turn === null ? this.#landed(n) : this.#landLater(turn, n);
  };

  // Apart from its caller: a function with a closure in it makes a context for that in each call, 2 % of a small echo.
  #landLater(turn: Promise<void>, n: number | null): unknown {
    return turn.then(() => this.#landed(n));
  }

  #landed(n: number | null): unknown {
    // A protocol's memory may be detached, or shrink, while it is read into (SPEC M3).
    const room = this.#memory.length;
    // Written so that NaN is refused as well.
    if (n !== null && !(n >= 0 && n <= room && room > 0)) {
      return this.#onError(n >= 0 ? detachedError("read") : miscountError(n, room));
    }
    const rider = this.#afterRead;
    this.#afterRead = null;
    this.#predictor.settle();
    this.#arrived(n);
    if (rider !== null) return rider();
  }

  readonly #onError = (thrown: unknown): unknown => {
    const rider = this.#afterRead;
    this.#afterRead = null;
    this.#predictor.settle();
    const { reading } = this;
    const wanted = reading || this.#state === "keeping";
    const cause = this.#memory.length === 0 ? detachedError("read") : thrown;
    this.#end(null);
    if (wanted) this.#owner.readingFailed(toNetError(cause, "read"));
    if (rider !== null) return rider();
  };

  #arrived(n: number | null): void {
    if (n === null) {
      this.#sawEnd = true;
    } else {
      this.#bytesRead += n;
      this.lastRead = Date.now();
    }
    switch (this.#state) {
      case "reading":
        if (n !== null) this.#predictor.note(n, this.#memory.length);
        this.#deliver(n);
        break;
      case "keeping":
        // A protocol's memory is in use while a read is pending, and no longer (SPEC M3).
        if (n !== null && this.#source !== "block") {
          this.#memory = copyOf(this.#memory, n);
          this.#source = "handed out";
        }
        this.#kept = n;
        this.#state = "kept";
        break;
      case "discarding":
        if (n === null) return this.#end(n);
        this.#discarded += n;
        if (this.#source !== "block") this.#acquireForDiscarding();
        this.#issue();
        break;
      default:
        this.#end(n);
    }
  }

  #takeKept(): Promise<Uint8Array | null> {
    const kept = this.#kept === null ? null : new Uint8Array(this.#memory.subarray(0, this.#kept));
    this.#end();
    return Promise.resolve(kept);
  }

  #deliverKept(): void {
    if (this.#state === "due") this.#deliver(this.#kept);
  }

  #deliver(n: number | null): void {
    if (n === null) {
      this.#end();
      this.#owner.readingEnded(this.#callbacks.eofReceived());
      return;
    }
    this.#state = "delivering";
    if (n > 0) {
      const { buffered } = this.#callbacks;
      if (buffered === null) this.#callbacks.dataReceived(this.#bytes(n));
      else if (buffered === this.#source) this.#callbacks.bufferUpdated(n);
      else this.#deliverElsewhere(n);
    }
    if (this.#state === "delivering") {
      // Made when it is needed: a protocol that reads on demand needs none.
      queueMicrotask(
        this.#readNext ??= () => {
          if (this.#state === "delivering") this.#read();
        },
      );
    }
  }

  /** The first bytes of the memory, to be handed out. */
  #bytes(n: number): Bytes {
    switch (this.#source) {
      case "block":
        return this.#receiveBuffer!.copy(n);
      case "handed out":
        return this.#memory as Bytes;
      default:
        return copyOf(this.#memory, n);
    }
  }

  /** Delivers to a buffered protocol that was set while the read was pending: copies the bytes into its memory. */
  #deliverElsewhere(n: number): void {
    const memory = this.#callbacks.getBuffer(n);
    if (memory === null || this.#state !== "delivering") return this.#keepForLater(n);
    const bytes = this.#bytes(n);
    const fit = Math.min(n, memory.length);
    memory.set(bytes.subarray(0, fit));
    if (fit < n) {
      // The rest is kept; it is due unless the callback pauses.
      this.#memory = bytes.subarray(fit);
      this.#source = "handed out";
      this.#kept = n - fit;
      this.#state = "due";
      queueMicrotask(() => this.#deliverKept());
    }
    this.#callbacks.bufferUpdated(fit);
  }

  #keepForLater(n: number): void {
    if (this.#state !== "paused") return;
    this.#kept = n;
    this.#state = "kept";
  }

  #end(n: number | null = null): void {
    this.#state = "ended";
    this.#onSettled?.(n);
    this.#onSettled = null;
    this.#receiveBuffer?.release();
    this.#memory = NO_MEMORY;
    this.#source = "block";
  }
}

/** The states in which a read is pending. */
const PENDING: ReadonlySet<State> = new Set(["reading", "keeping", "stopping", "discarding", "detached"]);

const NO_MEMORY = new Uint8Array(0);
const MOST_DROPPED = 1 << 20;

function miscountError(n: number, room: number): Error {
  return new RangeError(`Cannot read: the connection reports ${n} bytes where there was room for ${room}`);
}
