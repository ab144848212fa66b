/**
 * Messages out of bytes, and bytes out of messages, without any connection: this part runs under any runtime.
 *
 * @module
 */
export { ByteQueue } from "./byte_queue.ts";
export type { ByteSink, Codec, Decoder, Encoder } from "./codec.ts";
export type { Bytes } from "../common/bytes.ts";
