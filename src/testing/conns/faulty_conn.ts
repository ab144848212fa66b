/**
 * A connection with faults: calls that are short, late or stalled, an early EOF, errors; the same in each run.
 *
 * @module
 */
import { describe } from "../../common/describe.ts";
import { busyError, closedError, interruptedError } from "../../conn/conn_errors.ts";
import type { ConnLike } from "../../conn/conn.ts";
import { SeededRandom } from "../seeded_random.ts";
import { turns } from "../turns.ts";

/** The faults of a {@linkcode faultyConn}. By default there are none. */
export interface FaultyConnOptions {
  /** The seed of what is random. Default: 1. */
  seed?: number | undefined;
  /** Whether reads return a random part of what is available. Default: `false`. */
  shortReads?: boolean | undefined;
  /** Whether writes accept a random part of the data. Default: `false`. */
  shortWrites?: boolean | undefined;
  /** The largest delay of a call, before and after it, in turns of the event loop. Default: 0. */
  delayTurns?: number | undefined;
  /** The number of bytes after which reads return EOF. Default: no limit. */
  eofAfter?: number | undefined;
  /** The number of bytes after which reads fail. Default: no limit. */
  readErrorAfter?: number | undefined;
  /** The number of bytes after which writes fail. Default: no limit. */
  writeErrorAfter?: number | undefined;
  /** The error of failing reads and writes. Default: a `Deno.errors.ConnectionReset`. */
  error?: Error | undefined;
}

/** What {@linkcode faultyConn} returns. */
export interface FaultyConn extends ConnLike {
  /** The number of bytes read through it. */
  readonly bytesRead: number;
  /** The number of bytes written through it. */
  readonly bytesWritten: number;
  /** Stalls all writes from now on, as a peer does that stops reading. */
  stallWrites(): void;
  /** Continues stalled writes. */
  releaseWrites(): void;
}

/**
 * Wraps a connection so that it has faults: short reads and writes, late calls, EOF or an error after a number of bytes,
 * stalled writes. As Go's `testing/iotest`, with the same faults in each run.
 *
 * Every connection may behave like this, so the code above it must cope. A second call of one kind while one is under way
 * fails with `Busy`.
 *
 * @param conn The connection, to be used by the wrapper only from now on
 * @param options The faults; sizes in bytes, delays in turns of the event loop
 * @returns The connection with the faults
 * @throws {RangeError} If a number is not a non-negative integer
 *
 * @example An answer that arrives in small pieces and is incomplete
 * ```ts
 * import { connPair, IncompleteReadError, openConnection } from "@tideline/net";
 * import { faultyConn } from "@tideline/net/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const [a, b] = connPair();
 * const conn = faultyConn(a, { seed: 3, shortReads: true, delayTurns: 2, eofAfter: 7 });
 * await b.write(new TextEncoder().encode("0123456789"));
 *
 * await using connection = await openConnection({ conn });
 * const error = await assertRejects(() => connection.reader.readexactly(10), IncompleteReadError);
 * assertEquals(error.partial.length, 7);
 * b.close();
 * ```
 */
export function faultyConn(conn: ConnLike, options: FaultyConnOptions = {}): FaultyConn {
  const { delayTurns, eofAfter, readErrorAfter, writeErrorAfter } = options;
  for (const [name, value] of Object.entries({ delayTurns, eofAfter, readErrorAfter, writeErrorAfter })) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 0)) {
      throw new RangeError(
        `Cannot make a faulty connection: ${name} must be a non-negative integer, not ${describe(value)}`,
      );
    }
  }
  return new Faulty(conn, options);
}

/** The state of one direction. */
interface Direction {
  busy: boolean;
  bytes: number;
  readonly random: SeededRandom;
}

