/**
 * The entries of a write queue: bytes to be written together, and what they are written from.
 *
 * A chunk is of one of three kinds:
 *
 * - *copied*: bytes of `write()`, in a block that is acquired and released. What is written before it leaves is appended;
 * - *borrowed*: the caller's memory, until the promise of `sendall()` settles (SPEC M3);
 * - *produced*: a source, which fills one block after another, each when the one before is written.
 *
 * @module
 */
import { type Bytes, plainView } from "../common/bytes.ts";
import { mostBytesOf, putText } from "../common/utf8.ts";
import { acquireBlock, releaseBlock } from "../memory/pool.ts";
import type { BlockSource } from "./block_source.ts";

/** The most that is collected in one chunk, in bytes: larger data is a chunk of its own. */
const LARGEST_CHUNK = 262144;

/** Bytes that lie together, to be written in as few calls as the conn makes of them. */
export class Chunk {
  /** What is to be written after it. */
  next: Chunk | null = null;
  /** The promise of `sendall()`, or of a source; `null` for copied bytes. */
  sent: Promise<unknown> | null = null;
  /** Settles that promise; `null` if it is the promise of the write under way itself. */
  settle: PromiseWithResolvers<unknown> | null = null;
  /** What the blocks are filled from. */
  readonly source: BlockSource | null;
  /** How many bytes of the source are sent. */
  sourceSent = 0;
  #block: Uint8Array;
  #start = 0;
  #end: number;

  private constructor(block: Uint8Array, end: number, source: BlockSource | null = null) {
    this.#block = block;
    this.#end = end;
    this.source = source;
  }

  /** A copy of bytes. */
  static copy(data: Uint8Array): Chunk {
    if (data.length > LARGEST_CHUNK) return new Chunk(new Uint8Array(data), data.length);
    const block = acquireBlock(data.length);
    block.set(data);
    return new Chunk(block, data.length);
  }

  /** A string as UTF-8. */
  static ofText(text: string): Chunk {
    const most = mostBytesOf(text);
    if (most > LARGEST_CHUNK) {
      const bytes = encoder.encode(text);
      return new Chunk(bytes, bytes.length);
    }
    const block = acquireBlock(most);
    return new Chunk(block, putText(text, block, 0));
  }

  /** The memory of a `sendall()`. */
  static borrow(data: Uint8Array): Chunk {
    const view = plainView(data);
    return new Chunk(view, view.length);
  }

  /** What a source is going to produce. */
  static produce(source: BlockSource): Chunk {
    return new Chunk(NO_BLOCK, 0, source);
  }

  /** How many bytes are still to be written. */
  get length(): number {
    return this.#end - this.#start;
  }

  /**
   * What is still to be written.
   *
   * @returns The bytes; `null` if their memory was detached or shrunk, which can only happen to borrowed memory
   */
  get rest(): Uint8Array | null {
    if (this.#block.length < this.#end) return null;
    return this.#start === 0 && this.#end === this.#block.length
      ? this.#block
      : this.#block.subarray(this.#start, this.#end);
  }

  /** Copies bytes behind the others, before any is written; tells whether there was room. */
  append(data: Uint8Array): boolean {
    if (!this.#makeRoom(data.length)) return false;
    this.#block.set(data, this.#end);
    this.#end += data.length;
    return true;
  }

  /** The same with a string; returns how many bytes it is, -1 if there was no room. */
  appendText(text: string): number {
    if (!this.#makeRoom(mostBytesOf(text))) return -1;
    const before = this.#end;
    this.#end = putText(text, this.#block, before);
    return this.#end - before;
  }

  /** Lets the source fill the block; returns how many bytes it put there, `null` at its end. */
  async fill(): Promise<number | null> {
    const source = this.source!;
    if (this.#block.length === 0) this.#block = acquireBlock(Math.max(source.blockSize, 1));
    const block = this.#block.length > source.blockSize ? this.#block.subarray(0, source.blockSize) : this.#block;
    const n = await source.read(block);
    this.#start = 0;
    this.#end = n ?? 0;
    return n;
  }

  /** Takes note that bytes were written; tells whether all were. */
  advance(n: number): boolean {
    this.#start += n;
    if (this.source !== null) this.sourceSent += n;
    return this.#start >= this.#end;
  }

  /** Releases the block, once all is written; the caller's memory is the caller's. */
  release(): void {
    if (this.sent === null || this.source !== null) releaseBlock(this.#block as Bytes);
  }

  #makeRoom(n: number): boolean {
    if (this.sent !== null) return false;
    const end = this.#end + n;
    if (end <= this.#block.length) return true;
    if (end > LARGEST_CHUNK) return false;
    const block = acquireBlock(end);
    block.set(this.#block.subarray(0, this.#end));
    releaseBlock(this.#block as Bytes);
    this.#block = block;
    return true;
  }
}

const encoder = new TextEncoder();
const NO_BLOCK: Bytes = new Uint8Array(0);
