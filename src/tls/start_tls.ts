/**
 * Going over to TLS on a connection that is open: STARTTLS, on either side.
 *
 * @module
 */
import { handledCall } from "../common/handled.ts";
import { ConnTransport } from "../transport/conn_transport.ts";
import {
  checkTlsClientOptions,
  checkTlsServerOptions,
  tlsAcceptConn,
  type TlsClientOptions,
  tlsConnectConn,
  type TlsServerOptions,
} from "./choose.ts";
import { describe } from "../common/describe.ts";
import type { BaseProtocolLike, BaseTransport, Transport } from "../transport/types.ts";

/** How to go over to TLS: the options of either side. */
export type StartTlsOptions = (TlsClientOptions | TlsServerOptions) & {
  /** Whether this is the server side; by default it is if a server accepted the connection. */
  serverSide?: boolean;
};

/**
 * Goes over to TLS, after what was written is sent. As asyncio's `loop.start_tls`, and, beyond it, on both sides of any
 * connection.
 *
 * Bytes that the peer sent in plain text and that were not delivered yet are an attempt to have them taken for encrypted
 * ones (CVE-2011-0411), and end the connection. So does a handshake that fails.
 *
 * @param transport A transport of this package
 * @param protocol The protocol to go on with; it is not told of its connection again
 * @param options As of {@linkcode TlsClientOptions} or {@linkcode TlsServerOptions}, and `serverSide`
 * @returns The transport, which stays the same object
 * @throws {TypeError | RangeError} If the options are wrong, or the transport is of another kind; nothing is done then
 * @throws {Deno.errors.InvalidData} If plain bytes were received, or a certificate is refused; the connection is lost
 * @throws {Deno.errors.TimedOut} If the handshake takes longer than `handshakeTimeout`; the connection is lost
 */
export function startTls(
  transport: Transport,
  protocol: BaseProtocolLike,
  options: StartTlsOptions,
): Promise<Transport> {
  return handledCall(() => startTlsUnlessBuffered(transport, protocol, options, () => 0));
}

/**
 * As {@linkcode startTls}, for who buffers bytes above the transport.
 *
 * @param transport As there
 * @param protocol As there
 * @param options As there
 * @param buffered Tells how many plain bytes were received and not read
 * @returns As there
 */
export async function startTlsUnlessBuffered(
  transport: Transport,
  protocol: BaseProtocolLike,
  { serverSide, ...options }: StartTlsOptions,
  buffered: () => number,
): Promise<Transport> {
  if (!isUpgradable(transport)) {
    throw new TypeError("Cannot start TLS: the transport is not one of a connection made by this package");
  }
  if (serverSide !== undefined && typeof serverSide !== "boolean") {
    throw new TypeError(`Cannot start TLS: serverSide must be a boolean, not ${describe(serverSide)}`);
  }
  const handshake = (serverSide ?? transport.serverSide)
    ? serverHandshake(options as TlsServerOptions)
    : clientHandshake(options, transport.hostname);
  if (buffered() > 0) {
    const error = new Deno.errors.InvalidData(
      `Cannot start TLS: the peer sent ${buffered()} bytes in plain text after the last that were read`,
    );
    transport.abort();
    throw error;
  }
  if (protocol !== transport.getProtocol()) transport.setProtocol(protocol);
  await transport.upgrade(handshake, options.shutdownTimeout);
  return transport;
}

type Handshake = Parameters<ConnTransport["upgrade"]>[0];

function serverHandshake(options: TlsServerOptions): Handshake {
  checkTlsServerOptions(options, "a connection that is open");
  return (conn, signal) => tlsAcceptConn(conn, options, { signal });
}

function clientHandshake(options: TlsClientOptions, hostname: string | undefined): Handshake {
  checkTlsClientOptions(options);
  if ((options.serverName ?? hostname) === undefined && !options.unsafelyDisableHostnameVerification) {
    throw new TypeError("Cannot start TLS: there is no serverName to verify the peer by");
  }
  return (conn, signal) => tlsConnectConn(conn, { ...options, hostname }, { signal });
}

function isUpgradable(transport: BaseTransport): transport is ConnTransport {
  return transport instanceof ConnTransport;
}
