/**
 * A queue of bytes: what a decoder reads from, and the buffer inside a stream reader.
 *
 * Theory of operation. The bytes lie together in one block of the pool, between `#start` and `#end`. What is taken is a copy (see
 * `handed_out.ts`), so it never changes, and detaching it affects nothing that is still in the queue [M5]. Where the
 * room behind `#end` does not suffice, the bytes move to a block of twice the size, which makes a byte cost O(1) however it was
 * chunked. An empty queue releases its block, so memory is in use only while there are bytes.
 *
 * A block that is not the pool's, because it is too large for that or was adopted, is handed out itself when all of it is taken.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { HandOut } from "../memory/handed_out.ts";
import { acquireBlock, LARGEST_BLOCK, releaseBlock, SMALLEST_BLOCK } from "../memory/pool.ts";
import { type Pattern, patternOf } from "./pattern.ts";

// The way in for the stream protocol: blocks of the pool are no business of users.
let adoptBlockInto: (queue: ByteQueue, block: Bytes, n: number) => void;

/** A block of which less than this part is filled is not kept: its bytes move to a smaller one. */
const FILLED = 8;

// Up to here a loop is faster than the call into `indexOf`: 20-byte lines 25 ns against 90 ns.
const LOOP_LENGTH = 64;

/**
 * A queue of bytes. Positions count from its first byte; integers are read as by a `DataView`.
 *
 * What {@linkcode ByteQueue.take} and {@linkcode ByteQueue.peek} return is memory that the queue never uses again. It may be kept,
 * and transferred or detached without harm to the bytes in the queue. Short pieces may share a buffer of at most 8 KiB; others
 * have a buffer of their own, less than twice their size.
 *
 * @example A message with its length in front
 * ```ts
 * import { ByteQueue } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new ByteQueue();
 * queue.append(new Uint8Array([0, 5, 104, 101, 108]));
 * assertEquals(queue.getUint16(0), 5);
 * queue.append(new TextEncoder().encode("lo"));
 * queue.drop(2);
 * assertEquals(new TextDecoder().decode(queue.take(5)), "hello");
 * assertEquals(queue.length, 0);
 * ```
 */
export class ByteQueue {
  #block: Bytes = NO_BLOCK;
  #start = 0;
  #end = 0;
  #taken = 0;
  /** Whether the block came from the pool and goes back there. */
  #pooled = false;
  readonly #out = new HandOut();
  /** What was looked for last and not found, in which positions, and what had been taken then: it is not searched again. */
  #missed: number | Pattern = -1;
  #missedFrom = 0;
  #missedTo = 0;
  #missedTaken = -1;

