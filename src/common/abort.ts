/**
 * Waiting with a signal.
 *
 * @module
 */

/**
 * Waits for a promise or until a signal aborts, whichever comes first. The operation behind the promise goes on.
 *
 * @param promise What to wait for
 * @param signal Ends the wait
 * @returns As the promise; rejects with `signal.reason` when the signal aborts first
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  if (signal.aborted) {
    promise.catch(() => {});
    return Promise.reject(signal.reason);
  }
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/**
 * Throws if a signal has aborted.
 *
 * @param signal The signal, if any
 * @throws Its reason
 */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}
