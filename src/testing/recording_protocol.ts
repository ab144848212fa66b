/**
 * Protocols that record their callbacks and check the order.
 *
 * The order [C1, W2] is a table of states and callbacks. A callback that the table does not have for the state, and a
 * `pauseWriting` or `resumeWriting` out of turn, is a violation. It is kept, and every wait and `assertOrder()` fails with
 * it. It is not thrown from the callback, because a transport would handle that as an error of the protocol.
 *
 * @module
 */
import type {
  BaseProtocolLike,
  BaseTransport,
  BufferedProtocolLike,
  DatagramProtocolLike,
  DatagramTransport,
  ProtocolLike,
  Transport,
} from "../transport/types.ts";

/** The callbacks that are recorded. */
export type CallbackName =
  | "connectionMade"
  | "dataReceived"
  | "bufferUpdated"
  | "datagramReceived"
  | "errorReceived"
  | "eofReceived"
  | "pauseWriting"
  | "resumeWriting"
  | "connectionLost";

/** One call of a callback. */
export interface RecordedCall {
  /** Which callback. */
  readonly name: CallbackName;
  /** The bytes of `dataReceived`, `bufferUpdated` and `datagramReceived`. */
  readonly data?: Uint8Array;
  /** The sender of `datagramReceived`. */
  readonly addr?: Deno.Addr;
  /** The error of `connectionLost` and `errorReceived`. */
  readonly error?: Error | null;
}

/** Options of the recording protocols. */
export interface RecordingOptions {
  /** What `eofReceived` returns: whether to keep the writing direction open. Default: `false`. */
  keepOpen?: boolean | undefined;
  /** Whether the protocol is set on an open connection, by `setProtocol`, and so gets no `connectionMade`. Default: `false`. */
  joins?: boolean | undefined;
  /** Called inside each callback after the call was recorded. What it throws, the callback throws. */
  onCall?: ((call: RecordedCall) => void) | undefined;
}

type State = "init" | "made" | "eof" | "lost";

const receiving = {
  dataReceived: "made",
  bufferUpdated: "made",
  datagramReceived: "made",
  errorReceived: "made",
} as const;
const transitions: Record<State, Partial<Record<CallbackName, State>>> = {
  init: { connectionMade: "made" },
  made: { ...receiving, eofReceived: "eof", pauseWriting: "made", resumeWriting: "made", connectionLost: "lost" },
  eof: { pauseWriting: "eof", resumeWriting: "eof", connectionLost: "lost" },
  lost: {},
};

/** The base of the recording protocols: the record, waits for calls, and the check of their order. */
export class Recorder<T extends BaseTransport> implements BaseProtocolLike {
  /** Every call so far, in order. */
  readonly calls: RecordedCall[] = [];
  readonly #keepOpen: boolean;
  readonly #onCall: ((call: RecordedCall) => void) | undefined;
  #state: State;
  /** Unknown at first if the protocol is set on an open connection, whose writing may be paused. */
  #writing: "unknown" | "running" | "paused";
  #transport: T | null = null;
  #size = 0;
  #violation: Error | null = null;
  #waits: { done: () => boolean; what: string; resolve: () => void; reject: (error: Error) => void }[] = [];

  /**
   * Makes a protocol with an empty record.
   *
   * @param options What `eofReceived` returns, whether `connectionMade` is expected, and a function to call
   */
  constructor(options: RecordingOptions = {}) {
    const { keepOpen = false, joins = false } = options;
    this.#keepOpen = keepOpen;
    this.#onCall = options.onCall;
    this.#state = joins ? "made" : "init";
    this.#writing = joins ? "unknown" : "running";
  }

