/**
 * Lines of text.
 *
 * Theory of operation. Decoding text costs most per call, so the lines of a block are decoded together and cut as text, where
 * that gives the same lines: where the block is valid text and its line ends are single characters. The bytes of a line are
 * taken from the queue when the line is handed out, not before. What is known of a queue, the decoded block and whether a line
 * is being skipped, holds as long as nothing else takes bytes from it.
 *
 * @module
 */
import { aBoolean, type Check } from "../common/options.ts";
import { describeType } from "../common/describe.ts";
import { textDecoder } from "../common/text_decoder.ts";
import type { ByteQueue } from "./byte_queue.ts";
import type { ByteSink, Codec } from "./codec.ts";
import { FramingError } from "./framing_error.ts";
import { limitOf, type LimitOptions, tooLong } from "./limits.ts";

/** Options of {@linkcode lines}. */
export interface LinesOptions extends LimitOptions {
  /**
   * A label of the Encoding Standard for an encoding that keeps ASCII as it is; "utf-8" by default. In others only ASCII can
   * be encoded.
   */
  encoding?: string | undefined;
  /** Whether bytes that are no text are refused; else they become U+FFFD. `true` by default. */
  fatal?: boolean | undefined;
  /**
   * What ends a line. "\n", the default, writes "\n", and takes both "\n" and "\r\n". "\r\n" writes and takes only that, so that
   * a single "\n" or "\r" is part of the line.
   */
  ending?: "\n" | "\r\n" | undefined;
  /** What a line longer than the limit comes to: "throw", the default, or "skip", which goes on with the next line. */
  tooLong?: "throw" | "skip" | undefined;
}

/**
 * Lines of text, without their ends.
 *
 * A last line without an end is no line: an `IncompleteReadError` tells of it, as it may have been cut off. A byte order mark
 * is part of the text.
 *
 * @param options The encoding, the ending, the `limit` in bytes, the ending not counted, and what to do with longer lines
 * @returns The codec
 * @throws {TypeError} If an option is of the wrong type
 * @throws {RangeError} If the limit is not a whole number above 0, or there is no such encoding, or it does not keep ASCII as it
 * is, as UTF-16 does not
 *
 * @example Lines over a connection in memory
 * ```ts
 * import { connPair, openConnection } from "@tideline/net";
 * import { framed, lines } from "@tideline/net/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = connPair();
 * await using near = framed(await openConnection({ conn: a }), lines());
 * await using far = framed(await openConnection({ conn: b }), lines());
 * await near.send("grüezi");
 * assertEquals(await far.receive(), "grüezi");
 * ```
 */
export function lines(options: LinesOptions = {}): Codec<string> {
  const limit = limitOf("lines", options, CHECKS);
  return new LineCodec(limit, options, (line) => line, checkIsText);
}

/**
 * The most bytes of a block that is decoded at once. V8 keeps the text of a block in memory as long as one of its lines is.
 */
const BLOCK_SIZE = 4096;

const LF = 10;
const CR = 13;
const CRLF = new Uint8Array([CR, LF]);
/** The length of the longest ending, in bytes. */
const LONGEST_ENDING = 2;

/** What is known of a queue. It holds as long as nothing else takes bytes. */
class State {
  /** What the queue had taken. */
  taken = -1;
  /** Whether the line at the front is too long, and dropped as it comes. */
  skipping = false;
  /** The text of whole lines at the front, and where the next of them begins. */
  text = "";
  at = 0;
  /** Whether each character of the text is one byte. */
  bytesAreUnits = false;

  /** Forgets all. */
  reset(): void {
    this.skipping = false;
    this.text = "";
    this.at = 0;
  }
}

/** Lines of text that stand for messages; not exported from the package. */
export class LineCodec<In, Out = In> implements Codec<In, Out> {
  readonly #parse: (line: string, consumed: number) => In;
  readonly #format: (message: Out) => string;
  readonly #limit: number;
  readonly #isStrict: boolean;
  readonly #ending: "\n" | "\r\n";
  readonly #skips: boolean;
  readonly #decoder: TextDecoder;
  readonly #states = new WeakMap<ByteQueue, State>();

  /**
   * @param limit The limit, in bytes
   * @param options The options of the lines
   * @param parse Makes a message of a line; its second argument is for the error that it may throw
   * @param format Makes a line of a message
   */
  constructor(
    limit: number,
    options: LinesOptions,
    parse: (line: string, consumed: number) => In,
    format: (message: Out) => string,
  ) {
    this.#parse = parse;
    this.#format = format;
    this.#limit = limit;
    this.#ending = options.ending ?? "\n";
    this.#isStrict = this.#ending === "\r\n";
    this.#skips = options.tooLong === "skip";
    this.#decoder = textDecoder(options.encoding ?? "utf-8", { fatal: options.fatal ?? true, ignoreBOM: true });
  }

