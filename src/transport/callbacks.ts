/**
 * The only place that calls the callbacks of protocols, and that routes what they throw: {@linkcode CallbackRunner} for every
 * kind of protocol, and on top of it {@linkcode Callbacks} for those of streams of bytes.
 *
 * A callback that throws is reported and is fatal to the connection, but for those that only inform (SPEC C6). One that
 * returns a promise (an `async` method) and rejects counts as one that throws. What is thrown may be of any type (C11).
 *
 * The order of the callbacks of a stream protocol (SPEC C1) is a table of states and events. A callback that the table does not have for the state
 * is not called: so nothing comes after `connectionLost`, whatever the rest of a transport does. `flow` is
 * `pauseWriting`, `resumeWriting` and `serverClosing`.
 *
 * ```
 * init --connectionMade--> made --eofReceived--> eof
 *                          |  ^                  | ^
 *              data, flow  +--+            flow  +-+
 *                          |                     |
 *                          +---connectionLost----+--> lost
 * ```
 *
 * @module
 */
import { type Bytes, plainView } from "../common/bytes.ts";
import { describeType } from "../common/describe.ts";
import { asError } from "../common/errors.ts";
import { promiseOf } from "../common/promise_of.ts";
import { callExceptionHandler, type ErrorContext } from "./exception_handler.ts";
import type {
  BaseProtocolLike,
  BaseTransport,
  BufferedProtocolLike,
  ProtocolLike,
  StreamProtocolLike,
} from "./types.ts";

type State = "init" | "made" | "eof" | "lost";
type Event = "connectionMade" | "data" | "eofReceived" | "flow" | "connectionLost";

const transitions: Record<State, Partial<Record<Event, State>>> = {
  init: { connectionMade: "made", connectionLost: "lost" },
  made: { data: "made", eofReceived: "eof", flow: "made", connectionLost: "lost" },
  eof: { flow: "eof", connectionLost: "lost" },
  lost: {},
};

/** What a runner of callbacks needs of the transport it belongs to. */
export interface CallbacksOwner extends BaseTransport {
  /** Ends the connection because of an error of the protocol. */
  protocolFailed(error: Error): void;
  /** Reports an error that no call rejects with. */
  report(context: ErrorContext): void;
}

/** Calls single callbacks of a protocol of any kind. */
export class CallbackRunner<P extends BaseProtocolLike> {
  readonly #owner: CallbacksOwner;

  /**
   * @param owner The transport
   */
  constructor(owner: CallbacksOwner) {
    this.#owner = owner;
  }

  /**
   * Calls a callback whose failure is fatal to the connection.
   *
   * @param protocol The protocol
   * @param name The name of the callback
   * @param callback Calls it
   * @returns What it threw, after it was reported; `null` if it returned
   */
  call(protocol: P, name: string, callback: (protocol: P) => unknown): Error | null {
    try {
      this.settle(protocol, name, callback(protocol));
      return null;
    } catch (thrown) {
      return this.failed(protocol, name, thrown);
    }
  }

  /**
   * Calls a callback that only informs: its failure is reported, and no more.
   *
   * @param protocol The protocol
   * @param name The name of the callback
   * @param callback Calls it
   */
  inform(protocol: P, name: string, callback: (protocol: P) => unknown): void {
    try {
      promiseOf(callback(protocol))?.catch((thrown) => this.report(protocol, name, thrown));
    } catch (thrown) {
      this.report(protocol, name, thrown);
    }
  }

  /**
   * Takes what a callback returned: an `async` one fails later, but no less.
   *
   * @param protocol The protocol
   * @param name The name of the callback
   * @param result What it returned
   */
  settle(protocol: P, name: string, result: unknown): void {
    promiseOf(result)?.catch((thrown) => this.failed(protocol, name, thrown));
  }

  /**
   * Reports what a callback threw, and ends the connection.
   *
   * @param protocol The protocol
   * @param name The name of the callback
   * @param thrown What was thrown, of any type
   * @returns The same as an error
   */
  failed(protocol: P, name: string, thrown: unknown): Error {
    const error = this.report(protocol, name, thrown);
    this.#owner.protocolFailed(error);
    return error;
  }

  /**
   * Reports what a callback threw.
   *
   * @param protocol The protocol
   * @param name The name of the callback
   * @param thrown What was thrown, of any type
   * @returns The same as an error
   */
  protected report(protocol: P, name: string, thrown: unknown): Error {
    const error = asError(thrown, `${name}()`);
    this.#owner.report({ message: `${name}() failed`, error, protocol, transport: this.#owner });
    return error;
  }
}

/**
 * Has a user's factory make a protocol.
 *
 * @param factory The factory
 * @param report Takes the error of an `async` factory that rejects
 * @returns The protocol; it is not yet known to be one
 * @throws {TypeError} If the factory returned a promise
 * @throws What the factory threw, as an error
 */
