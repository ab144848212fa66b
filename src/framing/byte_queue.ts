/**
 * Bytes in, bytes out: the queue of bytes inside a stream reader.
 *
 * The bytes lie together in one block, between `#start` and `#end`. They are taken as views of the block, without a
 * copy. Nothing is ever written below `#end` again, so a view that was handed out never changes (SPEC M1): where the room
 * behind `#end` does not suffice, what is left moves to a new block of twice the size, which makes a byte cost O(1)
 * however it was chunked. An empty buffer lets go of its block.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { allocate, copyOf } from "../memory/pool.ts";

const NOTHING = new Uint8Array(0);

// Up to here a loop is faster than the call into `indexOf`: 20-byte lines 25 ns against 90 ns.
const LOOP_LENGTH = 64;

/** A queue of bytes. Positions are relative to the first byte that was not taken yet. */
export class ByteBuffer {
  #block: Bytes = NOTHING;
  #start = 0;
  #end = 0;
  #taken = 0;

  /** How many bytes there are. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** How many bytes were ever taken or dropped: tells whether a position that was remembered still holds. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Adds bytes that are never written again; without a copy where none lie before them.
   *
   * @param bytes The bytes
   */
  adopt(bytes: Bytes): void {
    if (this.#end !== this.#start) return this.append(bytes);
    this.#block = bytes;
    this.#start = 0;
    this.#end = bytes.length;
  }

  /**
   * Adds a copy of bytes.
   *
   * @param data The bytes
   */
  append(data: Uint8Array): void {
    if (this.#end === this.#start) return this.adopt(copyOf(data, data.length));
    const end = this.#end + data.length;
    if (end > this.#block.length) {
      this.#moveToBlockOf(2 * (end - this.#start));
      this.append(data);
      return;
    }
    this.#block.set(data, this.#end);
    this.#end = end;
  }

  /**
   * Takes bytes from the front.
   *
   * @param n How many; no more than there are
   * @returns A view of them
   */
  take(n: number): Bytes {
    const start = this.#start;
    const end = start + n;
    const bytes = start === 0 && end === this.#block.length ? this.#block : this.#block.subarray(start, end);
    this.#advance(n);
    return bytes;
  }

  /**
   * Takes bytes from the front into the caller's memory.
   *
   * @param p The memory
   * @returns How many bytes were taken: as many as there are and fit
   */
  takeInto(p: Uint8Array): number {
    const n = Math.min(p.length, this.length);
    p.set(this.#block.subarray(this.#start, this.#start + n));
    this.#advance(n);
    return n;
  }

  /**
   * Drops bytes from the front.
   *
   * @param n How many; no more than there are
   */
  drop(n: number): void {
    this.#advance(n);
  }

  /**
   * Copies bytes from the front and leaves them there.
   *
   * @param n How many; no more than there are
   * @returns The copy
   */
  peek(n: number): Bytes {
    return this.#block.slice(this.#start, this.#start + n);
  }

  /**
   * The byte at a position.
   *
   * @param position Where, below {@linkcode length}
   * @returns The byte
   */
  at(position: number): number {
    return this.#block[this.#start + position]!;
  }

  /**
   * Looks for a byte.
   *
   * @param byte The byte
   * @param from The position to start at
   * @param to The position to end before; no more than {@linkcode length}
   * @returns The position of the first one, or -1
   */
  indexOf(byte: number, from: number, to: number): number {
    const block = this.#block;
    const start = this.#start;
    const end = start + to;
    const loopEnd = Math.min(end, start + from + LOOP_LENGTH);
    let i = start + from;
    while (i < loopEnd) {
      if (block[i] === byte) return i - start;
      i++;
    }
    if (i >= end) return -1;
    // Never beyond `end`: the room behind it may be as large as the rest, and be searched for every byte that comes.
    const found = block.subarray(i, end).indexOf(byte);
    return found < 0 ? -1 : i + found - start;
  }

  #advance(n: number): void {
    this.#taken += n;
    this.#start += n;
    if (this.#start === this.#end) {
      this.#block = NOTHING;
      this.#start = this.#end = 0;
    }
  }

  #moveToBlockOf(size: number): void {
    const block = allocate(size);
    const length = this.length;
    block.set(this.#block.subarray(this.#start, this.#end));
    this.#block = block;
    this.#start = 0;
    this.#end = length;
  }
}
