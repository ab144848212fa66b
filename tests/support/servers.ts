/** Servers and clients over every kind of address, and what tests of them need. */
import type { ConnectOptions, ListenOptions, TcpConnectOptions } from "../../mod.ts";
import {
  createConnection,
  createServer,
  createUnixConnection,
  createUnixServer,
  openConnection,
  openUnixConnection,
  type Server,
  startServer,
  startUnixServer,
  type StreamConnection,
} from "../../mod.ts";
import type { BaseProtocolLike, StreamProtocolLike } from "../../mod.ts";
import type { ClientConnected, Connection, StreamOptions } from "../../mod.ts";
import { hasIpv6 } from "./machine.ts";
import { socketPath, tempDir } from "./programs.ts";
import { RecordingProtocol, selfSignedCertificate } from "../../src/testing/mod.ts";

/** Options that servers of all kinds take. */
export type AnyServeOptions =
  & Pick<
    ListenOptions,
    | "startServing"
    | "maxConnections"
    | "maxConnectionsPerPeer"
    | "accept"
    | "onError"
    | "closeTimeout"
    | "idleTimeout"
    | "signal"
  >
  & StreamOptions;
/** Options that clients of all kinds take. */
export type AnyConnectOptions = Pick<ConnectOptions, "closeTimeout" | "idleTimeout" | "signal" | "timeout">;

/** A kind of address to serve on. */
export interface Kind {
  name: string;
  tls: boolean;
  createServer(
    factory: () => StreamProtocolLike,
    options?: Omit<AnyServeOptions, keyof StreamOptions>,
  ): Promise<Server>;
  startServer(handler: ClientConnected, options?: AnyServeOptions): Promise<Server>;
  createConnection<P extends BaseProtocolLike>(
    factory: () => P,
    server: Server,
    options?: AnyConnectOptions,
  ): Promise<Connection<P>>;
  openConnection(server: Server, options?: AnyConnectOptions & StreamOptions): Promise<StreamConnection>;
}

/** The certificate of the TLS kinds. */
export const certificate = await selfSignedCertificate();

function ip(name: string, listen: ListenOptions, connect: Partial<TcpConnectOptions> = {}): Kind {
  const target = (server: Server): TcpConnectOptions => {
    const { hostname, port } = server.addrs[0] as Deno.NetAddr;
    return { hostname, port, ...connect };
  };
  return {
    name,
    tls: listen.tls !== undefined,
    createServer: (factory, options) => createServer(factory, { ...listen, ...options }),
    startServer: (handler, options) => startServer(handler, { ...listen, ...options }),
    createConnection: (factory, server, options) => createConnection(factory, { ...target(server), ...options }),
    openConnection: (server, options) => openConnection({ ...target(server), ...options }),
  };
}

const unix: Kind = {
  name: "Unix",
  tls: false,
  createServer: (factory, options) => createUnixServer(factory, { path: socketPath(), ...options }),
  startServer: (handler, options) => startUnixServer(handler, { path: socketPath(), ...options }),
  createConnection: (factory, server, options) => createUnixConnection(factory, { path: pathOf(server), ...options }),
  openConnection: (server, options) => openUnixConnection({ path: pathOf(server), ...options }),
};

const { cert, key, caCert } = certificate;
const tlsClient: Partial<TcpConnectOptions> = { tls: { caCerts: [caCert] } };

/** Every kind without TLS. */
export const plainKinds: Kind[] = [
  ip("IPv4", { hostname: "127.0.0.1", port: 0 }),
  ...hasIpv6 ? [ip("IPv6", { hostname: "::1", port: 0 })] : [],
  unix,
];

/** Every kind with TLS: by the default engine, and by Deno's own. */
export const tlsKinds: Kind[] = [
  ip("TLS", { hostname: "127.0.0.1", port: 0, tls: { cert, key } }, tlsClient),
  ip("TLS by Deno", { hostname: "127.0.0.1", port: 0, tls: { cert, key, engine: "deno" } }, tlsClient),
];

/** Every kind. */
export const kinds: Kind[] = [...plainKinds, ...tlsKinds];

/** A protocol that gives back what it gets, and records it. */
export class EchoProtocol extends RecordingProtocol {
  override dataReceived(data: Uint8Array): void {
    super.dataReceived(data);
    this.transport.write(data);
  }
}

/** The port of a server on TCP. */
export function portOf(server: Server): number {
  return (server.addrs[0] as Deno.NetAddr).port;
}

/** The path of a Unix server. */
export function pathOf(server: Server): string {
  return (server.addrs[0] as Deno.UnixAddr).path;
}

/** Certificates and keys as files, for other programs. */
export async function certificateFiles(): Promise<{ cert: string; key: string; ca: string }> {
  const directory = tempDir();
  const files = { cert: `${directory}/cert.pem`, key: `${directory}/key.pem`, ca: `${directory}/ca.pem` };
  await Deno.writeTextFile(files.cert, cert);
  await Deno.writeTextFile(files.key, key);
  await Deno.writeTextFile(files.ca, caCert);
  return files;
}
