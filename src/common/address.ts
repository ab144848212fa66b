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

/**
 * The bytes of an IP literal.
 *
 * @param host An IP address; a zone does not count
 * @returns 4 bytes, or 16; of an IPv4 address that is written as IPv6 ("::ffff:192.0.2.1") the 4. `null` for a name
 */
export function ipBytes(host: string): Uint8Array | null {
  const version = ipVersion(host);
  if (version === null) return null;
  if (version === 4) return Uint8Array.from(host.split("."), Number);
  // The URL parser leaves one spelling: groups in hex, at most one "::".
  const [head = "", tail] = new URL(`http://[${host.replace(/%.*/, "")}]`).hostname.slice(1, -1).split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...before, ...new Array<string>(8 - before.length - after.length).fill("0"), ...after];
  const bytes = Uint8Array.from(groups.map((group) => parseInt(group, 16)).flatMap((n) => [n >> 8, n & 255]));
  return unmapped(bytes);
}

/**
 * The IPv4 address that may be written as IPv6 ("::ffff:192.0.2.1").
 *
 * @param bytes An address of 4 or 16 bytes
 * @returns Its 4 bytes, if it is one; else the same bytes
 */
export function unmapped(bytes: Uint8Array): Uint8Array {
  const isMapped = bytes.length === 16 && bytes.subarray(0, 12).every((n, i) => n === (i < 10 ? 0 : 255));
  return isMapped ? bytes.slice(12) : bytes;
}

/**
 * The IP literal of bytes.
 *
 * @param bytes 4 or 16 bytes
 * @returns The address, an IPv6 one in its canonical form (RFC 5952)
 */
export function showIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8 | bytes[2 * i + 1]!).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

const byte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const isIPv4 = new RegExp(`^${byte}(?:\\.${byte}){3}$`);
const isIPv6Digits = /^[\da-f:.]+$/i;