  /**
   * The transport that `connectionMade` was called with.
   *
   * @throws {Error} If it was not called yet
   */
  get transport(): T {
    if (this.#transport === null) throw new Error("Cannot tell the transport: connectionMade() was not called yet");
    return this.#transport;
  }

  /** The names of all calls so far, in order. */
  get names(): CallbackName[] {
    return this.calls.map(({ name }) => name);
  }

  /** All bytes received so far, as one piece. */
  get received(): Uint8Array {
    const pieces = this.calls.map(({ data }) => data ?? NOTHING);
    const all = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  /**
   * Waits for a callback; resolves at once if it is in the record.
   *
   * @param name Which callback
   * @param count Which call of it: 1 for the first
   * @returns That call; rejects if the connection is lost without it, or the order is violated
   */
  async waitFor(name: CallbackName, count = 1): Promise<RecordedCall> {
    const find = () => this.calls.filter((call) => call.name === name)[count - 1];
    await this.#wait(() => find() !== undefined, `call ${count} of ${name}()`);
    return find()!;
  }

  /**
   * Waits until a number of bytes were received in all.
   *
   * @param size The number of bytes
   * @returns All bytes received, `size` or more; rejects if the connection is lost before
   */
  async waitForBytes(size: number): Promise<Uint8Array> {
    await this.#wait(() => this.#size >= size, `${size} bytes`);
    return this.received;
  }

  /**
   * Asserts that the callbacks came in order.
   *
   * @throws {Error} If one did not
   */
  assertOrder(): void {
    if (this.#violation !== null) throw this.#violation;
  }

  connectionMade(transport: T): void {
    this.#transport = transport;
    this.record({ name: "connectionMade" });
  }

  /**
   * Records the end of the stream.
   *
   * @returns Whether to keep the writing side open, as the options say
   */
  eofReceived(): boolean {
    this.record({ name: "eofReceived" });
    return this.#keepOpen;
  }

  pauseWriting(): void {
    this.record({ name: "pauseWriting" });
  }

  resumeWriting(): void {
    this.record({ name: "resumeWriting" });
  }

  connectionLost(error: Error | null): void {
    this.record({ name: "connectionLost", error });
  }

  /**
   * Adds a call to the record, checks the order, and resolves the waits for it.
   *
   * @param call The call
   */
  protected record(call: RecordedCall): void {
    this.#check(call.name);
    this.calls.push(call);
    this.#size += call.data?.length ?? 0;
    this.#endWaits();
    this.#onCall?.(call);
  }

  #check(name: CallbackName): void {
    const next = transitions[this.#state][name];
    if (next === undefined) {
      const before = this.calls.at(-1)?.name;
      this.#violate(`${name}() was called ${before === undefined ? "first" : `after ${before}()`}`);
      return;
    }
    this.#state = next;
    const writing = ({ pauseWriting: "paused", resumeWriting: "running" } as const)[name as string];
    if (writing === undefined) return;
    if (writing === this.#writing) this.#violate(`${name}() was called while writing was ${writing} already`);
    this.#writing = writing;
  }

  #violate(what: string): void {
    this.#violation ??= new Error(`Cannot accept the order of callbacks: ${what}; calls so far: ${this.#story()}`);
  }

  /** The names of all calls, with a count for those in a row. */
  #story(): string {
    const runs: { name: CallbackName; count: number }[] = [];
    for (const name of this.names) {
      const last = runs.at(-1);
      if (last?.name === name) last.count++;
      else runs.push({ name, count: 1 });
    }
    return runs.map(({ name, count }) => count === 1 ? name : `${name} (${count} times)`).join(", ");
  }

  #wait(done: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waits.push({ done, what, resolve, reject });
      this.#endWaits();
    });
  }

  #endWaits(): void {
    this.#waits = this.#waits.filter(({ done, what, resolve, reject }) => {
      if (this.#violation !== null) reject(this.#violation);
      else if (done()) resolve();
      else if (this.#state === "lost") {
        const { error } = this.calls.at(-1)!;
        reject(new Error(`Cannot wait for ${what}: the connection is lost; calls: ${this.#story()}`, { cause: error }));
      } else return true;
      return false;
    });
  }
}

const NOTHING = new Uint8Array(0);

/**
 * A protocol that records every callback in order, with its data, and waits for them.
 *
 * @example The callbacks of one connection
 * ```ts
 * import { connPair, createConnection } from "@tideline/net";
 * import { RecordingProtocol } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = connPair();
 * const { transport, protocol } = await createConnection(() => new RecordingProtocol(), { conn: a });
 * await b.write(new TextEncoder().encode("hi"));
 * await protocol.waitForBytes(2);
 * transport.close();
 * await protocol.waitFor("connectionLost");
 *
 * assertEquals(protocol.names, ["connectionMade", "dataReceived", "connectionLost"]);
 * protocol.assertOrder();
 * b.close();
 * ```
 */
export class RecordingProtocol extends Recorder<Transport> implements ProtocolLike {
  dataReceived(data: Uint8Array): void {
    this.record({ name: "dataReceived", data });
  }
}

/**
 * A buffered protocol that records every callback in order, with a copy of the bytes in its buffer.
 *
 * @example Reading into four bytes
 * ```ts
 * import { connPair, createConnection } from "@tideline/net";
 * import { RecordingBufferedProtocol } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = connPair();
 * const factory = () => new RecordingBufferedProtocol({ bufferSize: 4 });
 * const { transport, protocol } = await createConnection(factory, { conn: a });
 * await b.write(new Uint8Array(10));
 * await protocol.waitForBytes(10);
 * assertEquals(protocol.names, ["connectionMade", "bufferUpdated", "bufferUpdated", "bufferUpdated"]);
 * transport.abort();
 * b.close();
 * ```
 */
export class RecordingBufferedProtocol extends Recorder<Transport> implements BufferedProtocolLike {
  /** The array that `getBuffer` returns each time. */
  readonly buffer: Uint8Array;

  /**
   * Makes a protocol with an empty record.
   *
   * @param options As of {@linkcode RecordingProtocol}; also the size of the buffer in bytes, 4096 by default
   */
  constructor(options: RecordingOptions & { bufferSize?: number | undefined } = {}) {
    super(options);
    this.buffer = new Uint8Array(options.bufferSize ?? 4096);
  }

  getBuffer(_sizeHint: number): Uint8Array {
    return this.buffer;
  }

  bufferUpdated(n: number): void {
    this.record({ name: "bufferUpdated", data: this.buffer.slice(0, n) });
  }
}

/**
 * A datagram protocol that records every callback in order.
 *
 * @example Without any network
 * ```ts
 * import { RecordingDatagramProtocol } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const protocol = new RecordingDatagramProtocol({ joins: true });
 * const first = protocol.waitFor("datagramReceived");
 * protocol.datagramReceived(new Uint8Array(3), { transport: "udp", hostname: "127.0.0.1", port: 53 });
 * assertEquals((await first).data?.length, 3);
 * ```
 */
export class RecordingDatagramProtocol extends Recorder<DatagramTransport> implements DatagramProtocolLike {
  datagramReceived(data: Uint8Array, addr: Deno.Addr): void {
    this.record({ name: "datagramReceived", data, addr });
  }

  errorReceived(error: Error): void {
    this.record({ name: "errorReceived", error });
  }
}
