/**
 * Opening a connection as a pair of streams.
 *
 * @module
 */
import {
  type Connection,
  type ConnectOptions,
  createConnection,
  createUnixConnection,
  type UnixConnectOptions,
} from "../serving/create_connection.ts";
import { aBoolean, aLimit, checkIsObject, checkOptions } from "../common/options.ts";
import { StreamReaderProtocol } from "./stream_reader_protocol.ts";
import { DEFAULT_LIMIT, StreamReader } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

/** What pairs of streams take beyond the options of their connection. */
export interface StreamOptions {
  /** The reader's limit, in bytes; 65536 by default. */
  limit?: number | undefined;
  /**
   * Keeps a read under way, so that a peer that left is noticed between reads; `false` by default. A pool learns by
   * `reader.buffered === 0 && !reader.atEof() && !writer.isClosing()` whether an idle connection is still good.
   */
  readAhead?: boolean | undefined;
}

/** A pair of streams over one connection. */
export interface StreamConnection extends AsyncDisposable {
  /** What the peer sends. */
  reader: StreamReader;
  /** What is sent to the peer. */
  writer: StreamWriter;
}

/**
 * Opens a connection as a pair of streams. As `asyncio.open_connection`.
 *
 * @param options Where to connect to, and how
 * @returns The streams; to be closed by `writer.close()` or `await using`
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
 * @throws {AggregateError} If several addresses were tried and all failed; the error itself if it was one
 *
 * @example Asking an echo server
 * ```ts
 * import { openConnection, startServer } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await startServer(async (reader, writer) => {
 *   writer.write(await reader.readline());
 * }, { hostname: "127.0.0.1", port: 0 });
 * const { port } = server;
 *
 * await using connection = await openConnection({ port });
 * connection.writer.write("hello\n");
 * assertEquals(new TextDecoder().decode(await connection.reader.readline()), "hello\n");
 * ```
 */
export async function openConnection(options: ConnectOptions & StreamOptions): Promise<StreamConnection> {
  return await connectStreams(createConnection<StreamReaderProtocol>, options);
}

/**
 * Opens a connection to a Unix socket as a pair of streams. As `asyncio.open_unix_connection`.
 *
 * @param options Where to connect to, and how
 * @returns The streams; to be closed by `writer.close()` or `await using`
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
 *
 * @example
 * ```ts
 * import { openUnixConnection, startUnixServer } from "@tideline/net";
 *
 * const path = await Deno.makeTempDir() + "/socket";
 * await using _server = await startUnixServer((_reader, writer) => void writer.close(), { path });
 * await using _connection = await openUnixConnection({ path });
 * ```
 */
export async function openUnixConnection(options: UnixConnectOptions & StreamOptions): Promise<StreamConnection> {
  return await connectStreams(createUnixConnection<StreamReaderProtocol>, options);
}

/**
 * Takes the options of streams out of others, checked.
 *
 * @param doing What they are for, as in "connect"
 * @param options All options
 * @returns The options of streams, with their defaults, and the rest
 * @throws {TypeError | RangeError} If they are wrong
 */
export function takeStreamOptions<O extends object>(
  doing: string,
  options: O & StreamOptions,
): { limit: number; readAhead: boolean; rest: O } {
  checkIsObject(doing, options);
  const { limit = DEFAULT_LIMIT, readAhead = false, ...rest } = options;
  checkOptions(doing, { limit, readAhead }, { limit: aLimit, readAhead: aBoolean });
  return { limit, readAhead, rest: rest as unknown as O };
}

async function connectStreams<O extends object>(
  connect: (factory: () => StreamReaderProtocol, options: O) => Promise<Connection<StreamReaderProtocol>>,
  options: O & StreamOptions,
): Promise<StreamConnection> {
  const { limit, readAhead, rest } = takeStreamOptions("connect", options);
  const reader = new StreamReader({ limit });
  const { transport, protocol } = await connect(() => new StreamReaderProtocol(reader, undefined, { readAhead }), rest);
  const writer = new StreamWriter(transport, protocol, reader);
  return { reader, writer, [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose]() };
}
