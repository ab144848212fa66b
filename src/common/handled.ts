/**
 * Promises that need not be awaited (SPEC S3).
 *
 * @module
 */
import { rejection } from "./callers_frames.ts";

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
 * Makes a promise that settles as another one does, and need not be awaited. Unlike {@linkcode handled} it does not hide its
 * caller from the stack of the error.
 *
 * @param promise What it settles as
 * @returns The promise
 */
export function ignorable<T>(promise: Promise<T>): Promise<T> {
  const outcome: Promise<T> = promise.then(undefined, (error) => {
    handled(outcome);
    throw error;
  });
  return outcome;
}

/**
 * Makes a promise that rejects, and need not be awaited. The stack of the error names the caller.
 *
 * @param error What it rejects with
 * @returns The promise
 */
export function rejected(error: unknown): Promise<never> {
  const promise: Promise<never> = rejection(error, () => handled(promise));
  return promise;
}

/**
 * Makes a promise that tells when something awaits it, and need not be awaited.
 *
 * @param promise What it settles as
 * @param onAwait Called whenever `then` is, as by `await`
 * @returns The promise
 */
export function observed<T>(promise: Promise<T>, onAwait: () => void): Promise<T> {
  const outcome: ObservedPromise<T> = new ObservedPromise<T>((resolve, reject) => {
    promise.then(resolve, (error) => {
      outcome.onAwait = undefined;
      handled(outcome);
      reject(error);
    });
  });
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
