/**
 * Reports errors that no call rejects with: those of a server to its `onError`, others to the exception handler, and
 * without one to `console.error`.
 *
 * Handlers are user code. If one throws, or its promise rejects, that is reported by `console.error`.
 *
 * @module
 */
import { showAddress } from "../common/address.ts";
import { describe, describeType } from "../common/describe.ts";
import { asError } from "../common/errors.ts";
import { promiseOf } from "../common/promise_of.ts";
import type { BaseProtocolLike, BaseTransport } from "./types.ts";

/** An error that no call rejects with, and where it occurred: the argument of an exception handler and of `onError`. */
export interface ErrorContext {
  /** What failed, such as "Handler failed". */
  message: string;
  /** Why. */
  error: Error;
  /** The protocol it happened in, if any. */
  protocol?: BaseProtocolLike | undefined;
  /** The transport it happened on, if any. */
  transport?: BaseTransport | undefined;
  /** The server it happened in, if any. */
  server?: unknown;
  /** The address of the peer, if it is known. */
  peername?: Deno.Addr | undefined;
}

/**
 * Which handlers get an error: all, or only an `onError`. The latter is for errors that a peer caused and a handler did
 * not catch, such as a reset: without an `onError` they are not printed.
 */
export type Audience = "everyone" | "onError";

/**
 * A transport that takes the errors of what is built on it, and hands them to the `onError` of its server. Any transport may
 * have it; the errors on one that has not go to the exception handler.
 */
export interface ErrorReporter {
  /** Reports an error that no call rejects with. */
  report(context: ErrorContext, audience?: Audience): void;
}

let handler: ((context: ErrorContext) => void) | null = null;

/**
 * Sets the function that gets errors that no call rejects with, such as what a callback of a protocol throws.
 *
 * Servers with an `onError` of their own send theirs there. Without a handler, errors are printed with `console.error`, one
 * line that names the peer, and the error. A handler that throws, or that is `async` and rejects, is printed as well.
 * As asyncio's `loop.set_exception_handler`.
 *
 * @param newHandler The handler; `null` restores the default
 * @returns The handler before it; `null` if that was the default
 * @throws {TypeError} If it is neither a function nor `null`
 *
 * @example Sending errors to a log for a while
 * ```ts
 * import { setExceptionHandler } from "@tideline/net";
 *
 * const before = setExceptionHandler(({ message, error }) => console.warn(message, error));
 * setExceptionHandler(before);
 * ```
 */
export function setExceptionHandler(
  newHandler: ((context: ErrorContext) => void) | null,
): ((context: ErrorContext) => void) | null {
  if (newHandler !== null && typeof newHandler !== "function") {
    throw new TypeError(
      `Cannot set the exception handler: it must be a function or null, not ${describeType(newHandler)}`,
    );
  }
  const before = handler;
  handler = newHandler;
  return before;
}

/**
 * Hands an error to the exception handler. Never throws.
 *
 * @param context What is known about the error
 */
export function callExceptionHandler(context: ErrorContext): void {
  callHandler(handler ?? printError, context);
}

/**
 * Hands an error to one handler, with the peer's address added. Never throws: if the handler fails, both errors are printed.
 *
 * @param to The handler
 * @param context What is known about the error
 */
export function callHandler(to: (context: ErrorContext) => void, context: ErrorContext): void {
  const full = withPeername(context);
  // A handler that provokes the error it is called with would otherwise go on until the stack is full.
  if (depth >= MOST_NESTED) return printError(full);
  const failed = (thrown: unknown) => {
    printError(full);
    printError({ message: "Exception handler failed", error: asError(thrown, "the exception handler") });
  };
  depth++;
  try {
    const result: unknown = to(full);
    promiseOf(result)?.catch(failed);
  } catch (thrown) {
    failed(thrown);
  } finally {
    depth--;
  }
}

/**
 * Hands an error to the transport it happened on, or else to the exception handler. Never throws.
 *
 * @param context What is known about the error, with the transport
 * @param audience Which handlers get it
 */
export function reportOnTransport(context: ErrorContext, audience: Audience = "everyone"): void {
  const { transport } = context;
  if (isReporter(transport)) transport.report(context, audience);
  else if (audience === "everyone") callExceptionHandler(context);
}

function isReporter(transport: BaseTransport | undefined): transport is BaseTransport & ErrorReporter {
  return typeof (transport as Partial<ErrorReporter> | undefined)?.report === "function";
}

function withPeername(context: ErrorContext): ErrorContext {
  if (context.peername !== undefined) return context;
  try {
    const peername = context.transport?.getExtraInfo("peername");
    return peername === undefined ? context : { ...context, peername };
  } catch {
    // A foreign transport may fail here as well.
    return context;
  }
}

function printError({ message, error, peername }: ErrorContext): void {
  const line = `${message}${forPeer(peername)}:`;
  for (const shown of [error, describe(error)]) {
    try {
      console.error(line, shown);
      return;
    } catch {
      // Printing reads the error, whose getters are users' code.
    }
  }
}

function forPeer(peername: Deno.Addr | undefined): string {
  if (peername === undefined) return "";
  try {
    return ` for ${showAddress(peername)}`;
  } catch {
    // A ConnLike that has something else for an address.
    return "";
  }
}

let depth = 0;
const MOST_NESTED = 4;
