/**
 * From a host name to a connection: addresses, Happy Eyeballs, and an abort that leaks nothing.
 *
 * Theory of operation. `Deno.connect` resolves a name and races its addresses (RFC 8305), without loading `node:dns`, so it
 * is asked first. But it reports the error of one address only, cannot be restricted to one IP version, and cannot bind the
 * local end. So where a version or a local address is given, and where connecting by name has failed and the name has
 * several addresses, the name is resolved here and each address is tried by itself: the next one when the last has failed
 * or has not answered in time.
 *
 * @module
 */
import { abortable } from "../common/abort.ts";
import { rejection } from "../common/callers_frames.ts";
import type { ConnLike } from "../conn/conn.ts";
import { connFromNode } from "../conn/conn_from_node.ts";
import { ipVersion, showAddress, withoutBrackets } from "../common/address.ts";
import { quote } from "../common/describe.ts";
import { explained } from "../common/errors.ts";
import { MAX_TIMER } from "../common/timer.ts";
import { resolveAll } from "./resolve.ts";
import { checkAbstractName } from "./unix_path.ts";

/** Where to connect to, and how. */
export interface DialOptions {
  /** The host name or address; "127.0.0.1" by default. */
  hostname?: string | undefined;
  /** The port. */
  port: number;
  /** Only addresses of this IP version. */
  family?: 4 | 6 | undefined;
  /** The address to bind the local end to. */
  localAddr?: LocalAddress | undefined;
  /** How long an address has before the next is tried as well, in milliseconds. */
  happyEyeballsDelay?: number | undefined;
  /** Whether small writes leave at once; `true` by default. */
  noDelay?: boolean | undefined;
  /** Whether the system probes; `false` by default. */
  keepAlive?: boolean | undefined;
  /** Aborts it. */
  signal?: AbortSignal | undefined;
}

/** An address to bind the local end to. */
export interface LocalAddress {
  /** The IP address; by default any of this machine. */
  hostname?: string | undefined;
  /** The port; by default one that is free. */
  port?: number | undefined;
}

/** As RFC 8305 recommends, in milliseconds. */
const DEFAULT_DELAY = 250;

/**
 * Connects over TCP.
 *
 * @param options Where to, and how
 * @returns The connection
 * @throws {AggregateError} If several addresses were tried and all failed; the error itself if it was one
 */
export async function dial(options: DialOptions): Promise<ConnLike> {
  const { hostname = "127.0.0.1", family, localAddr, signal } = options;
  const address = withoutBrackets(hostname);
  const version = ipVersion(address);
  if (version !== null) {
    if (family === undefined || version === family) return await dialAny([address], options);
    throw new Deno.errors.AddrNotAvailable(
      `Cannot connect to ${quote(hostname)}: it is not an address of family ${family}`,
    );
  }
  if (family === undefined && localAddr === undefined) return await dialName(hostname, options);
  return await dialAny(await abortable(resolveAll(hostname, `connect to ${quote(hostname)}`, family), signal), options);
}

async function dialName(hostname: string, options: DialOptions): Promise<ConnLike> {
  let failure: unknown;
  try {
    return await dialAny([hostname], options);
  } catch (error) {
    failure = error;
  }
  const { signal } = options;
  if (signal?.aborted || !mayDifferByAddress(failure)) throw failure;
  const addresses = await abortable(resolveAll(hostname, `connect to ${quote(hostname)}`), signal);
  if (addresses.length === 1) throw failure;
  return await dialAny(addresses, options);
}

/**
 * Whether the addresses of a name may fail with different errors, so that each is to be asked. Not where each took as long
 * as the system waits, and not where the name alone is permitted.
 */
function mayDifferByAddress(error: unknown): boolean {
  if (error instanceof Deno.errors.TimedOut || error instanceof Deno.errors.NotFound) return false;
  return Deno.permissions.querySync({ name: "net" }).state === "granted";
}

/**
 * Connects to the first of several addresses that answers: tries one after the other, and together where one is slow.
 *
 * @param addresses The addresses, at least one
 * @param options As of {@linkcode dial}
 * @returns The connection
 * @throws As {@linkcode dial}
 */
export function dialAny(addresses: readonly string[], options: DialOptions): Promise<ConnLike> {
  const { signal, happyEyeballsDelay = DEFAULT_DELAY } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  // The usual case: there is nothing to race and nothing to abort.
  if (addresses.length === 1 && signal === undefined) return connectTo(addresses[0]!, options);
  const { promise, resolve, reject } = Promise.withResolvers<ConnLike>();
  const stop = new AbortController();
  const errors: Error[] = [];
  let begun = 0;
  let pending = 0;
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  // Most connects need no timer. Deno loads its timers when they are first used: 0.9 MB, which the collector goes through.
  const stopTimer = () => {
    if (timer !== undefined) clearTimeout(timer);
  };
  const end = () => {
    isOver = true;
    stopTimer();
    signal?.removeEventListener("abort", abort);
    // Not at once: a connect that has succeeded, of which the promise does not tell yet, would forget its connection.
    if (pending > 0) setImmediate(() => stop.abort());
  };
  const abort = () => {
    end();
    reject(signal!.reason);
  };
  const connected = (conn: ConnLike) => {
    pending--;
    if (isOver) return conn.close();
    end();
    resolve(conn);
  };
  const failed = (error: Error) => {
    pending--;
    if (isOver) return;
    errors.push(error);
    if (errors.length < addresses.length) return begin();
    end();
    const all = errors.map(({ message }) => message).join("; ");
    resolve(rejection(errors.length === 1 ? error : new AggregateError(errors, all)));
  };
  const begin = () => {
    stopTimer();
    if (begun === addresses.length) return;
    pending++;
    const address = addresses[begun++]!;
    if (begun < addresses.length) timer = setTimeout(begin, Math.min(happyEyeballsDelay, MAX_TIMER));
    connectTo(address, options, stop.signal).then(connected, failed);
  };

  signal?.addEventListener("abort", abort, { once: true });
  begin();
  return promise;
}

