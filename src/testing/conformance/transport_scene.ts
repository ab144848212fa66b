/**
 * What a case of the transport suite works with: a way to make a connected pair, and what was reported meanwhile.
 *
 * @module
 */
import { type ErrorContext, setExceptionHandler } from "../../transport/exception_handler.ts";
import type { StreamProtocolLike, Transport } from "../../transport/types.ts";
import { check, checkEqual, quietTime } from "./checks.ts";
import type { ConformanceSettings } from "./conformance.ts";
import { RecordingBufferedProtocol, type RecordingOptions, RecordingProtocol } from "../recording_protocol.ts";
import { SeededRandom } from "../seeded_random.ts";
import { turns } from "../turns.ts";

/** Two transports that are connected to each other. */
export interface TransportPair {
  /** The transport of the protocol that the first factory made. */
  a: Transport;
  /** The transport of the protocol that the second factory made. */
  b: Transport;
  /** Releases what is around them, if anything; both are aborted before. */
  close?(): void | Promise<void>;
}

/** Makes a protocol. */
export type StreamProtocolFactory = () => StreamProtocolLike;

/** Makes a connected pair of transports, each with a protocol of one of the factories. */
export type MakeTransportPair = (a: StreamProtocolFactory, b: StreamProtocolFactory) => Promise<TransportPair>;

/** What a kind of transport can do; everything unless it is said otherwise. */
export interface TransportCapabilities {
  /** One direction can end alone, by `writeEof()`. Default: `true`. */
  halfClose?: boolean;
  /**
   * What was flushed reaches the peer even if bytes of the peer lie unread at `close()`, for which TCP resets the
   * connection and destroys it. Default: `true`.
   */
  survivesUnread?: boolean;
  /** The peer of a transport that is aborted with bytes unsent loses its connection. Default: `true`. */
  noticesAbort?: boolean;
}

/** A case of the suite, before it is asked of a kind. */
export interface TransportCaseDefinition {
  what: string;
  rule: string;
  needs?: keyof TransportCapabilities;
  /** It applies only to a kind that lacks this. */
  lacks?: keyof TransportCapabilities;
  run(scene: Scene): Promise<void>;
}

/** Either recording protocol. */
export type Recording = RecordingProtocol | RecordingBufferedProtocol;

/** The kinds of protocols, for what must hold with each of them. */
export const recordings: Record<"Protocol" | "BufferedProtocol", (options?: RecordingOptions) => Recording> = {
  Protocol: (options) => new RecordingProtocol(options),
  BufferedProtocol: (options) => new RecordingBufferedProtocol({ ...options, bufferSize: 5000 }),
};

/** What a case works with. */
export class Scene {
  readonly settings: ConformanceSettings & Required<TransportCapabilities>;
  readonly #make: MakeTransportPair;
  readonly #reports: ErrorContext[] = [];
  #pair: TransportPair | null = null;

  constructor(make: MakeTransportPair, settings: ConformanceSettings & Required<TransportCapabilities>) {
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

  /** Makes the pair, with protocols that record. */
  openRecording(
    optionsA: RecordingOptions = {},
    optionsB: RecordingOptions = {},
  ): Promise<{ a: Transport; b: Transport; protocolA: RecordingProtocol; protocolB: RecordingProtocol }> {
    return this.open(new RecordingProtocol(optionsA), new RecordingProtocol(optionsB));
  }

  /** Lets so much time pass that what did not happen by then does not happen. */
  async quiet(): Promise<void> {
    await quietTime(this.settings.quiet).elapsed;
  }

  /** Takes the errors that were reported so far. */
  takeReports(): Error[] {
    return this.#reports.splice(0).map(({ error }) => error);
  }

  /** Fails unless just this was reported. */
  checkReported(...errors: Error[]): void {
    const reported = this.takeReports();
    checkEqual(reported.length, errors.length, `the number of errors reported ("${reported}")`);
    errors.forEach((error, i) => check(reported[i] === error, `"${reported[i]}" was reported, not "${error}"`));
  }

  /** Ends the case: what is reported now was nobody's to expect. */
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

/** Bytes that tell where they belong. */
export function someBytes(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  return new SeededRandom(seed).fill(new Uint8Array(size));
}
