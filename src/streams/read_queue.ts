/**
 * Where bytes that were fed meet the read that waits for them: the inside of a stream reader.
 *
 * Theory of operation. The queue knows no connection: bytes are fed in, reads take them out. A read is an *attempt*: a
 * function that looks at what is buffered and at how the stream stands, and either returns the result, or throws, or
 * returns `undefined`, which means "not yet". It gets an argument, so that no read needs a closure. It is made at once; if
 * the read must wait, the attempt is kept (one at a time) and made again whenever something was fed. An abort merely
 * forgets it: as nothing is taken before an attempt succeeds, no byte is lost (SPEC R7).
 *
 * The queue also governs the transport that feeds it, by one of two policies. *Bounded*, as in asyncio: paused while more
 * than twice the limit is buffered. *On demand*: paused whenever no read waits. A read may offer its caller's memory as
 * the `target` to be filled straight from the connection. It waits *directly* then: by the promise of the very call, as the
 * memory is in use just as long (SPEC M3). What the read came to before is told when the call *lands*.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { adoptBlock, ByteQueue } from "../framing/byte_queue.ts";
import type { ReadTransport } from "../transport/types.ts";

/** How a queue governs its transport; see the head of this file. */
export type ReadPolicy = "bounded" | "onDemand";

/** What feeds a queue, and can be told not to. */
export interface Pausable extends Pick<ReadTransport, "pauseReading" | "resumeReading"> {
  /** Lends the promise of the read that {@linkcode resumeReading} just began, to settle as `landed` returns or throws. */
  rideRead?<T>(landed: () => T | Promise<T>): Promise<T>;
}

/** One try at a read: the result, or `undefined` for "not yet". */
export type Attempt<A, T> = (queue: ReadQueue, argument: A) => T | undefined;

type Outcome = "result" | "error";

/** Bytes that were fed, the read that waits, and how the stream stands. */
export class ReadQueue {
  /** What was fed and not yet read. An attempt that succeeds takes by {@linkcode take} or {@linkcode drop} only. */
  readonly buffer = new ByteQueue();
  /** What the stream ended with, if it was an error. */
  exception: Error | null = null;
  /** Whether the end of the stream was fed. */
  ended = false;
  readonly #limit: number;
  /** The read that waits: its attempt, what settles its promise, the memory it offers, what ends its listening to a signal. */
  #waiting: Attempt<unknown, unknown> | null = null;
  #argument: unknown;
  #resolve: ((result: unknown) => void) | null = null;
  #reject: ((error: unknown) => void) | null = null;
  #target: Uint8Array | null = null;
  /** Whether that memory is being read into. */
  #lent = false;
  /** What a read that waits directly came to, until it lands. */
  #outcome: Outcome | null = null;
  #result: unknown;
  /** What rides on the conn's read; made when a read waits directly for the first time. */
  #landed: (() => unknown) | null = null;
  #stopListening: (() => void) | null = null;
  #transport: Pausable | null = null;
  #transportPaused = false;
  #policy: ReadPolicy = "bounded";

  /**
   * @param limit Half of how much may be buffered, in bytes
   */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether a read waits, so that another one that must wait will be refused. */
  get busy(): boolean {
    return this.#waiting !== null;
  }

