/**
 * Promises that users' code returns.
 *
 * @module
 */

/**
 * The outcome of what users' code returned, if that is a promise: native, of a subclass, or any object with `then`.
 *
 * Never throws: a `then` that cannot be read or that throws is a rejection.
 *
 * @param result What was returned
 * @returns A native promise of the same outcome; `null` if there is nothing to wait for
 */
export function promiseOf(result: unknown): Promise<unknown> | null {
  if ((typeof result !== "object" && typeof result !== "function") || result === null) return null;
  try {
    if (typeof (result as Partial<PromiseLike<unknown>>).then !== "function") return null;
  } catch (thrown) {
    return Promise.reject(thrown);
  }
  // Not Promise.resolve(), which throws what a getter of `constructor` throws.
  return new Promise((resolve) => resolve(result));
}
