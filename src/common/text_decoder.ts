/**
 * Decoders for text that is read by the line, up to a separator or by the message.
 *
 * @module
 */
import { describe } from "./describe.ts";

/**
 * Makes a decoder. Unless it is `fatal`, it replaces what is no valid text with U+FFFD.
 *
 * @param encoding A label of the Encoding Standard
 * @param options As of `TextDecoder`
 * @returns The decoder
 * @throws {TypeError} If the encoding is not a string
 * @throws {RangeError} If the encoding is unknown, or does not keep ASCII as it is, as UTF-16 does not
 */
export function textDecoder(encoding: string, options: TextDecoderOptions): TextDecoder {
  if (typeof encoding !== "string") {
    throw new TypeError(`Cannot read text: the encoding must be a string, not ${describe(encoding)}`);
  }
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(encoding, options);
  } catch {
    throw new RangeError(`Cannot read text: there is no encoding ${describe(encoding)}`);
  }
  // Where "\n" and separators are looked for as bytes.
  if (decoder.encoding.startsWith("utf-16")) {
    throw new RangeError(`Cannot read text: the encoding ${describe(encoding)} does not keep ASCII as it is`);
  }
  return decoder;
}
