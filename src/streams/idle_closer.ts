/**
 * Closes a connection of streams as soon as it is idle, because its server shuts down (SPEC V5).
 *
 * Streams are idle when a read waits, nothing is buffered, and nothing is unsent: a request was answered, and the next one
 * has not begun to arrive. That may be so at once, or when the handler reads again, or when its answer is sent. For the
 * last, the high-water mark is set to 0, so that `resumeWriting` tells when nothing is unsent.
 *
 * @module
 */
import type { Transport } from "../transport/types.ts";
import type { ReadQueue } from "./read_queue.ts";

/** Closes one transport when its streams are idle. */
export class IdleCloser {
  readonly #transport: Transport;
  readonly #queue: ReadQueue;

  /**
   * Closes the transport now if its streams are idle.
   *
   * @param transport The transport
   * @param queue What its reader reads from
   */
  constructor(transport: Transport, queue: ReadQueue) {
    this.#transport = transport;
    this.#queue = queue;
    if (!this.check()) transport.setWriteBufferLimits({ high: 0 });
  }

  /**
   * Closes the transport if its streams are idle. To be called whenever they may have become so.
   *
   * @returns Whether it is closing
   */
  check(): boolean {
    const { busy, buffer } = this.#queue;
    const isIdle = busy && buffer.length === 0 && this.#transport.getWriteBufferSize() === 0;
    if (isIdle) this.#transport.close();
    return isIdle;
  }
}
