/**
 * Two connections in memory without any buffer between them.
 *
 * @module
 */
import { brokenError, busyError, closedError, interruptedError } from "../../conn/conn_errors.ts";
import type { ConnLike } from "../../conn/conn.ts";

/**
 * Makes a connected pair in memory without a buffer: a write resolves when the peer has read all of it. As python-trio's
 * `lockstep_stream_pair`.
 *
 * It shows faults that a buffer hides: code that writes before anything reads, and bytes that are counted as sent before
 * they have arrived. Closing either end while a write waits loses the part that was not read.
 *
 * @returns The two ends
 *
 * @example A write waits for its reader
 * ```ts
 * import { lockstepConnPair } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = lockstepConnPair();
 * let written = false;
 * const writing = a.write(new Uint8Array(3)).then(() => written = true);
 *
 * assertEquals(await b.read(new Uint8Array(2)), 2);
 * assertEquals(written, false);
 * assertEquals(await b.read(new Uint8Array(2)), 1);
 * await writing;
 * a.close();
 * b.close();
 * ```
 */
export function lockstepConnPair(): [ConnLike, ConnLike] {
  const there = new Handover();
  const back = new Handover();
  return [new LockstepConn(back, there), new LockstepConn(there, back)];
}

class LockstepConn implements ConnLike {
  readonly #incoming: Handover;
  readonly #outgoing: Handover;
  #closed = false;

  constructor(incoming: Handover, outgoing: Handover) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  read(p: Uint8Array): Promise<number | null> {
    return this.#closed ? Promise.reject(closedError("read")) : this.#incoming.read(p);
  }

  write(p: Uint8Array): Promise<number> {
    return this.#closed ? Promise.reject(closedError("write")) : this.#outgoing.write(p);
  }

  closeWrite(): Promise<void> {
    return this.#closed ? Promise.reject(closedError("end writing")) : this.#outgoing.end();
  }

  close(): void {
    if (this.#closed) throw closedError("close");
    this.#closed = true;
    this.#incoming.stopReading();
    this.#outgoing.stopWriting();
  }
}

/** One direction, in which a read or a write may wait. */
class Handover {
  #write: (PromiseWithResolvers<number> & { p: Uint8Array; taken: number }) | null = null;
  #read: (PromiseWithResolvers<number | null> & { p: Uint8Array }) | null = null;
  /** "ending": ended as soon as the waiting write is done. */
  #writing: "open" | "ending" | "ended" = "open";
  #reading: "open" | "closed" = "open";

  read(p: Uint8Array): Promise<number | null> {
    if (this.#read !== null) return Promise.reject(busyError("read"));
    if (p.length === 0) return Promise.resolve(0);
    const read = this.#read = { ...Promise.withResolvers<number | null>(), p };
    this.#meet();
    return read.promise;
  }

  write(p: Uint8Array): Promise<number> {
    if (this.#writing !== "open") return Promise.reject(brokenError("this direction was ended"));
    if (this.#reading === "closed") return Promise.reject(brokenError("the peer closed the connection"));
    if (this.#write !== null) return Promise.reject(busyError("write"));
    if (p.length === 0) return Promise.resolve(0);
    const write = this.#write = { ...Promise.withResolvers<number>(), p, taken: 0 };
    this.#meet();
    return write.promise;
  }

  async end(): Promise<void> {
    if (this.#writing !== "open") return;
    this.#writing = "ending";
    await this.#write?.promise.catch(() => {});
    if (this.#writing !== "ending") throw interruptedError("end writing");
    this.#writing = "ended";
    this.#meet();
  }

  stopWriting(): void {
    this.#writing = "ended";
    this.#write?.reject(interruptedError("write"));
    this.#write = null;
    this.#meet();
  }

  stopReading(): void {
    this.#reading = "closed";
    this.#read?.reject(interruptedError("read"));
    this.#read = null;
    this.#write?.reject(brokenError("the peer closed the connection"));
    this.#write = null;
  }

  /** Settles the waiting read if there are bytes for it, or EOF. */
  #meet(): void {
    const [read, write] = [this.#read, this.#write];
    if (read === null) return;
    if (write !== null) {
      const piece = write.p.subarray(write.taken, write.taken + read.p.length);
      read.p.set(piece);
      write.taken += piece.length;
      this.#read = null;
      read.resolve(piece.length);
      if (write.taken < write.p.length) return;
      this.#write = null;
      write.resolve(write.taken);
    } else if (this.#writing === "ended") {
      this.#read = null;
      read.resolve(null);
    }
  }
}
