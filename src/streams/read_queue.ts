/**
 * Where bytes that were fed meet the read that waits for them: the inside of a stream reader.
 *
 * Theory of operation. The queue knows no connection: bytes are fed in, reads take them out. A kind of read is a
 * {@linkcode Read}: one function that takes a result from what is buffered, or takes nothing, and one that says what the
 * read comes to at the end of the stream. A call that does not wait is the first of these. A call that waits tries both at
 * once; if there is no result, the read is kept, one at a time, and tried again whenever something was fed. An abort, or the
 * end of its time, forgets it. As nothing is taken before there is a result, no byte is lost (SPEC R7).
 *
 * A read may offer its caller's memory, to be filled straight from the connection. While a transport reads into it, nothing
 * settles the read's promise (SPEC M3).
 *
 * | state   | a read waits | what it comes to | what settles its promise                             |
 * | ------- | ------------ | ---------------- | ---------------------------------------------------- |
 * | idle    | no           |                  |                                                      |
 * | waiting | yes          | is not known     | a result, an error or an abort                       |
 * | lent    | yes          | is not known     | nothing: its memory is read into                     |
 * | landed  | yes          | is known         | the end of the transport's read                      |
 *
 * The end of the transport's read: where the transport can tell it (`afterRead`), the promise of the caller is that of the
 * transport's own call, which spares one; elsewhere it comes with `bufferUpdated`, `eofReceived` or `connectionLost`.
 *
 * @module
 */
import { rejection } from "../common/callers_frames.ts";
import type { Bytes } from "../common/bytes.ts";
import { describe } from "../common/describe.ts";
import { Deadline } from "../common/deadlines.ts";
import { LoopBudget } from "../common/loop_budget.ts";
import { aDelay, checkOptions } from "../common/options.ts";
import { timedOut, type WaitOptions } from "../common/wait.ts";
import { adoptBlock, ByteQueue } from "../framing/byte_queue.ts";
import { ReadGovernor, type ReadPolicy, type ReadSource } from "./read_governor.ts";
import { SeparatorFinder } from "./separator_finder.ts";

/** A kind of read. What differs between two reads of a kind is the argument, so that no read needs a closure. */
export interface Read<A, T> {
  /** What it does, as in "read a line". */
  readonly doing: string;
  /** Takes the result from what is buffered; takes nothing and returns `undefined` if it is not complete. */
  take(queue: ReadQueue, argument: A): T | undefined;
  /** What the read comes to if the stream has ended, or failed, and {@linkcode Read.take} has no result. */
  atEnd(queue: ReadQueue, argument: A): T;
  /** Called when the read waits: removes from the buffer what the read does not need any more. */
  discard?(queue: ReadQueue, argument: A): void;
}

/** What every read that waits takes: one that is ended loses no byte, and the next read works. */
export type ReadOptions = WaitOptions;

type State = "idle" | "waiting" | "lent" | "landed";
type Outcome = "result" | "error" | "aborted";

/** Bytes that were fed, the read that waits, and whether the stream has ended. */
export class ReadQueue {
  /** What was fed and not yet read. Reads take by the queue's own {@linkcode take}, {@linkcode takeInto} and {@linkcode drop}. */
  readonly buffer: ByteQueue = new ByteQueue();
  /** What the stream ended with, if it was an error. */
  exception: Error | null = null;
  /** Whether the end of the stream was fed. */
  ended = false;
  readonly #governor: ReadGovernor;
  /** For reads that are satisfied from memory; a reader that is fed by hand has none. */
  #budget: LoopBudget | null = null;
  #finder: SeparatorFinder | null = null;
  #state: State = "idle";
  /** The read that waits. */
  #read: Read<unknown, unknown> | null = null;
  #argument: unknown;
  #target: Uint8Array | null = null;
  #stopListening: (() => void) | null = null;
  /** Of reads with a timeout; made with the first that waits. */
  #deadline: Deadline | null = null;
  #timeout = 0;
  /** Settle its promise; `null` if that is the promise of the transport's own call. */
  #resolve: ((result: unknown) => void) | null = null;
  #reject: ((error: unknown) => void) | null = null;
  /** What it came to, in the state `landed`. */
  #outcome: Outcome = "result";
  #result: unknown;
  /** Made when a read offers its memory for the first time. */
  #onReadOver: (() => unknown) | null = null;

  /**
   * @param limit Half of how much may be buffered, in bytes
   */
  constructor(limit: number) {
    this.#governor = new ReadGovernor(limit);
  }

  /** Whether a read waits for bytes. */
  get busy(): boolean {
    return this.#state === "waiting" || this.#state === "lent";
  }

  /** Whether the stream has ended or failed. */
  get over(): boolean {
    return this.ended || this.exception !== null;
  }

  /** Searches the buffer for separators. */
  get finder(): SeparatorFinder {
    return this.#finder ??= new SeparatorFinder(this.buffer);
  }

  /**
   * Sets what feeds the queue, and governs it from now on.
   *
   * @param source The transport, not paused
   * @param policy How to govern it
   */
  attach(source: ReadSource, policy: ReadPolicy): void {
    this.#governor.attach(source, policy);
    this.#budget ??= new LoopBudget();
    this.#govern();
  }

