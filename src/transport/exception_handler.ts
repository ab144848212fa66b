/**
 * Where errors go that no caller waits for.
 *
 * @module
 */
import type { BaseProtocolLike, BaseTransport } from "./types.ts";

/** What is known about an error that no caller waits for: the argument of an exception handler and of `onError`. */
export interface ErrorContext {
  /** What could not be done. */
  message: string;
  /** Why. */
  error: Error;
  /** The protocol it happened in, if any. */
  protocol?: BaseProtocolLike;
  /** The transport it happened on, if any. */
  transport?: BaseTransport;
  /** The server it happened in, if any. */
  server?: unknown;
}

let handler: ((context: ErrorContext) => void) | null = null;

/**
 * Sets what is called with errors that no caller waits for, such as a callback of a protocol that throws.
 *
 * Servers with an `onError` of their own send theirs there. Without a handler, errors are printed with `console.error`.
 * As asyncio's `loop.set_exception_handler`.
 *
 * @param newHandler The handler; `null` restores the default
 * @throws {TypeError} If it is neither a function nor `null`
 *
 * @example Sending errors to a log
 * ```ts
 * import { setExceptionHandler } from "@tideline/net";
 *
 * setExceptionHandler(({ message, error }) => console.warn(message, error));
 * setExceptionHandler(null);
 * ```
 */
export function setExceptionHandler(newHandler: ((context: ErrorContext) => void) | null): void {
  if (newHandler !== null && typeof newHandler !== "function") {
    throw new TypeError(
      `Cannot set the exception handler: it must be a function or null, not "${typeof newHandler}"`,
    );
  }
  handler = newHandler;
}

/**
 * Hands an error to the exception handler. Never throws: what a handler throws is printed beside the error.
 *
 * @param context What is known about the error
 */
export function callExceptionHandler(context: ErrorContext): void {
  callHandler(handler ?? printError, context);
}

/**
 * Hands an error to one handler; what that throws is printed beside the error.
 *
 * @param to The handler
 * @param context What is known about the error
 */
export function callHandler(to: (context: ErrorContext) => void, context: ErrorContext): void {
  try {
    to(context);
  } catch (error) {
    printError(context);
    console.error("Cannot report an error: the exception handler threw", error);
  }
}

function printError({ message, error }: ErrorContext): void {
  console.error(message, error);
}
