/**
 * Binding the addresses of a server: each once, all on one port, all or none (SPEC V4).
 *
 * A name stands for all of its addresses. An address of a name that this machine does not have, such as `::1` for
 * "localhost" where IPv6 is off, is skipped if the name has others.
 *
 * A listener on an unspecified address (`0.0.0.0`, `::`) accepts for every address of its IP version, and most systems let
 * one on `::` accept for IPv4 as well. Such a listener conflicts with those on the addresses that it covers, and Deno cannot
 * restrict it (`node:net` ignores `ipv6Only`). So a covered address needs no listener of its own. Whether `::` covers IPv4
 * depends on the system, so that is tried: IPv4 is bound first; if `::` is refused then, IPv4 is released, and if `::` can
 * be bound now, it was this conflict.
 *
 * @module
 */
import { ipVersion, showAddress, withoutBrackets } from "../common/address.ts";
import { quote } from "../common/describe.ts";
import { explained } from "../common/errors.ts";
import { resolveAll } from "./resolve.ts";

/** What a server listens on. */
export interface Bound {
  /** The listeners. */
  listeners: readonly Deno.Listener[];
  /** The addresses, in the order of the hosts; several may belong to one listener. */
  addrs: readonly Deno.Addr[];
}

/** Binds one address. */
export type Listen = (address: { hostname: string; port: number }) => Deno.Listener | Promise<Deno.Listener>;

/** An address to bind, and the name that it came from, if it came from one. */
interface Target {
  hostname: string;
  name: string | null;
}

/**
 * Binds all addresses of the hosts, or none.
 *
 * @param hostnames Names and IP addresses
 * @param port The port; 0 for one that is free on all addresses
 * @param listen Binds one address
 * @returns The listeners and the addresses
 * @throws {Deno.errors.AddrInUse} If the port is taken on one of the addresses; other system errors likewise
 */
export async function bindAll(hostnames: readonly string[], port: number, listen: Listen): Promise<Bound> {
  return await bindTargets(await targetsOf(hostnames, port), port, listen);
}

/**
 * Binds all addresses, or none.
 *
 * @param targets The addresses
 * @param port The port; 0 for one that is free on all addresses
 * @param listen Binds one address
 * @returns The listeners and the addresses
 */
export async function bindTargets(targets: readonly Target[], port: number, listen: Listen): Promise<Bound> {
  for (let attempt = 1;; attempt++) {
    const binding = new Binding(port, listen);
    try {
      // IPv4 first: see the head of this file.
      const inOrder = [...targets].sort((a, b) => Number(a.hostname.includes(":")) - Number(b.hostname.includes(":")));
      for (const target of withoutCovered(inOrder)) await binding.add(target);
      return binding.finish(targets);
    } catch (error) {
      binding.release();
      // The port that was free on one address was taken on another.
      const isRetried = port === 0 && targets.length > 1 && attempt < MOST_ATTEMPTS;
      if (!isRetried || !(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** One attempt at binding all addresses. */
class Binding {
  readonly #listen: Listen;
  readonly #listeners = new Map<string, Deno.Listener>();
  readonly #skipped = new Map<string, Error>();
  #port: number;

  constructor(port: number, listen: Listen) {
    this.#port = port;
    this.#listen = listen;
  }

  async add(target: Target): Promise<void> {
    const { hostname, name } = target;
    try {
      await this.#bind(target);
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse && hostname === "::" && this.#listeners.size > 0) {
        this.#release((one) => ipVersion(one) === 4);
        await this.#bind(target);
      } else if (error instanceof Deno.errors.AddrNotAvailable && name !== null) {
        this.#skipped.set(hostname, error);
      } else {
        throw error;
      }
    }
  }

  finish(targets: readonly Target[]): Bound {
    for (const name of new Set(targets.map((target) => target.name))) {
      const skipped = targets.filter((target) => target.name === name).map(({ hostname }) =>
        this.#skipped.get(hostname)
      );
      if (skipped.every((error) => error !== undefined)) throw skipped[0]!;
    }
    const kept = targets.filter(({ hostname }) => !this.#skipped.has(hostname));
    const addrs = kept.map(({ hostname }): Deno.Addr =>
      this.#listeners.get(hostname)?.addr ?? { transport: "tcp", hostname, port: this.#port }
    );
    return { listeners: [...this.#listeners.values()], addrs };
  }

  release(): void {
    this.#release(() => true);
  }

  async #bind({ hostname, name }: Target): Promise<void> {
    try {
      const listener = await this.#listen({ hostname, port: this.#port });
      this.#listeners.set(hostname, listener);
      this.#port = (listener.addr as Deno.NetAddr).port;
    } catch (error) {
      const address = quote(showAddress({ transport: "tcp", hostname, port: this.#port }));
      throw explained(error, `listen on ${name === null ? address : `${quote(name)} at ${address}`}`);
    }
  }

  #release(which: (hostname: string) => boolean): void {
    for (const [hostname, listener] of this.#listeners) {
      if (!which(hostname)) continue;
      listener.close();
      this.#listeners.delete(hostname);
    }
  }
}

async function targetsOf(hostnames: readonly string[], port: number): Promise<Target[]> {
  const targets: Target[] = [];
  for (const given of hostnames) {
    const hostname = withoutBrackets(given);
    if (ipVersion(hostname) !== null) {
      targets.push({ hostname: canonical(hostname), name: null });
      continue;
    }
    const addresses = await permittedAddresses(hostname, port);
    if (addresses === null) targets.push({ hostname, name: null });
    else targets.push(...addresses.map((address) => ({ hostname: address, name: hostname })));
  }
  return targets.filter(({ hostname }, i) => i === targets.findIndex((one) => one.hostname === hostname));
}

/**
 * The addresses of a name; `null` if the permissions are for the name alone, or for neither. The platform must resolve it
 * then, and binds the first address.
 */
async function permittedAddresses(hostname: string, port: number): Promise<string[] | null> {
  if (!mayListenOn(hostname, port)) return null;
  try {
    const addresses = await resolveAll(hostname, `listen on ${quote(hostname)}`);
    return addresses.every((one) => mayListenOn(one, port)) ? addresses : null;
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) return null;
    throw error;
  }
}

function mayListenOn(hostname: string, port: number): boolean {
  const host = showAddress({ transport: "tcp", hostname, port });
  return Deno.permissions.querySync({ name: "net", host }).state === "granted";
}

/** Leaves out what an unspecified address of the same IP version covers for sure. */
function withoutCovered(targets: readonly Target[]): Target[] {
  const has = (hostname: string) => targets.some((target) => target.hostname === hostname);
  return targets.filter(({ hostname }) => {
    const version = ipVersion(hostname);
    if (version === 4) return hostname === "0.0.0.0" || !has("0.0.0.0");
    return version === null || hostname === "::" || !has("::");
  });
}

/** One spelling for each address. */
function canonical(hostname: string): string {
  const isPlainIPv6 = ipVersion(hostname) === 6 && !hostname.includes("%");
  return isPlainIPv6 ? withoutBrackets(new URL(`http://[${hostname}]`).hostname) : hostname;
}

/** A port that the system offers on one address is taken on another so rarely that a few attempts are plenty. */
const MOST_ATTEMPTS = 10;
