/**
 * Messages with their length in front, in decimal: netstrings, and the octet counting of syslog.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type { ByteQueue } from "./byte_queue.ts";
import type { ByteSink, Codec } from "./codec.ts";
import { checkBytes } from "./delimited.ts";
import { FramingError } from "./framing_error.ts";
import { limitOf, type LimitOptions, tooLong } from "./limits.ts";

/**
 * Netstrings: `5:hello,`. As Python's and D. J. Bernstein's: a length has no leading zeros.
 *
 * @param options The `limit`: the most bytes of a message, 65536 by default
 * @returns The codec
 * @throws {TypeError} If the limit is not a number
 * @throws {RangeError} If it is not a whole number above 0
 *
 * @example A netstring
 * ```ts
 * import { ByteQueue, netstrings } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new ByteQueue();
 * queue.append(new TextEncoder().encode("12:hello world!,"));
 * assertEquals(new TextDecoder().decode(netstrings().decode(queue)), "hello world!");
 * ```
 */
export function netstrings(options: LimitOptions = {}): Codec<Bytes, Uint8Array> {
  return new DecimalLength("a netstring", limitOf("netstrings", options), ":", ",", 0);
}

/**
 * Octet counting: `5 hello`, the framing of syslog over TCP and TLS (RFC 6587, section 3.4.1). No message is empty, and a length
 * has no leading zeros.
 *
 * @param options The `limit`: the most bytes of a message, 65536 by default
 * @returns The codec
 * @throws {TypeError} If the limit is not a number
 * @throws {RangeError} If it is not a whole number above 0
 *
 * @example A syslog message
 * ```ts
 * import { ByteQueue, octetCounted } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const queue = new ByteQueue();
 * queue.append(new TextEncoder().encode("11 <34>1 - - -"));
 * assertEquals(new TextDecoder().decode(octetCounted().decode(queue)), "<34>1 - - -");
 * ```
 */
export function octetCounted(options: LimitOptions = {}): Codec<Bytes, Uint8Array> {
  return new DecimalLength("a message", limitOf("octetCounted", options), " ", "", 1);
}

const ZERO = 48;

class DecimalLength implements Codec<Bytes, Uint8Array> {
  readonly #what: string;
  readonly #limit: number;
  /** What follows the length, and what follows the message: a character, or nothing. */
  readonly #separator: string;
  readonly #ending: string;
  /** The least length that may be declared. */
  readonly #least: number;

  constructor(what: string, limit: number, separator: string, ending: string, least: number) {
    this.#what = what;
    this.#limit = limit;
    this.#separator = separator;
    this.#ending = ending;
    this.#least = least;
  }

  decode(bytes: ByteQueue): Bytes | undefined {
    let length = 0;
    let at = 0;
    for (;; at++) {
      if (at === bytes.length) return undefined;
      const digit = bytes.at(at) - ZERO;
      if (digit < 0 || digit > 9) break;
      if (at === 1 && length === 0) throw this.#wrong("its length begins with 0", at);
      length = 10 * length + digit;
      if (length > this.#limit) throw tooLong(`decode ${this.#what}`, this.#limit, at + 1);
    }
    if (at === 0 || bytes.at(at) !== this.#separator.charCodeAt(0)) {
      throw this.#wrong(`its length is not a number and "${this.#separator}"`, at);
    }
    if (length < this.#least) throw this.#wrong(`its length is ${length}`, at);
    const start = at + 1;
    const end = start + length;
    if (bytes.length < end + this.#ending.length) return undefined;
    if (this.#ending !== "" && bytes.at(end) !== this.#ending.charCodeAt(0)) {
      throw this.#wrong(`"${this.#ending}" does not follow it`, end);
    }
    bytes.drop(start);
    const message = bytes.take(length);
    bytes.drop(this.#ending.length);
    return message;
  }

  encode(message: Uint8Array, out: ByteSink): void {
    checkBytes(message);
    if (message.length > this.#limit) throw tooLong(`encode ${this.#what}`, this.#limit);
    if (message.length < this.#least) throw new FramingError(`Cannot encode ${this.#what}: it is empty`);
    out.putText(`${message.length}${this.#separator}`);
    out.put(message);
    out.putText(this.#ending);
  }

  #wrong(why: string, at: number): FramingError {
    return new FramingError(`Cannot decode ${this.#what}: ${why}`, at + 1);
  }
}
