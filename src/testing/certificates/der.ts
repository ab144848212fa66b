/**
 * The parts of DER (ITU-T X.690) that a certificate needs.
 *
 * @module
 */

/** Writes an element: tag, length and content. */
export function der(tag: number, ...content: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = content.reduce((total, part) => total + part.length, 0);
  return concat([tag, ...lengthBytes(length)], ...content);
}

/** SEQUENCE. */
export function sequence(...content: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return der(0x30, ...content);
}

/** SET. */
export function set(...content: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return der(0x31, ...content);
}

/** BOOLEAN TRUE. FALSE is the default of every field of a certificate, so it is never written. */
export function yes(): Uint8Array<ArrayBuffer> {
  return der(0x01, Uint8Array.of(0xff));
}

/** INTEGER that is not negative, given as big-endian bytes. */
export function integer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Uint8Array.of(0) : bytes.subarray(first);
  // The highest bit is the sign.
  return digits[0]! >= 0x80 ? der(0x02, Uint8Array.of(0), digits) : der(0x02, digits);
}

/** BIT STRING. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Uint8Array<ArrayBuffer> {
  return der(0x03, Uint8Array.of(unusedBits), bytes);
}

/** OCTET STRING. */
export function octetString(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return der(0x04, bytes);
}

/** OBJECT IDENTIFIER, given as "1.2.840.10045". */
export function objectId(dotted: string): Uint8Array<ArrayBuffer> {
  const [first, second, ...rest] = dotted.split(".").map(Number) as [number, number, ...number[]];
  return der(0x06, Uint8Array.from([40 * first + second, ...rest].flatMap(base128)));
}

/** UTF8String. */
export function utf8String(text: string): Uint8Array<ArrayBuffer> {
  return der(0x0c, new TextEncoder().encode(text));
}

/** Time: UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5). */
export function time(date: Date): Uint8Array<ArrayBuffer> {
  const digits = date.toISOString().replace(/[-T:]/g, "").slice(0, 14) + "Z";
  const isShort = date.getUTCFullYear() >= 1950 && date.getUTCFullYear() < 2050;
  return der(isShort ? 0x17 : 0x18, new TextEncoder().encode(isShort ? digits.slice(2) : digits));
}

/** PEM: Base64 text between lines with a label. */
export function pem(label: string, bytes: Uint8Array): string {
  const lines = bytes.toBase64().match(/.{1,64}/g)!;
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function concat(...parts: (ArrayLike<number>)[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>= 8) bytes.unshift(rest & 0xff);
  return [0x80 | bytes.length, ...bytes];
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) bytes.unshift(0x80 | (rest & 0x7f));
  return bytes;
}
