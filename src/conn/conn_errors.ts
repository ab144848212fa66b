/**
 * The errors of all conns of this package. They are those of `Deno.Conn`, and are made in one place so that all kinds agree.
 *
 * @module
 */

/** The conn was closed by its own side before the call. */
export function closedError(doing: string): Error {
  return new Deno.errors.BadResource(`Cannot ${doing}: the connection is closed`);
}

/** The conn was closed by its own side during the call. */
export function interruptedError(doing: string): Error {
  return new Deno.errors.Interrupted(`Cannot ${doing}: the connection was closed meanwhile`);
}

/** One call at a time. */
export function busyError(doing: string): Error {
  return new Deno.errors.Busy(`Cannot ${doing}: another ${doing} waits`);
}

/** The caller's memory is gone: its buffer was transferred, or made smaller. */
export function detachedError(doing: string): Error {
  return new TypeError(`Cannot ${doing}: the memory was detached or shrunk meanwhile`);
}

/** Nothing can be written any more. */
export function brokenError(why: string): Error {
  return new Deno.errors.BrokenPipe(`Cannot write: ${why}`);
}

/** The connection ended out of order. */
export function resetError(doing: string, why: string): Error {
  return new Deno.errors.ConnectionReset(`Cannot ${doing}: ${why}`);
}
