/**
 * Errors of the system, told as ours are: what could not be done, and then why.
 *
 * @module
 */
import { toNetError } from "./errors.ts";

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
  return new Class(`Cannot ${doing}: ${error.message}`, { cause: error });
}

const classes = [...Object.values(Deno.errors), TypeError, RangeError];
