/**
 * Opening a server for protocols: what to listen on, and in which way it speaks TLS.
 *
 * @module
 */
import { checkFactory } from "./create_connection.ts";
import type { ErrorContext } from "../transport/exception_handler.ts";
import { bindAll, type Bound } from "./bind.ts";
import { throwIfAborted } from "../common/abort.ts";
import {
  aBacklog,
  aBoolean,
  aCount,
  aDelay,
  aFunction,
  anObject,
  aPort,
  aSignal,
  aString,
  aTimeout,
  aUnixPath,
  type Check,
  checkOptions,
} from "../common/options.ts";
import { aProxyProtocol, type ProxyProtocolOptions } from "./proxy_protocol.ts";
import { Server, type ServerOptions } from "./server.ts";
import { serverTls } from "./server_tls.ts";
import {
  checkTlsServerOptions,
  listenTlsNative,
  prepareTlsServer,
  serverTlsMode,
  type TlsServerOptions,
} from "../tls/choose.ts";
import type { BaseProtocolLike } from "../transport/types.ts";
import { listenUnix } from "./unix_listener.ts";

/** What all servers take. */
export interface ServeOptions {
  /** Speaks TLS, with this certificate. */
  tls?: TlsServerOptions | undefined;
  /** Whether to accept at once; `true` by default. If not, `server.startServing()` begins. */
  startServing?: boolean | undefined;
  /** How many connections may be open, handshakes under way included. At that number accepting stops until one ends. */
  maxConnections?: number | undefined;
  /**
   * Tells whether to take a client, by its address, before anything is read. A client that is not taken is closed and counted
   * in `server.stats().refused`. A filter that throws is reported, and refuses. (With `engine: "deno"` of TLS the system keeps
   * the socket of a refused client until the client leaves.)
   */
  accept?: ((peername: Deno.Addr) => boolean) | undefined;
  /**
   * Takes the addresses of clients from the proxies in front of the server, by the PROXY protocol (version 1 or 2): the header
   * comes before TLS, `peername` is then the client's, and `getExtraInfo("proxy")` tells the rest. `accept` and
   * `maxConnectionsPerPeer` decide by the client's address. A connection with a malformed, late or too long header (version 1:
   * 107 bytes, version 2: 16384 after the first 16) is closed, counted in `server.stats().refused` and reported.
   */
  proxyProtocol?: ProxyProtocolOptions | undefined;
  /** Gets everything that goes wrong in the server: handlers, handshakes, accept; the exception handler by default. */
  onError?: ((error: Error, context: ErrorContext) => void) | undefined;
  /**
   * How long closing a connection may take, in milliseconds: sending what was written, as long as the client takes none of it,
   * and then waiting for the client's end, in all. Default: 30000.
   */
  closeTimeout?: number | undefined;
  /**
   * For how long no byte may be received from a client or sent to it, in milliseconds, before its connection is lost with
   * `Deno.errors.TimedOut`; 0, the default, for any time. It is never shorter, and at most an eighth longer.
   */
  idleTimeout?: number | undefined;
  /** Closes the server when it aborts. */
  signal?: AbortSignal | undefined;
}

/** How to serve TCP. Either `hostname` or `port` or both, or `listener`. */
export interface ListenOptions extends ServeOptions {
  /**
   * The host name or address to listen on, or several; "0.0.0.0" by default. Every address of a name is bound, all on one
   * port, all or none. Where the system's "::" accepts IPv4 too, "0.0.0.0" needs no listener of its own: IPv4
   * clients have addresses such as "::ffff:192.0.2.1" then.
   */
  hostname?: string | string[] | undefined;
  /** The port; 0, the default, for any that is free. */
  port?: number | undefined;
  /** A listener that is bound already, instead of `hostname` and `port`. The server owns it then. It may speak TLS. */
  listener?: Deno.Listener | undefined;
  /** How many connections the system keeps until they are accepted; 511 by default. */
  backlog?: number | undefined;
  /** Whether several processes may listen on the port (SO_REUSEPORT). Needs `--unstable-net`. */
  reusePort?: boolean | undefined;
  /**
   * How many connections a peer may have, handshakes under way included. A peer is an IPv4 address or an IPv6 /64. Clients
   * beyond are closed before anything is read, and counted in `server.stats().refused`.
   */
  maxConnectionsPerPeer?: number | undefined;
  /** Whether small writes leave at once (TCP_NODELAY); `true` by default. */
  noDelay?: boolean | undefined;
  /** Whether the system probes an idle connection (SO_KEEPALIVE); `false` by default. */
  keepAlive?: boolean | undefined;
}

