/**
 * Stacks that name the caller.
 *
 * A call that waits is rejected long after it was made: by a read that fails, by a timer. The error of then has a stack that
 * names this package, or nothing at all, but not the function whose `await` fails. V8 can tell that function: while a
 * reaction of a promise runs, the promise knows who awaits it. So instead of `reject(error)` the promise is resolved with a
 * promise that rejects a few reactions later, and the last of these reads the frames of those who wait.
 *
 * V8 follows a promise only as long as one reaction alone waits for it. So a promise that need not be awaited must not be marked
 * as handled, by a reaction that ignores the error, before the frames are read: see `handled.ts`.
 *
 * Nothing of this runs before something fails. Frames are added once to each error: of several calls that one loss rejects,
 * the first is named.
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

function addFrames(error: unknown): void {
  try {
    if (!(error instanceof Error) || complete.has(error)) return;
    const frames = asyncFrames();
    if (frames === "" || typeof error.stack !== "string") return;
    complete.add(error);
    error.stack += `\n${frames}`;
  } catch {
    // A frozen or hostile error stays as it is.
  }
}

/** The functions that await the promise whose reaction is running. */
function asyncFrames(): string {
  const holder: { stack?: string } = {};
  const { stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = FRAMES;
    Error.captureStackTrace(holder, addFrames);
    return String(holder.stack).split("\n").filter((line) => line.startsWith("    at async ")).join("\n");
  } catch {
    // A program may have replaced the way that stacks are made.
    return "";
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

const complete = new WeakSet<Error>();

/** This package's own functions between the wait and the user's are few. */
const FRAMES = 20;
