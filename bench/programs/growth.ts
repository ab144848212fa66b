/**
 * The cost of a unit of work as the work grows: `growth.ts CASE N` prints `{"value": nanoseconds per unit}`. Flat is
 * good; anything quadratic shows as a factor.
 *
 * @module
 */
import { type ConnLike, openConnection, StreamReader } from "../../mod.ts";

const cases: Record<string, (n: number) => Promise<number>> = { copy, readexactly, bytewise, readuntil, writes };
const [name, size] = Deno.args;
const run = cases[name!]!;
const n = Number(size);
const LEAST_MS = 150;

await repeat(LEAST_MS / 2);
console.log(JSON.stringify({ value: await repeat(LEAST_MS) }));

/** Nanoseconds per unit, over as many runs as fill the time. */
async function repeat(ms: number): Promise<number> {
  const start = performance.now();
  let units = 0;
  let elapsed = 0;
  while (elapsed < ms) {
    units += await run(n);
    elapsed = performance.now() - start;
  }
  return elapsed * 1e6 / units;
}

/** Per byte: n bytes copied to fresh memory, 64 KiB at a time, which is the least possible cost of a read of n. */
async function copy(n: number): Promise<number> {
  const result = new Uint8Array(n);
  const chunk = new Uint8Array(65536);
  for (let at = 0; at < n; at += chunk.length) {
    result.set(chunk, at);
    await undefined;
  }
  return n;
}

/** Per byte: one `readexactly(n)` that waits while 64 KiB at a time arrive. */
async function readexactly(n: number): Promise<number> {
  const reader = new StreamReader();
  const chunk = new Uint8Array(65536);
  const result = reader.readexactly(n);
  for (let fed = 0; fed < n; fed += chunk.length) {
    reader.feedData(chunk);
    await undefined;
  }
  if ((await result).length !== n) throw new Error("Cannot measure: the size is wrong");
  return n;
}

/** Per byte: one line of n bytes that arrives byte by byte while the reader waits. */
async function bytewise(n: number): Promise<number> {
  const reader = new StreamReader();
  const one = new Uint8Array([120]);
  const line = reader.readline();
  for (let i = 1; i < n; i++) {
    reader.feedData(one);
    await undefined;
  }
  reader.feedData(new Uint8Array([10]));
  if ((await line).length !== n) throw new Error("Cannot measure: the line is wrong");
  return n;
}

/** Per byte: one `readuntil` of a 64-byte separator of which the data has many near matches. */
async function readuntil(n: number): Promise<number> {
  const reader = new StreamReader({ limit: n });
  const separator = "a".repeat(63) + "b";
  const almost = new TextEncoder().encode("a".repeat(1000));
  const piece = reader.readuntil(separator);
  let fed = 0;
  for (; fed + 1064 < n; fed += almost.length) {
    reader.feedData(almost);
    await undefined;
  }
  reader.feedData(new TextEncoder().encode(separator));
  if ((await piece).length !== fed + 64) throw new Error("Cannot measure: the piece is wrong");
  return fed + 64;
}

/** Per write: n one-byte writes while the peer takes nothing, then a drain while it takes everything. */
async function writes(n: number): Promise<number> {
  const gate = Promise.withResolvers<void>();
  let taken = 0;
  const conn: ConnLike = {
    read: () => gate.promise.then(() => null),
    write: async (p) => {
      await gate.promise;
      taken += p.length;
      return p.length;
    },
    close: () => {},
  };
  const { writer } = await openConnection({ conn });
  const one = new Uint8Array(1);
  for (let i = 0; i < n; i++) writer.write(one);
  gate.resolve();
  await writer.drain();
  await writer.close();
  if (taken !== n) throw new Error(`Cannot measure: ${taken} bytes of ${n} were sent`);
  return n;
}
