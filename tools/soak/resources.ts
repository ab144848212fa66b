/**
 * What the process holds: memory and descriptors, looked at in quiet moments.
 *
 * @module
 */

/** What was held at one moment. */
export interface Sample {
  /** How many conversations had been held by then. */
  conversations: number;
  /** Memory of the process, in bytes. */
  rss: number;
  /** Objects, in bytes. */
  heap: number;
  /** Buffers, in bytes: those in use, and the blocks that the package keeps to lend again. */
  external: number;
}

/** How memory grew from the first to the last sample, on a straight line through all of them; in bytes. */
export interface Growth {
  /** Of the process. */
  rss: number;
  /** Objects. */
  heap: number;
  /** Objects, per conversation: what each leaves behind. */
  heapPerConversation: number;
  /** Buffers. */
  external: number;
}

/** Frees what can be freed, and looks. */
export async function sampleMemory(conversations: number): Promise<Sample> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("Cannot sample memory: run with --v8-flags=--expose-gc");
  // What is freed by a callback of the collector can be collected by the next one.
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { rss, heapUsed, external } = Deno.memoryUsage();
  return { conversations, rss, heap: heapUsed, external };
}

/** Draws a straight line through the samples, at least two. */
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

/** The descriptors of this process by number, and what each is; empty where the system does not tell. */
export function openDescriptors(): Map<string, string> {
  if (Deno.build.os !== "linux") return new Map();
  const open = new Map<string, string>();
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      open.set(name, Deno.readLinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The one of the directory that is being read.
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
