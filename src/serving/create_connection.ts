/**
 * Opening a connection for a protocol.
 *
 * @module
 */
import type { ConnLike } from "../conn/conn.ts";
import { ConnTransport, type ConnTransportOptions } from "../transport/conn_transport.ts";
import { describe, quote } from "../common/describe.ts";
import { dial, dialUnix, type LocalAddress, tuneConn } from "./dial.ts";
import { throwIfAborted } from "../common/abort.ts";
import { limited, waitChecks } from "../common/wait.ts";
import { describeType } from "../common/describe.ts";
import { makeProtocol } from "../transport/callbacks.ts";
import {
  aBoolean,
  aDelay,
  anAddress,
  anObject,
  aPeerPort,
  aString,
  aTimeout,
  aUnixPath,
  type Check,
  checkOptions,
} from "../common/options.ts";
import type { ProxyHeader } from "../proxy/header.ts";
import { aProxyHeader, sendProxyHeader } from "./proxy_protocol.ts";
import { checkTlsClientOptions, tlsAcceptNative, type TlsClientOptions, tlsConnectConn } from "../tls/choose.ts";
import type { BaseProtocolLike, StreamProtocolLike, Transport } from "../transport/types.ts";

/** What all connections take. Times in milliseconds. */
export interface ConnectCommonOptions {
  /** Speaks TLS: `true`, or how. */
  tls?: boolean | TlsClientOptions | undefined;
  /**
   * How long closing may take, in milliseconds: sending what was written, as long as the peer takes none of it, and then
   * waiting for the peer's end, in all. Default: 30000.
   */
  closeTimeout?: number | undefined;
  /**
   * How long opening may take as a whole, in milliseconds: names, all addresses, the TLS handshake. By default as long as the
   * system and `handshakeTimeout` allow.
   */
  timeout?: number | undefined;
  /**
   * For how long no byte may be sent or received, in milliseconds, before the connection is lost with `Deno.errors.TimedOut`;
   * 0, the default, for any time. It is never shorter, and at most an eighth longer.
   */
  idleTimeout?: number | undefined;
  /**
   * Tells the server for which client the connection is made, or `"local"` that it is for none, by the PROXY protocol, before
   * TLS.
   */
  proxyProtocol?: ProxyHeader | undefined;
  /** Aborts the opening, at any stage. */
  signal?: AbortSignal | undefined;
}

/** How to connect over TCP. Times in milliseconds. */
export interface TcpConnectOptions extends ConnectCommonOptions {
  /** The host name or address; "127.0.0.1" by default. */
  hostname?: string | undefined;
  /** The port. */
  port: number;
  /** Only addresses of this IP version. */
  family?: 4 | 6 | undefined;
  /** The address to bind the local end to. Needs the net permission for it. */
  localAddr?: LocalAddress | undefined;
  /** How long an address of the host has before the next is tried as well; 250 by default. */
  happyEyeballsDelay?: number | undefined;
  /** Whether small writes leave at once (TCP_NODELAY); `true` by default. */
  noDelay?: boolean | undefined;
  /** Whether the system probes an idle connection (SO_KEEPALIVE); `false` by default. */
  keepAlive?: boolean | undefined;
  /** Not together with a port. */
  conn?: undefined;
  /** Not together with a port. */
  path?: undefined;
}

/** How to use a connection that is open already. */
export interface ConnConnectOptions extends ConnectCommonOptions {
  /** The connection. It may speak TLS, its handshake done or not. */
  conn: ConnLike;
  /** Whether small writes leave at once (TCP_NODELAY); `true` by default where the connection has that. */
  noDelay?: boolean | undefined;
  /** Whether the system probes an idle connection (SO_KEEPALIVE); left as it is by default. */
  keepAlive?: boolean | undefined;
  /** Not together with a connection. */
  hostname?: undefined;
  /** Not together with a connection. */
  port?: undefined;
  /** Not together with a connection. */
  family?: undefined;
  /** Not together with a connection. */
  localAddr?: undefined;
  /** Not together with a connection. */
  happyEyeballsDelay?: undefined;
  /** Not together with a connection. */
  path?: undefined;
}

/** How to connect to a Unix socket. */
export interface UnixConnectOptions extends ConnectCommonOptions {
  /** The path of the socket; with a leading NUL a name in the abstract namespace, which only Linux has. */
  path: string;
  /** Not together with a path. */
  hostname?: undefined;
  /** Not together with a path. */
  port?: undefined;
  /** Not together with a path. */
  family?: undefined;
  /** Not together with a path. */
  localAddr?: undefined;
  /** Not together with a path. */
  happyEyeballsDelay?: undefined;
  /** Not together with a path. */
  noDelay?: undefined;
  /** Not together with a path. */
  keepAlive?: undefined;
  /** Not together with a path. */
  conn?: undefined;
}

