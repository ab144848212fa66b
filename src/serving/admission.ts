/**
 * Which clients a server takes: the user's filter, and the limit of connections per peer (SPEC V10).
 *
 * Both decide by the peer's address alone, before anything is read. A peer is an IPv4 address or an IPv6 /64, which is what
 * one subscriber gets. A peer costs one number in a map, from its first connection to the end of its last.
 *
 * @module
 */
import { describeType } from "../common/describe.ts";
import { ipBytes } from "../common/address.ts";
import { promiseOf } from "../common/promise_of.ts";

/** Why a client is refused. */
export type Refusal = "filter" | "perPeer";

/** The rules of a server. */
export interface AdmissionRules {
  /** Returns whether to take a client. */
  accept?: ((peername: Deno.Addr) => boolean) | undefined;
  /** How many connections a peer may have. */
  maxConnectionsPerPeer?: number | undefined;
}

/** Of an IPv6 address the bytes of a /64; an IPv4 address has fewer. */
const PREFIX_BYTES = 8;

/** Decides about clients, and counts those of each peer. */
export class Admission {
  readonly #rules: AdmissionRules;
  readonly #counts = new Map<string, number>();

  /** @param rules The rules */
  constructor(rules: AdmissionRules) {
    this.#rules = rules;
  }

  /**
   * Decides about a client, and counts it if it is taken.
   *
   * @param peername Its address
   * @param rejected Takes what the promise of an `async` filter rejects with; such a filter is refused
   * @returns Why it is refused, or `null`
   * @throws What the filter throws; a `TypeError` if that returns no boolean. The client is to be refused then
   */
  enter(peername: Deno.Addr, rejected: (thrown: unknown) => void): Refusal | null {
    const { accept, maxConnectionsPerPeer } = this.#rules;
    if (accept !== undefined) {
      const accepted: unknown = accept(peername);
      if (typeof accepted !== "boolean") {
        promiseOf(accepted)?.catch(rejected);
        throw new TypeError(`Cannot filter a client: accept() must return a boolean, not ${describeType(accepted)}`);
      }
      if (!accepted) return "filter";
    }
    const peer = peerOf(peername);
    if (maxConnectionsPerPeer === undefined || peer === null) return null;
    const count = this.#counts.get(peer) ?? 0;
    if (count >= maxConnectionsPerPeer) return "perPeer";
    this.#counts.set(peer, count + 1);
    return null;
  }

  /**
   * Counts a client off that was taken.
   *
   * @param peername Its address
   */
  leave(peername: Deno.Addr): void {
    const peer = peerOf(peername);
    if (this.#rules.maxConnectionsPerPeer === undefined || peer === null) return;
    const count = this.#counts.get(peer)! - 1;
    if (count === 0) this.#counts.delete(peer);
    else this.#counts.set(peer, count);
  }

  /** How many peers are counted. */
  get peers(): number {
    return this.#counts.size;
  }
}

/**
 * The peer that an address belongs to: the IPv4 address, also of a client that comes by IPv6, or the first 64 bits.
 *
 * @param addr The address
 * @returns The peer; `null` if the address is not of IP
 */
export function peerOf(addr: Deno.Addr): string | null {
  // A listener that was given may have connections without an address.
  if ((addr as Deno.Addr | undefined) === undefined || !("hostname" in addr)) return null;
  const bytes = ipBytes(addr.hostname);
  return bytes === null ? addr.hostname : bytes.subarray(0, PREFIX_BYTES).join(".");
}