/** How to serve on a Unix socket. */
export interface UnixListenOptions extends ServeOptions {
  /**
   * The path of the socket; with a leading NUL a name in the abstract namespace, which only Linux has. A socket that a dead
   * server left at the path is removed.
   */
  path: string;
}

/**
 * Opens a server that makes a protocol for each connection. As asyncio's `loop.create_server`.
 *
 * @param protocolFactory Makes the protocol of a connection; gets the server
 * @param options Where to listen, and how
 * @returns The server, accepting unless told otherwise
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
 * @throws {Deno.errors.AddrInUse} If the port is taken
 *
 * @example An echo server
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
 *
 * await using server = await createServer(() => new Echo(), { hostname: "127.0.0.1", port: 0 });
 * console.log(server.addrs);
 * ```
 */
export async function createServer(
  protocolFactory: (server: Server) => BaseProtocolLike,
  options: ListenOptions,
): Promise<Server> {
  checkFactory("serve", protocolFactory);
  checkListenOptions(options);
  throwIfAborted(options.signal);
  if (options.tls !== undefined) await prepareTlsServer(options.tls);
  const { listener } = options;
  return await serve(protocolFactory, listener === undefined ? await bind(options) : given(listener), options);
}

/**
 * Opens a server on a Unix socket that makes a protocol for each connection. As asyncio's `loop.create_unix_server`.
 *
 * @param protocolFactory Makes the protocol of a connection; gets the server
 * @param options Where to listen, and how
 * @returns The server, accepting unless told otherwise
 * @throws {TypeError | RangeError} If the options are wrong, before anything is done
 * @throws {Deno.errors.AddrInUse} If a live server, or another kind of file, is at the path
 *
 * @example
 * ```ts
 * import { createUnixServer, Protocol } from "@tideline/net";
 *
 * const path = await Deno.makeTempDir() + "/socket";
 * await using _server = await createUnixServer(() => new Protocol(), { path });
 * ```
 */
export async function createUnixServer(
  protocolFactory: (server: Server) => BaseProtocolLike,
  options: UnixListenOptions,
): Promise<Server> {
  checkFactory("serve", protocolFactory);
  checkOptions("serve", options, { ...serveChecks, path: aUnixPath });
  if (options.path === undefined) throw new TypeError("Cannot serve: there is no path");
  if (options.tls !== undefined) checkTlsServerOptions(options.tls, "a Unix socket");
  throwIfAborted(options.signal);
  if (options.tls !== undefined) await prepareTlsServer(options.tls);
  return await serve(protocolFactory, given(await listenUnix(options.path)), options);
}

const hostnameCheck: Check = (value) => {
  const list = Array.isArray(value) ? value : [value];
  return list.length > 0 && list.every((one) => aString(one) === null)
    ? null
    : "must be a non-empty string, or a list of such";
};
const listenerCheck: Check = (value) => {
  const { accept, close } = (value ?? {}) as Partial<Deno.Listener>;
  return typeof accept === "function" && typeof close === "function" ? null : "must have accept() and close()";
};

const serveChecks: Record<string, Check> = {
  tls: anObject,
  startServing: aBoolean,
  maxConnections: aCount,
  accept: aFunction,
  proxyProtocol: aProxyProtocol,
  onError: aFunction,
  closeTimeout: aTimeout,
  idleTimeout: aDelay,
  signal: aSignal,
};

const listenChecks: Record<string, Check> = {
  ...serveChecks,
  hostname: hostnameCheck,
  port: aPort,
  listener: listenerCheck,
  maxConnectionsPerPeer: aCount,
  backlog: aBacklog,
  reusePort: aBoolean,
  noDelay: aBoolean,
  keepAlive: aBoolean,
};

