/**
 * Connecting two connections with each other, as a proxy does.
 *
 * Each direction is a loop of `readinto()` and `sendall()` with memory of its own: no byte is copied, and nothing is read
 * before all that was read is sent, so each side is as fast as the other takes its bytes. The memory grows and shrinks with
 * the reads, so that an idle pair costs little.
 *
 * @module
 */
import { describe } from "../common/describe.ts";
import { aDelay } from "../common/options.ts";
import { checkWait, limited, type WaitOptions } from "../common/wait.ts";
import { ReadSizePredictor } from "../memory/read_size_predictor.ts";
import { type Idler, IdleWatch } from "../transport/idle_watch.ts";
import type { StreamConnection } from "./open_connection.ts";
import { StreamReader } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

/** What {@linkcode relay} takes. */
export interface RelayOptions extends WaitOptions {
  /**
   * For how long no byte may be moved either way, in milliseconds, before both connections are aborted; 0, the default, for
   * any time. It is never shorter, and at most an eighth longer.
   */
  idleTimeout?: number | undefined;
}

/** How many bytes {@linkcode relay} has moved. */
export interface RelayedBytes {
  /** From the first connection to the second. */
  readonly forward: number;
  /** From the second connection to the first. */
  readonly backward: number;
}

/** A side of {@linkcode relay}: a {@linkcode StreamConnection}, or a handler's reader and writer. */
export type RelaySide = Pick<StreamConnection, "reader" | "writer">;

/**
 * Moves all bytes between two connections, both ways, without a copy, until both directions have ended. Bytes that were
 * received and not read are moved first.
 *
 * The end of one direction is passed on, and the other direction goes on; a connection that cannot half-close is closed
 * instead. When either connection fails, both are aborted. Otherwise they are left to the caller to close.
 *
 * @param a A connection
 * @param b The other connection
 * @param options `idleTimeout`; `signal` and `timeout` abort both connections
 * @returns How many bytes were moved, when both directions have ended
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
 * @throws {Deno.errors.TimedOut} If the time is over, or no byte was moved for `idleTimeout`
 * @throws {Error} What either connection failed with, or `signal.reason`
 *
 * @example A proxy
 * ```ts
 * import { openConnection, relay, startServer } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using target = await startServer(async (reader, writer) => {
 *   writer.write(`You sent ${(await reader.read()).length} bytes\n`);
 * }, { hostname: "127.0.0.1", port: 0 });
 * const { port } = target;
 * await using proxy = await startServer(async (reader, writer) => {
 *   await using upstream = await openConnection({ port, timeout: 5000 });
 *   await relay({ reader, writer }, upstream, { idleTimeout: 60_000 });
 * }, { hostname: "127.0.0.1", port: 0 });
 *
 * await using client = await openConnection({ port: proxy.port });
 * client.writer.write("hello");
 * client.writer.writeEof();
 * assertEquals(await client.reader.readline({ encoding: "utf-8" }), "You sent 5 bytes\n");
 * ```
 */
export async function relay(a: RelaySide, b: RelaySide, options: RelayOptions = {}): Promise<RelayedBytes> {
  checkSide(a);
  checkSide(b);
  checkWait("relay", options, { idleTimeout: aDelay });
  const { signal, timeout, idleTimeout = 0 } = options;
  return await limited("relay", { signal, timeout }, (signal) => new Relay(a, b).run(idleTimeout, signal));
}

class Relay implements Idler {
  readonly mayIdle = true;
  readonly #forward: Direction;
  readonly #backward: Direction;
  readonly #sides: readonly RelaySide[];
  /** Why both sides were aborted. */
  #failure: { error: unknown } | null = null;

  constructor(a: RelaySide, b: RelaySide) {
    this.#sides = [a, b];
    this.#forward = new Direction(a.reader, b.writer);
    this.#backward = new Direction(b.reader, a.writer);
  }

  async run(idleTimeout: number, signal: AbortSignal | undefined): Promise<RelayedBytes> {
    const onAbort = () => this.#abort(signal!.reason);
    signal?.addEventListener("abort", onAbort);
    const watch = idleTimeout > 0 && idleTimeout < Infinity ? new IdleWatch(this, idleTimeout) : null;
    const directions = [this.#forward, this.#backward].map((direction) =>
      direction.run().catch((error) => this.#abort(error))
    );
    await Promise.all(directions);
    watch?.end();
    signal?.removeEventListener("abort", onAbort);
    // An abort ends both directions as an end of the stream does.
    if (this.#failure !== null) throw this.#failure.error;
    return { forward: this.#forward.bytes, backward: this.#backward.bytes };
  }

  get bytesRead(): number {
    return this.#forward.bytes + this.#backward.bytes;
  }

  /** Whatever changes when a byte is sent. */
  get bytesWritten(): number {
    return this.#sides.reduce((sum, { writer }) => sum - writer.transport.getWriteBufferSize(), 0);
  }

  idled(ms: number): void {
    this.#abort(new Deno.errors.TimedOut(`Cannot relay: no byte was moved for ${ms} ms`));
  }

  #abort(error: unknown): void {
    this.#failure ??= { error };
    for (const { writer } of this.#sides) writer.abort();
  }
}

/** One direction: from one connection to the other. */
class Direction {
  /** How many bytes were read. */
  bytes = 0;
  readonly #reader: StreamReader;
  readonly #writer: StreamWriter;
  readonly #predictor = new ReadSizePredictor();

  constructor(reader: StreamReader, writer: StreamWriter) {
    this.#reader = reader;
    this.#writer = writer;
  }

  async run(): Promise<void> {
    for (let memory = NO_MEMORY;;) {
      const size = this.#predictor.issue();
      if (memory.length !== size) memory = new Uint8Array(size);
      const n = await this.#reader.readinto(memory).finally(() => this.#predictor.settle());
      if (n === null) break;
      this.#predictor.note(n, size);
      this.bytes += n;
      await this.#writer.sendall(memory.subarray(0, n));
    }
    if (this.#writer.canWriteEof()) this.#writer.writeEof();
    else await this.#writer.close();
  }
}

const NO_MEMORY = new Uint8Array(0);

function checkSide(side: RelaySide): void {
  const { reader, writer } = (side ?? {}) as Partial<RelaySide>;
  if (reader instanceof StreamReader && writer instanceof StreamWriter) return;
  throw new TypeError(`Cannot relay: a side must have a reader and a writer, not be ${describe(side)}`);
}
