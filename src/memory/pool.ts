/**
 * Memory that costs little: fresh memory is what costs most in this package, so it is made in as few pieces as possible.
 *
 * Three kinds, for three kinds of owner:
 *
 * - {@linkcode freshMemory}, {@linkcode allocate} and {@linkcode copyOf} make memory that is given away for good. Small pieces
 *   are cut one after the other from shared blocks, never to be reused: 1 KiB costs 0.1 µs so against 0.7 µs for an array of
 *   its own, 10 KiB 0.6 against 1.2. A piece keeps its whole block alive, hence small blocks for small pieces, which are what
 *   programs keep.
 * - {@linkcode acquireBlock} and {@linkcode releaseBlock} lend memory that comes back, as a stack: what was used last is used
 *   next, and the caches stay warm.
 * - {@linkcode SharedBlock}s lend small pieces that come back in any order, for what many connections write at a time: few
 *   blocks instead of one for each (1 KiB echo, 100 connections: streams 0.78 to 0.83 x raw, protocols 0.85 to 0.90, each
 *   give or take 0.02 to 0.03).
 *
 * What is given away comes back by the collector, which costs more than all else. V8 goes through its whole heap (3 to 6 ms of a
 * core) each time that 8 MiB, and a tenth of what there was the last time, were made; a scavenge of the young objects (0.2
 * ms) finds as much, but comes after some 32 MiB once the young generation has grown, and takes a while to free it. So a
 * process that gives away much keeps *ballast*: an array that nobody touches, so that the system has no memory behind it. As
 * V8 then waits for a tenth of it more, scavenges come first: with 256 MiB of it echo by protocol of 10 KiB went from 0.68 to
 * 0.86 x raw, of 100 KiB from 0.52 to 0.84, by streams from 0.71 to 0.84 and from 0.50 to 0.70, each give or take 0.03; with
 * 768 MiB 100 KiB went on to 0.91, where the collector's threads have a core of their own from 0.74 to 0.91. With more it stayed.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";

/** What must have been given away, in bytes, for what comes next to be worth it. */
const GIVEN_BEFORE_BALLAST = 16 << 20;
const BALLAST = 768 << 20;
/**
 * The allocator of Linux (glibc) gives freed memory back to the system, and pays for it again page by page, until it has seen
 * one large block freed: from then on it keeps up to twice as much. This is that block; its pages are never touched.
 * 10 KiB echo by protocol went from 0.66 to 0.71 x raw.
 */
const RESERVE = 30 << 20;
let given = 0;
let ballast: ArrayBuffer | null = null;

/**
 * Makes memory that is the caller's for good.
 *
 * @param n The size, in bytes
 * @returns The memory; its content is zero
 */
export function freshMemory(n: number): Bytes {
  given += n;
  if (ballast === null && given > GIVEN_BEFORE_BALLAST) prepareForMuch();
  return new Uint8Array(n);
}

function prepareForMuch(): void {
  try {
    new ArrayBuffer(RESERVE).transfer(0);
    // Windows takes account of memory that is not touched.
    ballast = new ArrayBuffer(Deno.build.os === "windows" ? 0 : BALLAST);
  } catch {
    // Where there is no address space for it things only take longer.
    ballast = new ArrayBuffer(0);
  }
}

const NO_BLOCK: Bytes = new Uint8Array(0);

/** Cuts pieces from blocks. */
class Cutter {
  readonly largestPiece: number;
  readonly #blockSize: number;
  #block: Bytes = NO_BLOCK;
  #used = 0;

  constructor(blockSize: number, largestPiece: number) {
    this.#blockSize = blockSize;
    this.largestPiece = largestPiece;
  }

  cut(n: number): Bytes {
    if (this.#block.length - this.#used < n) {
      this.#block = freshMemory(this.#blockSize);
      this.#used = 0;
    }
    return this.#block.subarray(this.#used, this.#used += n);
  }
}

const small = new Cutter(16384, 2048);
const large = new Cutter(65536, 16384);

/**
 * Copies bytes into memory that is the caller's for good.
 *
 * @param bytes The memory to copy from
 * @param n How many bytes from its start
 * @returns The copy, of exactly `n` bytes
 */
