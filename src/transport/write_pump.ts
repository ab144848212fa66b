/**
 * The writing half of a connection: takes bytes from the protocol and pushes them into a conn, in order.
 *
 * Theory of operation. One write to the conn is under way at a time; what is written meanwhile is collected in the last chunk
 * of a queue (see `write_chunk.ts`). Its bytes are copied, because the caller may reuse its memory at once (SPEC M2); those of
 * `sendall()` are not (M3). A file is a chunk as well, so that what is written after it follows it (W3).
 *
 * The promise of `sendall()` is that of the very write, if nothing is ahead of it: one more would be 0.3 KB of the 4.4 KB of
 * garbage of an echo. No promise needs to be awaited (S3): before one is rejected it is marked as handled.
 *
 * A write that finds nothing under way does not begin at once, unless there is much, or writing gets paused: when it begins is
 * the scheduler's affair (see `write_scheduler.ts`).
 *
 * Ending is a sequence of states:
 *
 * | state       | what goes on                                                        | next               |
 * | ----------- | ------------------------------------------------------------------- | ------------------ |
 * | open        | bytes are taken                                                     | ending, closed     |
 * | ending      | `writeEof()` was called: no more are taken, what was taken is sent  | halfClosing, closed |
 * | halfClosing | all is sent: the conn ends its writing direction                    | ended, closed      |
 * | ended       | it has                                                              | closed             |
 * | closed      | the rest was dropped                                                |                    |
 *
 * @module
 */
import { rejection } from "../common/callers_frames.ts";
import { handled } from "../common/handled.ts";
import { cancelFlush, type Flushable, flushSoon, type FlushState, flushWhenIdle } from "./write_scheduler.ts";
import { type ConnLike, endWriting, writeTo } from "../conn/conn.ts";
import { detachedError } from "../conn/conn_errors.ts";
import { lostError, toNetError } from "../common/errors.ts";
import { costOfCall, LoopBudget } from "../common/loop_budget.ts";
import type { BlockSource } from "./block_source.ts";
import type { Callbacks } from "./callbacks.ts";
import { WaterMarks } from "./water_marks.ts";
import { Chunk } from "./write_chunk.ts";

type State = "open" | "ending" | "halfClosing" | "ended" | "closed";

/** What a pump needs of the transport it belongs to. */
export interface WritePumpOwner {
  /** Whether a callback that took bytes of the peer is running: what it writes leaves when it has returned. */
  readonly inCallback: boolean;
  /** How many bytes were read. */
  readonly bytesRead: number;
  /** The conn has taken bytes. */
  writingProgressed(): void;
  /** Everything was written, and the direction ended if it was to end. */
  writingFlushed(): void;
  /** A write failed. */
  writingFailed(error: Error): void;
}

/** From this size on, in bytes, what was written leaves at once. */
const LARGE_ENOUGH = 65536;

/** Writes to a conn, for a protocol. */
export class WritePump implements Flushable {
  /** When to pause and resume. */
  readonly marks: WaterMarks;
  /** How many bytes the conn has taken. */
  bytes = 0;
  /** The scheduler's. */
  flushState: FlushState = "idle";
  /** The scheduler's. */
  flushedAlone = false;
  readonly #conn: ConnLike;
  readonly #callbacks: Callbacks;
  readonly #owner: WritePumpOwner;
  #state: State = "open";
  #ending = false;
  readonly #budget = new LoopBudget();
  #size = 0;
  /** The chunk whose write is under way, or whose source is producing, even if the pump was closed since. */
  #current: Chunk | null = null;
  /** How many bytes had been read at the last flush. */
  #answered = 0;
  /** What the pump was closed with. */
  #error: Error | null = null;
  /** The chunks that wait, as a list: an array would be 0.15 KB of garbage for each lone write. */
  #first: Chunk | null = null;
  #last: Chunk | null = null;

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

  /** Whether bytes were read since the last flush. */
  get answering(): boolean {
    return this.#owner.bytesRead !== this.#answered;
  }

