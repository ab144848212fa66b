/**
 * TLS of every kind, over every kind of conn. This file decides which engine does it; nothing else knows.
 *
 * | engine | client | server |
 * |---|---|---|
 * | Deno's own, `Deno.startTls` and `Deno.listenTls` | TCP conns | TCP ports that it listens on itself, by `engine: "deno"` |
 * | `node:tls` | a client certificate; other conns; bytes read ahead | the default, over any conn |
 *
 * Both look alike: the same options, the same errors, close_notify sent by `closeWrite()`, the peer's seen as the end, and
 * an end without it as `UnexpectedEof`: it may be someone else's cut (asyncio takes it for an end). What each engine cannot
 * do is in docs/TLS.md.
 *
 * @module
 */
import { lazy } from "../common/lazy.ts";
import { rejection } from "../common/callers_frames.ts";
import type { ConnLike } from "../conn/conn.ts";
import { closeQuietly, handshakeError, type SecureConn } from "./handshake.ts";
import { tlsName } from "./names.ts";
import { DEFAULT_HANDSHAKE_TIMEOUT, type TlsClientOptions, type TlsServerOptions } from "./options.ts";

export type { SecureConn } from "./handshake.ts";
export {
  checkTlsClientOptions,
  checkTlsServerOptions,
  DEFAULT_SHUTDOWN_TIMEOUT,
  type TlsClientOptions,
  type TlsCommonOptions,
  type TlsIdentity,
  type TlsServerOptions,
} from "./options.ts";

/** What a handshake takes besides the TLS options. */
export interface HandshakeOptions {
  /** Ends the handshake when it aborts. */
  signal?: AbortSignal | undefined;
  /** Bytes that were read from the conn already, if any. */
  prefix?: Uint8Array | undefined;
}

/** What a server sets on the sockets of its clients. */
export interface ServerSocketOptions {
  /** As `Deno.TcpConn.setNoDelay`. */
  noDelay?: boolean | undefined;
  /** As `Deno.TcpConn.setKeepAlive`. */
  keepAlive?: boolean | undefined;
}

/**
 * Client handshake over an open conn, which must not be being read or written. The conn is consumed: closed if the
 * handshake fails, and the secure one's from then on if it succeeds.
 *
 * @param conn The conn
 * @param options The options, checked already; `hostname` is the name to verify unless `serverName` is set
 * @param handshake The signal, and what was read before
 * @returns The secure conn
 * @throws {TypeError} If there is no name to verify
 * @throws {Deno.errors.TimedOut} If it takes longer than `handshakeTimeout`
 * @throws {Deno.errors.InvalidData} If the sides do not agree, or the server's certificate is refused
 * @throws {Deno.errors.ConnectionReset} If the server goes away
 */
export async function tlsConnectConn(
  conn: ConnLike,
  options: TlsClientOptions & { hostname?: string | undefined },
  { signal, prefix }: HandshakeOptions = {},
): Promise<SecureConn> {
  const limits = { timeout: options.handshakeTimeout ?? DEFAULT_HANDSHAKE_TIMEOUT, signal };
  try {
    const name = nameToVerify(options);
    const { isNativeTcpConn, startTlsNative } = await nativeEngine();
    if (name !== undefined && options.cert === undefined && !prefix?.length && isNativeTcpConn(conn)) {
      return await startTlsNative(conn, options, name, limits);
    }
    const { connectNode } = await nodeEngine();
    return await connectNode(conn, options, name, { ...limits, prefix });
  } catch (error) {
    closeQuietly(conn);
    if (signal?.aborted) throw error;
    return rejection(error);
  }
}

/**
 * Server handshake over an open conn, which must not be being read or written. The conn is consumed: closed if the
 * handshake fails, and the secure one's from then on if it succeeds.
 *
 * @param conn The conn
 * @param options The options, checked already
 * @param handshake The signal, and what was read before
 * @returns The secure conn
 * @throws {Deno.errors.TimedOut} If it takes longer than `handshakeTimeout`
 * @throws {Deno.errors.InvalidData} If the sides do not agree, or the client's certificate is refused
 * @throws {Deno.errors.ConnectionReset} If the client goes away
 */
export async function tlsAcceptConn(
  conn: ConnLike,
  options: TlsServerOptions,
  { signal, prefix }: HandshakeOptions = {},
): Promise<SecureConn> {
  const { acceptNode } = await nodeEngine();
  return await acceptNode(conn, options, {
    timeout: options.handshakeTimeout ?? DEFAULT_HANDSHAKE_TIMEOUT,
    signal,
    prefix,
  });
}

/**
 * Listens for TLS connections; `accept()` gives them before their handshake.
 *
 * @param listenOptions Where to listen
 * @param options The options; `clientAuth`, `caCerts` and `serverNames` are not for here
 * @returns The listener
 */
export function listenTlsNative(listenOptions: Deno.TcpListenOptions, options: TlsServerOptions): Deno.TlsListener {
  const { cert, key, alpnProtocols } = options;
  return Deno.listenTls({ ...listenOptions, cert, key, ...alpnProtocols && { alpnProtocols } });
}

/**
 * Handshake of one of Deno's own TLS conns, as a listener of {@linkcode listenTlsNative} accepts it or
 * `Deno.connectTls` opens it; closes it if that fails.
 *
 * @param conn The conn
 * @param options `handshakeTimeout`
 * @param handshake The signal
 * @returns The same conn, secure
 * @throws As {@linkcode tlsAcceptConn}
 */
export async function tlsAcceptNative(
  conn: Deno.TlsConn,
  options: TlsClientOptions | TlsServerOptions,
  { signal }: Pick<HandshakeOptions, "signal"> = {},
): Promise<SecureConn> {
  const { handshakeNative } = await nativeEngine();
  return await handshakeNative(conn, { timeout: options.handshakeTimeout ?? DEFAULT_HANDSHAKE_TIMEOUT, signal });
}

/**
 * Decides how a server on a TCP port of its own does TLS: `"native"` by {@linkcode listenTlsNative} and
 * {@linkcode tlsAcceptNative}, `"node"` by plain listening and {@linkcode tlsAcceptConn}.
 *
 * @param options The TLS options
 * @param socket The socket options, as the user set them
 * @returns The way
 * @throws {TypeError} If `engine: "deno"` cannot honour a socket option: its conns have none
 */
export function serverTlsMode(options: TlsServerOptions, socket: ServerSocketOptions = {}): "native" | "node" {
  if (options.engine !== "deno") return "node";
  for (const name of ["noDelay", "keepAlive"] as const) {
    if (socket[name]) throw new TypeError(`Cannot serve: the option "${name}" does not go together with engine "deno"`);
  }
  return "native";
}

/**
 * Loads what handshakes need, so that a process without descriptors can still do them.
 *
 * @param options The options of a server
 */
export async function prepareTlsServer(options: TlsServerOptions): Promise<void> {
  if (options.engine === "deno") await nativeEngine();
  else await (await nodeEngine()).nodeModules();
}

const nativeEngine = lazy(() => import("./native_engine.ts"));
const nodeEngine = lazy(() => import("./node_engine.ts"));

function nameToVerify(options: TlsClientOptions & { hostname?: string | undefined }): string | undefined {
  const host = options.serverName ?? options.hostname;
  try {
    if (host) return tlsName(host);
  } catch (error) {
    throw handshakeError(error);
  }
  if (options.unsafelyDisableHostnameVerification) return undefined;
  throw handshakeError(new TypeError('there is no "serverName" to verify the server by'));
}
