/**
 * Stacks that name the caller.
 *
 * A call that waits is rejected long after it was made: by a read that fails, by a timer. The error of then has a stack that
 * names this package, or nothing at all, but not the function whose `await` fails. V8 can tell that function: while a
 * reaction of a promise runs, the promise knows who awaits it. So instead of `reject(error)` the promise is resolved with a
 * promise that rejects a few reactions later, and the last of these reads the frames of those who wait.
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
 * @returns The promise
 */
export function rejection(error: unknown): Promise<never> {
  // The promise that is resolved with this one subscribes to it one reaction later.
  return Promise.reject(error).catch(pass).catch(addFrames);
}

function pass(error: unknown): never {
  throw error;
}

function addFrames(error: unknown): never {
  try {
    if (error instanceof Error && !complete.has(error)) {
      complete.add(error);
      const frames = asyncFrames();
      if (frames !== "" && typeof error.stack === "string") error.stack += `\n${frames}`;
    }
  } catch {
    // A frozen or hostile error stays as it is.
  }
  throw error;
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
