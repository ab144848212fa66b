/**
 * Lines per second of `TextLineStream`, fed from memory. Prints `{"value": …}`.
 *
 * @module
 */
import { TextLineStream } from "@std/streams";
import { lineChunks, rateOf } from "./timing.ts";

const chunks = lineChunks();

await rateOf(async () => {
  let lines = 0;
  const stream = ReadableStream.from(chunks).pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of stream) lines += line.length === 19 ? 1 : NaN;
  return lines;
});