  /** The number of bytes in the queue. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** The number of bytes ever taken or dropped. A remembered position holds as long as this stays the same. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Adds a copy of bytes.
   *
   * @param data The bytes
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  append(data: Uint8Array): void {
    if (data.length === 0) return;
    this.#checkBlock();
    if (this.#block.length - this.#end < data.length) this.#grow(data.length);
    this.#block.set(data, this.#end);
    this.#end += data.length;
  }

  /**
   * Adds bytes without a copy if the queue is empty, else as {@linkcode ByteQueue.append}.
   *
   * @param bytes The bytes; the caller never writes to them again
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  adopt(bytes: Bytes): void {
    if (this.#end !== this.#start) return this.append(bytes);
    this.#use(bytes, bytes.length, false);
  }

  /**
   * Takes bytes from the front.
   *
   * @param n The number of bytes, at most {@linkcode ByteQueue.length}
   * @returns The bytes, which are the caller's
   * @throws {RangeError} If there are fewer, or `n` is not a whole number from 0
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  take(n: number): Bytes {
    this.#check(0, n);
    const bytes = this.#isAll(n) ? this.#block.subarray(this.#start, this.#end) : this.#copy(n);
    this.#advance(n);
    return bytes;
  }

  /**
   * Takes bytes from the front into the caller's memory.
   *
   * @param p The memory
   * @returns The number of bytes taken: as many as there are and fit
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  takeInto(p: Uint8Array): number {
    const n = Math.min(p.length, this.length);
    this.#checkBlock();
    p.set(this.#block.subarray(this.#start, this.#start + n));
    this.#advance(n);
    return n;
  }

  /**
   * Removes bytes from the front.
   *
   * @param n The number of bytes, at most {@linkcode ByteQueue.length}
   * @throws {RangeError} If there are fewer, or `n` is not a whole number from 0
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  drop(n: number): void {
    this.#check(0, n);
    this.#advance(n);
  }

  /**
   * Looks at bytes at the front, which stay in the queue.
   *
   * @param n The number of bytes, at most {@linkcode ByteQueue.length}
   * @returns A copy of them
   * @throws {RangeError} If there are fewer, or `n` is not a whole number from 0
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  peek(n: number): Bytes {
    this.#check(0, n);
    return this.#copy(n);
  }

  /**
   * Takes bytes from the front as text, which spares the copy that {@linkcode ByteQueue.take} makes.
   *
   * @param n The number of bytes, at most {@linkcode ByteQueue.length}
   * @param decoder Decodes them; what it throws is thrown, and the bytes stay
   * @returns The text
   * @throws {RangeError} If there are fewer, or `n` is not a whole number from 0
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  takeText(n: number, decoder: TextDecoder): string {
    const text = this.peekText(n, decoder);
    this.#advance(n);
    return text;
  }

  /**
   * Looks at bytes at the front as text; they stay in the queue.
   *
   * @param n The number of bytes, at most {@linkcode ByteQueue.length}
   * @param decoder Decodes them
   * @returns The text
   * @throws {RangeError} If there are fewer, or `n` is not a whole number from 0
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  peekText(n: number, decoder: TextDecoder): string {
    this.#check(0, n);
    return decoder.decode(this.#block.subarray(this.#start, this.#start + n));
  }

  /**
   * The byte at a position.
   *
   * @param position The position, below {@linkcode ByteQueue.length}
   * @returns The byte
   * @throws {RangeError} If there is no such position
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  at(position: number): number {
    return this.#block[this.#locate(position, 1)]!;
  }

  /**
   * Looks for a byte, or for a sequence of bytes.
   *
   * A search that finds nothing is remembered: the same search when more bytes have come begins where it ended. So a decoder
   * that looks for the end of its message each time has no need to remember how far it got.
   *
   * @param what The byte, or the sequence
   * @param from The position to start at; 0 by default
   * @param to The position to end before; all bytes by default
   * @returns The position of the first occurrence that starts at `from` or later and ends at `to` or before; else -1
   * @throws {TypeError} If the sequence is empty, or the memory of adopted bytes was detached
   */
  indexOf(what: number | Uint8Array, from = 0, to: number = this.length): number {
    if (to > this.length) to = this.length;
    if (from < 0) from = 0;
    const target = typeof what === "number" ? what : patternOf(what);
    const goesOn = target === this.#missed && this.#taken === this.#missedTaken && from >= this.#missedFrom &&
      from < this.#missedTo;
    // The start of a sequence may have been searched.
    const start = goesOn ? Math.max(from, this.#missedTo + 1 - lengthOf(target)) : from;
    const found = typeof target === "number"
      ? this.#indexOfByte(target, start, to)
      : this.#indexOfPattern(target, start, to);
    if (found >= 0) return found;
    if (!goesOn) {
      this.#missed = target;
      this.#missedFrom = from;
      this.#missedTo = to;
      this.#missedTaken = this.#taken;
    } else if (to > this.#missedTo) {
      this.#missedTo = to;
    }
    return -1;
  }

  /**
   * Looks for a byte from the end.
   *
   * @param byte The byte
   * @param to The position to end before; all bytes by default
   * @returns The position of its last occurrence before `to`; else -1
   * @throws {TypeError} If the memory of adopted bytes was detached
   */
  lastIndexOf(byte: number, to: number = this.length): number {
    this.#checkBlock();
    return this.#block.subarray(this.#start, Math.min(this.#start + to, this.#end)).lastIndexOf(byte);
  }

  /**
   * The byte at a position, as an unsigned integer.
   *
   * @param position The position
   * @returns The integer
   * @throws {RangeError} If the queue ends before
   */
  getUint8(position: number): number {
    return this.#block[this.#locate(position, 1)]!;
  }

  /**
   * The byte at a position, as a signed integer.
   *
   * @param position The position
   * @returns The integer
   * @throws {RangeError} If the queue ends before
   */
  getInt8(position: number): number {
    return this.getUint8(position) << 24 >> 24;
  }

  /**
   * Two bytes as an unsigned integer.
   *
   * @param position The position of the first byte
   * @param littleEndian Whether the least significant byte is first; `false` by default
   * @returns The integer
   * @throws {RangeError} If the queue ends before
   */
  getUint16(position: number, littleEndian = false): number {
    const at = this.#locate(position, 2);
    const first = this.#block[at]!;
    const second = this.#block[at + 1]!;
    return littleEndian ? second << 8 | first : first << 8 | second;
  }

  /**
   * Two bytes as a signed integer.
   *
   * @param position The position of the first byte
   * @param littleEndian Whether the least significant byte is first; `false` by default
   * @returns The integer
   * @throws {RangeError} If the queue ends before
   */
  getInt16(position: number, littleEndian = false): number {
    return this.getUint16(position, littleEndian) << 16 >> 16;
  }

  /**
   * Four bytes as an unsigned integer.
   *
   * @param position The position of the first byte
   * @param littleEndian Whether the least significant byte is first; `false` by default
   * @returns The integer
   * @throws {RangeError} If the queue ends before
   */
  getUint32(position: number, littleEndian = false): number {
    return this.getInt32(position, littleEndian) >>> 0;
  }

  /**
   * Four bytes as a signed integer.
   *
   * @param position The position of the first byte
   * @param littleEndian Whether the least significant byte is first; `false` by default
   * @returns The integer
   * @throws {RangeError} If the queue ends before
   */
  getInt32(position: number, littleEndian = false): number {
    const at = this.#locate(position, 4);
    const block = this.#block;
    const [a, b, c, d] = [block[at]!, block[at + 1]!, block[at + 2]!, block[at + 3]!];
    return littleEndian ? d << 24 | c << 16 | b << 8 | a : a << 24 | b << 16 | c << 8 | d;
  }

  /**
   * Eight bytes as an unsigned integer.
   *
   * @param position The position of the first byte
   * @param littleEndian Whether the least significant byte is first; `false` by default
   * @returns The integer
   * @throws {RangeError} If the queue ends before
   */
  getBigUint64(position: number, littleEndian = false): bigint {
    return this.#viewOf(position, 8).getBigUint64(0, littleEndian);
  }

  /**
   * Eight bytes as a signed integer.
   *
   * @param position The position of the first byte
   * @param littleEndian Whether the least significant byte is first; `false` by default
   * @returns The integer
   * @throws {RangeError} If the queue ends before
   */
  getBigInt64(position: number, littleEndian = false): bigint {
    return this.#viewOf(position, 8).getBigInt64(0, littleEndian);
  }

  /**
   * Four bytes as a floating-point number.
   *
   * @param position The position of the first byte
   * @param littleEndian Whether the least significant byte is first; `false` by default
   * @returns The number
   * @throws {RangeError} If the queue ends before
   */
  getFloat32(position: number, littleEndian = false): number {
    return this.#viewOf(position, 4).getFloat32(0, littleEndian);
  }

  /**
   * Eight bytes as a floating-point number.
   *
   * @param position The position of the first byte
   * @param littleEndian Whether the least significant byte is first; `false` by default
   * @returns The number
   * @throws {RangeError} If the queue ends before
   */
  getFloat64(position: number, littleEndian = false): number {
    return this.#viewOf(position, 8).getFloat64(0, littleEndian);
  }

  #indexOfByte(byte: number, from: number, to: number): number {
    const block = this.#block;
    const start = this.#start;
    const end = start + to;
    const loopEnd = Math.min(end, start + from + LOOP_LENGTH);
    let i = start + from;
    while (i < loopEnd) {
      if (block[i] === byte) return i - start;
      i++;
    }
    this.#checkBlock();
    if (i >= end) return -1;
    // Never beyond `end`: the room behind it may be as large as the rest, and would be searched for every byte that comes.
    const found = block.subarray(i, end).indexOf(byte);
    return found < 0 ? -1 : i + found - start;
  }

