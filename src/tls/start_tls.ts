/**
 * Upgrading an open connection to TLS (STARTTLS), on either side.
 *
 * @module
 */
import { ConnTransport } from "../transport/conn_transport.ts";
import {
  checkTlsClientOptions,
  checkTlsServerOptions,
  tlsAcceptConn,
  type TlsClientOptions,
  tlsConnectConn,
  type TlsServerOptions,
} from "./choose.ts";
import { rejection } from "../common/callers_frames.ts";
import { checkWait, limited, type WaitOptions } from "../common/wait.ts";
import { describe } from "../common/describe.ts";
import { ignorable } from "../common/handled.ts";
import type { BaseProtocolLike, BaseTransport, ProtocolLike, Transport, UnreadBytes } from "../transport/types.ts";

/** How to go over to TLS: the options of either side. */
export type StartTlsOptions = (TlsClientOptions | TlsServerOptions) & WaitOptions & {
  /** Whether this is the server side; by default it is if a server accepted the connection. */
  serverSide?: boolean | undefined;
  /**
   * On the server side, `"handshake"` says that bytes which were received and not read are the beginning of the peer's
   * handshake, as on a port for TLS and plain text. By default they are an error.
   */
  buffered?: "handshake" | undefined;
};

/**
 * Upgrades a connection to TLS, after flushing. As asyncio's `loop.start_tls`, and, beyond it, on both sides of any
 * connection.
 *
 * Bytes that the peer sent in plain text and that were not delivered yet are an attempt to have them taken for encrypted
 * ones (CVE-2011-0411), and end the connection, unless `buffered` says otherwise. So does a handshake that fails.
 *
 * @param transport A transport of this package
 * @param protocol The protocol to go on with; it is not told of its connection again
 * @param options As of {@linkcode TlsClientOptions} or {@linkcode TlsServerOptions}, with `serverSide` and `buffered`;
 * `signal` and `timeout` end it, and the connection
 * @returns The transport, which stays the same object
 * @throws {TypeError | RangeError} If the options are wrong, or the transport is of another kind; nothing is done then
 * @throws {Deno.errors.InvalidData} If plain bytes were received, or a certificate is refused; the connection is lost
 * @throws {Deno.errors.TimedOut} If the handshake takes longer than `handshakeTimeout`, or the whole call longer than
 * `timeout`; the connection is lost
 */
export function startTls(
  transport: Transport,
  protocol: BaseProtocolLike,
  options: StartTlsOptions,
): Promise<Transport> {
  return ignorable(startTlsWithUnread(transport, protocol, options, unreadBytesOf(transport)));
}

/**
 * As {@linkcode startTls}, for streams, which buffer bytes above the transport.
 *
 * @param transport As there
 * @param protocol As there
 * @param options As there
 * @param unread The bytes that were received and not read
 * @returns As there
 */
export async function startTlsWithUnread(
  transport: Transport,
  protocol: BaseProtocolLike,
  { serverSide, buffered, signal, timeout, ...options }: StartTlsOptions,
  unread: UnreadBytes,
): Promise<Transport> {
  if (!isUpgradable(transport)) {
    throw new TypeError("Cannot start TLS: the transport is not one of a connection made by this package");
  }
  if (serverSide !== undefined && typeof serverSide !== "boolean") {
    throw new TypeError(`Cannot start TLS: serverSide must be a boolean, not ${describe(serverSide)}`);
  }
  if (buffered !== undefined && buffered !== "handshake") {
    throw new TypeError(`Cannot start TLS: buffered must be "handshake", not ${describe(buffered)}`);
  }
  checkWait("start TLS", { signal, timeout });
  const isServer = serverSide ?? transport.serverSide;
  const takesUnread = buffered !== undefined;
  if (takesUnread && !isServer) {
    throw new TypeError('Cannot start TLS: buffered "handshake" is for the server side: the client begins a handshake');
  }
  // Before anything is taken, so that wrong options change nothing.
  if (isServer) checkTlsServerOptions(options as TlsServerOptions, "a connection that is open");
  else checkClient(options, transport.hostname);
  if (unread.length > 0 && !takesUnread) {
    const error = new Deno.errors.InvalidData(
      `Cannot start TLS: the peer sent ${unread.length} bytes in plain text after the last that were read`,
    );
    transport.abort();
    throw error;
  }
  if (protocol !== transport.getProtocol()) transport.setProtocol(protocol);
  const handshake = isServer
    ? serverHandshake(options as TlsServerOptions, takesUnread ? unread.take() : undefined)
    : clientHandshake(options, transport.hostname);
  await limited("start TLS", { signal, timeout }, (signal) => {
    return transport.upgrade(handshake, options.shutdownTimeout, takesUnread, signal);
  });
  return transport;
}

/** What the protocol tells that it was given and has not used. */
function unreadBytesOf(transport: Transport): UnreadBytes {
  return isUpgradable(transport) ? (transport.getProtocol() as ProtocolLike).unread ?? NOTHING_UNREAD : NOTHING_UNREAD;
}

const NOTHING_UNREAD: UnreadBytes = { length: 0, take: () => new Uint8Array(0) };

type Handshake = Parameters<ConnTransport["upgrade"]>[0];

function serverHandshake(options: TlsServerOptions, prefix: Uint8Array | undefined): Handshake {
  // Unlike a server's own handshakes, this one is awaited.
  return (conn, signal) => tlsAcceptConn(conn, options, { signal, prefix }).catch(rejection);
}

function clientHandshake(options: TlsClientOptions, hostname: string | undefined): Handshake {
  return (conn, signal) => tlsConnectConn(conn, { ...options, hostname }, { signal });
}

function checkClient(options: TlsClientOptions, hostname: string | undefined): void {
  checkTlsClientOptions(options);
  if ((options.serverName ?? hostname) === undefined && !options.unsafelyDisableHostnameVerification) {
    throw new TypeError("Cannot start TLS: there is no serverName to verify the peer by");
  }
}

function isUpgradable(transport: BaseTransport): transport is ConnTransport {
  return transport instanceof ConnTransport;
}
