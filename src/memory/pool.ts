/**
 * Blocks of memory that the library reads into and writes from: acquired for one operation, released after it, and used again.
 *
 * A block never leaves the library. What a user gets is a copy of its own (see `handed_out.ts`), so a block may have held the
 * bytes of any connection before. The pool is a stack: the block released last is acquired next, while it is still in the
 * processor's caches.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";

/** The sizes of the blocks, in bytes: the first is what an idle connection waits with. */
export const BLOCK_SIZES = [1536, 16384, 65536, 131072, 262144] as const;

/** The size of the smallest block, in bytes. */
export const SMALLEST_BLOCK = BLOCK_SIZES[0];
/** The size of the largest block that is kept, in bytes. */
export const LARGEST_BLOCK = BLOCK_SIZES[BLOCK_SIZES.length - 1]!;

/**
 * How many bytes of each size the pool keeps. With fewer, connections that read and write in one turn allocate new blocks all
 * the time: 100 connections with 1 KiB ran at 0.64 × raw with 32 KiB kept.
 */
const KEPT_PER_SIZE = 8 << 20;

const stacks: Bytes[][] = BLOCK_SIZES.map(() => []);
// The way of most reads and writes: without the search for a size an echo over an instant connection takes 412 ns, not 437.
const smallest = stacks[0]!;

/**
 * Acquires a block: the smallest of {@linkcode BLOCK_SIZES} that holds `n` bytes, or one of exactly `n` if none does.
 *
 * @param n The number of bytes needed
 * @returns The block, with arbitrary content
 */
export function acquireBlock(n: number): Bytes {
  if (n <= SMALLEST_BLOCK) return pop(smallest, SMALLEST_BLOCK);
  for (let i = 1; i < BLOCK_SIZES.length; i++) {
    const size = BLOCK_SIZES[i]!;
    if (n <= size) return pop(stacks[i]!, size);
  }
  return new Uint8Array(n);
}

/**
 * Releases a block that nothing uses any more. One of another size than {@linkcode BLOCK_SIZES} is left to the garbage collector.
 *
 * @param block A block that {@linkcode acquireBlock} returned
 */
export function releaseBlock(block: Bytes): void {
  const i = block.length === SMALLEST_BLOCK ? 0 : BLOCK_SIZES.indexOf(block.length as typeof BLOCK_SIZES[number]);
  if (i >= 0 && stacks[i]!.length * block.length < KEPT_PER_SIZE) stacks[i]!.push(block);
}

function pop(stack: Bytes[], size: number): Bytes {
  const block = stack.pop();
  // A conn of the user's may have detached the memory that it was given to read into.
  return block === undefined || block.length !== size ? new Uint8Array(size) : block;
}
