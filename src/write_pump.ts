/**
 * The writing half of a connection: takes bytes from the protocol and pushes them into a conn, in order.
 *
 * Theory of operation. One write to the conn is under way at a time; what comes meanwhile is collected in the last chunk of
 * a queue. Its bytes are copied into blocks that are lent and come back, because the caller may reuse its memory at once
 * (SPEC M2); the bytes of `sendall` are a chunk of their own, which is the caller's memory and settles a promise (M3).
 *
 * A write that finds nothing under way is not begun at once either, but after a few hops of the microtask queue during
 * which nothing more was written: still in the same turn of the event loop (W4). For `Deno.Conn.write` makes its system call
 * before it returns, and settles within two hops: a loop of `readline`, `write` and `drain` over 16 lines that came together
 * would make 16 system calls, of 5 µs each. What is large enough leaves at once; and so does a write that will be alone, as
 * far as one can tell: the first since something was read, if the time before there was but one. That spares an echo the
 * hops, 0.25 µs: by protocol it went from 0.90 to 0.97 x raw with 1 KiB, from 0.63 to 0.72 with 10.
 *
 * Ending is a sequence of states: `open`, then `ending` (no more may be written, what was is flushed), then `halfClosing`
 * (the conn ends its writing direction), then `ended`; and from each of them `closed`.
 *
 * @module
 */
import type { ConnLike } from "./conn.ts";
import { lostError, toNetError } from "./errors.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { giveBlock, takeBlock } from "./memory.ts";
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
export class WritePump {
  /** When to pause and resume. */
  readonly marks: WaterMarks;
  readonly #conn: ConnLike;
  readonly #lifecycle: Lifecycle;
  readonly #owner: WritePumpOwner;
  #state: State = "open";
  #ending = false;
  #size = 0;
  /** The chunk whose write is under way. */
  #current: Chunk | null = null;
  /** The chunks that wait, as a list: an array would be 0.15 KB of garbage for each lone write. */
  #first: Chunk | null = null;
  #last: Chunk | null = null;
  /** How many more quiet hops to wait before the queue is begun; 0 if nobody waits. */
  #patience = 0;
  /** The owner's read count when a write came last, how many came since then, and whether only one did the time before. */
  #readCount = 0;
  #writesSinceRead = 0;
  #wasAlone = false;

  /**
   * @param conn What to write to
   * @param lifecycle What to tell of pause and resume
   * @param owner The transport
   * @param marks When to pause and resume
   */
  constructor(conn: ConnLike, lifecycle: Lifecycle, owner: WritePumpOwner, marks: WaterMarks = new WaterMarks()) {
    this.marks = marks;
    this.#conn = conn;
    this.#lifecycle = lifecycle;
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
    if (this.#last === null || !this.#last.append(data)) this.#enqueue(Chunk.copy(data));
    const alone = this.#isAlone();
    if (this.#current === null) {
      if (alone || this.#size >= LARGE_ENOUGH) this.#next();
      else this.#beginSoon();
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
    this.#enqueue(chunk);
    if (this.#current === null) this.#next();
    this.checkMarks();
    return chunk.sent!.promise;
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
    const chunks = this.#current === null ? [] : [this.#current];
    for (let chunk = this.#first; chunk !== null; chunk = chunk.next) chunks.push(chunk);
    // A block whose write is under way may still be read from: it is left to the garbage collector.
    this.#current = this.#first = this.#last = null;
    this.#size = 0;
    for (const { sent } of chunks) {
      // Who did not keep the promise learns of the loss by connectionLost().
      sent?.promise.catch(() => {});
      sent?.reject(lostError(error, "send"));
    }
  }

  /** Looks at the size, and pauses or resumes the protocol. */
  checkMarks(): void {
    switch (this.marks.update(this.#size)) {
      case "pause":
        return this.#lifecycle.pauseWriting();
      case "resume":
        return this.#lifecycle.resumeWriting();
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

  #beginSoon(): void {
    if (this.#patience === 0) queueMicrotask(this.#hop);
    this.#patience = QUIET_HOPS;
  }

  readonly #hop = (): void => {
    if (this.#patience === 0) return;
    if (--this.#patience > 0) queueMicrotask(this.#hop);
    else if (this.#current === null) this.#next();
  };

  #enqueue(chunk: Chunk): void {
    if (this.#last === null) this.#first = chunk;
    else this.#last.next = chunk;
    this.#last = chunk;
  }

  #start(chunk: Chunk): void {
    this.#current = chunk;
    this.#conn.write(chunk.rest).then(this.#onWritten, this.#onError);
  }

  readonly #onWritten = (n: number): void => {
    const chunk = this.#current;
    if (chunk === null) return;
    if (!(n > 0)) {
      this.#onError(new Deno.errors.WriteZero(`Cannot write: the connection took "${n}" bytes`));
      return;
    }
    this.#size -= n;
    if (chunk.advance(n)) {
      this.#current = null;
      this.#next();
    } else {
      this.#start(chunk);
    }
    this.checkMarks();
  };

  readonly #onError = (thrown: unknown): void => {
    if (this.#state !== "closed") this.#owner.writingFailed(toNetError(thrown, "write"));
  };

  /** Nothing is under way: what comes next? */
  #next(): void {
    this.#patience = 0;
    const chunk = this.#first;
    if (chunk !== null) {
      this.#first = chunk.next;
      if (this.#first === null) this.#last = null;
      this.#start(chunk);
    } else if (this.#state === "ending") {
      this.#state = "halfClosing";
      this.#conn.closeWrite!().then(() => this.#halfClosed(), this.#onError);
    } else {
      this.#owner.writingFlushed();
    }
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
  readonly sent: PromiseWithResolvers<void> | null;
  /** What is to be written after it. */
  next: Chunk | null = null;
  #block: Uint8Array;
  #start = 0;
  #end: number;

  private constructor(block: Uint8Array, end: number, sent: PromiseWithResolvers<void> | null) {
    this.#block = block;
    this.#end = end;
    this.sent = sent;
  }

  static copy(data: Uint8Array): Chunk {
    if (data.length > LARGEST_CHUNK) return new Chunk(new Uint8Array(data), data.length, null);
    const block = takeBlock(data.length);
    block.set(data);
    return new Chunk(block, data.length, null);
  }

  static borrow(data: Uint8Array): Chunk {
    return new Chunk(data, data.length, Promise.withResolvers());
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
      const block = takeBlock(end);
      block.set(this.#block.subarray(0, this.#end));
      giveBlock(this.#block);
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
    if (this.sent === null) giveBlock(this.#block);
    else this.sent.resolve();
    return true;
  }
}

const LARGEST_CHUNK = 262144;
const LARGE_ENOUGH = 65536;
const QUIET_HOPS = 10;
