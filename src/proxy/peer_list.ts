/**
 * Which peers are trusted to tell the addresses of their clients.
 *
 * @module
 */
import { ipBytes } from "../common/address.ts";

interface Network {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** A list of addresses and networks. An IPv4 address that is written as IPv6 is the IPv4 address. */
export class PeerList {
  readonly #networks: readonly Network[];
  readonly #hasUnix: boolean;

  /** @param list Addresses, networks such as "10.0.0.0/8", and "unix" for Unix sockets; each checked by {@linkcode isPeer} */
  constructor(list: readonly string[]) {
    this.#hasUnix = list.includes(UNIX);
    this.#networks = list.filter((text) => text !== UNIX).map((text) => networkOf(text)!);
  }

  /**
   * Tells whether a peer is in the list.
   *
   * @param addr The peer's address, if it has one
   * @returns Whether it is
   */
  includes(addr: Deno.Addr | undefined): boolean {
    if (addr === undefined) return false;
    if (!("hostname" in addr)) return this.#hasUnix && addr.transport === "unix";
    const bytes = ipBytes(addr.hostname);
    return bytes !== null && this.#networks.some((network) => contains(network, bytes));
  }
}

/**
 * Tells whether a text can be in a list of peers.
 *
 * @param text The text
 * @returns Whether it is an address, a network or "unix"
 */
export function isPeer(text: string): boolean {
  return text === UNIX || networkOf(text) !== null;
}

const UNIX = "unix";

function networkOf(text: string): Network | null {
  const [host = "", length, ...more] = text.split("/");
  const bytes = host.includes("%") ? null : ipBytes(host);
  if (bytes === null || more.length > 0) return null;
  if (length === undefined) return { bytes, bits: bytes.length * 8 };
  // The length of an IPv4 network that is written as IPv6 counts the bits of IPv6.
  const most = host.includes(":") ? 128 : 32;
  const bits = Number(length) - (most - bytes.length * 8);
  return /^(0|[1-9]\d{0,2})$/.test(length) && bits >= 0 && Number(length) <= most ? { bytes, bits } : null;
}

function contains({ bytes, bits }: Network, address: Uint8Array): boolean {
  if (bytes.length !== address.length) return false;
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== address[i]) return false;
  const rest = 8 - (bits & 7);
  return rest === 8 || bytes[whole]! >> rest === address[whole]! >> rest;
}