export function makeProtocol<P>(factory: () => P, report: (context: ErrorContext) => void = callExceptionHandler): P {
  let protocol: P;
  try {
    protocol = factory();
  } catch (thrown) {
    throw asError(thrown, "the protocol factory");
  }
  const promise = promiseOf(protocol);
  if (promise === null) return protocol;
  promise.catch((thrown) => report({ message: FACTORY_FAILED, error: asError(thrown, "the protocol factory") }));
  throw new TypeError("Cannot use a protocol: the protocol factory must return it, not a promise of it");
}

/** The message of the report of a factory that fails. */
export const FACTORY_FAILED = "Protocol factory failed";

/** Calls a protocol of a stream of bytes, in order. */
export class Callbacks extends CallbackRunner<StreamProtocolLike> {
  #state: State = "init";
  #plain: ProtocolLike | null = null;
  #buffered: BufferedProtocolLike | null = null;

  /**
   * @param owner The transport
   * @param protocol The protocol
   * @throws {TypeError} If it is no protocol
   */
  constructor(owner: CallbacksOwner, protocol: StreamProtocolLike) {
    super(owner);
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
        `Cannot use ${
          describeType(protocol)
        } as a protocol: it must have dataReceived(), or getBuffer() and bufferUpdated()`,
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
    const error = this.call(this.protocol, "connectionMade", (protocol) => protocol.connectionMade(transport));
    if (error !== null) throw error;
  }

  /**
   * Calls `dataReceived`.
   *
   * @param data The bytes, the protocol's from now on
   */
  dataReceived(data: Bytes): void {
    if (this.#state !== "made") return;
    const protocol = this.#plain!;
    try {
      const result: unknown = protocol.dataReceived(data);
      if (result !== undefined) this.settle(protocol, "dataReceived", result);
    } catch (thrown) {
      this.failed(protocol, "dataReceived", thrown);
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
    const protocol = this.#buffered!;
    try {
      const memory = protocol.getBuffer(sizeHint);
      if (memory instanceof Uint8Array && memory.length > 0) return plainView(memory);
      this.settle(protocol, "getBuffer", memory);
      throw new TypeError(
        memory instanceof Uint8Array
          ? "Cannot read: getBuffer() returned an empty Uint8Array"
          : `Cannot read: getBuffer() must return a Uint8Array, not ${describeType(memory)}`,
      );
    } catch (thrown) {
      this.failed(protocol, "getBuffer", thrown);
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
    const protocol = this.#buffered!;
    try {
      const result: unknown = protocol.bufferUpdated(n);
      if (result !== undefined) this.settle(protocol, "bufferUpdated", result);
    } catch (thrown) {
      this.failed(protocol, "bufferUpdated", thrown);
    }
  }

  /**
   * Calls `eofReceived`.
   *
   * @returns Whether the protocol wants to go on writing
   */
  eofReceived(): boolean {
    if (!this.#enter("eofReceived")) return false;
    let result: unknown;
    this.call(this.protocol, "eofReceived", (protocol) => result = protocol.eofReceived());
    return result === true;
  }

  /** Calls `pauseWriting`. */
  pauseWriting(): void {
    if (this.#enter("flow")) this.inform(this.protocol, "pauseWriting", (protocol) => protocol.pauseWriting());
  }

  /** Calls `resumeWriting`. */
  resumeWriting(): void {
    if (this.#enter("flow")) {
      this.inform(this.protocol, "resumeWriting", (protocol) => protocol.resumeWriting());
    }
  }

  /** Calls `serverClosing`, if the protocol has it. */
  serverClosing(): void {
    if (this.#enter("flow")) {
      this.inform(this.protocol, "serverClosing", (protocol) => protocol.serverClosing?.());
    }
  }

  /**
   * Calls `connectionLost`, unless `connectionMade` never was.
   *
   * @param error Why, or `null`
   */
  connectionLost(error: Error | null): void {
    const wasMade = this.#state !== "init";
    if (!this.#enter("connectionLost") || !wasMade) return;
    this.inform(this.protocol, "connectionLost", (protocol) => protocol.connectionLost(error));
  }

  override failed(protocol: StreamProtocolLike, name: string, thrown: unknown): Error {
    return this.#state === "lost" ? this.report(protocol, name, thrown) : super.failed(protocol, name, thrown);
  }

  #enter(event: Event): boolean {
    const next = transitions[this.#state][event];
    if (next === undefined) return false;
    this.#state = next;
    return true;
  }
}

function isBuffered(protocol: StreamProtocolLike): protocol is BufferedProtocolLike {
  const { getBuffer, bufferUpdated } = (protocol ?? {}) as Partial<BufferedProtocolLike>;
  return typeof getBuffer === "function" && typeof bufferUpdated === "function";
}

function isPlain(protocol: StreamProtocolLike): protocol is ProtocolLike {
  return typeof (protocol as Partial<ProtocolLike> | null | undefined)?.dataReceived === "function";
}
