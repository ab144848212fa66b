/**
 * The writing half of a connection: takes bytes from the protocol and pushes them into a conn, in order.
 *
 * Theory of operation. One write to the conn is under way at a time; what comes meanwhile is collected in the last chunk of
 * a queue. Its bytes are copied into blocks that are lent and come back, because the caller may reuse its memory at once
 * (SPEC M2); the bytes of `sendall` are a chunk of their own, which is the caller's memory until a promise settles (M3). That
 * is the promise of the very write, if nothing is in its way: one more would be 0.3 KB of the 4.4 KB of garbage of an echo.
 *
 * A write that finds nothing under way is not begun at once either, but after a few hops of the microtask queue during
 * which nothing more was written: still in the same turn of the event loop (W4). For `Deno.Conn.write` makes its system call
 * before it returns, and settles within two hops: a loop of `readline`, `write` and `drain` over 16 lines that came together
 * would make 16 system calls, of 5 µs each. What is large enough leaves at once. A write that will be alone, as far as one
 * can tell, leaves after one hop, together with those of other connections: the first since something was read, if the time
 * before there was but one. That spares an echo the hops, 0.25 µs: by protocol it went from 0.90 to 0.97 x raw with 1 KiB,
 * from 0.63 to 0.72 with 10.
 *
 * Ending is a sequence of states: `open`, then `ending` (no more may be written, what was is flushed), then `halfClosing`
 * (the conn ends its writing direction), then `ended`; and from each of them `closed`.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { flushWhenIdle, scheduleFlush, type Starter, waitNoMore } from "./write_scheduler.ts";
import { type ConnLike, endWriting, writeTo } from "../conn/conn.ts";
import { lostError, toNetError } from "../common/errors.ts";
import { costOfCall, LoopBudget } from "../common/loop_budget.ts";
import type { Callbacks } from "./callbacks.ts";
import { acquireBlock, releaseBlock, SharedBlock } from "../memory/pool.ts";
import { WaterMarks } from "./water_marks.ts";

type State = "open" | "ending" | "halfClosing" | "ended" | "closed";

/** What a pump needs of the transport it belongs to. */
export interface WritePumpOwner {
  /** How many reads brought something so far. */
  readonly readCount: number;
  /** Everything was written, and the direction ended if it was to end. */
  writingFlushed(): void;
  /** A write failed. */
  writingFailed(error: Error): void;
}

/** Writes to a conn, for a protocol. */
export class WritePump implements Starter {
  /** When to pause and resume. */
  readonly marks: WaterMarks;
  readonly #conn: ConnLike;
  readonly #callbacks: Callbacks;
  readonly #owner: WritePumpOwner;
  #state: State = "open";
  #ending = false;
  readonly #budget = new LoopBudget();
  #size = 0;
  /** The chunk whose write is under way, even if the pump was closed since. */
  #current: Chunk | null = null;
  /** What the pump was closed with. */
  #error: Error | null = null;
  /** The chunks that wait, as a list: an array would be 0.15 KB of garbage for each lone write. */
  #first: Chunk | null = null;
  #last: Chunk | null = null;
  /** The owner's read count when a write came last, how many came since then, and whether only one did the time before. */
  /** How many bytes the conn has taken. */
  bytes = 0;
  #readCount = 0;
  #writesSinceRead = 0;
  #wasAlone = false;
  // As a `Starter`.
  follower: Starter | null = null;
  patience = 0;

  /**
   * @param conn What to write to
   * @param callbacks What to tell of pause and resume
   * @param owner The transport
   * @param marks When to pause and resume
   */
  constructor(conn: ConnLike, callbacks: Callbacks, owner: WritePumpOwner, marks: WaterMarks = new WaterMarks()) {
    this.marks = marks;
    this.#conn = conn;
    this.#callbacks = callbacks;
    this.#owner = owner;
  }

  /** How many bytes were given and not yet taken by the conn. */
  get size(): number {
    return this.#size;
  }

  /** Whether {@linkcode end} was called, even if the pump was closed since. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Whether nothing is left to do: all bytes are taken, and an end that was asked for is done. */
  get flushed(): boolean {
    return this.#size === 0 && (this.#state === "open" || this.#state === "ended");
  }