  /**
   * Reads, and waits for the result if need be.
   *
   * @param read The kind of read
   * @param argument Its argument
   * @param options What ends it: `signal`, `timeout`
   * @param target The caller's memory, if the result may be the number of bytes read right into it
   * @returns The result
   */
  get<A, T>(
    read: Read<A, T>,
    argument: A,
    options?: ReadOptions,
    target: Uint8Array | null = null,
  ): Promise<T> {
    const signal = options?.signal;
    if (signal !== undefined) {
      if (!(signal instanceof AbortSignal)) {
        return Promise.reject(new TypeError(`Cannot read: the signal must be an AbortSignal, not ${describe(signal)}`));
      }
      if (signal.aborted) return Promise.reject(signal.reason);
    }
    const timeout = options?.timeout;
    if (timeout !== undefined && !(timeout >= 0 && typeof timeout === "number")) {
      return Promise.reject(timeoutProblem(read.doing, timeout));
    }
    let result: T | undefined;
    try {
      result = this.#attempt(read, argument);
    } catch (error) {
      return Promise.reject(error);
    }
    if (result !== undefined) return this.fromMemory(result);
    if (this.#state !== "idle") {
      return Promise.reject(new Deno.errors.Busy("Cannot read: another read is waiting on this reader"));
    }
    this.#state = "waiting";
    this.#read = read as Read<unknown, unknown>;
    this.#argument = argument;
    if (target !== null) return this.#waitWithMemory(target);
    const promise = this.#wait<T>();
    if (signal !== undefined) this.#listenTo(signal);
    if (timeout !== undefined) this.#bound(timeout);
    read.discard?.(this, argument);
    this.#govern();
    return promise;
  }

  /**
   * Settles a read that is satisfied from memory: at once, or when it is this reader's turn (SPEC C10).
   *
   * @param result What was read
   * @returns Resolves with that
   */
  fromMemory<T>(result: T): Promise<T> {
    const turn = this.#budget === null ? null : this.#budget.spend(1);
    return turn === null ? Promise.resolve(result) : later(turn, result);
  }