  /**
   * Lends the memory of the read that waits, for bytes to be read right into it.
   *
   * @returns The memory, if it has offered any
   */
  lendTarget(): Uint8Array | null {
    if (this.#waiting === null || this.#target === null) return null;
    this.#lent = true;
    return this.#target;
  }

  /**
   * Tells whether no more bytes will come.
   *
   * @returns Whether
   * @throws {Error} What the stream ended with
   */
  atEnd(): boolean {
    if (this.exception !== null) throw this.exception;
    return this.ended;
  }

  /**
   * Tells what feeds the queue, and governs it from now on.
   *
   * @param transport The transport, not paused
   * @param policy How to govern it
   */
  attach(transport: Pausable, policy: ReadPolicy): void {
    this.#transport = transport;
    this.#transportPaused = false;
    this.#policy = policy;
    this.#govern();
  }

  /**
   * Reads: makes an attempt, and as long as it has no result waits and makes it again.
   *
   * @param attempt The attempt
   * @param argument What it is called with
   * @param signal Aborts it
   * @param target The caller's memory, if the result may be the number of bytes read right into it
   * @returns The result
   */
  get<A, T>(
    attempt: Attempt<A, T>,
    argument: A,
    signal?: AbortSignal,
    target: Uint8Array | null = null,
  ): Promise<T> {
    if (signal !== undefined) {
      if (!(signal instanceof AbortSignal)) {
        return Promise.reject(new TypeError(`Cannot read: the signal must be an AbortSignal, not "${typeof signal}"`));
      }
      if (signal.aborted) return Promise.reject(signal.reason);
    }
    let result: T | undefined;
    try {
      result = attempt(this, argument);
    } catch (error) {
      return Promise.reject(error);
    }
    if (result !== undefined) return Promise.resolve(result);
    if (this.#waiting !== null) {
      return Promise.reject(new Deno.errors.Busy("Cannot read: another read is waiting on this reader"));
    }
    this.#waiting = attempt as Attempt<unknown, unknown>;
    this.#argument = argument;
    this.#target = target;
    if (target !== null) return this.#waitDirectly();
    const promise = this.#wait<T>();
    if (signal !== undefined) this.#listenTo(signal);
    this.#govern();
    return promise;
  }

  /**
   * Takes bytes out.
   *
   * @param n How many; no more than there are
   * @returns A view of them
   */
  take(n: number): Bytes {
    const bytes = this.buffer.take(n);
    if (this.#transportPaused) this.#govern();
    return bytes;
  }

  /**
   * Takes bytes out into the caller's memory.
   *
   * @param p The memory
   * @returns How many
   */
  takeInto(p: Uint8Array): number {
    const n = this.buffer.takeInto(p);
    if (this.#transportPaused) this.#govern();
    return n;
  }

  /**
   * Drops bytes.
   *
   * @param n How many; no more than there are
   */
  drop(n: number): void {
    this.buffer.drop(n);
    if (this.#transportPaused) this.#govern();
  }

  /**
   * Adds bytes.
   *
   * @param data The bytes, which are copied
   */
  feed(data: Uint8Array): void {
    this.buffer.append(data);
    this.#fed();
  }

  /**
   * Adds bytes that lie in a block of the pool, which is the queue's from now on.
   *
   * @param block The block
   * @param n The number of bytes, from its start
   */
  give(block: Bytes, n: number): void {
    adoptBlock(this.buffer, block, n);
    this.#fed();
  }

  /**
   * Ends the read that waits because bytes were read into its {@linkcode target}. If that read is over already, because the
   * reader was failed or fed by somebody else, the bytes are kept.
   *
   * @param target The memory, as it was given
   * @param n How many
   */
  filledTarget(target: Uint8Array, n: number): void {
    this.#lent = false;
    if (this.#target !== target || this.buffer.length > 0) return this.feed(target.subarray(0, n));
    this.#stopWaiting();
    this.#settle("result", n);
    this.#govern();
  }

  /** Ends the stream. */
  end(): void {
    this.ended = true;
    this.#tryAgain();
  }

  /**
   * Ends the stream with an error.
   *
   * @param error Why
   */
  fail(error: Error): void {
    this.exception = error;
    this.#tryAgain();
  }

  #fed(): void {
    if (!this.#lent) this.#tryAgain();
    this.#govern();
  }

  #wait<T>(): Promise<T> {
    // Not kept together, as an object for it is 48 bytes of each connection that waits.
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#resolve = resolve as (result: unknown) => void;
    this.#reject = reject;
    return promise;
  }

  /** Waits by the promise of the call that reads into the caller's memory, if one is begun for it. */
  #waitDirectly<T>(): Promise<T> {
    this.#govern();
    if (this.#lent && this.#transport!.rideRead !== undefined) {
      return this.#transport!.rideRead<T>((this.#landed ??= () => this.#land()) as () => T);
    }
    return new Promise((resolve) => resolve(this.#land() as T));
  }

  /** The memory is the caller's again: what did the read come to? It may still have to wait. */
  #land(): unknown {
    this.#lent = false;
    const outcome = this.#outcome;
    if (outcome === null) return this.#wait();
    this.#outcome = null;
    if (outcome === "error") throw this.#result;
    return this.#result;
  }

  #settle(outcome: Outcome, result: unknown): void {
    const settle = outcome === "result" ? this.#resolve : this.#reject;
    this.#resolve = this.#reject = null;
    if (settle !== null) {
      settle(result);
    } else {
      this.#outcome = outcome;
      this.#result = result;
    }
  }

  #tryAgain(): void {
    const attempt = this.#waiting;
    if (attempt === null) return;
    // Nobody waits while the attempt takes bytes out, so that this does not pass for a read that wants more.
    this.#waiting = null;
    try {
      const result = attempt(this, this.#argument);
      if (result === undefined) {
        this.#waiting = attempt;
      } else {
        this.#stopWaiting();
        this.#settle("result", result);
      }
    } catch (error) {
      this.#stopWaiting();
      this.#settle("error", error);
    }
  }

  #listenTo(signal: AbortSignal): void {
    const onAbort = () => {
      // The transport is not paused here: what a read under way brings shall be fed, where it is safe from errors.
      this.#stopWaiting();
      this.#settle("error", signal.reason);
    };
    signal.addEventListener("abort", onAbort);
    this.#stopListening = () => signal.removeEventListener("abort", onAbort);
  }

  #stopWaiting(): void {
    this.#waiting = this.#target = null;
    this.#argument = undefined;
    if (this.#stopListening !== null) {
      this.#stopListening();
      this.#stopListening = null;
    }
  }

  #govern(): void {
    const transport = this.#transport;
    if (transport === null) return;
    if (this.#transportPaused) {
      if (this.#waiting === null && (this.#policy === "onDemand" || this.buffer.length > this.#limit)) return;
      this.#transportPaused = false;
      transport.resumeReading();
    } else if (this.#waiting === null && (this.#policy === "onDemand" || this.buffer.length > 2 * this.#limit)) {
      this.#transportPaused = true;
      transport.pauseReading();
    }
  }
}
