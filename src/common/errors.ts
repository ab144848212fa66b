/**
 * The error classes of this package, and the one place that turns what the platform throws into what users see.
 *
 * Whatever has a class in `Deno.errors` keeps it. Two of those never reach a user, because they tell of our own doing:
 * `Interrupted` (a read was pending when we closed) and `BadResource` (the resource was closed already).
 *
 * @module
 */
import { describe } from "./describe.ts";

export { IncompleteReadError } from "./incomplete_read_error.ts";

/**
 * No separator was found within the limit; the bytes are still there to be read.
 *
 * As `asyncio.LimitOverrunError`.
 *
 * @example Dropping a line that is too long
 * ```ts
 * import { LimitOverrunError, StreamReader } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const reader = new StreamReader({ limit: 4 });
 * reader.feedData(new TextEncoder().encode("too long\nok\n"));
 * try {
 *   await reader.readline();
 * } catch (error) {
 *   if (!(error instanceof LimitOverrunError)) throw error;
 *   assertEquals(await reader.skipuntil("\n"), 9);
 * }
 * assertEquals(new TextDecoder().decode(await reader.readline()), "ok\n");
 * ```
 */
export class LimitOverrunError extends Error {
  /** How many bytes may be read without meeting the start of a separator. */
  readonly consumed: number;

  /**
   * Makes the error.
   *
   * @param message What could not be done, and why
   * @param consumed The number of bytes before the separator, or before where it may be
   */
  constructor(message: string, consumed: number) {
    super(message);
    this.name = "LimitOverrunError";
    this.consumed = consumed;
  }
}

/**
 * The connection or server was closed by this side, so the call cannot be done.
 *
 * Thrown by `write`, `writelines`, `sendall`, `sendfile` and `startTls` after one's own `close()`, `abort()` or `writeEof()`, and
 * by `server.port` once the server is closed. A connection that the peer ended has another error: see `Deno.errors`.
 *
 * @example Telling one's own close from a failure
 * ```ts
 * import { ClosedError, connPair, openConnection } from "@tideline/net";
 * import { assertThrows } from "@std/assert";
 *
 * const [conn, peer] = connPair();
 * const { writer } = await openConnection({ conn });
 * writer.writeEof();
 * assertThrows(() => writer.write("too late"), ClosedError);
 * await writer.close();
 * peer.close();
 * ```
 */
