/**
 * Promises that need not be awaited (SPEC S3).
 *
 * @module
 */

/**
 * Marks a promise as handled: if it rejects and nothing awaits it, that is no unhandled rejection.
 *
 * @param promise The promise
 * @returns The same promise
 */
export function handled<T extends Promise<unknown>>(promise: T): T {
  promise.catch(ignore);
  return promise;
}

/**
 * Calls an async function whose promise need not be awaited, for errors that are made inside it: the promise is marked when it
 * rejects. V8 finds the caller of a promise, for the stack of an error, only while nothing but that caller waits for it.
 *
 * @param call The function
 * @returns As its promise
 */
export function handledCall<T>(call: () => Promise<T>): Promise<T> {
  async function run(): Promise<T> {
    try {
      return await call();
    } catch (error) {
      handled(outcome);
      throw error;
    }
  }
  const outcome = run();
  return outcome;
}

/**
 * Makes a rejected promise that need not be awaited.
 *
 * @param error What it rejects with
 * @returns The promise
 */
export function rejected(error: unknown): Promise<never> {
  return handled(Promise.reject(error));
}

/**
 * Makes a promise that tells when something awaits it, and need not be awaited.
 *
 * @param promise What it settles as
 * @param onAwait Called whenever `then` is, as by `await`
 * @returns The promise
 */
export function observed<T>(promise: Promise<T>, onAwait: () => void): Promise<T> {
  const outcome = new ObservedPromise<T>((resolve, reject) => promise.then(resolve, reject));
  handled(outcome);
  outcome.onAwait = onAwait;
  return outcome;
}

/** `await` calls `then` only of promises of a class of their own. */
class ObservedPromise<T> extends Promise<T> {
  onAwait: (() => void) | undefined;

  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  override then<R = T, E = never>(
    onFulfilled?: ((value: T) => R | PromiseLike<R>) | null,
    onRejected?: ((reason: unknown) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    this.onAwait?.();
    return super.then(onFulfilled, onRejected);
  }
}

function ignore(): void {}