  /**
   * Writes a copy of bytes.
   *
   * @param data The bytes, at least one
   */
  write(data: Uint8Array): void {
    this.#size += data.length;
    const alone = this.#isAlone();
    if (this.#last === null || !this.#last.append(data)) this.#enqueue(Chunk.copy(data, alone));
    if (this.#current === null) {
      if (this.#size >= LARGE_ENOUGH) this.#next();
      else if (alone) scheduleFlush(this);
      else flushWhenIdle(this);
    }
    this.checkMarks();
  }

  /**
   * Writes bytes without a copy.
   *
   * @param data The bytes, at least one, unchanged until the promise settles
   * @returns Resolves when the conn has taken all of them
   */
  sendall(data: Uint8Array): Promise<void> {
    this.#size += data.length;
    const chunk = Chunk.borrow(data);
    const sent = this.#current === null && this.#first === null ? this.#send(chunk) : this.#sendLater(chunk);
    this.checkMarks();
    return sent;
  }

  /** Begins to write what waits, unless a write is under way. */
  begin(): void {
    if (this.#current === null) this.#next();
  }

  /** Ends the writing direction when everything is written. */
  end(): void {
    if (this.#state !== "open") return;
    this.#ending = true;
    this.#state = "ending";
    if (this.#current === null) this.#next();
  }

  /**
   * Drops everything and ends.
   *
   * @param error What to reject `sendall` with; `null` if this side aborted
   */
  close(error: Error | null): void {
    this.#state = "closed";
    this.#error = error;
    this.#size = 0;
    // Who did not keep the promise learns of the loss by connectionLost().
    this.#current?.sent?.catch(ignore);
    for (let chunk = this.#first; chunk !== null; chunk = chunk.next) {
      chunk.sent?.catch(ignore);
      chunk.settle?.reject(lostError(error, "send"));
    }
    this.#first = this.#last = null;
  }

  /** Looks at the size, and pauses or resumes the protocol. */
  checkMarks(): void {
    switch (this.marks.update(this.#size)) {
      case "pause":
        return this.#callbacks.pauseWriting();
      case "resume":
        return this.#callbacks.resumeWriting();
    }
  }

  /** Takes note of a write, and tells whether it is likely to be the only one until something is read. */
  #isAlone(): boolean {
    const { readCount } = this.#owner;
    if (readCount !== this.#readCount) {
      this.#readCount = readCount;
      this.#wasAlone = this.#writesSinceRead === 1;
      this.#writesSinceRead = 0;
    }
    return ++this.#writesSinceRead === 1 && this.#wasAlone;
  }

  #enqueue(chunk: Chunk): void {
    if (this.#last === null) this.#first = chunk;
    else this.#last.next = chunk;
    this.#last = chunk;
  }

  #send(chunk: Chunk): Promise<void> {
    this.#current = chunk;
    return chunk.sent = writeTo(this.#conn, chunk.rest).then(this.#onWritten, this.#onError);
  }

  #sendLater(chunk: Chunk): Promise<void> {
    const { promise } = chunk.settle = Promise.withResolvers();
    chunk.sent = promise;
    this.#enqueue(chunk);
    if (this.#current === null) this.#next();
    return promise;
  }

  #start(chunk: Chunk): void {
    this.#current = chunk;
    writeTo(this.#conn, chunk.rest).then(this.#onWritten, this.#onError);
  }

  // What these two return or throw settles the promise of a `sendall` that is that of its first write; else it is for nobody.

  readonly #onWritten = (n: number): void | Promise<void> => {
    const turn = this.#budget.spend(costOfCall(n));
    return turn === null ? this.#taken(n) : turn.then(() => this.#taken(n));
  };

  #taken(n: number): void | Promise<void> {
    if (this.#state === "closed") return this.#drop();
    if (!(n > 0)) {
      return this.#onError(new Deno.errors.WriteZero(`Cannot write: the connection took "${n}" bytes`));
    }
    const chunk = this.#current!;
    this.#size -= n;
    this.bytes += n;
    let rest: Promise<void> | undefined;
    if (chunk.advance(n)) {
      this.#current = null;
      this.#next();
    } else {
      rest = chunk.promiseOfRest();
      this.#start(chunk);
    }
    this.checkMarks();
    return rest;
  }

  readonly #onError = (thrown: unknown): void => {
    this.#fail(thrown);
    this.#drop();
  };

  /** Gives up what was being written when the pump was closed: not before, as its memory was in use until now (SPEC M3). */
  #drop(): void {
    const { sent, settle } = this.#current!;
    this.#current = null;
    if (sent === null) return;
    const error = lostError(this.#error, "send");
    if (settle === null) throw error;
    settle.reject(error);
  }

  /** Nothing is under way: what comes next? */
  #next(): void {
    waitNoMore(this);
    const chunk = this.#first;
    if (chunk !== null) {
      this.#first = chunk.next;
      if (this.#first === null) this.#last = null;
      this.#start(chunk);
    } else if (this.#state === "ending") {
      this.#state = "halfClosing";
      endWriting(this.#conn).then(() => this.#halfClosed(), (thrown) => this.#fail(thrown));
    } else {
      this.#owner.writingFlushed();
    }
  }

  #fail(thrown: unknown): void {
    if (this.#state !== "closed") this.#owner.writingFailed(toNetError(thrown, "write"));
  }

  #halfClosed(): void {
    if (this.#state !== "halfClosing") return;
    this.#state = "ended";
    this.#owner.writingFlushed();
  }
}

/** Bytes that lie together, to be written in as few calls as the conn makes of them. */
class Chunk {
  /** The promise of `sendall`, whose memory this then is. */
  sent: Promise<void> | null = null;
  /** What settles it, or its rest; `null` if it is that of the write under way. */
  settle: PromiseWithResolvers<void> | null = null;
  /** What is to be written after it. */
  next: Chunk | null = null;
  #block: Uint8Array;
  /** What it is a piece of. */
  #shared: SharedBlock | null;
  #start = 0;
  #end: number;

  private constructor(block: Uint8Array, end: number, shared: SharedBlock | null = null) {
    this.#block = block;
    this.#end = end;
    this.#shared = shared;
  }

  /** A copy of bytes; if they will be alone, as far as one can tell, where those of others lie. */
  static copy(data: Uint8Array, alone: boolean): Chunk {
    if (data.length > LARGEST_CHUNK) return new Chunk(new Uint8Array(data), data.length);
    const shared = alone && data.length <= SharedBlock.largestPiece ? SharedBlock.for(data.length) : null;
    const block = shared === null ? acquireBlock(data.length) : shared.lend(data.length);
    block.set(data);
    return new Chunk(block, data.length, shared);
  }

  /** The memory of a `sendall`. */
  static borrow(data: Uint8Array): Chunk {
    return new Chunk(data, data.length);
  }

  /** What is still to be written. */
  get rest(): Uint8Array {
    return this.#start === 0 && this.#end === this.#block.length
      ? this.#block
      : this.#block.subarray(this.#start, this.#end);
  }

  /** Copies bytes behind the others, before any was written; tells whether there was room. */
  append(data: Uint8Array): boolean {
    if (this.sent !== null) return false;
    const end = this.#end + data.length;
    if (end > LARGEST_CHUNK) return false;
    if (end > this.#block.length) {
      const block = acquireBlock(end);
      block.set(this.#block.subarray(0, this.#end));
      this.#giveBack();
      this.#block = block;
    }
    this.#block.set(data, this.#end);
    this.#end = end;
    return true;
  }

  /** Takes note that bytes were written; tells whether all were. */
  advance(n: number): boolean {
    this.#start += n;
    if (this.#start < this.#end) return false;
    if (this.sent === null) this.#giveBack();
    else if (this.settle !== null) this.settle.resolve();
    return true;
  }

  /** After a write that did not take all: what settles a `sendall` with the writes to come; else nothing. */
  promiseOfRest(): Promise<void> | undefined {
    if (this.sent === null || this.settle !== null) return undefined;
    this.settle = Promise.withResolvers();
    return this.settle.promise;
  }

  #giveBack(): void {
    if (this.#shared === null) return releaseBlock(this.#block as Bytes);
    this.#shared.takeBack();
    this.#shared = null;
  }
}

function ignore(): void {}

const LARGEST_CHUNK = 262144;
const LARGE_ENOUGH = 65536;