export class ClosedError extends Error {
  /**
   * Makes the error.
   *
   * @param message What could not be done, and why
   * @param options As of `Error`: the `cause`
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ClosedError";
  }
}

/**
 * Turns whatever users' code threw or rejected with into an error. Never throws.
 *
 * @param thrown What was thrown, of any type
 * @param thrower What threw it, such as `dataReceived()`
 * @returns The same error, if it is one; else one that has what was thrown as its cause
 */
export function asError(thrown: unknown, thrower: string): Error {
  if (isError(thrown)) return thrown;
  return new Error(`Cannot finish ${thrower}: it threw ${describe(thrown)}`, { cause: thrown });
}

/** Whether a value is an `Error` that can be read; a proxy may look like one and throw. */
function isError(value: unknown): value is Error {
  try {
    return value instanceof Error && typeof value.message === "string" && typeof value.name === "string";
  } catch {
    return false;
  }
}

/**
 * Turns anything thrown by the platform into an error a user may see.
 *
 * @param thrown What was thrown
 * @param doing What could not be done, as in "read" (for the message where we make one)
 * @returns The error: the same one where it may be seen as it is
 */
export function toNetError(thrown: unknown, doing: string): Error {
  if (!isError(thrown)) return new Error(`Cannot ${doing}: ${describe(thrown)} was thrown`, { cause: thrown });
  if (thrown instanceof Deno.errors.Interrupted || thrown instanceof Deno.errors.BadResource) {
    return new Deno.errors.ConnectionAborted(
      `Cannot ${doing}: the connection was closed on this side`,
      {
        cause: thrown,
      },
    );
  }
  if (thrown instanceof Deno.errors.UnexpectedEof && thrown.message.includes("close_notify")) {
    return new Deno.errors.UnexpectedEof(`Cannot ${doing}: the peer closed the connection without ending TLS`, {
      cause: thrown,
    });
  }
  if (!isDenoError(thrown) && unknownHost.test(thrown.message)) {
    return causedBy(thrown, Deno.errors.NotFound, `Cannot ${doing}: ${thrown.message}`);
  }
  const Class = isDenoError(thrown) ? undefined : byCode.get(codeOf(thrown) ?? "");
  return Class === undefined ? thrown : causedBy(thrown, Class, `Cannot ${doing}: ${thrown.message}`);
}

/**
 * Tells whether an error comes of another: is the same, or has it as `cause` or among its `errors`, at any depth up to a bound.
 *
 * @param error The error
 * @param origin What it may come of
 * @returns Whether it does
 */
export function comesOf(error: unknown, origin: Error): boolean {
  const found: unknown[] = [error];
  for (let i = 0; i < found.length && i < MOST_CAUSES; i++) {
    const one = found[i];
    if (one === origin) return true;
    if (!isError(one)) continue;
    try {
      if (one.cause !== undefined) found.push(one.cause);
      if (one instanceof AggregateError) found.push(...one.errors.slice(0, MOST_CAUSES));
    } catch {
      // What cannot be read has no cause.
    }
  }
  return false;
}

/** How many errors are looked at for a cause: a chain may be a circle. */
const MOST_CAUSES = 64;

/**
 * The error of an operation on a connection that is gone: what it was lost with, or `ConnectionReset`.
 *
 * @param cause The error the connection was lost with, if any
 * @param doing What could not be done, as in "write"
 * @returns The error to throw
 */
export function lostError(cause: Error | null, doing: string): Error {
  return cause ?? new Deno.errors.ConnectionReset(`Cannot ${doing}: the connection is closed`);
}

/**
 * Makes the same kind of error, which says what could not be done.
 *
 * @param thrown What the platform threw
 * @param doing What could not be done, as in `connect to "::1"`
 * @returns The error, with that as its cause; the same one if it says so already
 */
export function explained(thrown: unknown, doing: string): Error {
  const error = toNetError(thrown, doing);
  if (error.message.startsWith(`Cannot ${doing}: `)) return error;
  const Class = classes.find((one) => error.constructor === one) ?? Error;
  return causedBy(error, Class, `Cannot ${doing}: ${error.message}`);
}

type ErrorClass = new (message: string, options: ErrorOptions) => Error;

/** Makes an error of another one, with the code of the system ("ECONNREFUSED") that the platform gave to that. */
function causedBy(cause: Error, Class: ErrorClass, message: string): Error {
  const error = new Class(message, { cause });
  const code = codeOf(cause);
  return code === undefined ? error : Object.assign(error, { code });
}

function codeOf(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : undefined;
}

// What node:net, node:tls and node:dgram throw carries the system's code, not a class.
const byCode: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ["EACCES", Deno.errors.PermissionDenied],
  ["EADDRINUSE", Deno.errors.AddrInUse],
  ["EADDRNOTAVAIL", Deno.errors.AddrNotAvailable],
  ["EBADF", Deno.errors.ConnectionAborted],
  ["ECANCELED", Deno.errors.ConnectionAborted],
  ["ECONNABORTED", Deno.errors.ConnectionAborted],
  ["ECONNREFUSED", Deno.errors.ConnectionRefused],
  ["ECONNRESET", Deno.errors.ConnectionReset],
  ["EHOSTUNREACH", Deno.errors.NetworkUnreachable],
  ["ENETUNREACH", Deno.errors.NetworkUnreachable],
  ["ENOENT", Deno.errors.NotFound],
  ["ENOTFOUND", Deno.errors.NotFound],
  ["ENOTCONN", Deno.errors.NotConnected],
  ["EPERM", Deno.errors.PermissionDenied],
  ["EPIPE", Deno.errors.BrokenPipe],
  ["ETIMEDOUT", Deno.errors.TimedOut],
  // The memory to read into was detached meanwhile, or shrunk.
  ["EFAULT", TypeError],
]);

// Of hosts that it does not find, or that are none, Deno tells by an Error without class and code.
const unknownHost = /^(failed to lookup address information|invalid host )/;

const denoErrorClasses = new Set<unknown>(Object.values(Deno.errors));

function isDenoError(error: Error): boolean {
  return denoErrorClasses.has(error.constructor);
}

const classes = [...Object.values(Deno.errors), TypeError, RangeError];
