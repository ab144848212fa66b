/**
 * The TLS handshakes of a server, with options that may be changed for those to come.
 *
 * @module
 */
import { checkTlsServerOptions, tlsAcceptConn, tlsAcceptNative, type TlsServerOptions } from "../tls/choose.ts";
import type { ServerOptions, Welcome } from "./server.ts";

/**
 * Makes the part of a server that does TLS.
 *
 * @param tls The options; `null` if the listener has its own
 * @returns The handshake, and what changes its options
 */
export function serverTls(tls: TlsServerOptions | null): Required<Pick<ServerOptions, "handshake" | "setTls">> {
  // A copy, so that the user's object may change without effect.
  let current = tls && { ...tls };
  return {
    async handshake(conn, signal): Promise<Welcome> {
      const options = current;
      const secure = options === null || options.engine === "deno"
        ? await tlsAcceptNative(conn as Deno.TlsConn, options ?? {}, { signal })
        : await tlsAcceptConn(conn, options, { signal });
      return {
        conn: secure.conn,
        transportOptions: { extra: { tls: secure.info }, shutdownTimeout: options?.shutdownTimeout },
      };
    },
    setTls(options) {
      if (current === null || current.engine === "deno") {
        throw new TypeError("Cannot set the TLS options: Deno's own listener keeps those that it was opened with");
      }
      checkTlsServerOptions(options);
      if (options.engine === "deno") {
        throw new TypeError('Cannot set the TLS options: the server listens for engine "node"');
      }
      current = { ...options };
    },
  };
}
