/**
 * Two connections in memory, each the other's peer: a socket pair without the system.
 *
 * Each direction is one ring buffer of bounded size. A write puts what fits into it, straight into the memory of a
 * read that waits; when nothing fits it waits for the peer to read. Ending, closing and their errors are those of a pair
 * of Unix sockets, seen through `Deno.Conn`.
 *
 * @module
 */
import { plainView } from "../common/bytes.ts";
import { describe } from "../common/describe.ts";
import { costOfCall, LoopBudget } from "../common/loop_budget.ts";
import type { ConnLike } from "./conn.ts";
import { brokenError, busyError, closedError, detachedError, interruptedError, resetError } from "./conn_errors.ts";

/** How many bytes each direction of a {@linkcode connPair} holds, unless told otherwise. */
const DEFAULT_CAPACITY = 65536;

/** One end of a {@linkcode connPair}. */
export interface ConnPairEnd extends ConnLike {
  /** Ends the writing direction: the peer reads what was written, and then the end. */
  closeWrite(): Promise<void>;
}

/** Options of {@linkcode connPair}. */
export interface ConnPairOptions {
  /** How many bytes each direction holds that the peer has not read, at most. Default: 65536. */
  capacity?: number | undefined;
}

/**
 * Makes two connections in memory, each the other's peer. As `socket.socketpair()`.
 *
 * They behave as connected sockets do: each direction holds up to `capacity` bytes, beyond which a write waits for the
 * peer to read; `closeWrite()` lets the peer read what is there and then the end; after `close()` the peer reads what
 * is there and then the end, or `ConnectionReset` if bytes were left unread, and its writes fail
 * with `BrokenPipe`. A second read (or write) while one waits fails with `Busy`.
 *
 * Calls that need not wait settle in the same turn of the event loop. After a few milliseconds of them a read waits until
 * the loop has served others.
 *
 * @param options The size of the buffers, in bytes
 * @returns The two ends
 * @throws {RangeError} If the capacity is not a positive integer
 *
 * @example Half-closing
 * ```ts
 * import { connPair } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = connPair();
 * await a.write(new TextEncoder().encode("hello"));
 * await a.closeWrite();
 *
 * const p = new Uint8Array(16);
 * assertEquals(await b.read(p), 5);
 * assertEquals(await b.read(p), null);
 * assertEquals(await b.write(p), 16);
 * a.close();
 * b.close();
 * ```
 */
export function connPair(options: ConnPairOptions = {}): [ConnPairEnd, ConnPairEnd] {
  const { capacity = DEFAULT_CAPACITY } = options;
  if (!Number.isSafeInteger(capacity) || capacity < 1) {
    throw new RangeError(
      `Cannot make a pair of connections: the capacity must be a positive integer, not ${describe(capacity)}`,
    );
  }
  const there = new Direction(capacity);
  const back = new Direction(capacity);
  return [new MemoryConn(back, there), new MemoryConn(there, back)];
}

/** One end of a pair. */
class MemoryConn implements ConnPairEnd {
  readonly #incoming: Direction;
  readonly #outgoing: Direction;
  #closed = false;

  constructor(incoming: Direction, outgoing: Direction) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  read(p: Uint8Array): Promise<number | null> {
    return this.#closed ? Promise.reject(closedError("read")) : this.#incoming.read(plainView(p));
  }

  write(p: Uint8Array): Promise<number> {
    return this.#closed ? Promise.reject(closedError("write")) : this.#outgoing.write(plainView(p));
  }

  closeWrite(): Promise<void> {
    return this.#closed ? Promise.reject(closedError("end writing")) : this.#outgoing.end();
  }

  close(): void {
    if (this.#closed) throw closedError("close");
    this.#closed = true;
    const dropped = this.#incoming.closeReading();
    this.#outgoing.closeWriting(dropped ? "reset" : "ended");
  }
}

/** A read or a write that waits. */
class Waiter<T> {
  readonly p: Uint8Array;
  readonly promise: Promise<T>;
  resolve!: (value: T | PromiseLike<T>) => void;
  reject!: (error: Error) => void;

