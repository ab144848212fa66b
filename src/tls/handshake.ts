/**
 * What every TLS handshake has in common, by each engine: a bound in time, a signal, and the errors that users see.
 *
 * @module
 */
import type { ConnLike } from "../conn/conn.ts";
import type { TlsInfo } from "../transport/types.ts";
import { asError, toNetError } from "../common/errors.ts";
import { MAX_TIMER } from "../common/timer.ts";

/** A connection after its handshake. */
export interface SecureConn {
  /** The connection, which speaks TLS to the peer and plain bytes to its user. */
  readonly conn: ConnLike;
  /** What is known of it. */
  readonly info: TlsInfo;
}

/** What ends a handshake early. */
export interface HandshakeLimits {
  /** How long it may take, in milliseconds. */
  timeout: number;
  /** Ends it when it aborts. */
  signal?: AbortSignal | undefined;
}

/**
 * Waits for a handshake, no longer than its limits allow. Whatever ends it but success releases the connection.
 *
 * @param handshake Starts it
 * @param limits The limits
 * @param release Closes the connection, at whatever stage it is; called once, before the rejection
 * @returns What the handshake resolves with
 * @throws {Deno.errors.TimedOut} If it takes too long
 * @throws {Deno.errors.InvalidData} If the sides do not agree, or the peer's certificate is refused
 * @throws {Deno.errors.ConnectionReset} If the peer goes away
 */
export async function boundHandshake<T>(
  handshake: () => Promise<T>,
  { timeout, signal }: HandshakeLimits,
  release: () => void,
): Promise<T> {
  if (signal?.aborted) {
    release();
    throw signal.reason;
  }
  let stop!: (reason: unknown) => void;
  const stopped = new Promise<never>((_resolve, reject) => stop = reject);
  const abort = () => stop(signal?.reason);
  const timer = setTimeout(() => stop(timedOut(timeout)), Math.min(timeout, MAX_TIMER));
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([stopped, failuresMapped(handshake)]);
  } catch (error) {
    release();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Closes a conn that may be closed already.
 *
 * @param conn The conn
 */
export function closeQuietly(conn: ConnLike): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/**
 * Makes the error that users see of a handshake, the same for each engine: `InvalidData` where the sides do not agree,
 * `ConnectionReset` where the peer went away.
 *
 * @param thrown What was thrown
 * @returns The error, with that as its cause
 */
export function handshakeError(thrown: unknown): Error {
  if (thrown instanceof TypeError) return new TypeError(`Cannot ${DOING}: ${thrown.message}`, { cause: thrown });
  if (isGone(thrown)) {
    return new Deno.errors.ConnectionReset(`Cannot ${DOING}: the peer closed the connection`, { cause: thrown });
  }
  if (thrown instanceof Deno.errors.InvalidData || !isSystemError(thrown)) {
    const why = asError(thrown, "the TLS handshake").message;
    return new Deno.errors.InvalidData(`Cannot ${DOING}: ${why}`, { cause: thrown });
  }
  return toNetError(thrown, DOING);
}

const DOING = "complete the TLS handshake";

async function failuresMapped<T>(handshake: () => Promise<T>): Promise<T> {
  try {
    return await handshake();
  } catch (error) {
    throw handshakeError(error);
  }
}

function timedOut(timeout: number): Error {
  return new Deno.errors.TimedOut(`Cannot ${DOING}: it took more than ${timeout} milliseconds`);
}

function isGone(thrown: unknown): boolean {
  return thrown instanceof Deno.errors.UnexpectedEof || thrown instanceof Deno.errors.ConnectionReset ||
    thrown instanceof Deno.errors.BrokenPipe || thrown instanceof Deno.errors.NotConnected ||
    (thrown as { code?: unknown } | null)?.code === "ECONNRESET";
}

/** Whether the system or Deno failed, rather than TLS. */
function isSystemError(thrown: unknown): boolean {
  return Object.values(Deno.errors).some((type) => thrown instanceof type) ||
    typeof (thrown as { syscall?: unknown } | null)?.syscall === "string";
}
