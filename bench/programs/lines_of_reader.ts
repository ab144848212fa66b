/**
 * Lines per second of `await reader.readline()`, fed from memory. Prints `{"value": …}`.
 *
 * @module
 */
import { StreamReader } from "../../mod.ts";
import { countLines, lineChunks, rateOf } from "./timing.ts";

const reader = new StreamReader();
const chunks = lineChunks().map((chunk) => ({ chunk, lines: countLines(chunk) }));

await rateOf(async () => {
  let lines = 0;
  for (const { chunk, lines: count } of chunks) {
    reader.feedData(chunk);
    for (let i = 0; i < count; i++) lines += (await reader.readline()).length === 20 ? 1 : NaN;
  }
  return lines;
});
