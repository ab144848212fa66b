/**
 * The length in front of a message: an integer of a fixed size, or a varint.
 *
 * @module
 */
import type { ByteQueue } from "./byte_queue.ts";
import type { ByteSink } from "./codec.ts";
import { FramingError } from "./framing_error.ts";

/** How a length is written. */
export interface LengthField {
  /** The least size, in bytes. */
  readonly least: number;
  /** The size of the length at a position; 0 if more bytes must come. */
  sizeAt(bytes: ByteQueue, at: number): number;
  /** The length at a position. One above 2^53 may be rounded: it is beyond every limit. */
  read(bytes: ByteQueue, at: number, size: number): number;
  /** The size that a length needs; `Infinity` if it does not fit. */
  sizeOf(length: number): number;
  /** Writes a length. */
  put(out: ByteSink, length: number, size: number): void;
}

/**
 * The field of a size.
 *
 * @param bytes The size, in bytes, or "varint"
 * @param littleEndian Whether the least significant byte is first
 * @returns The field
 */
export function lengthFieldOf(bytes: 1 | 2 | 3 | 4 | 8 | "varint", littleEndian: boolean): LengthField {
  return bytes === "varint" ? new Varint() : new FixedField(bytes, littleEndian);
}

class FixedField implements LengthField {
  readonly least: number;
  readonly #littleEndian: boolean;

  constructor(bytes: number, littleEndian: boolean) {
    this.least = bytes;
    this.#littleEndian = littleEndian;
  }

  sizeAt(bytes: ByteQueue, at: number): number {
    return bytes.length < at + this.least ? 0 : this.least;
  }

  read(bytes: ByteQueue, at: number): number {
    const little = this.#littleEndian;
    switch (this.least) {
      case 1:
        return bytes.getUint8(at);
      case 2:
        return bytes.getUint16(at, little);
      case 3:
        return little
          ? bytes.getUint8(at + 2) << 16 | bytes.getUint16(at, true)
          : bytes.getUint8(at) << 16 | bytes.getUint16(at + 1);
      case 4:
        return bytes.getUint32(at, little);
      default:
        return bytes.getUint32(little ? at + 4 : at, little) * 2 ** 32 + bytes.getUint32(little ? at : at + 4, little);
    }
  }

  sizeOf(length: number): number {
    return length < 2 ** (8 * this.least) ? this.least : Infinity;
  }

  put(out: ByteSink, length: number): void {
    const little = this.#littleEndian;
    switch (this.least) {
      case 1:
        return out.putUint8(length);
      case 2:
        return out.putUint16(length, little);
      case 3:
        if (!little) out.putUint8(length >> 16);
        out.putUint16(length & 0xffff, little);
        if (little) out.putUint8(length >> 16);
        return;
      case 4:
        return out.putUint32(length, little);
      default:
        return out.putBigUint64(BigInt(length), little);
    }
  }
}

/** 64 bits take so many bytes. */
const LONGEST_VARINT = 10;

class Varint implements LengthField {
  readonly least = 1;

  sizeAt(bytes: ByteQueue, at: number): number {
    const end = Math.min(bytes.length, at + LONGEST_VARINT);
    for (let i = at; i < end; i++) {
      if (bytes.at(i) < 128) return i + 1 - at;
    }
    if (end < at + LONGEST_VARINT) return 0;
    throw new FramingError(`Cannot decode a message: its length has more than ${LONGEST_VARINT} bytes`, end);
  }

  read(bytes: ByteQueue, at: number, size: number): number {
    if (size > 1 && bytes.at(at + size - 1) === 0) {
      throw new FramingError("Cannot decode a message: its length has more bytes than needed", at + size);
    }
    let length = 0;
    for (let i = size - 1; i >= 0; i--) length = length * 128 + (bytes.at(at + i) & 127);
    return length;
  }

  sizeOf(length: number): number {
    let size = 1;
    for (; length >= 128; size++) length = Math.floor(length / 128);
    return size;
  }

  put(out: ByteSink, length: number): void {
    for (; length >= 128; length = Math.floor(length / 128)) out.putUint8(length % 128 | 128);
    out.putUint8(length);
  }
}
