/** Bytes and text, as all tests need them. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Returns the UTF-8 bytes of a text. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Returns the text of UTF-8 bytes. */
export function text(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Returns bytes of which each depends on its position, so that a missing, repeated or misplaced piece shows. */
export function pattern(size: number, seed = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + (i >> 16) + seed) & 255;
  return bytes;
}

/** Joins pieces. */
export function concat(pieces: Iterable<Uint8Array>): Uint8Array<ArrayBuffer> {
  const list = [...pieces];
  const whole = new Uint8Array(list.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of list) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Fails unless both hold the same bytes; the message names the first difference and prints none of the content. */
export function assertSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  if (actual.length !== expected.length) {
    throw new Error(`The lengths differ: ${actual.length} bytes, not ${expected.length}`);
  }
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  if (at !== -1) throw new Error(`The bytes differ at position ${at}`);
}
