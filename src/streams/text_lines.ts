/**
 * The lines of a reader as text.
 *
 * Theory of operation. Decoding line by line would be the largest cost, so whole blocks are decoded, up to their last "\n",
 * and cut into lines as text. The bytes of a line are taken from the reader when the line is handed out, not before: the
 * bytes after it stay in the reader for the next read. If another call takes bytes between two lines, the rest of the
 * decoded block is dropped and decoded again from the reader's position.
 *
 * In every encoding that is accepted each byte 10 is one "\n", and no other byte is. So the lines of the text and the
 * lines of the bytes are the same. Where a block decodes to as many UTF-16 units as it has bytes, each byte is one unit,
 * and the length of a line in bytes needs no search.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { aDelay, checkOptions } from "../common/options.ts";
import type { ReadOptions, ReadQueue } from "./read_queue.ts";
import { LINE } from "./reads.ts";
import { textDecoder } from "../common/text_decoder.ts";

/**
 * The most bytes decoded at once. V8 keeps the text of a block in memory as long as one of its lines is, so that this is
 * also the most that a line costs.
 */
const BLOCK_SIZE = 4096;

const LF = 10;
const CR = 13;

/** Iterates over the lines of a queue. */
export class TextLines implements AsyncIterableIterator<string> {
  readonly #queue: ReadQueue;
  readonly #limit: number;
  readonly #options: ReadOptions | undefined;
  readonly #rest: TextDecoder;
  /** Strips a byte order mark first, then is as `#rest`. */
  #decoder: TextDecoder;
  /** The block, and where its next line begins. */
  #text = "";
  #at = 0;
  #bytesAreUnits = true;
  /** What the queue had taken when that line was at its front. */
  #taken = -1;
  #done = false;

  /**
   * @param queue What to read from
   * @param limit The most bytes of a line
   * @param encoding A label of the Encoding Standard
   * @param options What each read waits with
   * @throws {TypeError} If the encoding is not a string
   * @throws {RangeError} If the encoding is unknown, or does not keep ASCII as it is; if the timeout is negative
   */
  constructor(queue: ReadQueue, limit: number, encoding: string, options: ReadOptions | undefined) {
    this.#queue = queue;
    this.#limit = limit;
    this.#options = options;
    checkOptions("read lines", { timeout: options?.timeout }, { timeout: aDelay });
    this.#decoder = textDecoder(encoding, { ignoreBOM: false });
    this.#rest = textDecoder(encoding, { ignoreBOM: true });
  }

  /**
   * Reads the next line.
   *
   * @returns The line, without its end
   */
  next(): Promise<IteratorResult<string, undefined>> {
    if (this.#done) return Promise.resolve(DONE);
    // An aborted signal is refused by the queue, before anything is taken.
    if (this.#options?.signal === undefined || this.#options.signal.aborted === false) {
      let line: string | undefined;
      try {
        line = this.#nextOfBlock();
      } catch (error) {
        return Promise.reject(error);
      }
      if (line !== undefined) return this.#queue.fromMemory({ done: false, value: line });
    }
    return this.#queue.get(LINE, this.#limit, this.#options).then(this.#toResult);
  }

  /**
   * Ends the iteration. What was not handed out stays in the reader.
   *
   * @returns The end
   */
  return(): Promise<IteratorResult<string, undefined>> {
    this.#done = true;
    this.#text = "";
    return Promise.resolve(DONE);
  }

  /** @returns This iterator */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next line, if it is there and no longer than a block. */
  #nextOfBlock(): string | undefined {
    const queue = this.#queue;
    const { buffer } = queue;
    if ((buffer.taken !== this.#taken || this.#at === this.#text.length) && !this.#decodeBlock()) return undefined;
    const text = this.#text;
    const start = this.#at;
    const end = text.indexOf("\n", start);
    queue.drop(this.#bytesAreUnits ? end + 1 - start : buffer.indexOf(LF) + 1);
    this.#taken = buffer.taken;
    this.#at = end + 1;
    return withoutCr(text, start, end);
  }

  #decodeBlock(): boolean {
    // No line of the block exceeds the limit. If the first line does, the read of a single line throws.
    const { buffer } = this.#queue;
    const length = buffer.lastIndexOf(LF, Math.min(BLOCK_SIZE, this.#limit + 1)) + 1;
    if (length === 0 || this.#decoder.encoding === STATEFUL) return false;
    this.#text = buffer.peekText(length, this.#decoder);
    this.#decoder = this.#rest;
    this.#at = 0;
    this.#bytesAreUnits = this.#text.length === length;
    return true;
  }

  readonly #toResult = (line: Bytes): IteratorResult<string, undefined> => {
    this.#done ||= line.length === 0;
    if (this.#done) return DONE;
    const text = this.#decoder.decode(line);
    this.#decoder = this.#rest;
    return { done: false, value: text.endsWith("\n") ? withoutCr(text, 0, text.length - 1) : text };
  };
}

/** The encoding in which a byte 10 may be part of something else, after an escape sequence that the line left open. */
const STATEFUL = "iso-2022-jp";

const DONE: IteratorResult<never, undefined> = { done: true, value: undefined };

function withoutCr(text: string, start: number, end: number): string {
  return text.slice(start, end > start && text.charCodeAt(end - 1) === CR ? end - 1 : end);
}
