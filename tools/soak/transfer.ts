/**
 * Sends random bytes and receives them back, by every method there is.
 *
 * @module
 */
import type { StreamConnection, StreamReader, StreamWriter } from "../../mod.ts";
import { SeededRandom } from "../../src/testing/mod.ts";
import { Checksum, randomPiece } from "./payload.ts";

/** The options of a transfer. */
export interface TransferOptions {
  /** The number of bytes. */
  size: number;
  /** Whether some reads are aborted. */
  aborts?: boolean;
  /** Whether the reader is slow. */
  slow?: boolean;
}

/**
 * Sends random bytes and receives as many, at the same time.
 *
 * @returns The number of bytes
 * @throws {Error} If others were received than were sent
 */
export async function roundTrip(
  { reader, writer }: StreamConnection,
  random: SeededRandom,
  options: TransferOptions,
): Promise<number> {
  const [sent, received] = await Promise.all([
    send(writer, fork(random), options.size),
    receive(reader, fork(random), options),
  ]);
  check("a round trip", received, sent);
  return 2 * options.size;
}

/** Returns another generator, for a concurrent part. */
export function fork(random: SeededRandom): SeededRandom {
  return new SeededRandom(random.integer(0, 2 ** 31));
}

/** Sends random bytes; returns their checksum. */
export async function send(writer: StreamWriter, random: SeededRandom, size: number): Promise<Checksum> {
  const sum = new Checksum();
  while (sum.length < size) {
    const piece = randomPiece(random, Math.min(size - sum.length, random.size(100_000)));
    switch (random.integer(0, 3)) {
      case 0: {
        const cut = random.integer(0, piece.length);
        writer.writelines([piece.subarray(0, cut), piece.subarray(cut)]);
        break;
      }
      case 1:
        await writer.sendall(piece);
        break;
      default:
        writer.write(piece);
    }
    sum.add(piece);
    if (random.next() < 0.7) await writer.drain();
  }
  await writer.drain();
  return sum;
}

/** Receives a number of bytes; returns their checksum. */
export async function receive(
  reader: StreamReader,
  random: SeededRandom,
  { size, aborts = false, slow = false }: TransferOptions,
): Promise<Checksum> {
  const sum = new Checksum();
  const memory = new Uint8Array(20_000);
  while (sum.length < size) {
    if (slow && random.next() < 0.1) await new Promise((resolve) => setTimeout(resolve, random.integer(0, 20)));
    const most = Math.min(size - sum.length, random.size(memory.length));
    const signal = aborts ? AbortSignal.timeout(random.integer(0, 3)) : null;
    const options = signal === null ? {} : { signal };
    try {
      sum.add(await readSome(reader, random, most, memory, options));
    } catch (error) {
      if (error !== signal?.reason) throw error;
    }
  }
  return sum;
}

async function readSome(
  reader: StreamReader,
  random: SeededRandom,
  most: number,
  memory: Uint8Array,
  options: { signal?: AbortSignal },
): Promise<Uint8Array> {
  switch (random.integer(0, 3)) {
    case 0:
      return await reader.readexactly(most, options);
    case 1: {
      const n = await reader.readinto(memory.subarray(0, most), options);
      return memory.subarray(0, n ?? fail("the stream ended early"));
    }
    case 2: {
      // A peek and the read after it see the same bytes, whatever arrives between them.
      const seen = await reader.peek(Math.min(most, 100), options);
      const taken = await reader.readexactly(seen.length, options);
      if (taken.some((byte, i) => byte !== seen[i])) fail("peek() showed other bytes than were read then");
      return taken;
    }
    default: {
      const bytes = await reader.read(most, options);
      return bytes.length > 0 ? bytes : fail("the stream ended early");
    }
  }
}

/** Compares the checksums of what was sent and received. */
export function check(what: string, received: Checksum, sent: Checksum): void {
  if (`${received}` !== `${sent}`) fail(`${what} brought ${received}, not ${sent}`);
}

/** Ends a faulty conversation. */
export function fail(why: string): never {
  throw new Error(why);
}
