/**
 * The kinds of reads of a stream reader, each as the {@linkcode Read} that its queue tries.
 *
 * What `take` returns is what the call that does not wait returns; `atEnd` says what the waiting call comes to at the end
 * of the stream (SPEC R2 to R5, R8, R12, F4).
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { IncompleteReadError } from "../common/errors.ts";
import type { Decoder } from "../framing/codec.ts";
import { Search, type Separators } from "../framing/separators.ts";
import type { Read, ReadQueue } from "./read_queue.ts";
import { NEWLINE } from "./separator_finder.ts";

/** Some bytes: as many as there are, up to a number. */
export const SOME: Read<number, Bytes> = {
  doing: "read",
  take: (queue, n) => {
    const { length } = queue.buffer;
    return n === 0 || length > 0 ? queue.take(Math.min(n, length)) : undefined;
  },
  atEnd: nothingAtEnd,
};

/** All bytes until the end of the stream. */
export const ALL: Read<null, Bytes> = {
  doing: "read",
  take: (queue) => {
    const { length } = queue.buffer;
    return length > 0 && queue.over ? queue.take(length) : undefined;
  },
  atEnd: nothingAtEnd,
};

/** Exactly a number of bytes. */
export const EXACTLY: Read<number, Bytes> = {
  doing: "read exactly",
  take: (queue, n) => queue.buffer.length >= n ? queue.take(n) : undefined,
  atEnd: (queue, n) => incomplete(queue, n),
};

/** A line, "\n" included, within a limit. */
export const LINE: Read<number, Bytes> = lineBy(takeBytes);

/** What {@linkcode UNTIL} looks for. */
export interface Until {
  /** The separators. */
  readonly separators: Separators;
  /** The most bytes before a separator. */
  readonly limit: number;
}

/** Everything through a separator. */
export const UNTIL: Read<Until, Bytes> = untilBy(takeBytes);

/** Bytes into the caller's memory, which is not empty. */
export const INTO: Read<Uint8Array, number | null> = {
  doing: "read",
  take: (queue, p) => {
    if (queue.buffer.length === 0) return undefined;
    if (p.length === 0) throw new TypeError("Cannot read into memory: it was detached meanwhile");
    return queue.takeInto(p);
  },
  atEnd: (queue) => {
    queue.throwIfFailed();
    return null;
  },
};

/** Bytes that stay in the buffer. */
export const PEEK: Read<number, Bytes> = {
  doing: "peek",
  take: ({ buffer }, n) => buffer.length >= n ? buffer.peek(n) : undefined,
  atEnd: (queue) => {
    queue.throwIfFailed();
    return queue.buffer.peek(queue.buffer.length);
  },
};

/** An integer of a size. The argument says whether its least significant byte is first. */
export const UINT8: Read<boolean, number> = integer(1, (buffer) => buffer.getUint8(0));
/** An integer of two bytes. */
export const UINT16: Read<boolean, number> = integer(2, (buffer, littleEndian) => buffer.getUint16(0, littleEndian));
/** An integer of four bytes. */
export const UINT32: Read<boolean, number> = integer(4, (buffer, littleEndian) => buffer.getUint32(0, littleEndian));
/** An integer of eight bytes. */
export const BIG_UINT64: Read<boolean, bigint> = integer(
  8,
  (buffer, littleEndian) => buffer.getBigUint64(0, littleEndian),
);

/** A message, by a decoder; `null` at the end of the stream between two messages. */
export const FRAME: Read<Decoder<unknown>, unknown> = {
  doing: "read a message",
  take: (queue, decoder) => {
    try {
      return decoder.decode(queue.buffer);
    } finally {
      queue.taken();
    }
  },
  atEnd: (queue, decoder) => {
    queue.throwIfFailed();
    try {
      const message = decoder.decodeEof?.(queue.buffer);
      if (message !== undefined) return message;
    } finally {
      queue.taken();
    }
    const { length } = queue.buffer;
    if (length === 0) return null;
    throw new IncompleteReadError(queue.take(length), null, "a message");
  },
};