  /** Whether {@linkcode end} was called, even if the pump was closed since. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Whether nothing is left to do: all bytes are taken, and an end that was asked for is done. */
  get flushed(): boolean {
    return this.#current === null && this.#first === null && (this.#state === "open" || this.#state === "ended");
  }

  /**
   * Writes a copy of bytes.
   *
   * @param data The bytes, at least one
   */
  write(data: Uint8Array): void {
    if (this.#last === null || !this.#last.append(data)) this.#enqueue(Chunk.copy(data));
    this.#wrote(data.length);
  }

  /**
   * Writes a string as UTF-8, encoded right into the queue.
   *
   * @param text The string, of at least one character
   */
  writeText(text: string): void {
    let n = this.#last === null ? -1 : this.#last.appendText(text);
    if (n < 0) {
      const chunk = Chunk.ofText(text);
      n = chunk.length;
      this.#enqueue(chunk);
    }
    this.#wrote(n);
  }

  /**
   * Writes bytes without a copy.
   *
   * @param data The bytes, unchanged until the promise settles; without any it settles when all before them are taken
   * @returns Resolves when the conn has taken all of them
   */
  sendall(data: Uint8Array): Promise<void> {
    const chunk = Chunk.borrow(data);
    this.#size += chunk.length;
    const alone = this.#current === null && this.#first === null && chunk.length > 0;
    const sent = alone ? this.#sendDirectly(chunk) : this.#sendLater(chunk);
    this.checkMarks();
    return sent as Promise<void>;
  }

  /**
   * Writes what a source produces. If that fails the promise rejects, and what was written after it follows all the same.
   *
   * @param source The source
   * @returns Resolves when the conn has taken all of it, with the number of bytes
   */
  sendSource(source: BlockSource): Promise<number> {
    return this.#sendLater(Chunk.produce(source)) as Promise<number>;
  }

  /** Begins to write what waits, unless a write is under way. */
  flush(): void {
    if (this.#current === null && this.#first !== null) this.#next();
  }

  /** Nothing more is expected to be written for now: what waits leaves in a moment. */
  flushSoon(): void {
    if (this.#current === null && this.#first !== null) flushSoon(this);
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
   * @param error What to reject promises with; `null` if this side aborted
   */
  close(error: Error | null): void {
    this.#state = "closed";
    this.#error = error;
    this.#size = 0;
    cancelFlush(this);
    // Borrowed memory that is being written is in use until that write is over (SPEC M3); a block of ours need not be waited for.
    if (this.#current !== null && this.#current.source !== null) this.#reject(this.#current);
    for (let chunk = this.#first; chunk !== null; chunk = chunk.next) this.#reject(chunk);
    this.#first = this.#last = null;
  }

  /** Looks at the size, and pauses or resumes the protocol. */
  checkMarks(): void {
    if (this.#state === "closed") return;
    switch (this.marks.update(this.#size)) {
      case "pause":
        // The protocol has to wait from now on, so nothing more comes that could leave together with what is there.
        this.flushSoon();
        return this.#callbacks.pauseWriting();
      case "resume":
        return this.#callbacks.resumeWriting();
    }
  }

  #wrote(n: number): void {
    this.#size += n;
    if (this.#current === null) {
      if (this.#size >= LARGE_ENOUGH) this.#next();
      else if (this.#owner.inCallback) flushSoon(this);
      else flushWhenIdle(this);
    }
    this.checkMarks();
  }

  #enqueue(chunk: Chunk): void {
    if (this.#last === null) this.#first = chunk;
    else this.#last.next = chunk;
    this.#last = chunk;
  }

  #sendDirectly(chunk: Chunk): Promise<unknown> {
    this.#current = chunk;
    const memory = chunk.rest!;
    return chunk.sent = writeTo(this.#conn, memory).then(this.#onWritten, this.#onError);
  }

  #sendLater(chunk: Chunk): Promise<unknown> {
    const { promise } = chunk.settle = Promise.withResolvers();
    chunk.sent = promise;
    this.#enqueue(chunk);
    this.flush();
    return promise;
  }

  /** Nothing is under way: what comes next? */
  #next(): void {
    cancelFlush(this);
    const chunk = this.#first;
    if (chunk !== null) {
      this.#answered = this.#owner.bytesRead;
      this.#first = chunk.next;
      if (this.#first === null) this.#last = null;
      this.#current = chunk;
      this.#continue();
    } else if (this.#state === "ending") {
      this.#state = "halfClosing";
      endWriting(this.#conn).then(() => this.#halfClosed(), (thrown) => this.#fail(thrown));
    } else {
      this.#owner.writingFlushed();
    }
  }

  /** Goes on with the current chunk: writes what is left of its bytes, or fetches more, or finishes it. */
  #continue(): void {
    const chunk = this.#current!;
    if (chunk.length > 0) {
      const memory = chunk.rest;
      if (memory === null) return void this.#onError(detachedError("send"));
      writeTo(this.#conn, memory).then(this.#onWritten, this.#onError);
    } else if (chunk.source !== null) {
      chunk.fill().then((n) => this.#onProduced(n), (thrown) => this.#onSourceError(thrown));
    } else {
      this.#finish();
    }
  }

  #finish(): void {
    const chunk = this.#current!;
    chunk.release();
    chunk.settle?.resolve(chunk.source === null ? undefined : chunk.sourceSent);
    this.#current = null;
    this.#next();
  }

  // What these two return or throw settles the promise of a direct `sendall()`; otherwise it is unused.

  readonly #onWritten = (n: number): void | Promise<unknown> => {
    const turn = this.#budget.spend(costOfCall(n));
    return turn === null ? this.#taken(n) : this.#takeLater(turn, n);
  };

  readonly #onError = (thrown: unknown): void | Promise<never> => {
    this.#fail(thrown);
    return this.#drop();
  };

  // Apart from its caller, so that no call but this makes a context for the closure.
  #takeLater(turn: Promise<void>, n: number): Promise<unknown> {
    return turn.then(() => this.#taken(n));
  }

  #taken(n: number): void | Promise<unknown> {
    if (this.#state === "closed") return this.#drop();
    const chunk = this.#current!;
    // Written so that NaN is refused as well.
    if (!(n > 0 && n <= chunk.length)) return this.#onError(miscountError(n, chunk.length));
    this.#size -= n;
    this.bytes += n;
    this.#owner.writingProgressed();
    let rest: Promise<unknown> | undefined;
    if (!chunk.advance(n)) {
      if (chunk.sent !== null && chunk.settle === null) {
        chunk.settle = Promise.withResolvers();
        rest = chunk.settle.promise;
      }
      this.#continue();
    } else if (chunk.source !== null) {
      this.#continue();
    } else {
      this.#finish();
    }
    this.checkMarks();
    return rest;
  }

  #onProduced(n: number | null): void {
    if (this.#state === "closed") this.#current = null;
    else if (n === null) this.#finish();
    else {
      this.#size += n;
      this.#continue();
      this.checkMarks();
    }
  }

  #onSourceError(thrown: unknown): void {
    const chunk = this.#current!;
    this.#current = null;
    if (this.#state === "closed") return;
    const { promise, resolve } = chunk.settle!;
    resolve(rejection(thrown, () => handled(promise)));
    this.#next();
  }

  /** Gives up what was being written when the pump was closed: not before, as its memory was in use until now (SPEC M3). */
  #drop(): void | Promise<never> {
    const chunk = this.#current!;
    this.#current = null;
    if (chunk.sent === null || chunk.source !== null) return;
    if (chunk.settle !== null) return this.#reject(chunk);
    const { sent } = chunk;
    return rejection(lostError(this.#error, "send"), () => handled(sent));
  }

  #reject({ sent, settle }: Chunk): void {
    if (settle === null) return;
    const { promise, resolve } = settle;
    const error = rejection(lostError(this.#error, "send"), () => {
      handled(promise);
      // The promise that a direct sendall() returned follows that of its rest.
      if (sent !== null && sent !== promise) handled(sent);
    });
    resolve(error);
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

function miscountError(n: number, offered: number): Error {
  const why = `the connection took ${n} of ${offered} bytes`;
  return n > 0 ? new RangeError(`Cannot write: ${why}`) : new Deno.errors.WriteZero(`Cannot write: ${why}`);
}
