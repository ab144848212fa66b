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
} from "./create_server.ts";
import type { StreamOptions } from "./open_connection.ts";
import type { Server } from "./server.ts";
import { type ClientConnected, StreamReaderProtocol } from "./stream_protocol.ts";
import { DEFAULT_LIMIT, StreamReader } from "./stream_reader.ts";

/**
 * Opens a server that calls a handler with a pair of streams for each connection. As `asyncio.start_server`.
 *
 * When the promise of the handler settles the connection is closed, after what was written is sent. If it rejects that is
 * also reported. A handler that returns nothing keeps the connection, to be closed by `writer.close()`.
 *
 * @param handler Handles a connection
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
  const { limit, readAhead, ...listenOptions } = options;
  return await createServer(protocolFactoryOf(handler, options), listenOptions);
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
  const { limit, readAhead, ...listenOptions } = options;
  return await createUnixServer(protocolFactoryOf(handler, options), listenOptions);
}

function protocolFactoryOf(
  handler: ClientConnected,
  { limit = DEFAULT_LIMIT, readAhead = false, onError }: StreamOptions & Pick<ServeOptions, "onError">,
): () => StreamReaderProtocol {
  if (typeof handler !== "function") {
    throw new TypeError(`Cannot serve: the handler must be a function, not "${typeof handler}"`);
  }
  new StreamReader({ limit }); // Refuses a wrong limit now rather than at the first client.
  const protocolOptions = onError === undefined ? { readAhead } : { readAhead, onError };
  return () => new StreamReaderProtocol(new StreamReader({ limit }), handler, protocolOptions);
}