/** How to open a connection: over TCP by `port`, to a Unix socket by `path`, or over one that is open already by `conn`. */
export type ConnectOptions = TcpConnectOptions | UnixConnectOptions | ConnConnectOptions;

/** A connection and what was made for it. */
export interface Connection<P> {
  /** The transport. */
  transport: Transport;
  /** What the factory made. */
  protocol: P;
}

/**
 * Opens a connection for a protocol. As asyncio's `loop.create_connection`.
 *
 * @param protocolFactory Makes the protocol
 * @param options Where to connect to (`port` and `hostname`, or `path`, or `conn`), and how
 * @returns The transport and the protocol, after `connectionMade`
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
 * @throws {Deno.errors.ConnectionRefused} If no server listens there; other system errors as their class in `Deno.errors`
 * @throws {Deno.errors.NotCapable} If a permission is missing
 * @throws {Deno.errors.TimedOut} If it takes longer than `timeout`
 * @throws {AggregateError} If several addresses were tried and all failed; the error itself if it was one
 * @throws {Error} What `connectionMade` threw
 *
 * @example A client that prints what it gets
 * ```ts
 * import { createConnection, createServer, Protocol, type Transport } from "@tideline/net";
 *
 * class Greeter extends Protocol {
 *   override connectionMade(transport: Transport) {
 *     transport.write("hello");
 *     transport.close();
 *   }
 * }
 * class Printer extends Protocol {
 *   readonly ended = Promise.withResolvers<void>();
 *   override dataReceived(data: Uint8Array) {
 *     console.log(new TextDecoder().decode(data));
 *   }
 *   override connectionLost() {
 *     this.ended.resolve();
 *   }
 * }
 *
 * await using server = await createServer(() => new Greeter(), { hostname: "127.0.0.1", port: 0 });
 * const { port } = server;
 * const { protocol } = await createConnection(() => new Printer(), { port });
 * await protocol.ended.promise;
 * ```
 */
export function createConnection<P extends BaseProtocolLike>(
  protocolFactory: () => P,
  options: ConnectOptions,
): Promise<Connection<P>> {
  try {
    checkFactory("connect", protocolFactory);
    checkConnectOptions(options);
    throwIfAborted(options.signal);
  } catch (error) {
    return Promise.reject(error);
  }
  return limited(`connect to ${whereOf(options)}`, options, (signal) => {
    return connect(protocolFactory, { ...options, signal });
  });
}

async function connect<P extends BaseProtocolLike>(
  protocolFactory: () => P,
  options: ConnectOptions,
): Promise<Connection<P>> {
  const { signal } = options;
  if (options.conn !== undefined) {
    tuneConn("connect", options.conn, options.noDelay, options.keepAlive);
    return await connectOver(options.conn, protocolFactory, options, undefined);
  }
  if (options.path !== undefined) {
    return await connectOver(await dialUnix(options.path, signal), protocolFactory, options, undefined);
  }
  return await connectOver(await dial(options), protocolFactory, options, options.hostname ?? "127.0.0.1");
}

/**
 * Opens a connection to a Unix socket for a protocol. As asyncio's `loop.create_unix_connection`.
 *
 * @param protocolFactory Makes the protocol
 * @param options Where to connect to, and how
 * @returns The transport and the protocol, after `connectionMade`
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
 * @throws {Error} What connecting failed with, or what `connectionMade` threw
 *
 * @example
 * ```ts
 * import { createUnixConnection, createUnixServer, Protocol } from "@tideline/net";
 *
 * const path = await Deno.makeTempDir() + "/socket";
 * await using _server = await createUnixServer(() => new Protocol(), { path });
 * const { transport } = await createUnixConnection(() => new Protocol(), { path });
 * transport.close();
 * ```
 */
export async function createUnixConnection<P extends BaseProtocolLike>(
  protocolFactory: () => P,
  options: UnixConnectOptions,
): Promise<Connection<P>> {
  checkFactory("connect", protocolFactory);
  checkOptions("connect", options, unixConnectChecks);
  if (options.path === undefined) throw new TypeError("Cannot connect: there is no path");
  return await createConnection(protocolFactory, options);
}

/**
 * Refuses what is no factory.
 *
 * @param doing What it is for, as in "connect"
 * @param protocolFactory What the user passed
 * @throws {TypeError} If it is not a function
 */
export function checkFactory(doing: string, protocolFactory: unknown): void {
  if (typeof protocolFactory === "function") return;
  throw new TypeError(`Cannot ${doing}: the protocol factory must be a function, not ${describeType(protocolFactory)}`);
}

const tlsCheck: Check = (value) =>
  typeof value === "boolean" || anObject(value) === null
    ? null
    : { type: "must be a boolean or an object", found: describeType(value) };
