/**
 * From a host name to its addresses, as the system resolves it.
 *
 * Only `node:dns` asks the system's resolver, with its hosts file; `Deno.resolveDns` asks name servers. It takes 13 ms to
 * load, so callers resolve only what the platform cannot do itself.
 *
 * @module
 */
import { toNetError } from "../common/errors.ts";
import { quote } from "../common/describe.ts";

/**
 * Finds all addresses of a name.
 *
 * @param hostname The name
 * @param doing What it is for, as in `connect to "localhost"`
 * @param family Only addresses of this IP version
 * @returns The addresses in the system's order, families in turn, at least one
 * @throws {Deno.errors.NotFound} If the name is not known, or has no such address
 */
export async function resolveAll(hostname: string, doing: string, family?: 4 | 6): Promise<string[]> {
  const { lookup } = await import("node:dns/promises");
  let found: { address: string; family: number }[];
  try {
    found = await lookup(hostname, { all: true, family: family ?? 0, verbatim: true } as { all: true });
  } catch (error) {
    const known = toNetError(error, doing);
    if (known !== error) throw known;
    throw new Deno.errors.NotFound(`Cannot ${doing}: the address of ${quote(hostname)} is not known`, { cause: error });
  }
  const addresses = interleaved(found);
  if (addresses.length > 0) return addresses;
  throw new Deno.errors.NotFound(`Cannot ${doing}: ${quote(hostname)} has no address`);
}

/** Each address once, families in turn (RFC 8305). */
function interleaved(found: { address: string; family: number }[]): string[] {
  const first = found.filter((one) => one.family === found[0]?.family);
  const second = found.filter((one) => one.family !== found[0]?.family);
  const inTurn = first.flatMap((one, i) => i < second.length ? [one, second[i]!] : [one]);
  return [...new Set([...inTurn, ...second.slice(first.length)].map(({ address }) => address))];
}
