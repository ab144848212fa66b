/**
 * Protocols that send and receive random bytes by every method of a transport, and compare every byte.
 *
 * @module
 */
import type { BaseTransport, BufferedProtocolLike, ProtocolLike, Transport } from "../../transport/types.ts";
import { started } from "./checks.ts";
import { StreamCheck } from "./conn_transfer.ts";
import { SeededRandom } from "../seeded_random.ts";
import { turns } from "../turns.ts";

const LARGEST_PIECE = 65536;

/** The number of bytes to send and to receive, and their seeds. */
export interface TransferOptions {
  size: number;
  sendSeed: number;
  receiveSeed: number;
  /** Whether to end the writing direction after the last byte, and to expect EOF from the peer. */
  halfClose: boolean;
}

/** One end of a transfer. It pauses reading at random, and stops writing while writing is paused. */
abstract class TransferEnd {
  /** Resolves when everything was received, EOF included if it is expected. */
  readonly finished: Promise<void>;
  /** Resolves with the error of `connectionLost`. */
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

  /** Sends everything, unless the connection is lost meanwhile. */
  async send(): Promise<void> {
    const { size, sendSeed, halfClose } = this.#options;
    const bytes = new SeededRandom(sendSeed);
    const memory = new Uint8Array(LARGEST_PIECE);
    for (let sent = 0; sent < size && !this.#isLost;) {
      const piece = memory.subarray(0, Math.min(this.random.size(LARGEST_PIECE), size - sent));
      await this.#write(bytes.fill(piece));
      // The memory is the caller's again [M2, M3].
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

/** One end of a transfer, as a plain protocol. */
export class PlainTransferEnd extends TransferEnd implements ProtocolLike {
  dataReceived(data: Uint8Array): void {
    this.take(data);
  }
}

/** One end of a transfer, as a buffered protocol whose buffers have random sizes. */
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
