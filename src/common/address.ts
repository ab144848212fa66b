/**
 * IP literals and addresses as text.
 *
 * @module
 */
import { clip, quote } from "./describe.ts";

/**
 * Tells whether a host is an IP literal, and of which version.
 *
 * An IPv6 address may have a zone ("fe80::1%eth0"), but no brackets: see {@linkcode withoutBrackets}.
 *
 * @param host A name or an IP address
 * @returns The version; `null` for a name
 */
export function ipVersion(host: string): 4 | 6 | null {
  if (isIPv4.test(host)) return 4;
  if (!host.includes(":")) return null;
  const zone = host.indexOf("%");
  const address = zone === -1 ? host : host.slice(0, zone);
  return zone !== host.length - 1 && isIPv6Digits.test(address) && URL.canParse(`http://[${address}]`) ? 6 : null;
}

/**
 * Removes the brackets that an IPv6 address has in a URL.
 *
 * @param host A name or an IP address, maybe in brackets
 * @returns The same without brackets
 */
export function withoutBrackets(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}

/**
 * An address as messages show it: `127.0.0.1:80`, `[::1]:80`, or the path of a Unix socket in quotes.
 *
 * @param addr The address
 * @returns The text
 */
export function showAddress(addr: Deno.Addr): string {
  switch (addr.transport) {
    case "tcp":
    case "udp":
      return `${clip(addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname)}:${addr.port}`;
    case "vsock":
      return `vsock ${addr.cid}:${addr.port}`;
    default:
      // The client's end of a Unix socket has no path.
      return addr.path ? quote(addr.path) : "a Unix socket";
  }
}

const byte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const isIPv4 = new RegExp(`^${byte}(?:\\.${byte}){3}$`);
const isIPv6Digits = /^[\da-f:.]+$/i;
