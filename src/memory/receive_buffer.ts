/**
 * The block that one connection's reads go into.
 *
 * A block is acquired when a read is issued and released when its bytes were handed out, so an idle connection holds the block
 * of its pending read and nothing else. Bytes are copied once, into memory of their own (see `handed_out.ts`). Reading right into
 * memory that is then handed out was measured as well: it is not faster, since such memory has to be filled with zeros first.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { HandOut } from "./handed_out.ts";
import { acquireBlock, releaseBlock } from "./pool.ts";

const NO_BLOCK: Bytes = new Uint8Array(0);

/** The block of one connection's reads, one read at a time. */
export class ReceiveBuffer {
  #block: Bytes = NO_BLOCK;
  /** Created on first use: a stream reader makes its own copies. */
  #out: HandOut | null = null;

  /**
   * Acquires a block to read into. The one before is released.
   *
   * @param size The number of bytes to have room for
   * @returns The block
   */
  acquire(size: number): Bytes {
    if (this.#block !== NO_BLOCK) this.release();
    return this.#block = acquireBlock(size);
  }

  /**
   * Looks at what a read brought.
   *
   * @param n The number of bytes, from the start of the block
   * @returns A view, valid until the next call of another method
   */
  view(n: number): Bytes {
    return n === this.#block.length ? this.#block : this.#block.subarray(0, n);
  }

  /**
   * Copies what a read brought into memory to be handed out, and releases the block.
   *
   * @param n The number of bytes, from the start of the block
   * @returns The copy
   */
  copy(n: number): Bytes {
    const bytes = (this.#out ??= new HandOut()).copy(this.#block, 0, n);
    this.release();
    return bytes;
  }

  /**
   * Passes the block on to a new owner, who releases it.
   *
   * @returns The block
   */
  passOn(): Bytes {
    const block = this.#block;
    this.#block = NO_BLOCK;
    return block;
  }

  /** Releases the block: no read is pending. */
  release(): void {
    if (this.#block !== NO_BLOCK) releaseBlock(this.#block);
    this.#block = NO_BLOCK;
  }

  /** Leaves the block to the garbage collector: a pending read may still write to it. */
  abandon(): void {
    this.#block = NO_BLOCK;
  }
}
