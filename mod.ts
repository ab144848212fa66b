/**
 * asyncio's network stack for Deno: transports and protocols below, streams above, over any connection.
 *
 * @module
 */
export { connFromNode } from "./src/adapters/conn_from_node.ts";
export { connFromStreams, type StreamsPair } from "./src/adapters/conn_from_streams.ts";
export { connPair, type ConnPairOptions } from "./src/adapters/conn_pair.ts";
export type { ConnLike } from "./src/conn.ts";
export { createConnection, createUnixConnection } from "./src/connect.ts";
export type { Connection, ConnectOptions, UnixConnectOptions } from "./src/connect.ts";
export { createServer, createUnixServer } from "./src/create_server.ts";
export type { ListenOptions, ServeOptions, UnixListenOptions } from "./src/create_server.ts";
export { createDatagramEndpoint, type DatagramAddress, type DatagramEndpointOptions } from "./src/datagram.ts";
export { IncompleteReadError, LimitOverrunError } from "./src/errors.ts";
export { type ErrorContext, setExceptionHandler } from "./src/exception_handler.ts";
export { openConnection, openUnixConnection } from "./src/open_connection.ts";
export type { StreamConnection, StreamOptions } from "./src/open_connection.ts";
export { connectReadPipe, connectWritePipe } from "./src/pipes.ts";
export type { ReadablePipe, ReadPipeConnection, WritablePipe, WritePipeConnection } from "./src/pipes.ts";
export { BaseProtocol, BufferedProtocol, DatagramProtocol, Protocol, SubprocessProtocol } from "./src/protocols.ts";
export type { Separator } from "./src/separators.ts";
export type { SendFileOptions } from "./src/send_file.ts";
export { Server } from "./src/server.ts";
export { startServer, startUnixServer } from "./src/start_server.ts";
export { type ClientConnected, StreamReaderProtocol, type StreamReaderProtocolOptions } from "./src/stream_protocol.ts";
export { startTls, type StartTlsOptions } from "./src/start_tls.ts";
export { type ReadOptions, StreamReader } from "./src/stream_reader.ts";
export { type FlowControl, StreamWriter } from "./src/stream_writer.ts";
export { type Stdio, type Subprocess, subprocessExec, type SubprocessOptions } from "./src/subprocess.ts";
export { createSubprocessExec, Process, SubprocessStreamProtocol } from "./src/subprocess_streams.ts";
export type { ProcessOutput, SubprocessStreamOptions } from "./src/subprocess_streams.ts";
export type { TlsClientOptions, TlsCommonOptions, TlsIdentity, TlsServerOptions } from "./src/tls.ts";
export type * from "./src/transports.ts";
