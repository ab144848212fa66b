/** The memory that is alive: what remains after a garbage collection, which V8 does not do by itself while memory is plenty. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { turns } from "./waiting.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Collects garbage, and returns the size of all objects and buffers that are alive, in bytes. */
export async function liveBytes(): Promise<number> {
  // Finalizers free more memory, which the next collection finds.
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await turns(2);
  }
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}
