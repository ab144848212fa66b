/**
 * A test kit for what is built on this package, and for what this package is built on.
 *
 * - For **authors of protocols**: conns that follow a script ({@linkcode scriptedConn}), keep in step
 *   ({@linkcode lockstepConnPair}), have faults ({@linkcode faultyConn}) or hooks ({@linkcode hookedConn});
 *   {@linkcode chunkers}, to cut input at every unlucky place.
 * - For **authors of transports and conns**: the conformance suites {@linkcode connCases} and
 *   {@linkcode transportCases}, for any test runner; protocols that record what they are called with
 *   ({@linkcode RecordingProtocol} and its kin).
 * - For all: {@linkcode selfSignedCertificate} for TLS, {@linkcode SeededRandom} for chance that can be repeated.
 *
 * Nothing here needs a test runner or an assertion library, and nothing of it belongs into a program.
 *
 * @example A transport over a network at its worst
 * ```ts
 * import { connPair, openConnection } from "@tideline/net";
 * import { faultyConn } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = connPair();
 * const faults = { seed: 7, shortReads: true, shortWrites: true, delayTurns: 3 };
 * await using near = await openConnection({ conn: faultyConn(a, faults) });
 * await using far = await openConnection({ conn: faultyConn(b, faults) });
 *
 * near.writer.write("a line that comes in pieces\n");
 * assertEquals(new TextDecoder().decode(await far.reader.readline()), "a line that comes in pieces\n");
 * ```
 *
 * @module
 */
export { type Chunker, chunkers, type ChunkersOptions } from "./chunkers.ts";
export { type FaultyConn, faultyConn, type FaultyConnOptions } from "./conns/faulty_conn.ts";
export { type ConnHooks, hookedConn } from "./conns/hooked_conn.ts";
export { lockstepConnPair } from "./conns/lockstep_conn_pair.ts";
export {
  type CallbackName,
  type RecordedCall,
  Recorder,
  RecordingBufferedProtocol,
  RecordingDatagramProtocol,
  type RecordingOptions,
  RecordingProtocol,
} from "./recording_protocol.ts";
export { type ScriptedConn, scriptedConn, type ScriptStep } from "./conns/scripted_conn.ts";
export { SeededRandom } from "./seeded_random.ts";
export {
  type CertificateAndKey,
  type CertificateOptions,
  type SelfSignedCertificate,
  selfSignedCertificate,
} from "./certificates/self_signed_certificate.ts";
export { type ConformanceCase, type ConformanceOptions, type ConformanceReport } from "./conformance/conformance.ts";
export {
  checkConn,
  type ConnCapabilities,
  connCases,
  type ConnCasesOptions,
  type ConnPair,
} from "./conformance/conn_cases.ts";
export { checkTransport, transportCases, type TransportCasesOptions } from "./conformance/transport_cases.ts";
export type {
  MakeTransportPair,
  StreamProtocolFactory,
  TransportCapabilities,
  TransportPair,
} from "./conformance/transport_scene.ts";
