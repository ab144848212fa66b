/**
 * The addresses of datagrams: checked, completed and resolved.
 *
 * @module
 */
import { showAddress } from "../common/address.ts";
import { describe } from "../common/describe.ts";
import { type DatagramSocket, isIPv6, resolveHost, sameAddress } from "./udp_socket.ts";

/** An address of a datagram endpoint. Every `Deno.NetAddr` of transport `udp` is one. */
export interface DatagramAddress {
  /** A name or an IP address. For the local address all interfaces by default, for the remote one `127.0.0.1`. */
  hostname?: string | undefined;
  /** The port. The local one is chosen by the system by default. */
  port?: number | undefined;
  /** The transport, which can only be `udp`. */
  transport?: Deno.NetAddr["transport"] | undefined;
}

/** A pair of addresses. */
export interface AddressPair {
  /** The address to bind to. */
  local: Deno.NetAddr;
  /** The address to connect to; `null` for none. */
  remote: Deno.NetAddr | null;
}

/**
 * Returns every pair of a local and a remote address of one family.
 *
 * @param localAddr The address to bind to, if one was given
 * @param remoteAddr The address to connect to, if one was given
 * @returns The pairs, best first, at least one
 * @throws {TypeError} If there is no address, or an invalid one, or if the two are of different families
 * @throws {RangeError} If a port is out of range
 */
export async function addressPairs(
  localAddr: DatagramAddress | undefined,
  remoteAddr: DatagramAddress | undefined,
): Promise<AddressPair[]> {
  if (localAddr === undefined && remoteAddr === undefined) {
    throw new TypeError(`Cannot ${DOING}: neither localAddr nor remoteAddr is given`);
  }
  if (localAddr !== undefined) checkAddress(withDefaults(localAddr, "0.0.0.0"), DOING, 0);
  if (remoteAddr !== undefined) checkAddress(withDefaults(remoteAddr, "127.0.0.1"), DOING);
  if (remoteAddr === undefined) {
    const locals = await resolveAll(withDefaults(localAddr!, "0.0.0.0"));
    return locals.map((local) => ({ local, remote: null }));
  }
  const remotes = await resolveAll(withDefaults(remoteAddr, "127.0.0.1"));
  const locals = localAddr?.hostname === undefined ? null : await resolveAll(withDefaults(localAddr, ""));
  const pairs = remotes.flatMap((remote) => {
    if (locals === null) return [{ local: defaultLocal(remote, localAddr), remote }];
    const fitting = locals.filter((local) => isIPv6(local.hostname) === isIPv6(remote.hostname));
    return fitting.map((local) => ({ local, remote }));
  });
  if (pairs.length > 0) return pairs;
  throw new TypeError(
    `Cannot ${DOING}: ${describe(localAddr?.hostname)} and ${
      describe(remoteAddr.hostname)
    } are of different address families`,
  );
}

/** The host to bind to when none is given: one that the peer can reach, and no more than that. */
function defaultLocal(remote: Deno.NetAddr, localAddr: DatagramAddress | undefined): Deno.NetAddr {
  const six = isIPv6(remote.hostname);
  const loopback = localAddr === undefined && (remote.hostname === "::1" || remote.hostname.startsWith("127."));
  const hostname = loopback ? (six ? "::1" : "127.0.0.1") : six ? "::" : "0.0.0.0";
  return { transport: "udp", hostname, port: localAddr?.port ?? 0 };
}

function withDefaults(addr: DatagramAddress, hostname: string): Deno.NetAddr {
  return { hostname: addr.hostname ?? hostname, port: addr.port ?? 0, transport: addr.transport ?? "udp" };
}

async function resolveAll(addr: Deno.NetAddr): Promise<Deno.NetAddr[]> {
  return (await resolveHost(addr.hostname)).map((hostname) => ({ ...addr, hostname }));
}

/**
 * Checks the destination of a datagram [D2].
 *
 * @param socket The socket that sends it
 * @param addr The address that the user gave, if any
 * @returns The address, or `null` for the connected peer
 * @throws {TypeError} If an address is needed, or it is not that of the peer, or not of UDP
 * @throws {RangeError} If the port is out of range
 */
export function targetOf({ remoteAddr: peer }: DatagramSocket, addr: Deno.NetAddr | undefined): Deno.NetAddr | null {
  if (addr === undefined || addr === null) {
    if (peer !== null) return null;
    throw new TypeError("Cannot send a datagram: the endpoint is not connected, so an address is needed");
  }
  checkAddress(addr, "send a datagram");
  if (peer === null) return addr;
  if (sameAddress(addr, peer)) return null;
  throw new TypeError(
    `Cannot send a datagram to ${showAddress(addr)}: the endpoint is connected to ${showAddress(peer)}`,
  );
}

/** Checks an address that a user gave; port 0 is valid where any free port will do. */
function checkAddress(addr: Deno.NetAddr, doing: string, lowestPort: 0 | 1 = 1): void {
  const { hostname, port, transport } = addr;
  if (typeof hostname !== "string" || hostname === "") {
    throw new TypeError(`Cannot ${doing}: the hostname must be a name or an IP address, not ${describe(hostname)}`);
  }
  if (transport !== undefined && transport !== "udp") {
    throw new TypeError(`Cannot ${doing}: the address must be of transport "udp", not ${describe(transport)}`);
  }
  if (typeof port !== "number") {
    throw new TypeError(`Cannot ${doing}: the port must be a number, not ${describe(port)}`);
  }
  if (!(Number.isInteger(port) && port >= lowestPort && port <= 65535)) {
    throw new RangeError(`Cannot ${doing}: the port must be an integer from ${lowestPort} to 65535, not ${port}`);
  }
}

const DOING = "create a datagram endpoint";
