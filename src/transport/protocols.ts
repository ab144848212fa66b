/**
 * The protocol classes: methods that do nothing, to be overridden. As those of `asyncio.protocols`.
 *
 * Any object of the same shape works; the classes only save writing methods that do nothing. Each method is declared with its
 * parameters, which an editor then offers for an override, and implemented without them.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type {
  BaseProtocolLike,
  BaseTransport,
  BufferedProtocolLike,
  DatagramProtocolLike,
  DatagramTransport,
  ProtocolLike,
  SubprocessProtocolLike,
  SubprocessTransport,
  Transport,
} from "./types.ts";

/** What all protocols share. As `asyncio.BaseProtocol`. */
export class BaseProtocol<T extends BaseTransport = BaseTransport> implements BaseProtocolLike {
  /**
   * The connection is made: called once, before anything else.
   *
   * @param transport The transport to keep
   */
  connectionMade(transport: T): void;
  connectionMade(): void {}

  /**
   * The connection is lost: called once, after everything else.
   *
   * @param error Why, or `null` if it was closed in order or by this side
   */
  connectionLost(error: Error | null): void;
  connectionLost(): void {}

  /** The write buffer grew beyond the high-water mark. */
  pauseWriting(): void {}

  /** The write buffer shrank to the low-water mark. */
  resumeWriting(): void {}

  /**
   * The server that accepted the connection begins to shut down: see `Server.shutdown`. The connection is open still, and
   * closed by the server only near the end of the grace, so a protocol that has nothing under way closes it now, and another
   * one when it has finished.
   */
  serverClosing(): void {}
}

/**
 * A protocol that is handed bytes as they come. As `asyncio.Protocol`.
 *
 * @example An echo server
 * ```ts
 * import { createServer, Protocol, type Transport } from "@tideline/net";
 *
 * class Echo extends Protocol {
 *   #transport!: Transport;
 *   override connectionMade(transport: Transport) {
 *     this.#transport = transport;
 *   }
 *   override dataReceived(data: Uint8Array) {
 *     this.#transport.write(data);
 *   }
 * }
 *
 * await using _server = await createServer(() => new Echo(), { hostname: "127.0.0.1", port: 0 });
 * ```
 */
export class Protocol extends BaseProtocol<Transport> implements ProtocolLike {
  /**
   * Bytes came.
   *
   * @param data The bytes: the protocol's to keep, transfer or detach, and never written again by this package. Up to 1 KiB may
   * share a buffer of at most 8 KiB with others of this connection; more has a buffer of exactly its size
   */
  dataReceived(data: Bytes): void;
  dataReceived(): void {}

  /**
   * The peer sends no more.
   *
   * @returns `true` to keep the writing side open; else the transport closes, after what was written is sent
   */
  eofReceived(): boolean | void {}
}

/**
 * A protocol that gives the memory to read into, and so is spared a copy. As `asyncio.BufferedProtocol`.
 *
 * @example Counting bytes without keeping them
 * ```ts
 * import { BufferedProtocol } from "@tideline/net";
 *
 * class Counter extends BufferedProtocol {
 *   total = 0;
 *   readonly #memory = new Uint8Array(16384);
 *   override getBuffer() {
 *     return this.#memory;
 *   }
 *   override bufferUpdated(n: number) {
 *     this.total += n;
 *   }
 * }
 * new Counter();
 * ```
 */
export class BufferedProtocol extends BaseProtocol<Transport> implements BufferedProtocolLike {
  /**
   * Gives the memory to read into. It is used from now until `bufferUpdated`, `eofReceived` or `connectionLost`.
   *
   * @param sizeHint A good size, in bytes; any other but zero will do
   * @returns The memory
   */
  getBuffer(sizeHint: number): Uint8Array;
  getBuffer(): Uint8Array {
    return new Uint8Array(0);
  }

  /**
   * Bytes came.
   *
   * @param n How many were put at the start of the memory
   */
  bufferUpdated(n: number): void;
  bufferUpdated(): void {}

  /**
   * The peer sends no more.
   *
   * @returns `true` to keep the writing side open; else the transport closes, after what was written is sent
   */
  eofReceived(): boolean | void {}
}

/** A protocol of datagrams. As `asyncio.DatagramProtocol`. */
export class DatagramProtocol extends BaseProtocol<DatagramTransport> implements DatagramProtocolLike {
  /**
   * A datagram came.
   *
   * @param data The bytes, maybe none; the protocol's to keep
   * @param addr Who sent it
   */
  datagramReceived(data: Bytes, addr: Deno.NetAddr): void;
  datagramReceived(): void {}

  /**
   * A send failed, or a connected peer refused one. The endpoint lives on.
   *
   * @param error Why
   */
  errorReceived(error: Error): void;
  errorReceived(): void {}
}

/** A protocol of a process. As `asyncio.SubprocessProtocol`. */
export class SubprocessProtocol extends BaseProtocol<SubprocessTransport> implements SubprocessProtocolLike {
  /**
   * The process wrote to a pipe.
   *
   * @param fd 1 for its stdout, 2 for its stderr
   * @param data The bytes; the protocol's to keep
   */
  pipeDataReceived(fd: number, data: Bytes): void;
  pipeDataReceived(): void {}

  /**
   * A pipe ended.
   *
   * @param fd 0 for its stdin, 1 for its stdout, 2 for its stderr
   * @param error Why, or `null` if it ended in order
   */
  pipeConnectionLost(fd: number, error: Error | null): void;
  pipeConnectionLost(): void {}

  /** The process ended; its pipes may still bring data. */
  processExited(): void {}
}
