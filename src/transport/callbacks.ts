/**
 * The life of a protocol on a connection: the only place that calls its callbacks, and that routes what they throw.
 *
 * The order of callbacks (SPEC C1) is a table of states and events. A callback that the table does not have for the state
 * is not called: so nothing comes after `connectionLost`, whatever the rest of a transport does. `flow` is
 * `pauseWriting` and `resumeWriting`.
 *
 * ```
 * init --connectionMade--> made --eofReceived--> eof
 *                          |  ^                  | ^
 *              data, flow  +--+            flow  +-+
 *                          |                     |
 *                          +---connectionLost----+--> lost
 * ```
 *
 * A callback that throws is reported and is fatal to the connection (SPEC C6), but for those that only inform. One that
 * returns a promise (an `async` method) and rejects counts as one that throws.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type { ErrorContext } from "./exception_handler.ts";
import type { BaseTransport, BufferedProtocolLike, ProtocolLike, StreamProtocolLike } from "./types.ts";

type State = "init" | "made" | "eof" | "lost";
type Event = "connectionMade" | "data" | "eofReceived" | "flow" | "connectionLost";

const transitions: Record<State, Partial<Record<Event, State>>> = {
  init: { connectionMade: "made", connectionLost: "lost" },
  made: { data: "made", eofReceived: "eof", flow: "made", connectionLost: "lost" },
  eof: { flow: "eof", connectionLost: "lost" },
  lost: {},
};

/** What a callbacks needs of the transport it belongs to. */
export interface CallbacksOwner extends BaseTransport {
  /** Ends the connection because of an error of the protocol. */
  protocolFailed(error: Error): void;
  /** Takes an error that no caller waits for. */
  report(context: ErrorContext): void;
}

/** Calls a protocol, in order. */
export class Callbacks {
  readonly #owner: CallbacksOwner;
  #state: State = "init";
  #plain: ProtocolLike | null = null;
  #buffered: BufferedProtocolLike | null = null;

  /**
   * @param owner The transport
   * @param protocol The protocol
   * @throws {TypeError} If it is no protocol
   */
  constructor(owner: CallbacksOwner, protocol: StreamProtocolLike) {
    this.#owner = owner;
    this.protocol = protocol;
  }

  /** The protocol in use. */
  get protocol(): StreamProtocolLike {
    return this.#plain ?? this.#buffered!;
  }

  set protocol(protocol: StreamProtocolLike) {
    if (isBuffered(protocol)) {
      this.#buffered = protocol;
      this.#plain = null;
    } else if (isPlain(protocol)) {
      this.#plain = protocol;
      this.#buffered = null;
    } else {
      throw new TypeError(
        `Cannot use a protocol: it must have dataReceived(), or getBuffer() and bufferUpdated(), as "${protocol}" has not`,
      );
    }
  }

  /** The protocol, if it is one that gives the memory to read into. */
  get buffered(): BufferedProtocolLike | null {
    return this.#buffered;
  }

  /**
   * Calls `connectionMade`.
   *
   * @param transport What to hand over
   * @throws {Error} What the protocol threw, after it was reported
   */
  connectionMade(transport: BaseTransport): void {
    if (!this.#enter("connectionMade")) return;
    try {
      this.#settle(this.protocol.connectionMade(transport), "connectionMade");
    } catch (error) {
      throw this.#failed(error, "connectionMade");
    }
  }

  /**
   * Calls `dataReceived`.
   *
   * @param data The bytes, the protocol's from now on
   */
  dataReceived(data: Bytes): void {
    if (this.#state !== "made") return;
    try {
      const result: unknown = this.#plain!.dataReceived(data);
      if (result !== undefined) this.#settle(result, "dataReceived");
    } catch (error) {
      this.#failed(error, "dataReceived");
    }
  }

  /**
   * Calls `getBuffer`.
   *
   * @param sizeHint A good size, in bytes
   * @returns The memory; `null` if it failed
   */
  getBuffer(sizeHint: number): Uint8Array | null {
    if (this.#state !== "made") return null;
    try {
      const memory = this.#buffered!.getBuffer(sizeHint);
      if (memory instanceof Uint8Array && memory.length > 0) return memory;
      throw new TypeError(
        memory instanceof Uint8Array
          ? "Cannot read: getBuffer() returned an empty Uint8Array"
          : `Cannot read: getBuffer() must return a Uint8Array, not "${typeof memory}"`,
      );
    } catch (error) {
      this.#failed(error, "getBuffer");
      return null;
    }
  }

  /**
   * Calls `bufferUpdated`.
   *
   * @param n How many bytes were put into the memory
   */
  bufferUpdated(n: number): void {
    if (this.#state !== "made") return;
    try {
      const result: unknown = this.#buffered!.bufferUpdated(n);
      if (result !== undefined) this.#settle(result, "bufferUpdated");
    } catch (error) {
      this.#failed(error, "bufferUpdated");
    }
  }

  /**
   * Calls `eofReceived`.
   *
   * @returns Whether the protocol wants to go on writing
   */
  eofReceived(): boolean {
    if (!this.#enter("eofReceived")) return false;
    try {
      const result: unknown = this.protocol.eofReceived();
      this.#settle(result, "eofReceived");
      return result === true;
    } catch (error) {
      this.#failed(error, "eofReceived");
      return false;
    }
  }

  /** Calls `pauseWriting`. */
  pauseWriting(): void {
    if (this.#enter("flow")) this.#inform("pauseWriting", () => this.protocol.pauseWriting());
  }

  /** Calls `resumeWriting`. */
  resumeWriting(): void {
    if (this.#enter("flow")) this.#inform("resumeWriting", () => this.protocol.resumeWriting());
  }

  /**
   * Calls `connectionLost`, unless `connectionMade` never was.
   *
   * @param error Why, or `null`
   */
  connectionLost(error: Error | null): void {
    const wasMade = this.#state !== "init";
    if (this.#enter("connectionLost") && wasMade) {
      this.#inform("connectionLost", () => this.protocol.connectionLost(error));
    }
  }

  #enter(event: Event): boolean {
    const next = transitions[this.#state][event];
    if (next === undefined) return false;
    this.#state = next;
    return true;
  }

  #inform(callback: string, call: () => unknown): void {
    try {
      const result = call();
      if (result instanceof Promise) result.catch((error) => this.#report(error, callback));
    } catch (error) {
      this.#report(error, callback);
    }
  }

  /** An `async` callback fails later, but no less. */
  #settle(result: unknown, callback: string): void {
    if (result instanceof Promise) result.catch((error) => this.#failed(error, callback));
  }

  #failed(thrown: unknown, callback: string): Error {
    const error = this.#report(thrown, callback);
    if (this.#state !== "lost") this.#owner.protocolFailed(error);
    return error;
  }

  #report(thrown: unknown, callback: string): Error {
    const error = thrown instanceof Error ? thrown : new Error(`${callback}() threw "${thrown}"`, { cause: thrown });
    const message = `Cannot finish ${callback}(): the protocol threw`;
    this.#owner.report({ message, error, protocol: this.protocol, transport: this.#owner });
    return error;
  }
}

function isBuffered(protocol: StreamProtocolLike): protocol is BufferedProtocolLike {
  const { getBuffer, bufferUpdated } = (protocol ?? {}) as Partial<BufferedProtocolLike>;
  return typeof getBuffer === "function" && typeof bufferUpdated === "function";
}

function isPlain(protocol: StreamProtocolLike): protocol is ProtocolLike {
  return typeof (protocol as Partial<ProtocolLike> | null | undefined)?.dataReceived === "function";
}