  #indexOfPattern(pattern: Pattern, from: number, to: number): number {
    const { bytes } = pattern;
    const first = bytes[0]!;
    let matched = 0;
    for (let i = from; i < to;) {
      if (matched === 0) {
        i = this.#indexOfByte(first, i, to);
        if (i < 0) return -1;
      }
      matched = pattern.step(matched, this.#block[this.#start + i]!);
      i++;
      if (matched === bytes.length) return i - matched;
    }
    this.#checkBlock();
    return -1;
  }

  /** The place of a position in the block, for `size` bytes to be read there. */
  #locate(position: number, size: number): number {
    this.#check(position, size);
    return this.#start + position;
  }

  #viewOf(position: number, size: number): DataView {
    const at = this.#locate(position, size);
    for (let i = 0; i < size; i++) scratchBytes[i] = this.#block[at + i]!;
    return scratch;
  }

  #check(position: number, n: number): void {
    const end = position + n;
    if (!(position >= 0 && n >= 0 && end <= this.length && Number.isInteger(end))) {
      const what = position === 0 ? `${n} bytes` : `${n} bytes at position ${position}`;
      throw new RangeError(`Cannot read ${what}: there are ${this.length} bytes in the queue`);
    }
    this.#checkBlock();
  }

  #checkBlock(): void {
    if (this.#block.length < this.#end) {
      throw new TypeError("Cannot read: the memory of bytes that were adopted was detached");
    }
  }

  #copy(n: number): Bytes {
    // An array of its own, as the caller may detach it.
    return n === 0 ? new Uint8Array(0) : this.#out.cut(this.#block, this.#start, n, this.#end);
  }

  /** Whether `n` bytes are all there are, and their block is to be handed out itself: then most of it is in use. */
  #isAll(n: number): boolean {
    return !this.#pooled && n === this.#end - this.#start && 2 * n > this.#block.length;
  }

  #advance(n: number): void {
    this.#taken += n;
    this.#start += n;
    if (this.#start === this.#end) this.#use(NO_BLOCK, 0, false);
  }

  /** Goes on with another block, which holds `n` bytes. */
  #use(block: Bytes, n: number, pooled: boolean): void {
    if (this.#pooled) releaseBlock(this.#block);
    this.#block = block;
    this.#start = 0;
    this.#end = n;
    this.#pooled = pooled;
    this.#out.forget();
  }

  /** Moves the bytes to a block with room for `n` more, and as much again as there will be. */
  #grow(n: number): void {
    const { length } = this;
    const block = acquireBlock(length === 0 ? n : 2 * (length + n));
    block.set(this.#block.subarray(this.#start, this.#end));
    this.#use(block, length, block.length <= LARGEST_BLOCK);
  }

  #adoptBlock(block: Bytes, n: number): void {
    if (this.#end === this.#start && (FILLED * n >= block.length || block.length === SMALLEST_BLOCK)) {
      return this.#use(block, n, true);
    }
    this.append(block.subarray(0, n));
    releaseBlock(block);
  }

  static {
    adoptBlockInto = (queue, block, n) => queue.#adoptBlock(block, n);
  }
}

/**
 * Adds bytes that lie in a block of the pool, which is the queue's from now on; not exported from the package.
 *
 * @param queue The queue
 * @param block The block
 * @param n The number of bytes, from its start
 */
export function adoptBlock(queue: ByteQueue, block: Bytes, n: number): void {
  adoptBlockInto(queue, block, n);
}

function lengthOf(target: number | Pattern): number {
  return typeof target === "number" ? 1 : target.bytes.length;
}

const NO_BLOCK: Bytes = new Uint8Array(0);

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);