  constructor(p: Uint8Array) {
    this.p = p;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/**
 * One direction of a pair. A waiting read means that the ring is empty, a waiting write that it is full, so there is
 * never one of each.
 */
class Direction {
  readonly #capacity: number;
  readonly #budget = new LoopBudget();
  #ring: Uint8Array | undefined;
  #start = 0;
  #size = 0;
  #reader: Waiter<number | null> | undefined;
  #writer: Waiter<number> | undefined;
  /** The writing end: "ending" lets a write that waits go first, "reset" left bytes of the other direction unread. */
  #writing: "open" | "ending" | "ended" | "reset" = "open";
  #reading: "open" | "closed" = "open";

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  read(p: Uint8Array): Promise<number | null> {
    if (this.#reader !== undefined) return Promise.reject(busyError("read"));
    if (p.length === 0) return Promise.resolve(0);
    if (this.#size > 0) {
      const n = this.#take(p);
      this.#letWriterGo();
      return Promise.resolve(this.#inTurn(n));
    }
    if (this.#writing === "reset") {
      return Promise.reject(resetError("read", "the peer closed the connection without reading all of it"));
    }
    if (this.#writing === "ended") return Promise.resolve(this.#inTurn(null));
    this.#reader = new Waiter(p);
    return this.#reader.promise;
  }

  write(p: Uint8Array): Promise<number> {
    if (this.#writing !== "open") return Promise.reject(brokenError("this direction was ended"));
    if (this.#reading === "closed") return Promise.reject(brokenError("the peer closed the connection"));
    if (this.#writer !== undefined) return Promise.reject(busyError("write"));
    if (p.length === 0) return Promise.resolve(0);
    const n = this.#put(p);
    if (n > 0) return Promise.resolve(n);
    this.#writer = new Waiter(p);
    return this.#writer.promise;
  }

  async end(): Promise<void> {
    if (this.#writing !== "open") return;
    if (this.#writer !== undefined) {
      this.#writing = "ending";
      await this.#writer.promise.catch(() => {});
      if (this.#writing !== "ending") throw interruptedError("end writing");
    }
    this.#writing = "ended";
    this.#reader?.resolve(null);
    this.#reader = undefined;
  }

  closeWriting(how: "ended" | "reset"): void {
    this.#writing = how;
    this.#writer?.reject(interruptedError("write"));
    this.#writer = undefined;
    if (how === "reset") {
      this.#reader?.reject(resetError("read", "the peer closed the connection without reading all of it"));
    } else this.#reader?.resolve(null);
    this.#reader = undefined;
  }

  /** Returns whether bytes were left unread. */
  closeReading(): boolean {
    const dropped = this.#size > 0;
    this.#reading = "closed";
    this.#ring = undefined;
    this.#size = 0;
    this.#reader?.reject(interruptedError("read"));
    this.#reader = undefined;
    this.#writer?.reject(brokenError("the peer closed the connection"));
    this.#writer = undefined;
    return dropped;
  }

  /** The result of a read; later, if the two ends hold the event loop (SPEC C10). */
  #inTurn<T extends number | null>(n: T): T | Promise<T> {
    const turn = this.#budget.spend(costOfCall(n ?? 0));
    return turn === null ? n : turn.then(() => n);
  }

  #letWriterGo(): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#writer = undefined;
    if (writer.p.length === 0) writer.reject(detachedError("write"));
    else writer.resolve(this.#put(writer.p));
  }

  /** Gives a waiting read as much as it holds and the ring as much of the rest as fits. */
  #put(p: Uint8Array): number {
    const reader = this.#reader;
    if (reader === undefined) return this.#store(p);
    this.#reader = undefined;
    // Its memory may be gone: that is an error of that read, and not of this write.
    if (reader.p.length === 0) {
      reader.reject(detachedError("read"));
      return this.#store(p);
    }
    const n = Math.min(reader.p.length, p.length);
    reader.p.set(n === p.length ? p : p.subarray(0, n));
    reader.resolve(this.#inTurn(n));
    return n === p.length ? n : n + this.#store(p.subarray(n));
  }

  #store(p: Uint8Array): number {
    const n = Math.min(p.length, this.#capacity - this.#size);
    if (n === 0) return 0;
    const ring = this.#ring ??= new Uint8Array(this.#capacity);
    const at = (this.#start + this.#size) % this.#capacity;
    const straight = Math.min(n, this.#capacity - at);
    ring.set(straight === p.length ? p : p.subarray(0, straight), at);
    if (straight < n) ring.set(p.subarray(straight, n));
    this.#size += n;
    return n;
  }

  #take(p: Uint8Array): number {
    const ring = this.#ring!;
    const n = Math.min(p.length, this.#size);
    const straight = Math.min(n, this.#capacity - this.#start);
    p.set(ring.subarray(this.#start, this.#start + straight));
    if (straight < n) p.set(ring.subarray(0, n - straight), straight);
    this.#size -= n;
    // Starting over where it is empty keeps small traffic in the same few cache lines.
    this.#start = this.#size === 0 ? 0 : (this.#start + n) % this.#capacity;
    return n;
  }
}
