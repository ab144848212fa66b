/**
 * Protocols that send and receive a stream of seeded bytes in every way a transport has, each byte accounted for.
 *
 * @module
 */
import type { BaseTransport, BufferedProtocolLike, ProtocolLike, Transport } from "../../transport/types.ts";
import { started } from "./checks.ts";
import { StreamCheck } from "./conn_transfer.ts";
import { SeededRandom } from "../seeded_random.ts";
import { turns } from "../turns.ts";

const LARGEST_PIECE = 65536;

/** How much to send and receive, in bytes, and which bytes. */
export interface TransferOptions {
  size: number;
  sendSeed: number;
  receiveSeed: number;
  /** Whether to end the writing direction after the last byte, and to wait for the peer's end. */
  halfClose: boolean;
}

/** One end of a transfer. It pauses reading now and then, and writes no more than it may. */
abstract class TransferEnd {
  /** Settles when everything has come, and the end if there is to be one. */
  readonly finished: Promise<void>;
  /** Settles with what the connection was lost with. */
  readonly lost: Promise<Error | null>;
  protected readonly random: SeededRandom;
  readonly #options: TransferOptions;
  readonly #stream: StreamCheck;
  readonly #finish = Promise.withResolvers<void>();
  readonly #lose = Promise.withResolvers<Error | null>();
  #transport!: Transport;
  #mayWrite: PromiseWithResolvers<void> | null = null;
  #isLost = false;

  constructor(options: TransferOptions) {
    this.#options = options;
    this.#stream = new StreamCheck(options.receiveSeed);
    this.random = new SeededRandom(options.sendSeed + options.receiveSeed);
    this.finished = started(this.#finish.promise);
    this.lost = this.#lose.promise;
  }

  /** Sends all of it, unless the connection is lost meanwhile. */
  async send(): Promise<void> {
    const { size, sendSeed, halfClose } = this.#options;
    const bytes = new SeededRandom(sendSeed);
    const memory = new Uint8Array(LARGEST_PIECE);
    for (let sent = 0; sent < size && !this.#isLost;) {
      const piece = memory.subarray(0, Math.min(this.random.size(LARGEST_PIECE), size - sent));
      await this.#write(bytes.fill(piece));
      // The transport is done with it (SPEC M2, M3).
      piece.fill(0xee);
      sent += piece.length;
      await this.#mayWrite?.promise;
      if (this.random.next() < 0.1) await turns(this.random.integer(1, 5));
    }
    if (halfClose && !this.#isLost) this.#transport.writeEof();
  }

  connectionMade(transport: BaseTransport): void {
    this.#transport = transport as Transport;
  }

  eofReceived(): boolean {
    this.#finishIf(this.#options.halfClose);
    return this.#options.halfClose;
  }

  pauseWriting(): void {
    this.#mayWrite = Promise.withResolvers();
  }

  resumeWriting(): void {
    this.#mayWrite?.resolve();
    this.#mayWrite = null;
  }

  connectionLost(error: Error | null): void {
    this.#isLost = true;
    this.#lose.resolve(error);
    this.resumeWriting();
    const { received } = this.#stream;
    this.#finish.reject(
      new Error(`the connection was lost after ${received} of ${this.#options.size} bytes: ${error}`, { cause: error }),
    );
  }

  protected take(data: Uint8Array): void {
    this.#stream.take(data);
    this.#finishIf(!this.#options.halfClose);
    if (this.random.next() < 0.1) void this.#pauseForAWhile();
  }

  #write(piece: Uint8Array): void | Promise<void> {
    switch (this.random.integer(0, 3)) {
      case 0:
        return this.#transport.sendall(piece);
      case 1: {
        const cut = this.random.integer(0, piece.length);
        return this.#transport.writelines([piece.subarray(0, cut), piece.subarray(cut)]);
      }
      default:
        return this.#transport.write(piece);
    }
  }

  async #pauseForAWhile(): Promise<void> {
    this.#transport.pauseReading();
    await turns(this.random.integer(1, 5));
    this.#transport.resumeReading();
  }

  #finishIf(isEnd: boolean): void {
    if (isEnd && this.#stream.received === this.#options.size) this.#finish.resolve();
  }
}

/** One end of a transfer that is handed bytes. */
export class PlainTransferEnd extends TransferEnd implements ProtocolLike {
  dataReceived(data: Uint8Array): void {
    this.take(data);
  }
}

/** One end of a transfer that gives memory to read into, of other sizes than those hinted at. */
export class BufferedTransferEnd extends TransferEnd implements BufferedProtocolLike {
  #memory = new Uint8Array(LARGEST_PIECE);
  #given = this.#memory;

  getBuffer(_sizeHint: number): Uint8Array {
    return this.#given = this.#memory.subarray(0, this.random.size(LARGEST_PIECE));
  }

  bufferUpdated(n: number): void {
    this.take(this.#given.subarray(0, n));
  }
}