  /**
   * Takes bytes out.
   *
   * @param n The number of bytes; no more than there are
   * @returns A view of them
   */
  take(n: number): Bytes {
    const bytes = this.buffer.take(n);
    if (this.#governor.paused) this.#govern();
    return bytes;
  }

  /**
   * Takes bytes out as text.
   *
   * @param n The number of bytes; no more than there are
   * @param decoder Decodes them
   * @returns The text
   */
  takeText(n: number, decoder: TextDecoder): string {
    const text = this.buffer.takeText(n, decoder);
    if (this.#governor.paused) this.#govern();
    return text;
  }

  /**
   * Takes bytes out into the caller's memory.
   *
   * @param p The memory
   * @returns The number of bytes
   */
  takeInto(p: Uint8Array): number {
    const n = this.buffer.takeInto(p);
    if (this.#governor.paused) this.#govern();
    return n;
  }

  /**
   * Drops bytes.
   *
   * @param n The number of bytes; no more than there are
   */
  drop(n: number): void {
    this.buffer.drop(n);
    if (this.#governor.paused) this.#govern();
  }

  /** To be called after a decoder may have taken bytes out of the buffer. */
  taken(): void {
    if (this.#governor.paused) this.#govern();
  }

  /** Throws what the stream ended with, if that was an error. */
  throwIfFailed(): void {
    if (this.exception !== null) throw this.exception;
  }

  /**
   * Adds bytes.
   *
   * @param data The bytes, which are copied
   */
  feed(data: Uint8Array): void {
    this.buffer.append(data);
    if (this.#state === "waiting") this.#tryAgain();
    this.#govern();
  }

  /**
   * Adds bytes that lie in a block of the pool, which is the queue's from now on.
   *
   * @param block The block
   * @param n The number of bytes, from its start
   */
  give(block: Bytes, n: number): void {
    adoptBlock(this.buffer, block, n);
    if (this.#state === "waiting") this.#tryAgain();
    this.#govern();
  }

  /** Ends the stream. */
  end(): void {
    this.ended = true;
    this.#over();
  }

  /**
   * Ends the stream with an error.
   *
   * @param error Why
   */
  fail(error: Error): void {
    this.exception = error;
    this.#over();
  }

  /**
   * Lends the memory of the read that waits, for a transport to read right into it.
   *
   * @returns The memory; `null` if the read offers none
   * @throws {TypeError} If the memory was detached
   */
  lendTarget(): Uint8Array | null {
    if (this.#target === null) return null;
    checkNotDetached(this.#target, 1);
    this.#state = "lent";
    return this.#target;
  }

  /**
   * Takes lent memory back, with bytes in it.
   *
   * @param target The memory
   * @param n The number of bytes at its start
   * @throws {TypeError} If the memory was detached
   */
  targetFilled(target: Uint8Array, n: number): void {
    checkNotDetached(target, n);
    if (this.#target === target && this.buffer.length === 0) {
      this.#finish("result", n);
    } else {
      // Other bytes were fed, or the state was set, meanwhile: these bytes follow.
      this.buffer.append(target.subarray(0, n));
      if (this.#state === "waiting") this.#tryAgain();
    }
    if (this.#resolve !== null) this.#readOver();
    this.#govern();
  }

  /** Takes lent memory back as soon as the transport's read is over: it brings no bytes. */
  targetUnfilled(): void {
    // Without a promise of its own the read has that of the transport's call.
    if (this.#resolve === null || (this.#state !== "lent" && this.#state !== "landed")) return;
    const { source } = this.#governor;
    if (source?.afterRead === undefined) this.#readOver();
    else source.afterRead(this.#onReadOver ??= () => this.#readOver());
  }

  #attempt<A, T>(read: Read<A, T>, argument: A): T | undefined {
    const result = read.take(this, argument);
    return result === undefined && this.over ? read.atEnd(this, argument) : result;
  }

  #wait<T>(): Promise<T> {
    // Not kept together, as an object for it is 48 bytes of each connection that waits.
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#resolve = resolve as (result: unknown) => void;
    this.#reject = reject;
    return promise;
  }

  #waitWithMemory<T>(target: Uint8Array): Promise<T> {
    this.#target = target;
    this.#govern();
    const onReadOver = this.#onReadOver ??= () => this.#readOver();
    switch (this.#state as State) {
      case "lent": {
        const { source } = this.#governor;
        return source?.afterRead === undefined ? this.#wait() : source.afterRead<T>(onReadOver as () => T);
      }
      case "landed":
        return new Promise((resolve) => resolve(onReadOver() as T));
      default:
        return this.#wait();
    }
  }

  /** No memory is lent any more. Settles the read, by its own promise or by what this returns or throws. */
  #readOver(): unknown {
    if (this.#state === "lent") {
      this.#state = "waiting";
      this.#tryAgain();
      this.#govern();
      if ((this.#state as State) === "waiting" && this.#resolve === null) return this.#wait();
    }
    if (this.#state !== "landed") return;
    const result = this.#result;
    this.#result = undefined;
    if (this.#resolve !== null) return this.#settle(this.#outcome, result);
    this.#state = "idle";
    if (this.#outcome === "aborted") throw result;
    return this.#outcome === "error" ? rejection(result) : result;
  }

  #over(): void {
    // Bytes that were fed while memory is lent are put there when it is over.
    if (this.#state === "waiting" || (this.#state === "lent" && this.buffer.length === 0)) this.#tryAgain();
  }

  #tryAgain(): void {
    const read = this.#read!;
    let result: unknown;
    try {
      result = this.#attempt(read, this.#argument);
    } catch (error) {
      return this.#finish("error", error);
    }
    if (result !== undefined) this.#finish("result", result);
    else read.discard?.(this, this.#argument);
  }

  /** It is known what the read that waits comes to. */
  #finish(outcome: Outcome, result: unknown): void {
    if (this.#deadline !== null) this.#deadline.disarm();
    this.#read = this.#target = null;
    this.#argument = undefined;
    if (this.#stopListening !== null) {
      this.#stopListening();
      this.#stopListening = null;
    }
    if (this.#state === "waiting" && this.#resolve !== null) return this.#settle(outcome, result);
    this.#state = "landed";
    this.#outcome = outcome;
    this.#result = result;
  }

  #settle(outcome: Outcome, result: unknown): void {
    const resolve = this.#resolve!;
    const reject = this.#reject!;
    this.#resolve = this.#reject = null;
    this.#state = "idle";
    if (outcome === "aborted") reject(result);
    else resolve(outcome === "error" ? rejection(result) : result);
  }

  #listenTo(signal: AbortSignal): void {
    // The transport is not paused here: what a read under way brings is fed, where an error cannot hide it.
    const onAbort = () => this.#finish("aborted", signal.reason);
    signal.addEventListener("abort", onAbort);
    this.#stopListening = () => signal.removeEventListener("abort", onAbort);
  }

  #bound(timeout: number): void {
    this.#timeout = timeout;
    this.#deadline ??= new Deadline(() => this.#finish("error", timedOut(this.#read!.doing, this.#timeout)));
    this.#deadline.arm(timeout);
  }

  /** Where back pressure is decided anew: a read began or ended to wait, or bytes came or went. */
  #govern(): void {
    this.#governor.update(this.buffer.length, this.#state === "waiting" || this.#state === "lent");
  }
}

function timeoutProblem(doing: string, timeout: unknown): unknown {
  try {
    checkOptions(doing, { timeout }, { timeout: aDelay });
  } catch (error) {
    return error;
  }
}

/** Apart from its caller, so that no read that is satisfied at once makes a context for the closure. */
function later<T>(turn: Promise<void>, result: T): Promise<T> {
  return turn.then(() => result);
}

function checkNotDetached(target: Uint8Array, n: number): void {
  if (target.length < n) throw new TypeError("Cannot read into memory: it was detached, or made smaller, meanwhile");
}
