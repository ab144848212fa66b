/**
 * A `node:stream` Duplex over a {@linkcode ConnLike}: what `node:tls` needs to speak TLS over any connection.
 *
 * The conn is read only when the stream asks for more, so back pressure goes through; one write is in flight and what
 * comes meanwhile leaves with the next. `end()` half-closes where the conn can, `destroy()` closes the conn, and a
 * failure of either direction destroys the stream with that error.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { ConnLike } from "../conn.ts";

// Reads go into a block until less than a quarter of it is left; the stream keeps the pieces, so a block is never
// reused. A block that one read fills makes the next ones twice as large: an idle conn holds little, a busy one reads much.
const MIN_BLOCK = 4096;
const MAX_BLOCK = 65536;

/** Options of {@linkcode duplexFromConn}. */
export interface DuplexFromConnOptions {
  /** Bytes that were read from the conn already and come first. They are the stream's to keep. */
  prefix?: Uint8Array | undefined;
}

/**
 * Makes a `node:stream` Duplex of a conn; from then on the conn is the stream's alone.
 *
 * @param conn The conn
 * @param options The bytes that were read already, if any
 * @returns The stream, with `allowHalfOpen`
 */
export async function duplexFromConn(conn: ConnLike, options: DuplexFromConnOptions = {}): Promise<Duplex> {
  const { Duplex } = await import("node:stream");
  const reading = new ConnReading(conn, options.prefix);
  return new Duplex({
    read() {
      // After destroy() a failure is only that of our own close, and push() and destroy() do nothing.
      reading.next().then((chunk) => this.push(chunk), (error) => this.destroy(error));
    },
    write(chunk: Uint8Array, _encoding, callback) {
      writeAll(conn, chunk).then(() => callback(), callback);
    },
    writev(entries: { chunk: Uint8Array }[], callback) {
      writeAll(conn, concat(entries)).then(() => callback(), callback);
    },
    final(callback) {
      closeWrite(conn).then(() => callback(), callback);
    },
    destroy(error, callback) {
      close(conn);
      callback(error);
    },
  });
}

/** The reading side: the prefix, then what the conn brings, in pieces that are the stream's to keep. */
class ConnReading {
  readonly #conn: ConnLike;
  #prefix: Uint8Array | undefined;
  #block = new Uint8Array(0);
  #blockSize = MIN_BLOCK;

  constructor(conn: ConnLike, prefix: Uint8Array | undefined) {
    this.#conn = conn;
    this.#prefix = prefix?.length ? prefix : undefined;
  }

  async next(): Promise<Uint8Array | null> {
    const prefix = this.#prefix;
    if (prefix !== undefined) {
      this.#prefix = undefined;
      return prefix;
    }
    if (this.#block.length < this.#blockSize / 4) this.#block = new Uint8Array(this.#blockSize);
    const n = await this.#conn.read(this.#block);
    if (n === null) return null;
    if (n === this.#block.length) this.#blockSize = Math.min(2 * this.#blockSize, MAX_BLOCK);
    const piece = this.#block.subarray(0, n);
    this.#block = this.#block.subarray(n);
    return piece;
  }
}

async function writeAll(conn: ConnLike, data: Uint8Array): Promise<void> {
  let rest = data;
  while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
}

// Where there is no half-close, the peer's EOF comes with the close that follows once both directions ended.
async function closeWrite(conn: ConnLike): Promise<void> {
  try {
    await conn.closeWrite?.();
  } catch (error) {
    // The peer has gone already: there is no direction left to end.
    if (!(error instanceof Deno.errors.NotConnected)) throw error;
  }
}

function close(conn: ConnLike): void {
  try {
    conn.close();
  } catch (error) {
    // Closed by someone else meanwhile, which is what was wanted.
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function concat(entries: { chunk: Uint8Array }[]): Uint8Array {
  const whole = new Uint8Array(entries.reduce((sum, { chunk }) => sum + chunk.length, 0));
  let at = 0;
  for (const { chunk } of entries) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
