/**
 * The PROXY protocol on a connection: receiving and sending its header, and the checks of the options for it (SPEC V12).
 *
 * A server reads exactly the header, so that what follows is read by TLS or by the transport from the socket itself. Until
 * then the connection counts as a handshake under way.
 *
 * @module
 */
import { aTimeout, type Check, checkOptions } from "../common/options.ts";
import { asError, toNetError } from "../common/errors.ts";
import { ipBytes } from "../common/address.ts";
import { describe, describeType } from "../common/describe.ts";
import { MAX_TIMER } from "../common/timer.ts";
import { addressOf, closeQuietly, type ConnLike, readFrom, writeTo } from "../conn/conn.ts";
import { malformed, type ProxyHeader, type ProxyInfo, type ReceivedHeader } from "../proxy/header.ts";
import { parseProxyHeader } from "../proxy/parse.ts";
import { isPeer, PeerList } from "../proxy/peer_list.ts";
import { encodeV1 } from "../proxy/v1.ts";
import { encodeV2 } from "../proxy/v2.ts";

/** From whom a server takes the PROXY protocol. */
export interface ProxyProtocolOptions {
  /**
   * The proxies: IP addresses, networks such as "10.0.0.0/8", and "unix" for all that connect by a Unix socket. Every
   * connection from them must begin with a header, of version 1 or 2. A header from others is not parsed: its bytes are the
   * client's.
   */
  from: readonly string[];
  /** How long the header may take, in milliseconds; 5000 by default. */
  timeout?: number | undefined;
}

/** What is known of a connection after its header. */
export interface ProxiedClient {
  /** The address of the client, or of the proxy if the connection is its own. */
  peername: Deno.Addr;
  /** What `getExtraInfo("proxy")` tells. */
  proxy: ProxyInfo;
}

const DEFAULT_TIMEOUT = 5000;
/** More than most headers have. */
const FIRST_BYTES = 256;

/** Receives headers from the proxies of a server. */
export class ProxyProtocol {
  readonly #proxies: PeerList;
  readonly #timeout: number;

  /** @param options The options, checked */
  constructor({ from, timeout = DEFAULT_TIMEOUT }: ProxyProtocolOptions) {
    this.#proxies = new PeerList(from);
    this.#timeout = timeout;
  }

  /**
   * Tells whether a connection must begin with a header.
   *
   * @param conn The connection
   * @returns Whether its peer is one of the proxies
   */
  expects(conn: ConnLike): boolean {
    return this.#proxies.includes(addressOf(conn, "remoteAddr"));
  }

