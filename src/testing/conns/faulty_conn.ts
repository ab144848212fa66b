/**
 * A conn that does what networks do at their worst: short, late, stalled, ended and broken, and the same in each run.
 *
 * @module
 */
import { busyError, closedError, interruptedError } from "../../conn/conn_errors.ts";
import type { ConnLike } from "../../conn/conn.ts";
import { SeededRandom } from "../seeded_random.ts";
import { turns } from "../turns.ts";

/** The faults of a {@linkcode faultyConn}; none unless asked for. */
export interface FaultyConnOptions {
  /** The seed of what is random. Default: 1. */
  seed?: number;
  /** Whether reads bring less than they could. Default: `false`. */
  shortReads?: boolean;
  /** Whether writes take less than they could. Default: `false`. */
  shortWrites?: boolean;
  /** Each call is late by so many turns of the event loop at most, before and after. Default: 0. */
  delayTurns?: number;
  /** Reading ends after so many bytes. Default: never. */
  eofAfter?: number;
  /** Reading fails after so many bytes. Default: never. */
  readErrorAfter?: number;
  /** Writing fails after so many bytes. Default: never. */
  writeErrorAfter?: number;
  /** What reading and writing fail with. Default: a `Deno.errors.ConnectionReset`. */
  error?: Error;
}

/** What {@linkcode faultyConn} returns. */
export interface FaultyConn extends ConnLike {
  /** How many bytes were read through it. */
  readonly bytesRead: number;
  /** How many bytes were written through it. */
  readonly bytesWritten: number;
  /** Lets no write get on from now, as a peer does that reads no more. */
  stallWrites(): void;
  /** Lets the writes get on again. */
  releaseWrites(): void;
}

/**
 * Wraps a conn so that it has faults: short reads and writes, calls that are late, an end or an error after so many
 * bytes, writes that stall. As Go's `testing/iotest`, with the same faults in each run.
 *
 * All of these are within what a conn may do, so code above it must cope. Overlapping calls of one kind fail with `Busy`.
 *
 * @param conn The conn, the wrapper's from now on
 * @param options The faults; sizes in bytes, delays in turns of the event loop
 * @returns The conn with the faults
 * @throws {RangeError} If a number is not a non-negative integer
 *
 * @example An answer that comes in small pieces, and is cut off
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
      throw new RangeError(`Cannot make a conn faulty: ${name} "${value}" must be a non-negative integer`);
    }
  }
  return new Faulty(conn, options);
}

/** One direction: whether a call is under way, and how far it got. */
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
  /** The write under way, so that ending the direction comes after it. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(conn: ConnLike, options: FaultyConnOptions) {
    const { seed = 1 } = options;
    this.#conn = conn;
    this.#options = options;
    // One generator each, so that the one direction's faults do not depend on what goes on in the other.
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
