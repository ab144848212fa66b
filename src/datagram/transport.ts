/**
 * A transport of datagrams over a socket: one queue, sent one at a time, and the callbacks of one protocol.
 *
 * | phase   | what goes on                                                                  | next          |
 * | ------- | ----------------------------------------------------------------------------- | ------------- |
 * | init    | the protocol does not know of it yet                                          | open, lost    |
 * | open    | datagrams are received and sent                                               | closing, lost |
 * | closing | `close()` was called: none are received, what was queued is being sent        | lost          |
 * | lost    | the socket is closed; `connectionLost` is called in a later turn, once        |               |
 *
 * A send that the system has not yet answered belongs to the queue, at its head: a second one would overtake it whenever
 * the system is out of buffers.
 *
 * @module
 */
import { type Bytes, copyMemory } from "../common/bytes.ts";
import { describeType } from "../common/describe.ts";
import { CallbackRunner, type CallbacksOwner } from "../transport/callbacks.ts";
import { callExceptionHandler, type ErrorContext } from "../transport/exception_handler.ts";
import type {
  BaseProtocolLike,
  DatagramProtocolLike,
  DatagramTransport,
  ExtraInfo,
  TransportStats,
  WriteBufferLimits,
} from "../transport/types.ts";
import { targetOf } from "./address.ts";
import type { DatagramReceiver, DatagramSocket } from "./udp_socket.ts";
import { WaterMarks } from "../transport/water_marks.ts";

type Phase = "init" | "open" | "closing" | "lost";

interface Outgoing {
  data: Uint8Array;
  to: Deno.NetAddr | null;
  next: Outgoing | null;
}

/** A transport over a datagram socket. */
export class SocketDatagramTransport implements DatagramTransport, DatagramReceiver, CallbacksOwner {
  readonly #socket: DatagramSocket;
  readonly #marks = new WaterMarks();
  readonly #callbacks = new CallbackRunner<DatagramProtocolLike>(this);
  #protocol: DatagramProtocolLike;
  #phase: Phase = "init";
  #head: Outgoing | null = null;
  #tail: Outgoing | null = null;
  #size = 0;
  #dropped = 0;
  #bytesRead = 0;
  #bytesWritten = 0;
  readonly #openedAt = Date.now();
  #lastActive = this.#openedAt;

  /**
   * @param socket The socket, the transport's from now on
   * @param protocol The protocol
   * @throws {TypeError} If it is no protocol of datagrams
   */
  constructor(socket: DatagramSocket, protocol: DatagramProtocolLike) {
    this.#socket = socket;
    this.#protocol = checkedProtocol(protocol);
  }

  /**
   * Tells the protocol of its transport, and begins to receive.
   *
   * @throws {Error} What `connectionMade` threw
   */
  start(): void {
    this.#phase = "open";
    this.#socket.start(this);
    const error = this.#callbacks.call(this.#protocol, "connectionMade", (protocol) => protocol.connectionMade(this));
    if (error !== null) throw error;
  }

  getExtraInfo<K extends keyof ExtraInfo, D = undefined>(name: K, defaultValue?: D): ExtraInfo[K] | D {
    const { localAddr, remoteAddr } = this.#socket;
    const known = name === "sockname" ? localAddr : name === "peername" ? remoteAddr : null;
    return known === null ? defaultValue as D : known as ExtraInfo[K];
  }

  stats(): TransportStats {
    return {
      bytesRead: this.#bytesRead,
      bytesWritten: this.#bytesWritten,
      openedAt: this.#openedAt,
      lastActive: this.#lastActive,
      pausedSince: this.#marks.pausedSince,
    };
  }

