/**
 * Serving pairs of streams.
 *
 * @module
 */
import {
  createServer,
  createUnixServer,
  type ListenOptions,
  type ServeOptions,
  type UnixListenOptions,
} from "../serving/create_server.ts";
import { describeType } from "../common/describe.ts";
import { type StreamOptions, takeStreamOptions } from "./open_connection.ts";
import type { Server } from "../serving/server.ts";
import {
  type ClientConnected,
  StreamReaderProtocol,
  type StreamReaderProtocolOptions,
} from "./stream_reader_protocol.ts";
import { StreamReader } from "./stream_reader.ts";

/**
 * Opens a server that calls a handler with a pair of streams for each connection. As `asyncio.start_server`.
 *
 * When the promise of the handler settles the connection is closed, after what was written is sent. A handler that is not
 * `async` and returns nothing keeps its connection, to be closed by `writer.close()`, as in asyncio.
 *
 * A handler that rejects or throws is reported to `onError`, or else to the exception handler, which prints one line that
 * names the peer. Not so if it rejects with the error its connection was lost with, such as a reset by the peer (also as a
 * `cause`): such an error goes to `onError` only, so a peer that disappears prints nothing.
 *
 * @param handler Handles a connection: gets its reader, its writer, and a context with the server and a signal that aborts when
 * the server begins to shut down or the connection is lost
 * @param options Where to listen, and how
 * @returns The server, accepting unless told otherwise
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
 * @throws {Deno.errors.AddrInUse} If the port is taken
 *
 * @example An echo server
 * ```ts
 * import { startServer } from "@tideline/net";
 *
 * await using server = await startServer(async (reader, writer) => {
 *   for await (const line of reader) {
 *     writer.write(line);
 *     await writer.drain();
 *   }
 * }, { hostname: "127.0.0.1", port: 0 });
 * console.log(server.addrs);
 * ```
 */
export async function startServer(handler: ClientConnected, options: ListenOptions & StreamOptions): Promise<Server> {
  return await serveStreams(createServer, handler, options);
}

/**
 * Opens a server on a Unix socket that calls a handler with a pair of streams for each connection. As
 * `asyncio.start_unix_server`.
 *
 * @param handler Handles a connection, as that of {@linkcode startServer}
 * @param options Where to listen, and how
 * @returns The server, accepting unless told otherwise
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
 * @throws {Deno.errors.AddrInUse} If a live server, or another kind of file, is at the path
 *
 * @example
 * ```ts
 * import { startUnixServer } from "@tideline/net";
 *
 * const path = await Deno.makeTempDir() + "/socket";
 * await using _server = await startUnixServer(async (reader, writer) => {
 *   writer.write(await reader.readline());
 * }, { path });
 * ```
 */
export async function startUnixServer(
  handler: ClientConnected,
  options: UnixListenOptions & StreamOptions,
): Promise<Server> {
  return await serveStreams(createUnixServer, handler, options);
}

async function serveStreams<O extends ServeOptions>(
  serve: (protocolFactory: (server: Server) => StreamReaderProtocol, options: O) => Promise<Server>,
  handler: ClientConnected,
  options: O & StreamOptions,
): Promise<Server> {
  if (typeof handler !== "function") {
    throw new TypeError(`Cannot serve: the handler must be a function, not ${describeType(handler)}`);
  }
  const { limit, readAhead, rest } = takeStreamOptions("serve", options);
  // One object for all connections, made with the first, because it needs the server.
  let protocolOptions: StreamReaderProtocolOptions | undefined;
  return await serve((server) => {
    protocolOptions ??= { readAhead, server };
    return new StreamReaderProtocol(new StreamReader({ limit }), handler, protocolOptions);
  }, rest);
}
