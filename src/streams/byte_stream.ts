/**
 * The rest of a reader as a Web Stream.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type { ReadQueue } from "./read_queue.ts";
import { SOME } from "./reads.ts";

/** The most bytes of one chunk, unless the consumer brings memory of its own. */
const MOST_AT_ONCE = 65536;

/**
 * Makes a byte stream that reads when it is read from, and not before.
 *
 * @param queue What to read from
 * @param onEnd Called when the stream is cancelled or fails, so that it is of no more use, though the reader may be
 * @returns The stream
 */
export function byteStreamOf(queue: ReadQueue, onEnd: () => void): ReadableStream<Bytes> {
  const cancelled = new AbortController();
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      try {
        // No more than is asked for: what lies in the stream is lost to the reader.
        const n = controller.byobRequest?.view?.byteLength ?? MOST_AT_ONCE;
        const bytes = await queue.get(SOME, n, { signal: cancelled.signal });
        // A copy, as the stream transfers what it is given.
        if (bytes.length > 0) return controller.enqueue(bytes.slice());
        controller.close();
        // A pending BYOB request must be answered for the close to be seen.
        controller.byobRequest?.respond(0);
      } catch (error) {
        if (cancelled.signal.aborted) return;
        onEnd();
        controller.error(error);
      }
    },
    cancel(reason) {
      onEnd();
      cancelled.abort(reason);
    },
  }, { highWaterMark: 0 });
}
