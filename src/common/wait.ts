/**
 * Waiting no longer than a user wants to: until a signal aborts, or a time is over.
 *
 * @module
 */
import { rejection } from "./callers_frames.ts";
import { Deadline } from "./deadlines.ts";
import { aDelay, aSignal, type Check, checkOptions } from "./options.ts";

/** What every call that waits takes. */
export interface WaitOptions {
  /** Ends the wait when it aborts: the call rejects with its reason at once. */
  signal?: AbortSignal | undefined;
  /**
   * How long the whole call may wait, in milliseconds; then it rejects with `Deno.errors.TimedOut`. At 0 it waits for a turn
   * of the event loop; `Infinity`, the default, is no limit. It is never shorter, and may be 1/64 longer.
   */
  timeout?: number | undefined;
}

/** The checks of {@linkcode WaitOptions}. */
export const waitChecks: Readonly<Record<"signal" | "timeout", Check>> = { signal: aSignal, timeout: aDelay };

/**
 * Checks the options of a call that waits, and that its signal has not aborted.
 *
 * @param doing What the call does, as in "drain"
 * @param options What the user passed
 * @param others The checks of further options
 * @throws {TypeError | RangeError} If they are wrong
 * @throws `signal.reason`, if it has aborted
 */
export function checkWait(doing: string, options: WaitOptions, others: Readonly<Record<string, Check>> = {}): void {
  checkOptions(doing, options, { ...waitChecks, ...others });
  if (options.signal?.aborted) throw options.signal.reason;
}

/**
 * Makes the error of a call whose time is over.
 *
 * @param doing What it did, as in "read a line"
 * @param timeout Its time, in milliseconds
 * @returns The error
 */
export function timedOut(doing: string, timeout: number): Error {
  return new Deno.errors.TimedOut(`Cannot ${doing}: ${timeout} ms are over`);
}

/**
 * Waits for a promise, no longer than the options say. What is behind the promise goes on.
 *
 * @param doing What is waited for, as in "drain"
 * @param promise What to wait for
 * @param options The limits, checked
 * @returns As the promise; rejects with the reason of the signal, or `TimedOut`
 */
export function within<T>(doing: string, promise: Promise<T>, { signal, timeout = Infinity }: WaitOptions): Promise<T> {
  if (signal === undefined && timeout === Infinity) return promise;
  if (signal?.aborted) {
    promise.catch(() => {});
    return Promise.reject(signal.reason);
  }
  return new Promise<T>((resolve, reject) => {
    let isOver = false;
    const deadline = new Deadline(() => {
      end();
      resolve(rejection(timedOut(doing, timeout)));
    });
    const onAbort = () => {
      end();
      reject(signal!.reason);
    };
    const end = () => {
      isOver = true;
      deadline.disarm();
      signal?.removeEventListener("abort", onAbort);
    };
    signal?.addEventListener("abort", onAbort);
    promise.then((value) => {
      end();
      resolve(value);
    }, (error) => {
      end();
      reject(error);
    });
    // What is settled already needs no deadline.
    queueMicrotask(() => {
      if (!isOver) deadline.arm(timeout);
    });
  });
}

/**
 * Makes a call that takes a signal end in time as well.
 *
 * @param doing What it does, as in "connect"
 * @param options The limits, checked
 * @param call The call, which rejects with the reason of the signal when it aborts; started at once
 * @returns As the call. When the time is over the reason is `TimedOut`
 */
export function limited<T>(
  doing: string,
  { signal, timeout = Infinity }: WaitOptions,
  call: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  // Not an async function, so that the stack of an error has no frame more: it has ten in all.
  return timeout === Infinity ? call(signal) : timed(doing, timeout, signal, call);
}

async function timed<T>(
  doing: string,
  timeout: number,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal?.aborted) throw signal.reason;
  const limit = new AbortController();
  const deadline = new Deadline(() => limit.abort(timedOut(doing, timeout)));
  const onAbort = () => limit.abort(signal!.reason);
  signal?.addEventListener("abort", onAbort);
  deadline.arm(timeout);
  try {
    return await call(limit.signal);
  } catch (error) {
    // The stack of an error that a timer made names nobody, and that of another may have no room for the caller.
    return signal?.aborted ? Promise.reject(error) : rejection(error);
  } finally {
    deadline.disarm();
    signal?.removeEventListener("abort", onAbort);
  }
}
