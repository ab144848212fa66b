/**
 * The environment of a case of the transport suite: it makes the connected pair and collects reported errors.
 *
 * @module
 */
import { type ErrorContext, setExceptionHandler } from "../../transport/exception_handler.ts";
import type { StreamProtocolLike, Transport } from "../../transport/types.ts";
import { check, checkEqual, quietTime } from "./checks.ts";
import type { ConformanceSettings, WithDefaults } from "./conformance.ts";
import { RecordingBufferedProtocol, type RecordingOptions, RecordingProtocol } from "../recording_protocol.ts";
import { SeededRandom } from "../seeded_random.ts";
import { turns } from "../turns.ts";

/** A connected pair of transports. */
export interface TransportPair {
  /** The transport of the protocol from the first factory. */
  a: Transport;
  /** The transport of the protocol from the second factory. */
  b: Transport;
  /** Releases other resources of the pair. It is called after both are aborted. */
  close?(): void | Promise<void>;
}

/** Makes a protocol. */
export type StreamProtocolFactory = () => StreamProtocolLike;

/** Makes a connected pair of transports, one with a protocol of each factory. */
export type MakeTransportPair = (a: StreamProtocolFactory, b: StreamProtocolFactory) => Promise<TransportPair>;

/** The capabilities of a kind of transport. By default it has all. */
export interface TransportCapabilities {
  /** `writeEof()` ends one direction alone. Default: `true`. */
  halfClose?: boolean | undefined;
  /**
   * Flushed bytes reach the peer even if bytes of the peer are unread at `close()`. A system that closes a TCP socket
   * with unread bytes resets the connection, which destroys them. Default: `true`.
   */
  survivesUnread?: boolean | undefined;
  /** The peer loses its connection when the transport is aborted with bytes unsent. Default: `true`. */
  noticesAbort?: boolean | undefined;
}

/** The definition of a case, for all kinds. */
export interface TransportCaseDefinition {
  what: string;
  rule: string;
  needs?: keyof TransportCapabilities;
  /** The case applies only to a kind that lacks this. */
  lacks?: keyof TransportCapabilities;
  run(scene: Scene): Promise<void>;
}

/** Either recording protocol. */
export type Recording = RecordingProtocol | RecordingBufferedProtocol;

/** The kinds of protocols, for cases that apply to each. */
export const recordings: Record<"Protocol" | "BufferedProtocol", (options?: RecordingOptions) => Recording> = {
  Protocol: (options) => new RecordingProtocol(options),
  BufferedProtocol: (options) => new RecordingBufferedProtocol({ ...options, bufferSize: 5000 }),
};

/** The environment of one case. */
export class Scene {
  readonly settings: ConformanceSettings & WithDefaults<TransportCapabilities>;
  readonly #make: MakeTransportPair;
  readonly #reports: ErrorContext[] = [];
  #pair: TransportPair | null = null;

  constructor(make: MakeTransportPair, settings: ConformanceSettings & WithDefaults<TransportCapabilities>) {
    this.#make = make;
    this.settings = settings;
    setExceptionHandler((context) => this.#reports.push(context));
  }

  /** Makes the pair. */
  async open<A extends StreamProtocolLike, B extends StreamProtocolLike>(
    protocolA: A,
    protocolB: B,
  ): Promise<{ a: Transport; b: Transport; protocolA: A; protocolB: B }> {
    const pair = this.#pair = await this.#make(() => protocolA, () => protocolB);
    return { a: pair.a, b: pair.b, protocolA, protocolB };
  }

  /** Makes the pair with recording protocols. */
  openRecording(
    optionsA: RecordingOptions = {},
    optionsB: RecordingOptions = {},
  ): Promise<{ a: Transport; b: Transport; protocolA: RecordingProtocol; protocolB: RecordingProtocol }> {
    return this.open(new RecordingProtocol(optionsA), new RecordingProtocol(optionsB));
  }

  /** Waits until events that have not occurred are taken not to occur. */
  async quiet(): Promise<void> {
    await quietTime(this.settings.quiet).elapsed;
  }

  /** Returns and forgets the errors reported so far. */
  takeReports(): Error[] {
    return this.#reports.splice(0).map(({ error }) => error);
  }

  /** Fails unless exactly these errors were reported. */
  checkReported(...errors: Error[]): void {
    const reported = this.takeReports();
    checkEqual(reported.length, errors.length, `the number of errors reported ("${reported}")`);
    errors.forEach((error, i) => check(reported[i] === error, `"${reported[i]}" was reported, not "${error}"`));
  }

  /** Ends the case. It fails if an unexpected error was reported. */
  async release(): Promise<void> {
    try {
      this.#pair?.a.abort();
      this.#pair?.b.abort();
      await this.#pair?.close?.();
      await turns();
    } finally {
      setExceptionHandler(null);
    }
    this.checkReported();
  }
}

/** Returns random bytes of a seed. */
export function someBytes(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  return new SeededRandom(seed).fill(new Uint8Array(size));
}