/** The state of one skip: everything is dropped through a separator. */
export class Skipping {
  readonly #search: Search;
  #dropped = 0;
  #taken = -1;

  /**
   * @param separators What ends it
   */
  constructor(separators: Separators) {
    this.#search = new Search(separators);
  }

  /**
   * Drops through the separator, if that is there.
   *
   * @param queue The queue
   * @returns The number of bytes dropped in all, or `undefined`
   */
  finish(queue: ReadQueue): number | undefined {
    const { buffer } = queue;
    // Another read took bytes meanwhile.
    if (buffer.taken !== this.#taken) this.#search.reset();
    this.#taken = buffer.taken;
    const end = this.#search.next(buffer, buffer.length);
    return end < 0 ? undefined : this.#drop(queue, end);
  }

  /**
   * Drops all there is.
   *
   * @param queue The queue
   * @returns The number of bytes dropped in all
   */
  finishAll(queue: ReadQueue): number {
    return this.#drop(queue, queue.buffer.length);
  }

  /**
   * Drops what was searched, but for what may be the start of a separator, so that an abort does not tear it.
   *
   * @param queue The queue
   */
  discard({ buffer }: ReadQueue): void {
    const n = this.#search.position - this.#search.begun;
    this.#search.dropped(n);
    buffer.drop(n);
    this.#dropped += n;
    this.#taken = buffer.taken;
  }

  #drop(queue: ReadQueue, n: number): number {
    queue.drop(n);
    return this.#dropped += n;
  }
}

/** Nothing but the number of bytes that were dropped through a separator. */
export const SKIP: Read<Skipping, number> = {
  doing: "skip until a separator",
  take: (queue, skipping) => skipping.finish(queue),
  atEnd: (queue, skipping) => {
    queue.throwIfFailed();
    return skipping.finishAll(queue);
  },
  discard: (queue, skipping) => skipping.discard(queue),
};

/**
 * A line, by a function that takes it out of the queue.
 *
 * @param take Takes a number of bytes
 * @returns The kind of read
 */
export function lineBy<T>(take: (queue: ReadQueue, n: number) => T): Read<number, T> {
  return {
    doing: "read a line",
    take: (queue, limit) => {
      const end = queue.finder.find(NEWLINE, limit, "read a line");
      return end < 0 ? undefined : take(queue, end);
    },
    atEnd: (queue) => {
      const { length } = queue.buffer;
      if (length === 0) queue.throwIfFailed();
      return take(queue, length);
    },
  };
}

/**
 * Everything through a separator, by a function that takes it out of the queue.
 *
 * @param take Takes a number of bytes
 * @returns The kind of read
 */
export function untilBy<T>(take: (queue: ReadQueue, n: number) => T): Read<Until, T> {
  return {
    doing: "read until a separator",
    take: (queue, { separators, limit }) => {
      const end = queue.finder.find(separators, limit, "read until a separator");
      return end < 0 ? undefined : take(queue, end);
    },
    atEnd: (queue) => incomplete(queue, null),
  };
}

function integer<T>(size: number, get: (buffer: ReadQueue["buffer"], littleEndian: boolean) => T): Read<boolean, T> {
  return {
    doing: "read an integer",
    take: (queue, littleEndian) => {
      if (queue.buffer.length < size) return undefined;
      const value = get(queue.buffer, littleEndian);
      queue.drop(size);
      return value;
    },
    atEnd: (queue) => incomplete(queue, size),
  };
}

function takeBytes(queue: ReadQueue, n: number): Bytes {
  return queue.take(n);
}

function nothingAtEnd(queue: ReadQueue): Bytes {
  queue.throwIfFailed();
  return new Uint8Array(0);
}

function incomplete(queue: ReadQueue, expected: number | null): never {
  queue.throwIfFailed();
  throw new IncompleteReadError(queue.take(queue.buffer.length), expected);
}
