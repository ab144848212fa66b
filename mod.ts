/**
 * TCP, TLS, Unix sockets and UDP for Deno, for protocols that are not HTTP: asyncio's transports, protocols, streams and
 * servers, over `Deno.Conn` and every connection of its shape.
 *
 * Three layers, each built on the one below: single calls on a socket (`@tideline/net/sock`), callbacks
 * ({@linkcode createConnection}, {@linkcode createServer}), and streams ({@linkcode openConnection},
 * {@linkcode startServer}). Sizes are in bytes, times in milliseconds.
 *
 * @example A server and a client with streams
 * ```ts
 * import { openConnection, startServer } from "@tideline/net";
 *
 * await using server = await startServer(async (reader, writer) => {
 *   for await (const line of reader.lines()) {
 *     writer.write(`You said: ${line}\n`);
 *     await writer.drain(); // Back pressure: waits while the client is slow.
 *   }
 * }, { hostname: "127.0.0.1", port: 0 });
 *
 * await using connection = await openConnection({ port: server.port });
 * connection.writer.write("hello\n");
 * console.log(await connection.reader.readline({ encoding: "utf-8" }));
 * ```
 *
 * @example A server with a protocol: callbacks, and the highest speed
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
 * await using server = await createServer(() => new Echo(), { hostname: "127.0.0.1", port: 0 });
 * console.log(server.port);
 * ```
 *
 * @example A test without a network: two ends of a connection in memory
 * ```ts
 * import { connPair, openConnection } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = connPair();
 * await using near = await openConnection({ conn: a });
 * await using far = await openConnection({ conn: b });
 * near.writer.write("0123456789");
 * assertEquals(await far.reader.readexactly(4), new TextEncoder().encode("0123"));
 * ```
 *
 * @module
 */
export type { Bytes } from "./src/common/bytes.ts";
export type { WaitOptions } from "./src/common/wait.ts";
export { connFromNode } from "./src/conn/conn_from_node.ts";
export { connFromStreams, type StreamsPair } from "./src/conn/conn_from_streams.ts";
export { connPair, type ConnPairEnd, type ConnPairOptions } from "./src/conn/conn_pair.ts";
export type { ConnLike } from "./src/conn/conn.ts";
export { createConnection, createUnixConnection } from "./src/serving/create_connection.ts";
export type {
  ConnConnectOptions,
  ConnectCommonOptions,
  Connection,
  ConnectOptions,
  TcpConnectOptions,
  UnixConnectOptions,
} from "./src/serving/create_connection.ts";
export type { LocalAddress } from "./src/serving/dial.ts";
export type {
  ProxiedConnection,
  ProxyHeader,
  ProxyInfo,
  ProxySsl,
  ProxyTlv,
  ProxyTlvs,
  ReceivedHeader,
} from "./src/proxy/header.ts";
export type { ProxyProtocolOptions } from "./src/serving/proxy_protocol.ts";
export { createServer, createUnixServer } from "./src/serving/create_server.ts";
export type { ListenOptions, ServeOptions, UnixListenOptions } from "./src/serving/create_server.ts";
export { createDatagramEndpoint, type DatagramAddress, type DatagramEndpointOptions } from "./src/datagram/endpoint.ts";
export { ClosedError, IncompleteReadError, LimitOverrunError } from "./src/common/errors.ts";
export { type ErrorContext, setExceptionHandler } from "./src/transport/exception_handler.ts";
export { openConnection, openUnixConnection } from "./src/streams/open_connection.ts";
export type { StreamConnection, StreamOptions } from "./src/streams/open_connection.ts";
export { observe, type Observer, type RefusalReason } from "./src/transport/observe.ts";
export { relay, type RelayedBytes, type RelayOptions, type RelaySide } from "./src/streams/relay.ts";
export { reconnecting } from "./src/streams/reconnecting.ts";
export type {
  BackoffOptions,
  ReconnectAddressesOptions,
  ReconnectCommonOptions,
  ReconnectOptions,
  ServiceAddress,
} from "./src/streams/reconnecting.ts";
export { connectReadPipe, connectWritePipe } from "./src/transport/pipes.ts";
export type { ReadablePipe, ReadPipeConnection, WritablePipe, WritePipeConnection } from "./src/transport/pipes.ts";
export {
  BaseProtocol,
  BufferedProtocol,
  DatagramProtocol,
  Protocol,
  SubprocessProtocol,
} from "./src/transport/protocols.ts";
export type { ByteQueue } from "./src/framing/byte_queue.ts";
export type { Decoder } from "./src/framing/codec.ts";
export { FramingError } from "./src/framing/framing_error.ts";
export type { Separator } from "./src/framing/separators.ts";
export type { SendFileOptions } from "./src/streams/send_file.ts";
export { Server, type ServerStats } from "./src/serving/server.ts";
export type { HandlerContext } from "./src/streams/handler_context.ts";
export { startServer, startUnixServer } from "./src/streams/start_server.ts";
export {
  type ClientConnected,
  StreamReaderProtocol,
  type StreamReaderProtocolOptions,
} from "./src/streams/stream_reader_protocol.ts";
export { startTls, type StartTlsOptions } from "./src/tls/start_tls.ts";
export { type ReadOptions, StreamReader, type TextReadOptions } from "./src/streams/stream_reader.ts";
export { type FlowControl, StreamWriter } from "./src/streams/stream_writer.ts";
export {
  type Stdio,
  type StdioFile,
  type Subprocess,
  subprocessExec,
  type SubprocessOptions,
} from "./src/subprocess/subprocess_exec.ts";
export { createSubprocessExec, Process, SubprocessStreamProtocol } from "./src/subprocess/process.ts";
export type { CommunicateOptions, ProcessOutput, SubprocessStreamOptions } from "./src/subprocess/process.ts";
export type { TlsClientOptions, TlsCommonOptions, TlsIdentity, TlsServerOptions } from "./src/tls/choose.ts";
export type * from "./src/transport/types.ts";