  /**
   * Reads a header, and no byte more.
   *
   * @param conn The connection; closed if that fails
   * @param signal Ends it
   * @returns What the header tells
   * @throws {Deno.errors.InvalidData} If the header is malformed or too long
   * @throws {Deno.errors.TimedOut} If it takes too long
   * @throws {Deno.errors.UnexpectedEof} If the proxy ended the connection before
   */
  async receive(conn: ConnLike, signal: AbortSignal): Promise<ProxiedClient> {
    const address = addressOf(conn, "remoteAddr")!;
    const header = await bounded(conn, () => readHeader(conn), this.#timeout, signal);
    const { source, ...rest } = header;
    return { peername: source ?? address, proxy: { ...rest, address } };
  }
}

/**
 * Sends a header.
 *
 * @param conn The connection; closed if that fails
 * @param header The header, checked
 * @param signal Ends it
 */
export async function sendProxyHeader(
  conn: ConnLike,
  header: ProxyHeader,
  signal: AbortSignal | undefined,
): Promise<void> {
  let bytes: Uint8Array;
  try {
    bytes = header !== "local" && header.version === 1 ? encodeV1(header) : encodeV2(header);
  } catch (error) {
    closeQuietly(conn);
    throw error;
  }
  await bounded(conn, () => writeAll(conn, bytes), Infinity, signal);
}

/** The option `proxyProtocol` of a server. */
export const aProxyProtocol: Check = (value) => {
  if (typeof value !== "object" || value === null) return { type: "must be an object", found: describeType(value) };
  checkOptions("serve", value, proxyChecks);
  return "from" in value && value.from !== undefined ? null : "must have a list of proxies as from";
};

/** The option `proxyProtocol` of a client. */
export const aProxyHeader: Check = (value) => {
  if (value === "local") return null;
  if (typeof value !== "object" || value === null) return 'must be an object or "local"';
  checkOptions("connect", value, headerChecks);
  const { source, destination, version, tlvs } = value as Exclude<ProxyHeader, "local">;
  if (source === undefined || destination === undefined) return "must have a source and a destination";
  if (version === 1 && tlvs !== undefined) return { type: "must be of version 2 to have tlvs", found: "1" };
  if (version === 1 && (source.transport === "udp" || destination.transport === "udp")) {
    return { type: "must be of version 2 to have addresses of UDP", found: "1" };
  }
  return source.transport === destination.transport
    ? null
    : { type: "must have addresses of one transport", found: `${source.transport} and ${destination.transport}` };
};

const proxyChecks: Record<string, Check> = {
  from: (value) => {
    if (!Array.isArray(value) || value.length === 0) return "must be a list of proxies";
    const wrong = value.find((one) => typeof one !== "string" || !isPeer(one));
    return wrong === undefined && !value.includes(undefined)
      ? null
      : { type: 'must have IP addresses, networks such as "10.0.0.0/8", or "unix"', found: describe(wrong) };
  },
  timeout: aTimeout,
};

const aNetAddr: Check = (value) => {
  if (typeof value !== "object" || value === null) return "must be an address";
  const { transport, hostname, port } = value as Partial<Deno.NetAddr>;
  if (transport !== "tcp" && transport !== "udp") return { type: "must be of tcp or udp", found: describe(transport) };
  if (typeof hostname !== "string" || ipBytes(hostname) === null) {
    return { type: "must have an IP address as hostname", found: describe(hostname) };
  }
  return Number.isInteger(port) && port! >= 0 && port! <= 65535
    ? null
    : { range: "must have a port from 0 to 65535", found: describe(port) };
};

const headerChecks: Record<string, Check> = {
  source: aNetAddr,
  destination: aNetAddr,
  version: (value) => value === 1 || value === 2 ? null : "must be 1 or 2",
  tlvs: (value) =>
    typeof value === "object" && value !== null ? null : { type: "must be an object", found: describeType(value) },
};

async function readHeader(conn: ConnLike): Promise<ReceivedHeader> {
  let bytes = new Uint8Array(FIRST_BYTES);
  let length = 0;
  while (true) {
    const progress = parseProxyHeader(bytes.subarray(0, length));
    if (!("missing" in progress)) return progress;
    const end = length + progress.missing;
    if (end > bytes.length) {
      const larger = new Uint8Array(end);
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    while (length < end) {
      const n = await readFrom(conn, bytes.subarray(length, end));
      if (n === null) throw cutError(length);
      length += n;
      // What cannot become a header is refused at once.
      if (n > 0 && length < end) parseProxyHeader(bytes.subarray(0, length));
    }
  }
}

async function writeAll(conn: ConnLike, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await writeTo(conn, bytes.subarray(sent));
}

/** Closes the conn if the work fails, takes too long, or is aborted; closing it ends the work. */
async function bounded<T>(
  conn: ConnLike,
  work: () => Promise<T>,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
  const abort = () => stop(signal!.reason);
  const late = () =>
    stop(new Deno.errors.TimedOut(`Cannot read the PROXY protocol header: it took more than ${timeout} milliseconds`));
  const timer = timeout === Infinity ? undefined : setTimeout(late, Math.min(timeout, MAX_TIMER));
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (signal?.aborted) throw signal.reason;
    return await Promise.race([stopped, work()]);
  } catch (thrown) {
    closeQuietly(conn);
    if (signal?.aborted) throw thrown;
    throw toNetError(asError(thrown, "the connection"), "exchange the PROXY protocol header");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

function cutError(length: number): Error {
  if (length > 0) return new Deno.errors.UnexpectedEof(malformed("the connection ended within it").message);
  return new Deno.errors.UnexpectedEof(malformed("the connection ended before it").message);
}
