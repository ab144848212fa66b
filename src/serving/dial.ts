/**
 * From a host name to a connection: addresses, Happy Eyeballs, and an abort that leaks nothing.
 *
 * `Deno.connect` races addresses too, but tells only one of their errors, cannot be kept to one family, and cannot bind the
 * local end. So a name is resolved here (as the system does it, `node:dns`) and each address is tried by itself: the next one
 * when the last has failed or did not answer in time, families in turn (RFC 8305).
 *
 * @module
 */
import { abortable } from "../common/abort.ts";
import type { ConnLike } from "../conn/conn.ts";
import { connFromNode } from "../conn/conn_from_node.ts";
import { explained, toNetError } from "../common/errors.ts";
import { MAX_TIMER } from "../common/timer.ts";

/** Where to connect to, and how. */
export interface DialOptions {
  /** The host name or address; "127.0.0.1" by default. */
  hostname?: string;
  /** The port. */
  port: number;
  /** Only addresses of this family. */
  family?: 4 | 6;
  /** The local end. */
  localAddr?: { hostname?: string; port?: number };
  /** How long an address has before the next is tried as well, in milliseconds. */
  happyEyeballsDelay?: number;
  /** Whether small writes leave at once; `true` by default. */
  noDelay?: boolean;
  /** Whether the system probes; `false` by default. */
  keepAlive?: boolean;
  /** Aborts it. */
  signal?: AbortSignal;
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
  if (isLiteral(hostname)) {
    const address = hostname.replace(/^\[(.*)\]$/, "$1");
    if (family === undefined || familyOf(address) === family) return await dialAny([address], options);
    throw new Deno.errors.AddrNotAvailable(
      `Cannot connect to "${hostname}": it is not an address of family "${family}"`,
    );
  }
  if (family === undefined && localAddr === undefined && mayReachByNameOnly()) {
    return await dialAny([hostname], options);
  }
  return await dialAny(await abortable(lookup(hostname, family), signal), options);
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
  const { hostname, port, signal, happyEyeballsDelay = DEFAULT_DELAY } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
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
    reject(errors.length === 1 ? error : new AggregateError(errors, errors.map(({ message }) => message).join("; ")));
  };
  const begin = () => {
    stopTimer();
    if (begun === addresses.length) return;
    pending++;
    const address = addresses[begun++]!;
    if (begun < addresses.length) timer = setTimeout(begin, Math.min(happyEyeballsDelay, MAX_TIMER));
    const where = `"${hostname ?? address}" at "${address}:${port}"`;
    connectTo(address, options, stop.signal)
      .then(connected, (error) => failed(explained(error, `connect to ${where}`)));
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
  const connecting = Deno.connect({ transport: "unix", path }).catch((error) => {
    throw explained(error, `connect to "${path}"`);
  });
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

async function connectTo(hostname: string, options: DialOptions, signal: AbortSignal): Promise<ConnLike> {
  const { port, localAddr, noDelay, keepAlive, happyEyeballsDelay = DEFAULT_DELAY } = options;
  if (localAddr === undefined) {
    const conn = await Deno.connect({ hostname, port, signal, autoSelectFamilyAttemptDelay: happyEyeballsDelay });
    try {
      tuneConn("connect", conn, noDelay, keepAlive);
    } catch (error) {
      conn.close();
      throw error;
    }
    return conn;
  }
  // Only node:net can bind the local end.
  const { connect } = await import("node:net");
  return await new Promise<ConnLike>((resolve, reject) => {
    const socket = connect({
      host: hostname,
      port,
      ...(localAddr.hostname === undefined ? {} : { localAddress: localAddr.hostname }),
      ...(localAddr.port === undefined ? {} : { localPort: localAddr.port }),
      allowHalfOpen: true,
      noDelay: noDelay ?? true,
      keepAlive: keepAlive ?? false,
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
    signal.addEventListener("abort", () => {
      if (!socket.connecting) return;
      socket.destroy();
      reject(signal.reason);
    }, { once: true });
  });
}

/** All addresses of a name, families in turn, in the order of the system. */
async function lookup(hostname: string, family: 4 | 6 | undefined): Promise<string[]> {
  const { lookup } = await import("node:dns/promises");
  let found: { address: string; family: number }[];
  try {
    found = await lookup(hostname, { all: true, family: family ?? 0, verbatim: true } as { all: true });
  } catch (error) {
    const known = toNetError(error, `connect to "${hostname}"`);
    if (known !== error) throw known;
    throw new Deno.errors.NotFound(`Cannot connect to "${hostname}": its address is not known`, { cause: error });
  }
  const first = found.filter((one) => one.family === found[0]?.family);
  const second = found.filter((one) => one.family !== found[0]?.family);
  const inTurn = first.flatMap((one, i) => i < second.length ? [one, second[i]!] : [one]);
  const all = [...inTurn, ...second.slice(first.length)].map((one) => one.address);
  const unique = [...new Set(all)];
  if (unique.length > 0) return unique;
  throw new Deno.errors.NotFound(`Cannot connect to "${hostname}": it has no address`);
}

/**
 * Whether hosts are allowed one by one. Then their addresses are not, and the platform must resolve a name by itself: it
 * races the addresses as well, but tells only one of their errors.
 */
function mayReachByNameOnly(): boolean {
  return Deno.permissions.querySync({ name: "net" }).state !== "granted";
}

function isLiteral(hostname: string): boolean {
  return hostname.includes(":") || /^[0-9]+(\.[0-9]+){3}$/.test(hostname);
}

function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}
