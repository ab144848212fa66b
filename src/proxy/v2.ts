/**
 * Version 2 of the PROXY protocol: 16 bytes with the length of what follows, the addresses, and fields (TLVs).
 *
 * @module
 */
import { ipBytes, showIp, unmapped } from "../common/address.ts";
import { malformed, type Progress, type ProxyHeader } from "./header.ts";
import { decodeTlvs, encodeTlvs } from "./tlvs.ts";

/** The first bytes of a header, which no text protocol begins with. */
export const V2_SIGNATURE: Uint8Array = Uint8Array.of(13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10);
/** The most bytes that may follow the first 16. The format allows 65535; haproxy takes no more than this either. */
export const V2_LIMIT = 16384;

const START = 16;
const LOCAL = 0x20;
const PROXY = 0x21;
// Families, in the upper half of a byte, and transports, in the lower.
const INET = 1;
const INET6 = 2;
const UNIX = 3;
const STREAM = 1;
const DATAGRAM = 2;
/** The bytes of both addresses, by family. */
const addressBytes = [0, 12, 36, 216];
const UNIX_PATH = 108;

/**
 * Parses a header of version 2.
 *
 * @param bytes The bytes so far, at least one; none beyond the header
 * @returns The header, or how many bytes are missing at least
 * @throws {Deno.errors.InvalidData} If the bytes are not the beginning of a header, or the header is too long
 */
export function parseV2(bytes: Uint8Array): Progress {
  const signature = bytes.subarray(0, V2_SIGNATURE.length);
  if (!signature.every((n, i) => n === V2_SIGNATURE[i])) throw malformed("the connection begins with something else");
  if (bytes.length < START) return { missing: START - bytes.length };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const command = view.getUint8(12);
  if (command !== LOCAL && command !== PROXY) throw malformed("its version or command is unknown");
  const length = view.getUint16(14);
  if (length > V2_LIMIT) throw malformed(`its length is ${length} bytes, more than ${V2_LIMIT}`);
  const missing = START + length - bytes.length;
  if (missing > 0) return { missing };
  if (missing < 0) throw malformed("bytes follow it");
  // Whatever the rest says is to be ignored.
  if (command === LOCAL) return { version: 2, command: "local", source: null, destination: null, tlvs: {} };
  return parseProxied(bytes, view.getUint8(13));
}

/**
 * Writes a header of version 2.
 *
 * @param header What to tell
 * @returns The bytes
 * @throws {RangeError} If the fields are too long
 */
export function encodeV2(header: ProxyHeader): Uint8Array {
  if (header === "local") return Uint8Array.of(...V2_SIGNATURE, LOCAL, 0, 0, 0);
  const { source, destination, tlvs = {} } = header;
  let [from, to] = [ipBytes(source.hostname)!, ipBytes(destination.hostname)!];
  if (from.length !== to.length) [from, to] = [asIPv6(from), asIPv6(to)];
  const ports = [source.port, destination.port].flatMap((port) => [port >> 8, port & 255]);
  const fields = encodeTlvs(tlvs);
  const length = addressBytes[from.length === 4 ? INET : INET6]! + fields.length;
  if (length > V2_LIMIT) {
    throw new RangeError(`Cannot connect: the fields of proxyProtocol are ${fields.length} bytes long`);
  }
  const family = (from.length === 4 ? INET : INET6) << 4 | (source.transport === "udp" ? DATAGRAM : STREAM);
  return Uint8Array.of(...V2_SIGNATURE, PROXY, family, length >> 8, length & 255, ...from, ...to, ...ports, ...fields);
}

function parseProxied(bytes: Uint8Array, kind: number): Progress {
  const [family, transport] = [kind >> 4, kind & 15];
  if (family > UNIX || transport > DATAGRAM) throw malformed("its address family or transport is unknown");
  const end = START + addressBytes[family]!;
  if (bytes.length < end) throw malformed("its length is too short for its addresses");
  const isKnown = family !== 0 && transport !== 0;
  const [source, destination] = isKnown ? addresses(bytes.subarray(START, end), family, transport) : [null, null];
  return { version: 2, command: "proxy", source, destination, tlvs: decodeTlvs(bytes, end) };
}

function addresses(bytes: Uint8Array, family: number, transport: number): [Deno.Addr, Deno.Addr] {
  if (family === UNIX) {
    const kind = transport === DATAGRAM ? "unixpacket" : "unix";
    const [from, to] = [bytes.subarray(0, UNIX_PATH), bytes.subarray(UNIX_PATH)];
    return [{ transport: kind, path: pathOf(from) }, { transport: kind, path: pathOf(to) }];
  }
  const size = family === INET ? 4 : 16;
  const ports = new DataView(bytes.buffer, bytes.byteOffset + 2 * size);
  const at = (i: number): Deno.NetAddr => ({
    transport: transport === DATAGRAM ? "udp" : "tcp",
    hostname: showIp(unmapped(bytes.subarray(i * size, (i + 1) * size))),
    port: ports.getUint16(2 * i),
  });
  return [at(0), at(1)];
}

/** The path up to its NUL; a name in the abstract namespace begins with one. */
function pathOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0, 1);
  const path = new TextDecoder().decode(bytes.subarray(0, end === -1 ? bytes.length : end));
  return path === "\0" ? "" : path;
}

function asIPv6(ip: Uint8Array): Uint8Array {
  return ip.length === 4 ? Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...ip) : ip;
}
