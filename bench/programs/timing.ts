/**
 * Timing for the programs that measure from memory.
 *
 * @module
 */

const BLOCK = 65536;

/** The 20-byte lines that all programs read: 65,536 of them, in chunks of 64 KiB that do not end where lines end. */
export function lineChunks(): Uint8Array<ArrayBuffer>[] {
  const data = new Uint8Array(20 * BLOCK).fill(120);
  for (let at = 19; at < data.length; at += 20) data[at] = 10;
  return Array.from({ length: 20 }, (_, i) => data.slice(i * BLOCK, (i + 1) * BLOCK));
}

/** The same bytes as frames of 20 bytes: a length of four bytes, and 16 more; the chunks end where frames do. */
export function frameChunks(): Uint8Array<ArrayBuffer>[] {
  const chunk = new Uint8Array(BLOCK - BLOCK % 20).fill(120);
  for (let at = 0; at < chunk.length; at += 20) chunk.set([0, 0, 0, 16], at);
  return Array.from({ length: 20 }, () => chunk.slice());
}

/** The number of lines that end in a chunk. */
export function countLines(chunk: Uint8Array): number {
  return chunk.reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
}

/** Runs the work for `--warmup` and then for `--duration` milliseconds; prints how many units it did per second. */
export async function rateOf(work: () => Promise<number>): Promise<void> {
  await rateWithin(work, option("warmup"));
  console.log(JSON.stringify({ value: await rateWithin(work, option("duration")) }));
}

/** A number of the command line. */
export function option(name: string): number {
  return Number(Deno.args[Deno.args.indexOf(`--${name}`) + 1]);
}

async function rateWithin(work: () => Promise<number>, ms: number): Promise<number> {
  const start = performance.now();
  let done = 0;
  let elapsed = 0;
  while (elapsed < ms) {
    done += await work();
    elapsed = performance.now() - start;
  }
  return done / elapsed * 1000;
}
