/**
 * The memory and the descriptors of this process.
 *
 * @module
 */

/** A sample of the memory. */
export interface Sample {
  /** The number of conversations completed before. */
  conversations: number;
  /** Memory of the process, in bytes. */
  rss: number;
  /** Objects, in bytes. */
  heap: number;
  /** Buffers, in bytes: those in use and those pooled. */
  external: number;
}

/** The growth of memory from the first to the last sample, by linear regression, in bytes. */
export interface Growth {
  /** Of the process. */
  rss: number;
  /** Of objects. */
  heap: number;
  /** Of objects per conversation. */
  heapPerConversation: number;
  /** Of buffers. */
  external: number;
}

/** Collects garbage, and takes a sample. */
export async function sampleMemory(conversations: number): Promise<Sample> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("Cannot sample memory: run with --v8-flags=--expose-gc");
  // Finalizers free more memory, which the next collection finds.
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { rss, heapUsed, external } = Deno.memoryUsage();
  return { conversations, rss, heap: heapUsed, external };
}

/** Computes the growth over at least two samples. */
export function growthOf(samples: readonly Sample[]): Growth {
  const x = samples.map(({ conversations }) => conversations);
  const span = x.at(-1)! - x[0]!;
  const slopeOf = (what: "rss" | "heap" | "external") => slope(x, samples.map((sample) => sample[what]));
  return {
    rss: Math.round(slopeOf("rss") * span),
    heap: Math.round(slopeOf("heap") * span),
    heapPerConversation: Math.round(slopeOf("heap")),
    external: Math.round(slopeOf("external") * span),
  };
}

/** Returns the open descriptors of this process and what each is; empty where the system does not tell. */
export function openDescriptors(): Map<string, string> {
  if (Deno.build.os !== "linux") return new Map();
  const open = new Map<string, string>();
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      open.set(name, Deno.readLinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The descriptor of the directory being read.
    }
  }
  return open;
}

/** Least squares. */
function slope(x: readonly number[], y: readonly number[]): number {
  const mean = (list: readonly number[]) => list.reduce((sum, one) => sum + one, 0) / list.length;
  const [meanX, meanY] = [mean(x), mean(y)];
  let above = 0, below = 0;
  x.forEach((one, i) => {
    above += (one - meanX) * (y[i]! - meanY);
    below += (one - meanX) ** 2;
  });
  return below === 0 ? 0 : above / below;
}
