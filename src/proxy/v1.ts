/**
 * Version 1 of the PROXY protocol: a line of text, at most 107 bytes long with its end.
 *
 * @module
 */
import { ipBytes, ipVersion, showIp } from "../common/address.ts";
import { malformed, type Progress, type ProxiedConnection, type ReceivedHeader } from "./header.ts";

/** The most bytes that a header has, its CRLF included. */
export const V1_LIMIT = 107;
/** The bytes of the shortest header, `PROXY UNKNOWN` and CRLF. */
export const V1_SHORTEST = 15;

const PREFIX = "PROXY ";
const families = { TCP4: { version: 4, shortest: 7 }, TCP6: { version: 6, shortest: 2 } } as const;
type Family = keyof typeof families;

/**
 * Parses a header of version 1.
 *
 * @param bytes The bytes so far, at least one; none beyond the header
 * @returns The header, or how many bytes are missing at least
 * @throws {Deno.errors.InvalidData} If the bytes are not the beginning of a header, or the header is too long
 */
export function parseV1(bytes: Uint8Array): Progress {
  const text = String.fromCharCode(...bytes.subarray(0, V1_LIMIT));
  if (!text.startsWith(PREFIX.slice(0, text.length))) throw malformed("the connection begins with something else");
  const end = text.indexOf("\r");
  if (end !== -1 && end < text.length - 1) {
    if (text[end + 1] !== "\n" || bytes.length !== end + 2) throw malformed("its line does not end in CRLF");
    return parseLine(text.slice(0, end));
  }
  if (end === -1 && text.includes("\n")) throw malformed("its line does not end in CRLF");
  const missing = end === -1 ? leastMissing(text) : 1;
  if (bytes.length + missing > V1_LIMIT) throw malformed(`it is longer than ${V1_LIMIT} bytes`);
  return { missing };
}

/**
 * Writes a header of version 1.
 *
 * @param header What to tell
 * @returns The bytes
 */
export function encodeV1({ source, destination }: ProxiedConnection): Uint8Array {
  const [from, to] = [ipBytes(source.hostname)!, ipBytes(destination.hostname)!];
  const isIPv4 = from.length === 4 && to.length === 4;
  const show = (ip: Uint8Array) => ip.length === 4 && !isIPv4 ? `::ffff:${showIp(ip)}` : showIp(ip);
  const fields = [isIPv4 ? "TCP4" : "TCP6", show(from), show(to), source.port, destination.port];
  return new TextEncoder().encode(`${PREFIX}${fields.join(" ")}\r\n`);
}

/** How many bytes a line has at least that begins so. */
function leastMissing(text: string): number {
  const fields = text.split(" ");
  const family = families[fields[1] as Family];
  if (family === undefined || fields.length < 3) return Math.max(V1_SHORTEST - text.length, 2);
  const shortest = [0, 0, family.shortest, family.shortest, 1, 1];
  const last = fields.length - 1;
  if (last >= shortest.length) throw malformed("its line has too many fields");
  const ofLast = Math.max(shortest[last]! - fields[last]!.length, 0);
  return shortest.slice(last + 1).reduce((sum, length) => sum + 1 + length, ofLast) + "\r\n".length;
}

function parseLine(line: string): ReceivedHeader {
  const [, family = "", ...rest] = line.split(" ");
  const common = { version: 1, command: "proxy", tlvs: {} } as const;
  // What follows is to be ignored.
  if (family === "UNKNOWN") return { ...common, source: null, destination: null };
  if (!Object.hasOwn(families, family)) throw malformed("its family is none of TCP4, TCP6 and UNKNOWN");
  const { version } = families[family as Family];
  const [source, destination, sourcePort, destinationPort] = rest;
  if (destinationPort === undefined || rest.length > 4) throw malformed("its line does not have 4 addresses and ports");
  return {
    ...common,
    source: addressOf(source!, sourcePort!, version),
    destination: addressOf(destination!, destinationPort, version),
  };
}

function addressOf(host: string, port: string, version: 4 | 6): Deno.NetAddr {
  if (ipVersion(host) !== version || host.includes("%")) throw malformed(`an address is not of IPv${version}`);
  if (!/^(0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65535) throw malformed("a port is no number from 0 to 65535");
  return { transport: "tcp", hostname: showIp(ipBytes(host)!), port: Number(port) };
}
