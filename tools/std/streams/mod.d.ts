export interface TextLineStreamOptions {
  allowCR?: boolean;
}
export class TextLineStream extends TransformStream<string, string> {
  constructor(options?: TextLineStreamOptions);
}
export class DelimiterStream extends TransformStream<Uint8Array, Uint8Array> {
  constructor(delimiter: Uint8Array, options?: { disposition?: "suffix" | "prefix" | "discard" });
}
export function toText(stream: ReadableStream): Promise<string>;
export function toBytes(stream: ReadableStream<Uint8Array>): Promise<Uint8Array>;
