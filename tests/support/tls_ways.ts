/** Every way of doing TLS, over every kind of conn. */
import { connPair } from "../../src/conn/conn_pair.ts";
import type { ConnLike } from "../../src/conn/conn.ts";
import {
  listenTlsNative,
  type SecureConn,
  tlsAcceptConn,
  tlsAcceptNative,
  type TlsClientOptions,
  tlsConnectConn,
  type TlsServerOptions,
} from "../../src/tls/choose.ts";
import { disguise, tcpPair, unixPair } from "./conns.ts";
import { theCerts } from "./certificates.ts";

/** A pair of conns, and the function that does the server's handshake. */
export interface Ends {
  client: ConnLike;
  server: ConnLike;
  accept(options: TlsServerOptions, signal?: AbortSignal): Promise<SecureConn>;
}

/** Every combination of Deno's own TLS and of `node:tls`, over every kind of conn that it works over. */
export const ways: Record<string, (options: TlsServerOptions) => Promise<Ends>> = {
  "native to native over TCP": (options) => nativeServer(options, (conn) => conn),
  "node to native over TCP": (options) => nativeServer(options, disguise),
  "native to node over TCP": async () => nodeServer(...await tcpPair()),
  "node to node over TCP": async () => {
    const [client, server] = await tcpPair();
    return nodeServer(disguise(client), server);
  },
  "node to node over Unix": async () => nodeServer(...await unixPair()),
  "node to node over memory": () => Promise.resolve(nodeServer(...connPair())),
};

/** The ways with Deno's own TLS for the client, and with `node:tls`. */
export const clientWays = ["native", "node"] as const;

/** Both sides after their handshake. */
export async function secure(
  way: (options: TlsServerOptions) => Promise<Ends>,
  clientOptions: TlsClientOptions = {},
  serverOptions: Partial<TlsServerOptions> = {},
): Promise<{ client: SecureConn; server: SecureConn }> {
  const { ca, server: identity } = theCerts();
  const options = { ...identity, ...serverOptions };
  const ends = await way(options);
  const [server, client] = await Promise.all([
    ends.accept(options),
    tlsConnectConn(ends.client, { serverName: "localhost", caCerts: [ca], ...clientOptions }),
  ]);
  return { client, server };
}

/** Both handshakes, each to its end. */
export async function attempt(
  way: (options: TlsServerOptions) => Promise<Ends>,
  clientOptions: TlsClientOptions = {},
  serverOptions: Partial<TlsServerOptions> = {},
): Promise<{ client: PromiseSettledResult<SecureConn>; server: PromiseSettledResult<SecureConn> }> {
  const { ca, server: identity } = theCerts();
  const options = { ...identity, ...serverOptions };
  const ends = await way(options);
  const [server, client] = await Promise.allSettled([
    ends.accept(options),
    tlsConnectConn(ends.client, { serverName: "localhost", caCerts: [ca], ...clientOptions }),
  ]);
  return { client, server };
}

/** Closes what succeeded, and gives what failed. */
export function failureOf(result: PromiseSettledResult<SecureConn>): unknown {
  if (result.status === "rejected") return result.reason;
  result.value.conn.close();
  return undefined;
}

async function nativeServer(options: TlsServerOptions, wrap: (conn: ConnLike) => ConnLike): Promise<Ends> {
  using listener = listenTlsNative({ hostname: "127.0.0.1", port: 0 }, options);
  const [client, server] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  return { client: wrap(client), server, accept: (options, signal) => tlsAcceptNative(server, options, { signal }) };
}

function nodeServer(client: ConnLike, server: ConnLike): Ends {
  return { client, server, accept: (options, signal) => tlsAcceptConn(server, options, { signal }) };
}