  decode(bytes: ByteQueue): In | undefined {
    const state = this.#stateOf(bytes);
    if (state.at === state.text.length && !this.#decodeBlock(bytes, state)) return this.#decodeOne(bytes, state);
    return this.#nextOfBlock(bytes, state);
  }

  decodeEof(bytes: ByteQueue): undefined {
    // The end of a line that is skipped.
    if (this.#stateOf(bytes).skipping) bytes.drop(bytes.length);
  }

  encode(message: Out, out: ByteSink): void {
    const line = this.#format(message);
    if (line.includes(this.#ending) || (!this.#isStrict && line.endsWith("\r"))) {
      throw new FramingError("Cannot encode a line: it contains the end of a line");
    }
    const { encoding } = this.#decoder;
    if (encoding !== "utf-8" && /[^\p{ASCII}]/u.test(line)) {
      throw new FramingError(`Cannot encode a line: in ${encoding} only ASCII can be written`);
    }
    const start = out.length;
    out.putText(line);
    if (out.length - start > this.#limit) throw tooLong("encode a line", this.#limit);
    out.putText(this.#ending);
  }

  #stateOf(bytes: ByteQueue): State {
    let state = this.#states.get(bytes);
    if (state === undefined) this.#states.set(bytes, state = new State());
    else if (state.taken !== bytes.taken) state.reset();
    state.taken = bytes.taken;
    return state;
  }

  /** Decodes the whole lines at the front, none longer than the limit; tells whether it could. */
  #decodeBlock(bytes: ByteQueue, state: State): boolean {
    const length = bytes.lastIndexOf(LF, Math.min(BLOCK_SIZE, this.#limit + 1)) + 1;
    if (length === 0 || state.skipping) return false;
    if (this.#isStrict && (length === 1 || bytes.at(length - 2) !== CR)) return false;
    try {
      state.text = bytes.peekText(length, this.#decoder);
    } catch {
      // The line that is no text is met on its own.
      return false;
    }
    state.at = 0;
    state.bytesAreUnits = state.text.length === length;
    return true;
  }

  #nextOfBlock(bytes: ByteQueue, state: State): In {
    const { text, at } = state;
    const end = text.indexOf(this.#ending, at);
    const next = end + this.#ending.length;
    const length = state.bytesAreUnits ? next - at : this.#endOf(bytes, bytes.length).next;
    const hasCr = !this.#isStrict && end > at && text.charCodeAt(end - 1) === CR;
    const message = this.#parse(text.slice(at, hasCr ? end - 1 : end), length);
    state.at = next;
    this.#drop(bytes, state, length);
    return message;
  }

  #decodeOne(bytes: ByteQueue, state: State): In | undefined {
    const most = this.#limit + LONGEST_ENDING;
    for (;;) {
      if (state.skipping && !this.#skip(bytes, state)) return undefined;
      const { length, next } = this.#endOf(bytes, most);
      if (next > 0 && length <= this.#limit) return this.#take(bytes, state, length, next);
      if (next === 0 && bytes.length < most) return undefined;
      if (!this.#skips) throw tooLong("decode a line", this.#limit, this.#limit + 1);
      state.skipping = true;
    }
  }

  /** The length of the line at the front, and where the next one begins: 0 if its end is not within the first `most` bytes. */
  #endOf(bytes: ByteQueue, most: number): { length: number; next: number } {
    if (this.#isStrict) {
      const length = bytes.indexOf(CRLF, 0, most);
      return { length, next: length < 0 ? 0 : length + 2 };
    }
    const end = bytes.indexOf(LF, 0, most);
    return { length: end > 0 && bytes.at(end - 1) === CR ? end - 1 : end, next: end + 1 };
  }

  #take(bytes: ByteQueue, state: State, length: number, next: number): In {
    let line: string;
    try {
      line = bytes.peekText(length, this.#decoder);
    } catch {
      throw new FramingError(`Cannot decode a line: it is no valid text in ${this.#decoder.encoding}`, next);
    }
    const message = this.#parse(line, next);
    this.#drop(bytes, state, next);
    return message;
  }

  /** Drops what there is of a line that is too long; tells whether that is all of it. */
  #skip(bytes: ByteQueue, state: State): boolean {
    const { next } = this.#endOf(bytes, bytes.length);
    if (next > 0) {
      this.#drop(bytes, state, next);
      state.skipping = false;
      return true;
    }
    const { length } = bytes;
    const kept = this.#isStrict && length > 0 && bytes.at(length - 1) === CR ? 1 : 0;
    this.#drop(bytes, state, length - kept);
    return false;
  }

  #drop(bytes: ByteQueue, state: State, n: number): void {
    bytes.drop(n);
    state.taken = bytes.taken;
  }
}

const CHECKS: Readonly<Record<string, Check>> = {
  // The decoder checks it.
  encoding: () => null,
  fatal: aBoolean,
  ending: (value) => value === "\n" || value === "\r\n" ? null : 'must be "\\n" or "\\r\\n"',
  tooLong: (value) => value === "throw" || value === "skip" ? null : 'must be "throw" or "skip"',
};

function checkIsText(line: unknown): string {
  if (typeof line === "string") return line;
  throw new TypeError(`Cannot encode a line: it must be a string, not ${describeType(line)}`);
}
