/**
 * Messages out of bytes, and bytes out of messages.
 *
 * A codec never sees a connection: the same object serves streams ({@linkcode framed}, `readframe()`), protocols
 * ({@linkcode FramedProtocol}) and tests, and this module loads under any runtime. Every codec has a limit for a message, 65536
 * bytes by default, for both directions. `docs/FRAMING.md` is the guide.
 *
 * @example A server of messages with their length in front, by streams
 * ```ts
 * import { openConnection, startServer } from "@tideline/net";
 * import { framed, lengthPrefixed } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const codec = lengthPrefixed({ bytes: 4 });
 * await using server = await startServer(async (reader, writer) => {
 *   const messages = framed({ reader, writer }, codec);
 *   for await (const batch of messages.batches()) {
 *     for (const message of batch) messages.push(message);
 *     await writer.drain();
 *   }
 * }, { hostname: "127.0.0.1", port: 0 });
 *
 * await using client = framed(await openConnection({ port: server.port }), codec);
 * await client.send(new TextEncoder().encode("hello"));
 * assertEquals(new TextDecoder().decode((await client.receive())!), "hello");
 * ```
 *
 * @example A codec without a connection
 * ```ts
 * import { ByteBuffer, ByteQueue, lines } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const codec = lines();
 * const out = new ByteBuffer();
 * codec.encode("hello", out);
 * const queue = new ByteQueue();
 * queue.append(out.take());
 * assertEquals(codec.decode(queue), "hello");
 * ```
 *
 * @module
 */
export type { Bytes } from "../common/bytes.ts";
export { IncompleteReadError } from "../common/incomplete_read_error.ts";
export { Framed, framed } from "../streams/framed.ts";
export { FramedProtocol } from "../transport/framed_protocol.ts";
export { ByteBuffer } from "./byte_buffer.ts";
export { ByteQueue } from "./byte_queue.ts";
export type { ByteSink, Codec, Decoder, Encoder } from "./codec.ts";
export { netstrings, octetCounted } from "./decimal_length.ts";
export { delimited } from "./delimited.ts";
export { fixed } from "./fixed.ts";
export { FramingError } from "./framing_error.ts";
export { headed, type HeadedMessage, type HeadedSizes } from "./headed.ts";
export { jsonLines } from "./json_lines.ts";
export { lengthPrefixed, type LengthPrefixedOptions } from "./length_prefixed.ts";
export type { LimitOptions } from "./limits.ts";
export { lines, type LinesOptions } from "./lines.ts";
export type { Separator } from "./separators.ts";
