/**
 * TLS by Deno itself: the fast way, for clients without a certificate over TCP and for plain TLS servers on TCP.
 *
 * What the platform cannot do here, measured on Deno 2.9:
 *
 * - A TLS conn that is closed before its handshake is done rejects `handshake()` at once, but its descriptor stays open
 *   until the peer goes away; so after `handshakeTimeout` against a silent peer. The same holds for one that is closed
 *   while the peer does not take what was written. Nothing releases it sooner.
 * - Accepted conns have Nagle's algorithm on (no TCP_NODELAY), and nothing turns it off: a small write waits for the
 *   peer to acknowledge the one before, up to 45 ms on Linux; the first one if the server is the first to speak, because
 *   session tickets went before it. Clients are free of that if their option is set before TLS starts, and their
 *   handshakes 40 ms faster.
 * - A listener keeps the process alive, `unref()` or not.
 * - It does not tell the protocol version, the cipher suite or the peer's certificate.
 *
 * @module
 */
import type { ConnLike } from "../conn/conn.ts";
import { boundHandshake, closeQuietly, type HandshakeLimits, type SecureConn } from "./handshake.ts";
import type { TlsClientOptions } from "./options.ts";

/**
 * Tells whether Deno's own TLS can take over a conn: only a TCP conn of Deno itself.
 *
 * @param conn The conn
 * @returns Whether it can
 */
export function isNativeTcpConn(conn: ConnLike): conn is Deno.TcpConn {
  // The class has no public name at run time, and `Deno.startTls` consumes what it does not like.
  return conn.constructor?.name === "TcpConn" && typeof (conn as Partial<Deno.TcpConn>).setNoDelay === "function";
}

/**
 * Client handshake over an open TCP conn that is not being read or written.
 *
 * @param conn The conn; consumed, whatever happens
 * @param options The options; `cert` and `key` are not for here
 * @param name The name or address to verify and to send
 * @param limits When to give up
 * @returns The secure conn
 */
export async function startTlsNative(
  conn: Deno.TcpConn,
  options: TlsClientOptions,
  name: string,
  limits: HandshakeLimits,
): Promise<SecureConn> {
  const { caCerts, alpnProtocols, unsafelyDisableHostnameVerification = false } = options;
  // Not even begun when already aborted, because a handshake that has begun cannot be ended at once.
  limits.signal?.throwIfAborted();
  const tlsConn = await Deno.startTls(conn, {
    hostname: name,
    ...caCerts && { caCerts },
    ...alpnProtocols && { alpnProtocols },
    unsafelyDisableHostnameVerification,
  });
  // Which it leaves out of the addresses.
  for (const addr of [tlsConn.localAddr, tlsConn.remoteAddr]) addr.transport = "tcp";
  const { alpnProtocol } = await boundHandshake(() => tlsConn.handshake(), limits, () => closeQuietly(tlsConn));
  const serverName = unsafelyDisableHostnameVerification ? undefined : name;
  return { conn: tlsConn, info: { alpnProtocol, serverName } };
}

/**
 * Handshake of a TLS conn as it was accepted.
 *
 * @param conn The conn; closed if the handshake fails
 * @param limits When to give up
 * @returns The secure conn
 */
export async function handshakeNative(conn: Deno.TlsConn, limits: HandshakeLimits): Promise<SecureConn> {
  const { alpnProtocol } = await boundHandshake(() => conn.handshake(), limits, () => closeQuietly(conn));
  return { conn, info: { alpnProtocol } };
}
