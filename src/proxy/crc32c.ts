/**
 * CRC-32C (Castagnoli, RFC 3720), the checksum of the PROXY protocol.
 *
 * @module
 */

/**
 * Computes the checksum.
 *
 * @param bytes The bytes
 * @returns The checksum, from 0 to 2 ** 32 - 1
 */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** With the lowest power in the highest bit. */
const POLYNOMIAL = 0x82f63b78;