export function copyOf(bytes: Uint8Array, n: number): Bytes {
  // Zeroing and copying takes less than the constructor that copies, 8 µs for 100 KiB against 9, up to some 256 KiB.
  const copy = allocate(n);
  copy.set(n === bytes.length ? bytes : bytes.subarray(0, n));
  return copy;
}

/**
 * Makes memory that is the caller's for good, small pieces close together.
 *
 * @param n The size, in bytes
 * @returns The memory; its content is zero
 */
export function allocate(n: number): Bytes {
  if (n <= small.largestPiece) return small.cut(n);
  return n <= large.largestPiece ? large.cut(n) : freshMemory(n);
}

/** The sizes in which blocks are lent, in bytes: small enough to idle with, then what fills fewer and fewer calls. */
export const BLOCK_SIZES = [1536, 16384, 65536, 262144] as const;

// How many bytes of each size are kept. With fewer, connections that read and write in one turn make new blocks all the time:
// 100 connections with 1 KiB ran at 0.64 x raw with 32 KiB kept, 10 with 100 KiB at half the speed with 1 MiB.
const KEPT_PER_SIZE = 8 << 20;
const SMALL_BLOCKS_AT_A_TIME = 8;
const stacks: Bytes[][] = BLOCK_SIZES.map(() => []);
// The way of most reads and writes: without the search for a size an echo by protocol over an instant conn takes 412 ns for 437.
const SMALLEST = BLOCK_SIZES[0];
const smallest = stacks[0]!;

/**
 * Borrows a block: the smallest of {@linkcode BLOCK_SIZES} that holds `n` bytes, or one of exactly `n` if none does.
 *
 * @param n The size needed, in bytes
 * @returns The block, with anything in it
 */
export function acquireBlock(n: number): Bytes {
  if (n <= SMALLEST) return smallest.pop() ?? cutSmallBlocks();
  for (let i = 1; i < BLOCK_SIZES.length; i++) {
    const size = BLOCK_SIZES[i]!;
    if (n <= size) return stacks[i]!.pop() ?? new Uint8Array(size);
  }
  return new Uint8Array(n);
}

// Every idle connection has one: an array of its own would be 0.16 KB of objects more, and what the allocator adds. Few
// at a time, as one that is in use keeps all of them alive.
function cutSmallBlocks(): Bytes {
  const bytes = new Uint8Array(SMALL_BLOCKS_AT_A_TIME * SMALLEST);
  for (let at = SMALLEST; at < bytes.length; at += SMALLEST) smallest.push(bytes.subarray(at, at + SMALLEST));
  return bytes.subarray(0, SMALLEST);
}

/**
 * Gives a block back that nobody uses any more.
 *
 * @param block What {@linkcode acquireBlock} returned
 */
export function releaseBlock(block: Bytes): void {
  const i = block.length === SMALLEST ? 0 : BLOCK_SIZES.indexOf(block.length as typeof BLOCK_SIZES[number]);
  if (i >= 0 && stacks[i]!.length * block.length < KEPT_PER_SIZE) stacks[i]!.push(block);
}

// A piece keeps a whole block from being used again, as long as its write is under way.
const SHARED_SIZE = 16384;

/** A block that small pieces are cut from. When all of them are back, it is used anew. */
export class SharedBlock {
  /** The largest piece to lend, in bytes: larger ones get a block of their own. */
  static readonly largestPiece = 2048;
  static #current = new SharedBlock();
  #bytes: Bytes = NO_BLOCK;
  #used = 0;
  #lent = 0;

  /**
   * Finds a block to lend a piece from.
   *
   * @param n The size of the piece, in bytes, no more than {@linkcode largestPiece}
   * @returns The block
   */
  static for(n: number): SharedBlock {
    const current = SharedBlock.#current;
    if (current.#bytes.length - current.#used >= n) return current;
    const next = SharedBlock.#current = new SharedBlock();
    next.#bytes = acquireBlock(SHARED_SIZE);
    return next;
  }

  /**
   * Lends a piece.
   *
   * @param n Its size, as it was given to {@linkcode SharedBlock.for}
   * @returns The piece, with anything in it
   */
  lend(n: number): Bytes {
    this.#lent++;
    return this.#bytes.subarray(this.#used, this.#used += n);
  }

  /** Takes note that a piece is used no more. */
  takeBack(): void {
    if (--this.#lent > 0) return;
    this.#used = 0;
    if (this !== SharedBlock.#current) releaseBlock(this.#bytes);
  }
}