function checkListenOptions(options: ListenOptions): void {
  checkOptions("serve", options, listenChecks);
  const {
    listener,
    hostname,
    port,
    backlog,
    reusePort,
    noDelay,
    keepAlive,
    maxConnectionsPerPeer,
    tls,
    proxyProtocol,
  } = options;
  if (listener !== undefined) {
    refuseTogether("a listener", { hostname, port, backlog, reusePort });
    if (isTlsListener(listener)) {
      refuseTogether("a listener that speaks TLS", { noDelay, keepAlive, tls, proxyProtocol });
    }
    if (listener.addr?.transport === "unix") {
      refuseTogether("a Unix listener", { noDelay, keepAlive, maxConnectionsPerPeer });
    }
  } else if (port === undefined && hostname === undefined) {
    throw new TypeError("Cannot serve: there is neither a hostname, nor a port, nor a listener");
  }
  if (tls !== undefined) checkTlsServerOptions(tls, listener && "a listener that is given");
  if (tls?.engine === "deno") refuseTogether('engine "deno"', { proxyProtocol });
  // Without its flag an unstable call ends the process, so the flag is checked first.
  if (reusePort && !("listenDatagram" in Deno && typeof Deno.listenDatagram === "function")) {
    throw new Deno.errors.NotSupported('Cannot serve: reusePort "true" needs the flag --unstable-net');
  }
}

function refuseTogether(what: string, options: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined) {
      throw new TypeError(`Cannot serve: the option "${name}" does not go together with ${what}`);
    }
  }
}

// The class has no public name at run time.
function isTlsListener(listener: Deno.Listener): boolean {
  return listener.constructor?.name === "TlsListener";
}

/** Binds the addresses, each with a listener that speaks TLS itself or one that does not. */
function bind(options: ListenOptions): Promise<Bound> {
  const { hostname = "0.0.0.0", port = 0, backlog, reusePort, tls } = options;
  const isNative = tls !== undefined && serverTlsMode(tls, options) === "native";
  return bindAll(Array.isArray(hostname) ? hostname : [hostname], port, (address) => {
    const listenOptions = {
      ...address,
      ...(backlog !== undefined && { tcpBacklog: backlog }),
      ...(reusePort !== undefined && { reusePort }),
    };
    return isNative ? listenTlsNative(listenOptions, tls) : Deno.listen(listenOptions);
  });
}

function given(listener: Deno.Listener): Bound {
  return { listeners: [listener], addrs: [listener.addr] };
}

async function serve(
  protocolFactory: (server: Server) => BaseProtocolLike,
  { listeners, addrs }: Bound,
  options: ServeOptions & Pick<ListenOptions, "noDelay" | "keepAlive" | "maxConnectionsPerPeer">,
): Promise<Server> {
  const { tls, noDelay, keepAlive, maxConnections, accept, maxConnectionsPerPeer, onError, closeTimeout } = options;
  const { startServing = true, idleTimeout, proxyProtocol, signal } = options;
  // Binding takes a while where a name is resolved or a socket may be stale.
  if (signal?.aborted) {
    for (const listener of listeners) listener.close();
    throw signal.reason;
  }
  const common = {
    protocolFactory,
    listeners,
    addrs,
    noDelay,
    keepAlive,
    maxConnections,
    onError,
    closeTimeout,
    idleTimeout,
  };
  const isFiltered = accept !== undefined || maxConnectionsPerPeer !== undefined;
  const serverOptions: ServerOptions = {
    ...common,
    ...(proxyProtocol !== undefined && { proxyProtocol }),
    ...(isFiltered && { admission: { accept, maxConnectionsPerPeer } }),
  };
  if (tls !== undefined) Object.assign(serverOptions, serverTls(tls));
  else if (listeners.some(isTlsListener)) Object.assign(serverOptions, serverTls(null));
  const server = new Server(serverOptions);
  if (signal !== undefined) {
    const close = () => server.close();
    signal.addEventListener("abort", close, { once: true });
    // Does not outlive the server, as the signal may.
    void server.waitClosed().then(() => signal.removeEventListener("abort", close));
  }
  if (startServing) await server.startServing();
  return server;
}
