/**
 * Assertions of the conformance suites. Published code imports no assertion library.
 *
 * @module
 */
import { turns } from "../turns.ts";

/** Fails unless the condition holds. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** Fails unless two values are the same; objects are compared as JSON. */
export function checkEqual(actual: unknown, expected: unknown, what: string): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(
    Object.is(actual, expected) || (typeof actual === "object" && found === wanted),
    `${what} is ${found}, not ${wanted}`,
  );
}

/** Fails unless two pieces of bytes are the same. */
export function checkBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  checkEqual(actual.length, expected.length, `the size of ${what}`);
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at++;
  check(at === actual.length, `${what}: byte ${at} is ${actual[at]}, not ${expected[at]}`);
}

/** Fails unless a function throws an error of one of the classes. */
export function checkThrows(call: () => unknown, classes: readonly ErrorClass[], what: string): void {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  checkIsA(thrown, classes, what);
}

/** Fails unless a promise rejects with an error of one of the classes. */
export async function checkRejects(
  promise: Promise<unknown>,
  classes: readonly ErrorClass[],
  what: string,
): Promise<void> {
  checkIsA(await promise.then(() => undefined, (error) => error), classes, what);
}

/** A class of errors. */
export type ErrorClass = abstract new (...args: never[]) => Error;

/** Fails if a promise settles within `quiet` milliseconds. That it never settles cannot be observed otherwise. */
export async function checkWaits(promise: Promise<unknown>, quiet: number, what: string): Promise<void> {
  check(await isPendingAfter(promise, quiet), `${what} did not wait`);
}

/** Marks a promise that is awaited later, so that an early rejection is not unhandled. */
export function started<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** Returns whether a promise is pending after `quiet` milliseconds. */
export async function isPendingAfter(promise: Promise<unknown>, quiet: number): Promise<boolean> {
  const silence = quietTime(quiet);
  const settled = promise.then(() => false, () => false);
  try {
    return await Promise.race([silence.elapsed.then(() => true), settled]);
  } finally {
    silence.cancel();
  }
}

/**
 * Starts a wait of `quiet` milliseconds, after which events that have not occurred are taken not to occur at all. A few
 * turns of the event loop follow, because on a busy machine the time may elapse in a single turn.
 */
export function quietTime(quiet: number): { elapsed: Promise<void>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, quiet);
  return { elapsed: promise.then(() => turns(QUIET_TURNS)), cancel: () => clearTimeout(timer) };
}

const QUIET_TURNS = 10;

/** Fails if a promise takes longer than `timeout` milliseconds. */
export async function within<T>(promise: Promise<T>, timeout: number, doing: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Deno.errors.TimedOut(`Cannot ${doing}: it takes longer than ${timeout} ms`)),
      timeout,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function checkIsA(error: unknown, classes: readonly ErrorClass[], what: string): void {
  const names = classes.map(({ name }) => name).join(" or ");
  check(error !== undefined, `${what} did not fail with ${names}`);
  check(classes.some((one) => error instanceof one), `${what} failed with "${error}", not with ${names}`);
}
