/**
 * Going over from one conn to another under a transport that stays: what is known while it goes on.
 *
 * @module
 */
import type { ConnLike } from "../conn/conn.ts";
import type { TlsInfo } from "./types.ts";

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
