/**
 * Going over from one conn to another under a transport that stays: what is known while it goes on.
 *
 * @module
 */
import type { ConnLike } from "./conn.ts";
import type { TlsInfo } from "./transports.ts";

/** What an upgrade makes of a conn. */
export interface Upgraded {
  /** The conn to go on with. */
  conn: ConnLike;
  /** What there is to tell of it. */
  info: TlsInfo;
}

/** An upgrade that is being made: first what was written is flushed, then a handshake made. */
export class Upgrade {
  /** Resolves when what was written before is sent; rejects when the connection is lost before. */
  readonly flushed: Promise<void>;
  /** Resolves {@linkcode flushed}. */
  setFlushed!: () => void;
  /** Whether the protocol wants to read when it is done. */
  wantsToRead: boolean;
  readonly #abort = new AbortController();

  /**
   * @param wantsToRead Whether the protocol was reading
   */
  constructor(wantsToRead: boolean) {
    this.wantsToRead = wantsToRead;
    this.flushed = new Promise((resolve, reject) => {
      this.setFlushed = resolve;
      this.signal.addEventListener("abort", () => reject(this.signal.reason));
    });
    this.flushed.catch(() => {});
  }

  /** Aborts when the connection is lost. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /**
   * Ends it.
   *
   * @param error Why
   */
  abort(error: Error): void {
    this.#abort.abort(error);
  }
}

/**
 * Makes a conn whose first bytes are those that a read under way on another brings.
 *
 * @param conn The other conn
 * @param readUnderWay What the read brings; `null` for the end of the stream
 * @returns The conn
 */
export function connAfterRead(conn: ConnLike, readUnderWay: Promise<Uint8Array | null>): ConnLike {
  let rest: Uint8Array | null = null;
  let settled = false;
  return {
    async read(p) {
      if (!settled) {
        rest = await readUnderWay;
        settled = true;
        if (rest === null) return null;
      }
      if (rest === null || rest.length === 0) return await conn.read(p);
      const n = Math.min(p.length, rest.length);
      p.set(rest.subarray(0, n));
      rest = rest.subarray(n);
      return n;
    },
    write: (p) => conn.write(p),
    close: () => conn.close(),
    ...(conn.closeWrite !== undefined && { closeWrite: () => conn.closeWrite!() }),
    ...(conn.localAddr !== undefined && { localAddr: conn.localAddr }),
    ...(conn.remoteAddr !== undefined && { remoteAddr: conn.remoteAddr }),
  };
}
