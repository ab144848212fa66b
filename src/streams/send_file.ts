/**
 * Sending a file, a block at a time: what `StreamWriter.sendfile` and `sockSendfile` share.
 *
 * One block is read and sent, then the next. A second block, read while the first is sent, wins nothing: what a read costs is
 * the way to another thread and back, and the other core has the peer to serve. What counts is the size: 256 KiB sends 1.9
 * GiB/s over loopback, 128 KiB 1.5, 1 MiB 2.2 and memory for four.
 *
 * @module
 */
import { explained } from "../common/errors.ts";
import { describe, quote } from "../common/describe.ts";
import { abortable, throwIfAborted } from "../common/abort.ts";
import type { WaitOptions } from "../common/wait.ts";
import { acquireBlock, releaseBlock } from "../memory/pool.ts";
import { type BlockSource, sendBlocks } from "../transport/block_source.ts";

/** Which part of a file to send. */
export interface SendFileOptions extends WaitOptions {
  /** Where to begin, in bytes from the start of the file; 0 by default. */
  offset?: number | undefined;
  /** How many bytes to send at most; all by default. */
  count?: number | undefined;
}

/** The size of a block, in bytes. */
const BLOCK_SIZE = 262144;

/**
 * Sends a file, or a part of it.
 *
 * Afterwards the position of a file that was passed open is `offset` plus the bytes sent: that is, those that the sink
 * confirmed, also when it failed.
 *
 * @param sink Sends a block, and is done with its memory when its promise is fulfilled
 * @param file The file, which stays open, or the path of one
 * @param options Which part; `signal` ends it between two blocks
 * @returns How many bytes were sent, fewer than `count` if the file has no more
 * @throws {TypeError} If the file is none
 * @throws {RangeError} If `offset` or `count` is negative or not an integer
 * @throws What the sink throws, what the file throws, or `signal.reason`
 */
export async function sendFile(
  sink: (block: Uint8Array) => Promise<void>,
  file: Deno.FsFile | string,
  options: SendFileOptions = {},
): Promise<number> {
  return await new FileSource(file, options).sendBy(async (source) => {
    const block = acquireBlock(source.blockSize);
    const sent = await sendBlocks(source, block, sink);
    // After a failure the sink may not be done with the block: then it is not released.
    releaseBlock(block);
    return sent;
  });
}

/** A file, or a part of one, as a source of blocks. It is opened, and its position set, when it is first read. */
export class FileSource implements BlockSource {
  readonly blockSize: number;
  readonly #given: Deno.FsFile | string;
  readonly #offset: number;
  readonly #count: number;
  readonly #signal: AbortSignal | undefined;
  #file: Deno.FsFile | null = null;
  #seekable = true;
  /** How many bytes were read, and how many of them are sent for certain. */
  #read = 0;
  #sent = 0;
  #reading: Promise<number | null> | null = null;
  /** What the file failed with. */
  #failure: unknown;

  /**
   * @param file The file, or the path of one
   * @param options Which part; `signal` ends the source between two blocks
   * @throws {TypeError} If the file is none
   * @throws {RangeError} If `offset` or `count` is negative or not an integer
   * @throws `signal.reason`, if it aborted before
   */
  constructor(file: Deno.FsFile | string, { offset = 0, count, signal }: SendFileOptions) {
    checkSize(offset, "offset");
    if (count !== undefined) checkSize(count, "count");
    if (typeof file !== "string" && (typeof file?.read !== "function" || typeof file.seek !== "function")) {
      throw new TypeError(`Cannot send a file: it must be a Deno.FsFile or a path, not ${describe(file)}`);
    }
    throwIfAborted(signal);
    this.#given = file;
    this.#offset = offset;
    this.#count = count ?? Infinity;
    this.#signal = signal;
    this.blockSize = Math.min(this.#count, BLOCK_SIZE);
  }

  /**
   * Reads the next block. That it is asked for means that the one before was sent.
   *
   * @param block The memory
   * @returns How many bytes; `null` at the end of the file, or of the part
   */
  async read(block: Uint8Array): Promise<number | null> {
    this.#sent = this.#read;
    throwIfAborted(this.#signal);
    this.#reading = this.#next(block);
    const n = await abortable(this.#reading, this.#signal);
    throwIfAborted(this.#signal);
    this.#reading = null;
    this.#read += n ?? 0;
    return n;
  }

  /**
   * Sends the file, and leaves its position after what was sent.
   *
   * @param send Sends the blocks of a source
   * @returns As `send`
   */
  async sendBy(send: (source: BlockSource) => Promise<number>): Promise<number> {
    try {
      const sent = await send(this);
      this.#sent = this.#read;
      return sent;
    } catch (error) {
      if (error !== this.#failure) throw error;
      // Explained here, not where it came from, so that its stack names the caller.
      throw explained(error, typeof this.#given === "string" ? `send the file ${quote(this.#given)}` : "send a file");
    } finally {
      await this.#end();
    }
  }

  async #next(block: Uint8Array): Promise<number | null> {
    try {
      const file = this.#file ??= await this.#open();
      const left = this.#count - this.#read;
      return left === 0 ? null : await file.read(left < block.length ? block.subarray(0, left) : block);
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  async #open(): Promise<Deno.FsFile> {
    const file = typeof this.#given === "string" ? await Deno.open(this.#given) : this.#given;
    try {
      await file.seek(this.#offset, Deno.SeekMode.Start);
    } catch (error) {
      // A pipe has no positions: it is sent from where it is.
      if (this.#offset === 0 && isPipe(error)) this.#seekable = false;
      else {
        if (file !== this.#given) file.close();
        throw error;
      }
    }
    return file;
  }

  /** Opening may take for ever, as that of a pipe does, so it is not waited for. */
  #closeWhenOpened(): void {
    const close = () => {
      if (this.#file !== null && this.#file !== this.#given) this.#file.close();
    };
    this.#reading?.then(close, close);
  }

  async #end(): Promise<void> {
    const file = this.#file;
    if (file === null) return this.#closeWhenOpened();
    if (file !== this.#given) return file.close();
    // A read may still be under way when the connection is lost.
    if (!this.#seekable) return;
    await this.#reading?.catch(() => {});
    await file.seek(this.#offset + this.#sent, Deno.SeekMode.Start).catch(() => {});
  }
}

/** Deno has no class for ESPIPE. */
function isPipe(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return code === "ESPIPE" || String(message).includes("os error 29");
}

function checkSize(value: number, name: string): void {
  if (typeof value !== "number") {
    throw new TypeError(`Cannot send a file: ${name} must be a number, not ${describe(value)}`);
  }
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`Cannot send a file: ${name} must be an integer of at least 0, not ${describe(value)}`);
  }
}
