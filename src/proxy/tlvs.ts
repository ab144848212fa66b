/**
 * The fields (type, length, value) that follow the addresses in version 2 of the PROXY protocol.
 *
 * @module
 */
import { crc32c } from "./crc32c.ts";
import { malformed, type ProxySsl, type ProxyTlv, type ProxyTlvs } from "./header.ts";

const ALPN = 0x01;
const AUTHORITY = 0x02;
const CRC32C = 0x03;
const NOOP = 0x04;
const UNIQUE_ID = 0x05;
const SSL = 0x20;
const NETNS = 0x30;

const MOST_UNIQUE_ID = 128;

/** The types whose values are text, with their names. */
const textFields = { [ALPN]: "alpn", [AUTHORITY]: "authority", [NETNS]: "netns" } as const;
const sslTextFields = {
  0x21: "version",
  0x22: "commonName",
  0x23: "cipher",
  0x24: "signatureAlgorithm",
  0x25: "keyAlgorithm",
} as const;

/** The bits of the first byte of `PP2_TYPE_SSL`. */
const clientBits = { tls: 1, certificate: 2, sessionCertificate: 4 } as const;
/** The first byte, and four of which all bits are 0 if the certificate was verified. */
const SSL_START = 5;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Decodes the fields of a header, and checks its checksum if it has one.
 *
 * @param header The whole header
 * @param start Where its fields begin
 * @returns The fields
 * @throws {Deno.errors.InvalidData} If they are malformed, or the checksum is wrong
 */
export function decodeTlvs(header: Uint8Array, start: number): ProxyTlvs {
  const tlvs: Writable<ProxyTlvs> = {};
  const others: ProxyTlv[] = [];
  const seen = new Set<number>();
  for (const { type, value } of split(header.subarray(start))) {
    if (isKnown(type) && seen.size === seen.add(type).size) throw malformed("a field is there twice");
    if (isOf(textFields, type)) tlvs[textFields[type]] = textOf(value);
    else if (type === SSL) tlvs.ssl = decodeSsl(value);
    else if (type === UNIQUE_ID) tlvs.uniqueId = uniqueIdOf(value);
    else if (type === CRC32C) checkChecksum(header, value);
    else if (type !== NOOP) others.push({ type, value: value.slice() });
  }
  if (others.length > 0) tlvs.others = others;
  return tlvs;
}

/**
 * Encodes the fields of a header.
 *
 * @param tlvs The fields
 * @returns The bytes
 */
export function encodeTlvs({ ssl, uniqueId, others = [], ...texts }: ProxyTlvs): Uint8Array {
  const list: ProxyTlv[] = [...encodeTexts(textFields, texts)];
  if (uniqueId !== undefined) list.push({ type: UNIQUE_ID, value: uniqueId });
  if (ssl !== undefined) list.push({ type: SSL, value: encodeSsl(ssl) });
  return join([...list, ...others]);
}

function decodeSsl(bytes: Uint8Array): ProxySsl {
  if (bytes.length < SSL_START) throw malformed("its field about TLS is too short");
  const has = (bit: number) => (bytes[0]! & bit) !== 0;
  const isVerified = bytes.subarray(1, SSL_START).every((n) => n === 0);
  const hadCertificate = has(clientBits.certificate) || has(clientBits.sessionCertificate);
  const ssl: Writable<ProxySsl> = {
    tls: has(clientBits.tls),
    certificate: has(clientBits.certificate),
    sessionCertificate: has(clientBits.sessionCertificate),
    // The bits are 0 as well where there was no certificate to verify.
    verified: hadCertificate && isVerified,
  };
  const others: ProxyTlv[] = [];
  const seen = new Set<number>();
  for (const { type, value } of split(bytes.subarray(SSL_START))) {
    if (!isOf(sslTextFields, type)) {
      others.push({ type, value: value.slice() });
      continue;
    }
    if (seen.size === seen.add(type).size) throw malformed("a field about TLS is there twice");
    ssl[sslTextFields[type]] = textOf(value);
  }
  if (others.length > 0) ssl.others = others;
  return ssl;
}

function encodeSsl({ verified, others = [], ...rest }: ProxySsl): Uint8Array {
  let bits = 0;
  for (const [name, bit] of Object.entries(clientBits)) if (rest[name as keyof typeof clientBits]) bits |= bit;
  const fields = join([...encodeTexts(sslTextFields, rest), ...others]);
  return Uint8Array.of(bits, 0, 0, 0, verified ? 0 : 1, ...fields);
}

function encodeTexts(names: Readonly<Record<number, string>>, values: object): ProxyTlv[] {
  return Object.entries(names).flatMap(([type, name]) => {
    const text = (values as Readonly<Record<string, string | undefined>>)[name];
    return text === undefined ? [] : [{ type: Number(type), value: new TextEncoder().encode(text) }];
  });
}

function split(bytes: Uint8Array): ProxyTlv[] {
  const list: ProxyTlv[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < 3) throw malformed("its last field is cut");
    const end = at + 3 + (bytes[at + 1]! << 8 | bytes[at + 2]!);
    if (end > bytes.length) throw malformed("its last field is cut");
    list.push({ type: bytes[at]!, value: bytes.subarray(at + 3, end) });
    at = end;
  }
  return list;
}

function join(list: readonly ProxyTlv[]): Uint8Array {
  const bytes = new Uint8Array(list.reduce((sum, { value }) => sum + 3 + value.length, 0));
  let at = 0;
  for (const { type, value } of list) {
    bytes.set([type, value.length >> 8, value.length & 255], at);
    bytes.set(value, at + 3);
    at += 3 + value.length;
  }
  return bytes;
}

function isKnown(type: number): boolean {
  return isOf(textFields, type) || type === SSL || type === UNIQUE_ID || type === CRC32C;
}

function isOf<T extends object>(names: T, type: number): type is number & keyof T {
  return Object.hasOwn(names, type);
}

function textOf(value: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
  } catch {
    throw malformed("a field of text is not UTF-8");
  }
}

function uniqueIdOf(value: Uint8Array): Uint8Array {
  if (value.length > MOST_UNIQUE_ID) throw malformed(`its unique id is longer than ${MOST_UNIQUE_ID} bytes`);
  return value.slice();
}

/** The checksum is that of the header with zeros in its place. */
function checkChecksum(header: Uint8Array, value: Uint8Array): void {
  if (value.length !== 4) throw malformed("its checksum does not have 4 bytes");
  const copy = header.slice();
  copy.fill(0, value.byteOffset - header.byteOffset, value.byteOffset - header.byteOffset + 4);
  if (new DataView(value.buffer, value.byteOffset).getUint32(0) !== crc32c(copy)) {
    throw malformed("its checksum is wrong");
  }
}