  ref(): void {
    if (this.#phase !== "lost") this.#socket.keepAlive(true);
  }

  unref(): void {
    if (this.#phase !== "lost") this.#socket.keepAlive(false);
  }

  isClosing(): boolean {
    return this.#phase === "closing" || this.#phase === "lost";
  }

  getProtocol(): DatagramProtocolLike {
    return this.#protocol;
  }

  setProtocol(protocol: BaseProtocolLike): void {
    this.#protocol = checkedProtocol(protocol as DatagramProtocolLike);
  }

  sendto(data: Uint8Array, addr?: Deno.NetAddr): void {
    if (!(data instanceof Uint8Array)) {
      throw new TypeError(`Cannot send a datagram: data must be a Uint8Array, not ${describeType(data)}`);
    }
    const to = targetOf(this.#socket, addr);
    if (this.isClosing()) return this.#drop();
    const outgoing: Outgoing = { data: copyMemory(data, "send a datagram"), to, next: null };
    this.#size += sizeOf(outgoing.data);
    if (this.#tail === null) {
      this.#head = this.#tail = outgoing;
      this.#sendHead(outgoing);
    } else {
      this.#tail = this.#tail.next = outgoing;
    }
    this.#checkMarks();
  }

  close(): void {
    if (this.isClosing()) return;
    this.#phase = "closing";
    if (this.#head === null) this.#lose(null);
  }

  abort(): void {
    this.#lose(null);
  }

  getWriteBufferSize(): number {
    return this.#size;
  }

  getWriteBufferLimits(): WriteBufferLimits {
    return this.#marks.limits;
  }

  setWriteBufferLimits(limits?: { high?: number; low?: number }): void {
    this.#marks.set(limits);
    this.#checkMarks();
  }

  // What the socket calls.

  received(data: Bytes, from: Deno.NetAddr): void {
    if (this.#phase !== "open") return;
    this.#bytesRead += data.length;
    this.#lastActive = Date.now();
    this.#callbacks.call(this.#protocol, "datagramReceived", (protocol) => protocol.datagramReceived(data, from));
  }

  failed(error: Error): void {
    if (this.#phase === "lost") return;
    this.#callbacks.call(this.#protocol, "errorReceived", (protocol) => protocol.errorReceived(error));
  }

  #sendHead({ data, to }: Outgoing): void {
    this.#socket.send(data, to, (error) => this.#sent(error));
  }

  #sent(error: Error | null): void {
    if (this.#phase === "lost") return;
    const { data, next } = this.#head!;
    this.#size -= sizeOf(data);
    this.#head = next;
    if (next === null) this.#tail = null;
    else this.#sendHead(next);
    if (error === null) {
      this.#bytesWritten += data.length;
      this.#lastActive = Date.now();
    } else {
      this.failed(error);
    }
    this.#checkMarks();
    if (this.#phase === "closing" && this.#head === null) this.#lose(null);
  }

  #checkMarks(): void {
    if (this.#phase === "lost") return;
    const change = this.#marks.update(this.#size);
    if (change === "pause") {
      this.#callbacks.inform(this.#protocol, "pauseWriting", (protocol) => protocol.pauseWriting());
    } else if (change === "resume") {
      this.#callbacks.inform(this.#protocol, "resumeWriting", (protocol) => protocol.resumeWriting());
    }
  }

  /** Drops a datagram on an endpoint that is closing (SPEC W6). */
  #drop(): void {
    if (++this.#dropped < FIRST_WARNED_DROP) return;
    callExceptionHandler({
      message: "Datagram dropped",
      error: new Error(`Cannot send a datagram: the endpoint is closing; ${this.#dropped} datagrams were dropped`),
      protocol: this.#protocol,
      transport: this,
    });
  }

  #lose(error: Error | null): void {
    if (this.#phase === "lost") return;
    this.#phase = "lost";
    this.#head = this.#tail = null;
    this.#size = 0;
    this.#socket.close(() => {
      this.#callbacks.inform(this.#protocol, "connectionLost", (protocol) => protocol.connectionLost(error));
    });
  }

  report(context: ErrorContext): void {
    callExceptionHandler(context);
  }

  protocolFailed(error: Error): void {
    this.#lose(error);
  }
}

// As asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
const FIRST_WARNED_DROP = 5;

/** The size that a datagram counts for: its bytes, or 1 if it is empty, so that a queue of empty ones is bounded too [M4]. */
function sizeOf(data: Uint8Array): number {
  return Math.max(data.length, 1);
}

function checkedProtocol(protocol: DatagramProtocolLike): DatagramProtocolLike {
  if (typeof (protocol as Partial<DatagramProtocolLike> | null | undefined)?.datagramReceived === "function") {
    return protocol;
  }
  throw new TypeError(
    `Cannot use ${describeType(protocol)} as a protocol: it must have datagramReceived()`,
  );
}
