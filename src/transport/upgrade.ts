/**
 * State of replacing a transport's conn (STARTTLS). The transport, its protocol and its water marks stay.
 *
 * @module
 */
import type { ConnLike } from "../conn/conn.ts";
import type { TlsInfo } from "./types.ts";

/** The result of an upgrade. */
export interface Upgraded {
  /** The conn that replaces the one before. */
  conn: ConnLike;
  /** What is known of its TLS. */
  info: TlsInfo;
}

/** An upgrade under way: first what was written is flushed, then the handshake is made. */
export class Upgrade {
  /** Resolves when what was written before is sent; rejects when the connection is lost before. */
  readonly flushed: Promise<void>;
  /** Resolves {@linkcode flushed}. */
  setFlushed!: () => void;
  /** Whether reading resumes after the upgrade. */
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
