/**
 * Parsing the header of the PROXY protocol, from bytes alone.
 *
 * The parser never asks for a byte beyond the header: of a header that is not complete it tells the least number of bytes
 * that are missing. So nothing of what follows, such as a ClientHello in the same segment, is taken from the connection, and
 * TLS and the pumps get the socket itself.
 *
 * @module
 */
import { malformed, type Progress } from "./header.ts";
import { parseV1, V1_SHORTEST } from "./v1.ts";
import { parseV2, V2_SIGNATURE } from "./v2.ts";

/**
 * Parses a header.
 *
 * @param bytes The bytes so far; none beyond the header
 * @returns The header, or how many bytes are missing at least
 * @throws {Deno.errors.InvalidData} If the bytes are not the beginning of a header, or the header is too long
 */
export function parseProxyHeader(bytes: Uint8Array): Progress {
  if (bytes.length === 0) return { missing: V1_SHORTEST };
  if (bytes[0] === V2_SIGNATURE[0]) return parseV2(bytes);
  if (bytes[0] === 0x50) return parseV1(bytes);
  throw malformed("the connection begins with something else");
}
