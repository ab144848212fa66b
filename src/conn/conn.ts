/**
 * The one shape that everything in this package runs over: a byte connection that is pulled.
 *
 * @module
 */

import { toNetError } from "../common/errors.ts";
import { handled } from "../common/handled.ts";

/**
 * What a transport needs of a connection. Every `Deno.Conn` has this shape, and so has everything that
 * {@linkcode connPair}, {@linkcode connFromStreams} and {@linkcode connFromNode} return.
 *
 * The contract, which is that of `Deno.Conn`:
 *
 * - `read(p)` resolves with the number of bytes put at the start of `p`, or `null` at the end of the stream, again
 *   and again. It uses `p` until it settles. One read at a time.
 * - `write(p)` resolves with the number of bytes taken, at least one and maybe fewer than offered. It uses `p` until
 *   it settles. One write at a time.
 * - `close()` ends both directions at once and makes pending calls settle. It is called once.
 * - `closeWrite()`, where there is one, ends this direction only; the other one goes on.
 */
export interface ConnLike {
  /** Reads into `p`; resolves with the number of bytes, or `null` at the end of the stream. */
  read(p: Uint8Array): Promise<number | null>;
  /** Writes from `p`; resolves with the number of bytes taken. */
  write(p: Uint8Array): Promise<number>;
  /** Ends the connection, both directions. */
  close(): void;
  /** Ends the writing direction; without it the connection cannot half-close. */
  closeWrite?(): Promise<void>;
  /** The address of this end, where there is one. */
  readonly localAddr?: Deno.Addr;
  /** The address of the other end, where there is one. */
  readonly remoteAddr?: Deno.Addr;
}

// A conn that throws instead of rejecting, against the contract, counts as one that rejects: the calls are made in microtasks,
// where an error would end the program.

/**
 * Begins to read.
 *
 * @param conn What to read from
 * @param p The memory to read into
 * @returns As `conn.read`; rejects if that throws
 */
export function readFrom(conn: ConnLike, p: Uint8Array): Promise<number | null> {
  try {
    return promised(conn.read(p));
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * Begins to write.
 *
 * @param conn What to write to
 * @param p The bytes
 * @returns As `conn.write`; rejects if that throws
 */
export function writeTo(conn: ConnLike, p: Uint8Array): Promise<number> {
  try {
    return promised(conn.write(p));
  } catch (error) {
    return Promise.reject(error);
  }
}

/**
 * Ends the writing direction, where that can be done.
 *
 * @param conn What to end it of
 * @returns As `conn.closeWrite`; rejects if that throws
 */
export async function endWriting(conn: ConnLike): Promise<void> {
  await conn.closeWrite?.();
}

/**
 * An address of a conn, if it tells one.
 *
 * @param conn The conn
 * @param which Which one
 * @returns The address; `undefined` if there is none, or if the conn throws
 */
export function addressOf(conn: ConnLike, which: "localAddr" | "remoteAddr"): Deno.Addr | undefined {
  try {
    return conn[which];
  } catch {
    // A conn whose address is not known any more: that fails nothing but the question.
    return undefined;
  }
}

/**
 * Closes a conn, whatever state it is in and whatever it throws or rejects with.
 *
 * @param conn What to close
 * @returns What its `close()` threw; `null` if nothing, or if it was closed before
 */
export function closeQuietly(conn: ConnLike): Error | null {
  try {
    // By its type it returns nothing, but one that is `async` returns a promise.
    const closing: unknown = conn.close();
    if (closing instanceof Promise) handled(closing);
    return null;
  } catch (thrown) {
    // A conn that another one was made of was closed by that.
    return thrown instanceof Deno.errors.BadResource ? null : toNetError(thrown, "close");
  }
}

/**
 * Says whether a conn keeps the process alive while it waits, where it can be said.
 *
 * @param conn The conn
 * @param alive Whether it does
 */
export function keepAlive(conn: ConnLike, alive: boolean): void {
  const { ref, unref } = conn as Partial<Pick<Deno.Conn, "ref" | "unref">>;
  try {
    if (alive) ref?.call(conn);
    else unref?.call(conn);
  } catch {
    // One that is closed has nothing to say.
  }
}

/** A conn that returns a plain value, against the contract, counts as one that is done. */
function promised<T>(result: Promise<T>): Promise<T> {
  return result instanceof Promise ? result : Promise.resolve(result);
}