class Faulty implements FaultyConn {
  readonly localAddr?: Deno.Addr;
  readonly remoteAddr?: Deno.Addr;
  readonly closeWrite?: () => Promise<void>;
  readonly #conn: ConnLike;
  readonly #options: FaultyConnOptions;
  readonly #reads: Direction;
  readonly #writes: Direction;
  #stall: PromiseWithResolvers<void> | null = null;
  #closed = false;
  /** Settles with the write under way; `closeWrite` waits for it. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(conn: ConnLike, options: FaultyConnOptions) {
    const { seed = 1 } = options;
    this.#conn = conn;
    this.#options = options;
    // One generator for each direction, so that the faults of one do not depend on the calls of the other.
    this.#reads = { busy: false, bytes: 0, random: new SeededRandom(seed) };
    this.#writes = { busy: false, bytes: 0, random: new SeededRandom(~seed) };
    if (conn.localAddr !== undefined) this.localAddr = conn.localAddr;
    if (conn.remoteAddr !== undefined) this.remoteAddr = conn.remoteAddr;
    if (conn.closeWrite !== undefined) this.closeWrite = () => this.#endWriting();
  }

  get bytesRead(): number {
    return this.#reads.bytes;
  }

  get bytesWritten(): number {
    return this.#writes.bytes;
  }

  stallWrites(): void {
    this.#stall ??= Promise.withResolvers();
  }

  releaseWrites(): void {
    this.#stall?.resolve();
    this.#stall = null;
  }

  read(p: Uint8Array): Promise<number | null> {
    const { eofAfter = Infinity, readErrorAfter = Infinity, shortReads } = this.#options;
    return this.#call("read", this.#reads, async (reads) => {
      if (p.length === 0) return 0;
      const left = Math.min(eofAfter, readErrorAfter) - reads.bytes;
      if (left === 0) {
        if (readErrorAfter <= eofAfter) throw this.#error("read", readErrorAfter);
        return null;
      }
      const n = await this.#conn.read(p.subarray(0, this.#size(reads, Math.min(p.length, left), shortReads)));
      reads.bytes += n ?? 0;
      return n;
    });
  }

  write(p: Uint8Array): Promise<number> {
    const { writeErrorAfter = Infinity, shortWrites } = this.#options;
    const writing = this.#call("write", this.#writes, async (writes) => {
      while (this.#stall !== null) await this.#stall.promise;
      if (this.#closed) throw interruptedError("write");
      if (p.length === 0) return 0;
      const left = writeErrorAfter - writes.bytes;
      if (left === 0) throw this.#error("write", writeErrorAfter);
      const n = await this.#conn.write(p.subarray(0, this.#size(writes, Math.min(p.length, left), shortWrites)));
      writes.bytes += n;
      return n;
    });
    this.#writing = writing.catch(() => {});
    return writing;
  }

  close(): void {
    if (this.#closed) throw closedError("close");
    this.#closed = true;
    this.releaseWrites();
    this.#conn.close();
  }

  async #endWriting(): Promise<void> {
    if (this.#closed) throw closedError("end writing");
    await this.#writing;
    if (this.#closed) throw interruptedError("end writing");
    await this.#conn.closeWrite!();
  }

  async #call<T>(doing: string, direction: Direction, call: (direction: Direction) => Promise<T>): Promise<T> {
    if (this.#closed) throw closedError(doing);
    if (direction.busy) throw busyError(doing);
    direction.busy = true;
    try {
      await this.#delay(doing, direction);
      const result = await call(direction);
      await this.#delay(doing, direction);
      return result;
    } finally {
      direction.busy = false;
    }
  }

  async #delay(doing: string, { random }: Direction): Promise<void> {
    const { delayTurns = 0 } = this.#options;
    if (delayTurns === 0) return;
    await turns(random.integer(0, delayTurns));
    if (this.#closed) throw interruptedError(doing);
  }

  #size({ random }: Direction, most: number, short: boolean | undefined): number {
    return short ? random.size(most) : most;
  }

  #error(doing: string, after: number): Error {
    return this.#options.error ??
      new Deno.errors.ConnectionReset(`Cannot ${doing}: the connection is made to fail after ${after} bytes`);
  }
}
