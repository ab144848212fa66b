/**
 * A JSON value per line.
 *
 * @module
 */
import type { Codec } from "./codec.ts";
import { FramingError } from "./framing_error.ts";
import { limitOf, type LimitOptions } from "./limits.ts";
import { LineCodec } from "./lines.ts";

/**
 * JSON values, one per line (JSON Lines, NDJSON), in UTF-8.
 *
 * Every line must hold a value: an empty one is refused, and so is a last one without an end. The value `null` looks like the
 * end of the stream to `receive()` and `readframe()`, so where it is a message, `batches()` or `for await` tells them apart.
 *
 * @param options The `limit`: the most bytes of a line; 65536 by default
 * @returns The codec
 * @throws {TypeError} If the limit is not a number
 * @throws {RangeError} If it is not a whole number above 0
 *
 * @example A value
 * ```ts
 * import { ByteQueue, jsonLines } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new ByteQueue();
 * queue.append(new TextEncoder().encode('{"id":1}\n'));
 * assertEquals(jsonLines<{ id: number }>().decode(queue), { id: 1 });
 * ```
 */
export function jsonLines<In = unknown, Out = In>(options: LimitOptions = {}): Codec<In, Out> {
  return new LineCodec<In, Out>(limitOf("jsonLines", options), {}, parse, format);
}

function parse<T>(line: string, consumed: number): T {
  try {
    return JSON.parse(line);
  } catch {
    // Not as its cause: the message of a SyntaxError shows the peer's bytes.
    throw new FramingError("Cannot decode a line: it is no JSON", consumed);
  }
}

function format(message: unknown): string {
  const line: string | undefined = JSON.stringify(message);
  if (line === undefined) throw new FramingError("Cannot encode a value: JSON has none of its type");
  return line;
}
