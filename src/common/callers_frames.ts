/**
 * Stacks that name the caller.
 *
 * A call that waits is rejected long after it was made: by a read that fails, by a timer. The error of then has a stack that
 * names this package, or nothing at all, but not the function whose `await` fails. V8 can tell that function: while a
 * reaction of a promise runs, the promise knows who awaits it. So instead of `reject(error)` the promise is resolved with a
 * promise that rejects a few reactions later, and the last of these reads the frames of the waiting functions.
 *
 * V8 follows a promise only as long as one reaction alone waits for it. So a promise that need not be awaited must not be marked
 * as handled, by a reaction that ignores the error, before the frames are read: see `handled.ts`.
 *
 * Nothing of this runs before something fails. Of several calls that one loss rejects, the first that is awaited is named.
 *
 * @module
 */

/**
 * Makes a promise that rejects with an error, to whose stack the callers' frames are added. It is passed to the `resolve` of a
 * promise that a caller awaits, or returned to the caller.
 *
 * @param error The error; the promise rejects with the same
 * @param whenRead Called when the frames are read, before the promise rejects
 * @returns The promise
 */
export function rejection(error: unknown, whenRead?: () => void): Promise<never> {
  // The promise that is resolved with this one subscribes to it one reaction later.
  return Promise.reject(error).catch(pass).catch((error) => {
    addFrames(error);
    whenRead?.();
    throw error;
  });
}

function pass(error: unknown): never {
  throw error;
}

/**
 * Has the stack of an error end in the frames of those that await the promise whose reaction is running. They are captured
 * now, which takes a few microseconds, and formatted when the stack is read: formatting takes longer, and may open files.
 */
function addFrames(error: unknown): void {
  try {
    if (!(error instanceof Error)) return;
    const known = captured.get(error);
    if (known !== undefined) {
      if (known.length < MOST_CAPTURED) known.push(capture());
      return;
    }
    const own = Object.getOwnPropertyDescriptor(error, "stack");
    if (own?.configurable !== true) return;
    const waits = [capture()];
    captured.set(error, waits);
    Object.defineProperty(error, "stack", {
      configurable: true,
      get: () => stackOf(own.get === undefined ? own.value : own.get.call(error), waits),
      set: (value) => void Object.defineProperty(error, "stack", { configurable: true, writable: true, value }),
    });
  } catch {
    // A frozen or hostile error stays as it is.
  }
}

interface Captured {
  stack?: unknown;
}

function capture(): Captured {
  const holder: Captured = {};
  const { stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = FRAMES;
    Error.captureStackTrace(holder, addFrames);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return holder;
}

/** The stack of an error, and the frames of the first call that was awaited by a function. */
function stackOf(own: unknown, waits: readonly Captured[]): unknown {
  for (const { stack } of waits) {
    const frames = String(stack).split("\n").filter((line) => line.startsWith("    at async ")).join("\n");
    if (frames !== "") return `${own}\n${frames}`;
  }
  return own;
}

/** What was captured for each error, of the calls that it was the error of. */
const captured = new WeakMap<Error, Captured[]>();

/** How many calls are captured for one error: ignored ones come without frames. */
const MOST_CAPTURED = 4;

/** This package's own functions between the wait and the user's are few. */
const FRAMES = 20;
