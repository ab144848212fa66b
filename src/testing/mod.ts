/**
 * A test kit for what is built on this package, and for what this package is built on.
 *
 * - For **authors of protocols**: connections that follow a script ({@linkcode scriptedConn}), have no buffer between
 *   them ({@linkcode lockstepConnPair}), have faults ({@linkcode faultyConn}) or hooks ({@linkcode hookedConn});
 *   {@linkcode chunkers}, which split input at the places where parsers fail.
 * - For **authors of transports and connections**: the conformance suites {@linkcode connCases} and
 *   {@linkcode transportCases}, for any test runner; protocols that record their callbacks
 *   ({@linkcode RecordingProtocol}, {@linkcode RecordingBufferedProtocol}, {@linkcode RecordingDatagramProtocol}).
 * - For all: {@linkcode selfSignedCertificate} for TLS, {@linkcode SeededRandom} for random input that can be repeated.
 *
 * The kit needs no test runner and no assertion library. It is for tests only.
 *
 * @example A transport over a connection with short and late reads
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
