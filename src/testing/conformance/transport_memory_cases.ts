/**
 * The cases of the transport suite about the memory that is handed out: the rule M5.
 *
 * @module
 */
import type { BaseTransport, ProtocolLike, Transport } from "../../transport/types.ts";
import { check } from "./checks.ts";
import { StreamCheck } from "./conn_transfer.ts";
import { SeededRandom } from "../seeded_random.ts";
import type { Scene, TransportCaseDefinition } from "./transport_scene.ts";
import { turns } from "../turns.ts";

/** When the memory of a piece is detached. */
type Moment = "at once" | "after an await" | "later" | "never";

const moments: Moment[] = ["at once", "after an await", "later", "never"];

/** The largest buffer of a small piece, in bytes. */
const LARGEST_BUFFER = 8192;

/** Receives a stream of seeded bytes, and detaches the memory of its pieces. */
class Detacher implements ProtocolLike {
  readonly buffers = new Set<ArrayBufferLike>();
  readonly finished: Promise<void>;
  #transport!: Transport;
  readonly #size: number;
  readonly #stream: StreamCheck;
  readonly #random: SeededRandom;
  readonly #kept: Uint8Array<ArrayBuffer>[] = [];
  readonly #finish = Promise.withResolvers<void>();

  constructor(size: number, seed: number) {
    this.#size = size;
    this.#stream = new StreamCheck(seed);
    this.#random = new SeededRandom(seed);
    this.finished = this.#finish.promise;
    this.finished.catch(() => {});
  }

  connectionMade(transport: BaseTransport): void {
    this.#transport = transport as Transport;
  }

  dataReceived(data: Uint8Array<ArrayBuffer>): void {
    this.buffers.add(data.buffer);
    const { byteLength } = data.buffer;
    const most = Math.max(LARGEST_BUFFER, 2 * data.length);
    check(byteLength <= most, `a piece of ${data.length} bytes has a buffer of ${byteLength}`);
    this.#stream.take(data);
    this.#detach(data, moments[this.#random.integer(0, moments.length - 1)]!);
    if (this.#stream.received === this.#size) this.#finish.resolve();
  }

  connectionLost(error: Error | null): void {
    this.#finish.reject(error ?? new Error(`the connection was lost after ${this.#stream.received} bytes`));
  }

  eofReceived(): void {}
  pauseWriting(): void {}
  resumeWriting(): void {}

  /** Sends the bytes of a seed in pieces of many sizes, unless the connection is lost meanwhile. */
  async send(seed: number): Promise<void> {
    const bytes = new SeededRandom(seed);
    const sizes = new SeededRandom(~seed);
    const memory = new Uint8Array(20_000);
    for (let sent = 0; sent < this.#size && !this.#transport.isClosing();) {
      const piece = memory.subarray(0, Math.min(sizes.size(memory.length), this.#size - sent));
      this.#transport.write(bytes.fill(piece));
      sent += piece.length;
      if (sizes.next() < 0.3) await turns(sizes.integer(1, 3));
    }
  }

  #detach(data: Uint8Array<ArrayBuffer>, moment: Moment): void {
    switch (moment) {
      case "at once":
        return detach(data);
      case "after an await":
        return queueMicrotask(() => detach(data));
      case "later":
        this.#kept.push(data);
        if (this.#kept.length > 5) detach(this.#kept.shift()!);
    }
  }
}

function detach({ buffer }: Uint8Array<ArrayBuffer>): void {
  if (!buffer.detached) structuredClone(buffer, { transfer: [buffer] });
}

/** The cases about memory that is handed out. */
export const memoryCases: TransportCaseDefinition[] = [
  {
    what: "hands out memory that is not shared with another connection, and that may be detached at any time",
    rule: "M5",
    async run(scene: Scene) {
      const { transferSize, seed } = scene.settings;
      const size = Math.min(transferSize, 300_000);
      const endA = new Detacher(size, seed);
      const endB = new Detacher(size, seed + 1);
      await scene.open(endA, endB);
      await Promise.all([endA.send(seed + 1), endB.send(seed), endA.finished, endB.finished]);
      check(endA.buffers.isDisjointFrom(endB.buffers), "both ends were handed out views of one buffer");
    },
  },
];