const familyCheck: Check = (value) => value === 4 || value === 6 ? null : "must be 4 or 6";
const connCheck: Check = (value) => {
  const { read, write, close } = (value ?? {}) as Partial<ConnLike>;
  const complete = typeof read === "function" && typeof write === "function" && typeof close === "function";
  return complete ? null : "must have read(), write() and close()";
};

const openChecks: Record<string, Check> = {
  ...waitChecks,
  idleTimeout: aDelay,
  closeTimeout: aTimeout,
  proxyProtocol: aProxyHeader,
};

const connectChecks: Record<string, Check> = {
  hostname: aString,
  port: aPeerPort,
  path: aUnixPath,
  conn: connCheck,
  tls: tlsCheck,
  family: familyCheck,
  localAddr: anAddress,
  happyEyeballsDelay: aDelay,
  noDelay: aBoolean,
  keepAlive: aBoolean,
  ...openChecks,
};

const unixConnectChecks: Record<string, Check> = {
  path: aUnixPath,
  tls: tlsCheck,
  ...openChecks,
};

function whereOf({ conn, path, hostname = "127.0.0.1", port }: ConnectOptions): string {
  if (conn !== undefined) return "the peer";
  return path === undefined ? `${quote(hostname)} port ${port}` : quote(path);
}

/**
 * Checks what connections take.
 *
 * @param options What the user passed
 * @throws {TypeError | RangeError} If they are wrong
 */
export function checkConnectOptions(options: ConnectOptions): void {
  checkOptions("connect", options, connectChecks);
  const { conn, path, hostname, port, family, localAddr, happyEyeballsDelay, noDelay, keepAlive, tls, proxyProtocol } =
    options;
  const ofTcp = { hostname, port, family, localAddr, happyEyeballsDelay };
  if (proxyProtocol !== undefined && conn !== undefined && "handshake" in conn) {
    throw new TypeError("Cannot connect: proxyProtocol does not go together with a conn that speaks TLS already");
  }
  if (conn !== undefined) refuseTogether("conn", { path, ...ofTcp });
  else if (path !== undefined) refuseTogether("path", { ...ofTcp, noDelay, keepAlive });
  else if (port === undefined) throw new TypeError("Cannot connect: there is neither a port nor a conn nor a path");
  checkTls(tls, port === undefined ? undefined : hostname ?? "127.0.0.1");
}

function refuseTogether(what: string, options: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    throw new TypeError(`Cannot connect: ${name} ${describe(value)} does not go together with ${what}`);
  }
}

function checkTls(tls: boolean | TlsClientOptions | undefined, hostname: string | undefined): void {
  if (tls === undefined || tls === false) return;
  const options = tls === true ? {} : tls;
  checkTlsClientOptions(options);
  if (hostname ?? options.serverName ?? options.unsafelyDisableHostnameVerification) return;
  throw new TypeError("Cannot connect: without a hostname, tls needs a serverName to verify");
}

/** Speaks TLS if asked to, and makes transport and protocol. The conn is closed on any failure. */
async function connectOver<P extends BaseProtocolLike>(
  plain: ConnLike,
  protocolFactory: () => P,
  options: ConnectCommonOptions,
  hostname: string | undefined,
): Promise<Connection<P>> {
  const { proxyProtocol, signal } = options;
  if (proxyProtocol !== undefined) await sendProxyHeader(plain, proxyProtocol, signal);
  const { conn, transportOptions } = await secured(plain, options, hostname);
  if (signal?.aborted) conn.close();
  throwIfAborted(signal);
  let transport: ConnTransport, protocol: P;
  try {
    protocol = makeProtocol(protocolFactory);
    transport = new ConnTransport(conn, protocol as unknown as StreamProtocolLike, transportOptions);
  } catch (error) {
    conn.close();
    throw error;
  }
  transport.start();
  return { transport, protocol };
}

/** The conn to talk over, and what is to be known of it. A conn of Deno's own TLS must only finish its handshake. */
async function secured(
  plain: ConnLike,
  { tls, closeTimeout, idleTimeout, signal }: ConnectCommonOptions,
  hostname: string | undefined,
): Promise<{ conn: ConnLike; transportOptions: ConnTransportOptions }> {
  const isPlain = tls === undefined || tls === false;
  if (isPlain && !("handshake" in plain)) {
    return { conn: plain, transportOptions: { hostname, closeTimeout, idleTimeout } };
  }
  const options = typeof tls === "object" ? tls : {};
  const { conn, info } = isPlain
    ? await tlsAcceptNative(plain as Deno.TlsConn, options, { signal })
    : await tlsConnectConn(plain, { ...options, hostname }, { signal });
  const { shutdownTimeout } = options;
  return { conn, transportOptions: { hostname, extra: { tls: info }, closeTimeout, idleTimeout, shutdownTimeout } };
}
