/**
 * asyncio's network stack for Deno: transports and protocols below, streams above, over any connection.
 *
 * @module
 */
export type { Bytes } from "./src/common/bytes.ts";
export { connFromNode } from "./src/conn/conn_from_node.ts";
export { connFromStreams, type StreamsPair } from "./src/conn/conn_from_streams.ts";
export { connPair, type ConnPairOptions } from "./src/conn/conn_pair.ts";
export type { ConnLike } from "./src/conn/conn.ts";
export { createConnection, createUnixConnection } from "./src/serving/create_connection.ts";
export type { Connection, ConnectOptions, UnixConnectOptions } from "./src/serving/create_connection.ts";
export { createServer, createUnixServer } from "./src/serving/create_server.ts";
export type { ListenOptions, ServeOptions, UnixListenOptions } from "./src/serving/create_server.ts";
export { createDatagramEndpoint, type DatagramAddress, type DatagramEndpointOptions } from "./src/datagram/endpoint.ts";
export { ClosedError, IncompleteReadError, LimitOverrunError } from "./src/common/errors.ts";
export { type ErrorContext, setExceptionHandler } from "./src/transport/exception_handler.ts";
export { openConnection, openUnixConnection } from "./src/streams/open_connection.ts";
export type { StreamConnection, StreamOptions } from "./src/streams/open_connection.ts";
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
export type { Separator } from "./src/framing/separators.ts";
export type { SendFileOptions } from "./src/streams/send_file.ts";
export { Server } from "./src/serving/server.ts";
export { startServer, startUnixServer } from "./src/streams/start_server.ts";
export {
  type ClientConnected,
  StreamReaderProtocol,
  type StreamReaderProtocolOptions,
} from "./src/streams/stream_reader_protocol.ts";
export { startTls, type StartTlsOptions } from "./src/tls/start_tls.ts";
export { type ReadOptions, StreamReader } from "./src/streams/stream_reader.ts";
export { type FlowControl, StreamWriter } from "./src/streams/stream_writer.ts";
export {
  type Stdio,
  type Subprocess,
  subprocessExec,
  type SubprocessOptions,
} from "./src/subprocess/subprocess_exec.ts";
export { createSubprocessExec, Process, SubprocessStreamProtocol } from "./src/subprocess/process.ts";
export type { ProcessOutput, SubprocessStreamOptions } from "./src/subprocess/process.ts";
export type { TlsClientOptions, TlsCommonOptions, TlsIdentity, TlsServerOptions } from "./src/tls/choose.ts";
export type * from "./src/transport/types.ts";
