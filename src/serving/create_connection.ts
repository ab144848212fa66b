/**
 * Opening a connection for a protocol.
 *
 * @module
 */
import type { ConnLike } from "../conn/conn.ts";
import { ConnTransport, type ConnTransportOptions } from "../transport/conn_transport.ts";
import { dial, dialUnix, tuneConn } from "./dial.ts";
import { throwIfAborted } from "../common/abort.ts";
import {
  aBoolean,
  aDelay,
  anAddress,
  anObject,
  aPeerPort,
  aSignal,
  aString,
  aUnixPath,
  type Check,
  checkOptions,
} from "../common/options.ts";
import {
  checkTlsClientOptions,
  DEFAULT_SHUTDOWN_TIMEOUT,
  tlsAcceptNative,
  type TlsClientOptions,
  tlsConnectConn,
} from "../tls/choose.ts";
import type { BaseProtocolLike, StreamProtocolLike, Transport } from "../transport/types.ts";

/** How to open a connection. Either `hostname` and `port`, or `conn`. Times in milliseconds. */
export interface ConnectOptions {
  /** The host name or address; "127.0.0.1" by default. */
  hostname?: string;
  /** The port. */
  port?: number;
  /** A connection that is open already, instead of `hostname` and `port`. It may speak TLS, its handshake done or not. */
  conn?: ConnLike;
  /** Speaks TLS: `true`, or how. */
  tls?: boolean | TlsClientOptions;
  /** Only addresses of this IP version. */
  family?: 4 | 6;
  /** The local end. */
  localAddr?: { hostname?: string; port?: number };
  /** How long an address of the host has before the next is tried as well; 250 by default. */
  happyEyeballsDelay?: number;
  /** Whether small writes leave at once (TCP_NODELAY); `true` by default. */
  noDelay?: boolean;
  /** Whether the system probes an idle connection (SO_KEEPALIVE); `false` by default. */
  keepAlive?: boolean;
  /** Aborts the opening, at any stage. */
  signal?: AbortSignal;
}

/** How to open a connection to a Unix socket. */
export interface UnixConnectOptions {
  /** The path of the socket. */
  path: string;
  /** Speaks TLS: `true`, or how. */
  tls?: boolean | TlsClientOptions;
  /** Aborts the opening, at any stage. */
  signal?: AbortSignal;
}

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
 * @param options Where to connect to, and how
 * @returns The transport and the protocol, after `connectionMade`
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
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
 * const { port } = server.addrs[0] as Deno.NetAddr;
 * const { protocol } = await createConnection(() => new Printer(), { port });
 * await protocol.ended.promise;
 * ```
 */
export async function createConnection<P extends BaseProtocolLike>(
  protocolFactory: () => P,
  options: ConnectOptions,
): Promise<Connection<P>> {
  checkFactory("connect", protocolFactory);
  checkConnectOptions(options);
  throwIfAborted(options.signal);
  const { conn: given, hostname, port, noDelay, keepAlive, family, localAddr, happyEyeballsDelay, signal } = options;
  const conn = given ?? await dial({
    port: port!,
    ...(hostname !== undefined && { hostname }),
    ...(family !== undefined && { family }),
    ...(localAddr !== undefined && { localAddr }),
    ...(happyEyeballsDelay !== undefined && { happyEyeballsDelay }),
    ...(noDelay !== undefined && { noDelay }),
    ...(keepAlive !== undefined && { keepAlive }),
    ...(signal !== undefined && { signal }),
  });
  if (given !== undefined) tuneConn("connect", given, noDelay, keepAlive);
  const serverName = hostname ?? (given === undefined ? "127.0.0.1" : undefined);
  return await connectOver(conn, protocolFactory, options.tls, serverName, signal);
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
  checkTls(options.tls, undefined);
  throwIfAborted(options.signal);
  const conn = await dialUnix(options.path, options.signal);
  return await connectOver(conn, protocolFactory, options.tls, undefined, options.signal);
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
  throw new TypeError(`Cannot ${doing}: the protocol factory must be a function, not "${typeof protocolFactory}"`);
}

const tlsCheck: Check = (value) =>
  typeof value === "boolean" || anObject(value) === null ? null : "must be a boolean or an object";
const familyCheck: Check = (value) => value === 4 || value === 6 ? null : "must be 4 or 6";
const connCheck: Check = (value) => {
  const { read, write, close } = (value ?? {}) as Partial<ConnLike>;
  const complete = typeof read === "function" && typeof write === "function" && typeof close === "function";
  return complete ? null : "must have read(), write() and close()";
};

const connectChecks: Record<string, Check> = {
  hostname: aString,
  port: aPeerPort,
  conn: connCheck,
  tls: tlsCheck,
  family: familyCheck,
  localAddr: anAddress,
  happyEyeballsDelay: aDelay,
  noDelay: aBoolean,
  keepAlive: aBoolean,
  signal: aSignal,
};

const unixConnectChecks: Record<string, Check> = { path: aUnixPath, tls: tlsCheck, signal: aSignal };

function checkConnectOptions(options: ConnectOptions): void {
  checkOptions("connect", options, connectChecks);
  const { conn, hostname, port, family, localAddr, happyEyeballsDelay, tls } = options;
  if (conn === undefined) {
    if (port === undefined) throw new TypeError("Cannot connect: there is neither a port nor a conn");
  } else {
    for (const [name, value] of Object.entries({ hostname, port, family, localAddr, happyEyeballsDelay })) {
      if (value !== undefined) throw new TypeError(`Cannot connect: ${name} "${value}" does not go together with conn`);
    }
  }
  checkTls(tls, conn === undefined ? hostname ?? "127.0.0.1" : undefined);
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
  tls: boolean | TlsClientOptions | undefined,
  hostname: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Connection<P>> {
  const { conn, around } = await secured(plain, tls, hostname, signal);
  if (signal?.aborted) conn.close();
  throwIfAborted(signal);
  let transport: ConnTransport, protocol: P;
  try {
    protocol = protocolFactory();
    transport = new ConnTransport(conn, protocol as unknown as StreamProtocolLike, around);
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
  tls: boolean | TlsClientOptions | undefined,
  hostname: string | undefined,
  signal: AbortSignal | undefined,
): Promise<{ conn: ConnLike; around: ConnTransportOptions }> {
  const isPlain = tls === undefined || tls === false;
  if (isPlain && !("handshake" in plain)) return { conn: plain, around: { hostname } };
  const options = typeof tls === "object" ? tls : {};
  const { conn, info } = isPlain
    ? await tlsAcceptNative(plain as Deno.TlsConn, options, { signal })
    : await tlsConnectConn(plain, { ...options, hostname }, { signal });
  const shutdownTimeout = options.shutdownTimeout ?? DEFAULT_SHUTDOWN_TIMEOUT;
  return { conn, around: { hostname, extra: { tls: info }, shutdownTimeout } };
}
