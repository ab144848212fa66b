/** What the tests of serving share: every kind of address there is, child processes, descriptors. */
import type { ConnectOptions, ListenOptions } from "../../mod.ts";
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
import { RecordingProtocol, selfSignedCertificate } from "../../src/testing/mod.ts";

/** Options that servers of all kinds take. */
export type AnyServeOptions =
  & Pick<ListenOptions, "startServing" | "maxConnections" | "onError" | "signal">
  & StreamOptions;
/** Options that clients of all kinds take. */
export type AnyConnectOptions = Pick<ConnectOptions, "signal">;

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

function ip(name: string, listen: ListenOptions, connect: Partial<ConnectOptions> = {}): Kind {
  const target = (server: Server): ConnectOptions => {
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
const tlsClient: Partial<ConnectOptions> = { tls: { caCerts: [caCert] } };

/** Whether this machine has the IPv6 loopback. */
export const hasIpv6: boolean = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    console.warn("%cSkipping the tests over IPv6: this machine has no ::1", "color: red");
    return false;
  }
})();

/** Every kind without TLS. */
export const plainKinds: Kind[] = [
  ip("IPv4", { hostname: "127.0.0.1", port: 0 }),
  ...hasIpv6 ? [ip("IPv6", { hostname: "::1", port: 0 })] : [],
  unix,
];

/** Every kind with TLS: by Deno itself, and by node:tls. */
export const tlsKinds: Kind[] = [
  ip("TLS", { hostname: "127.0.0.1", port: 0, tls: { cert, key } }, tlsClient),
  ip("TLS by node", { hostname: "127.0.0.1", port: 0, tls: { cert, key }, noDelay: true }, tlsClient),
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

const directories: string[] = [];
globalThis.addEventListener("unload", () => {
  for (const directory of directories) Deno.removeSync(directory, { recursive: true });
});

/** A directory that is removed when the tests are done. */
export function tempDir(): string {
  const directory = Deno.makeTempDirSync({ prefix: "net-" });
  directories.push(directory);
  return directory;
}

/** A path for a socket, where nothing is. */
export function socketPath(): string {
  return `${tempDir()}/s`;
}

/** How many descriptors this process has open. */
export function openDescriptors(): number {
  return [...Deno.readDirSync("/dev/fd")].length;
}

/** Text of bytes. */
export function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Bytes that tell where they belong. */
export function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

/** Waits for what another part of the program will bring about, a turn of the event loop at a time. */
export async function until(condition: () => boolean, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Cannot wait any longer: ${condition} is not so after ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The result of a program. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
  ms: number;
}

/** Runs a program that imports the package, in a process of its own. */
export async function runProgram(
  source: string,
  { permissions = ["-A"], timeout = 20_000, env = {} }: {
    permissions?: string[];
    timeout?: number;
    env?: Record<string, string>;
  } = {},
): Promise<Outcome> {
  const root = new URL("../../", import.meta.url);
  const path = `${tempDir()}/program.ts`;
  await Deno.writeTextFile(path, source.replaceAll("@tideline/net", new URL("mod.ts", root).href));
  const begun = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", "--no-config", ...permissions, path],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", ...env },
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), timeout);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  return { code, stdout: text(stdout), stderr: text(stderr), ms: performance.now() - begun };
}

/** A file in /tmp, where there is a program of that name; else `null`, loudly. */
export async function findProgram(name: string): Promise<string | null> {
  for (const directory of (Deno.env.get("PATH") ?? "").split(":")) {
    const path = `${directory}/${name}`;
    const info = await Deno.stat(path).catch(() => null);
    if (info?.isFile) return path;
  }
  console.warn(`%cSkipping the tests against ${name}: there is no such program here`, "color: red");
  return null;
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