/**
 * Connects to a Unix socket.
 *
 * @param path Where
 * @param signal Aborts it
 * @returns The connection
 */
export async function dialUnix(path: string, signal?: AbortSignal): Promise<ConnLike> {
  const connecting = connectUnix(path);
  try {
    return await abortable(connecting, signal);
  } catch (error) {
    // The system cannot be told to stop: what it brings later is closed.
    if (signal?.aborted) connecting.then((conn) => conn.close(), () => {});
    throw error;
  }
}

/**
 * Sets what a TCP connection can be set, while nothing is under way on it yet.
 *
 * @param doing What it is for, as in "connect"
 * @param conn The connection
 * @param noDelay Whether small writes leave at once; `undefined` for yes where that can be set
 * @param keepAlive Whether the system probes; `undefined` to leave it
 * @throws {TypeError} If one is asked for that cannot be set on this kind of connection
 * @throws {Error} If the connection is gone
 */
export function tuneConn(
  doing: string,
  conn: ConnLike,
  noDelay: boolean | undefined,
  keepAlive: boolean | undefined,
): void {
  const { setNoDelay, setKeepAlive } = conn as Partial<Deno.TcpConn>;
  if (noDelay !== undefined && setNoDelay === undefined) {
    throw new TypeError(`Cannot ${doing}: noDelay cannot be set on this kind of connection`);
  }
  if (keepAlive !== undefined && setKeepAlive === undefined) {
    throw new TypeError(`Cannot ${doing}: keepAlive cannot be set on this kind of connection`);
  }
  try {
    setNoDelay?.call(conn, noDelay ?? true);
    if (keepAlive !== undefined) setKeepAlive?.call(conn, keepAlive);
  } catch (error) {
    throw explained(error, doing);
  }
}

async function connectUnix(path: string): Promise<ConnLike> {
  try {
    checkAbstractName(path);
    return await Deno.connect({ transport: "unix", path });
  } catch (error) {
    throw explained(error, `connect to ${quote(path)}`);
  }
}

async function connectTo(address: string, options: DialOptions, signal?: AbortSignal): Promise<ConnLike> {
  try {
    return options.localAddr === undefined
      ? await connectByDeno(address, options, signal)
      : await connectByNode(address, options, options.localAddr, signal);
  } catch (error) {
    throw explained(error, `connect to ${whereOf(address, options)}`);
  }
}

function whereOf(address: string, { hostname = address, port }: DialOptions): string {
  if (ipVersion(address) === null) return `${quote(hostname)} port ${port}`;
  return `${quote(hostname)} at ${quote(showAddress({ transport: "tcp", hostname: address, port }))}`;
}

async function connectByDeno(hostname: string, options: DialOptions, signal?: AbortSignal): Promise<ConnLike> {
  const { port, noDelay, keepAlive, happyEyeballsDelay = DEFAULT_DELAY } = options;
  const conn = await Deno.connect({
    hostname,
    port,
    autoSelectFamilyAttemptDelay: happyEyeballsDelay,
    ...(signal !== undefined && { signal }),
  });
  try {
    tuneConn("connect", conn, noDelay, keepAlive);
  } catch (error) {
    conn.close();
    throw error;
  }
  return conn;
}

/** Only node:net can bind the local end. */
async function connectByNode(
  host: string,
  { port, noDelay = true, keepAlive = false }: DialOptions,
  localAddr: LocalAddress,
  signal?: AbortSignal,
): Promise<ConnLike> {
  await mayBind(localAddr, host);
  const { connect } = await import("node:net");
  signal?.throwIfAborted();
  return await new Promise<ConnLike>((resolve, reject) => {
    const socket = connect({
      host,
      port,
      ...(localAddr.hostname === undefined ? {} : { localAddress: localAddr.hostname }),
      ...(localAddr.port === undefined ? {} : { localPort: localAddr.port }),
      allowHalfOpen: true,
      noDelay,
      keepAlive,
    });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(connFromNode(socket));
    });
    socket.once("error", (error: Error & { code?: string }) => {
      // Its word for a local end that is not this machine's, or not of the address's family.
      const isLocal = error.code === "EINVAL";
      reject(isLocal ? new Deno.errors.AddrNotAvailable(error.message, { cause: error }) : error);
    });
    signal?.addEventListener("abort", () => {
      if (!socket.connecting) return;
      socket.destroy();
      reject(signal.reason);
    }, { once: true });
  });
}

/** Requires the permission for the local address: `node:net` would throw for want of it where no caller can catch it. */
async function mayBind(localAddr: LocalAddress, peer: string): Promise<void> {
  const { hostname = ipVersion(peer) === 6 ? "::" : "0.0.0.0", port = 0 } = localAddr;
  const host = showAddress({ transport: "tcp", hostname, port });
  const descriptor = { name: "net", host } as const;
  let { state } = Deno.permissions.querySync(descriptor);
  if (state === "prompt") ({ state } = await Deno.permissions.request(descriptor));
  if (state === "granted") return;
  throw new Deno.errors.NotCapable(`the local address needs the permission --allow-net=${host}`);
}
