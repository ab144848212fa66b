/**
 * The reader against a model: random operations over random pieces of random bytes, each result predicted by a model that
 * keeps all bytes in an array, searches from scratch and knows nothing of chunks, blocks or automatons.
 *
 * A case is a list of plain operations, so that any part of it is a case too: a failing one is shrunk, and printed with its
 * seed.
 */
import { StreamReader } from "../../src/streams/stream_reader.ts";
import { queueOf } from "../../src/streams/stream_reader.ts";
import { SeededRandom } from "../../src/testing/seeded_random.ts";
import { shortMessages } from "./reader/kinds.ts";
import { naiveBegun, naiveSearch, RecordingTransport, show, showError, text } from "../support/reader_outcomes.ts";
import { bytes } from "../support/bytes.ts";

type Policy = "none" | "bounded" | "onDemand";

type ReadOperation =
  | { op: "read"; n: number; signal: boolean }
  | { op: "readline"; text: boolean; signal: boolean }
  | { op: "line"; signal: boolean }
  | { op: "readexactly"; n: number; signal: boolean }
  | { op: "readuint"; bits: 8 | 16 | 32; littleEndian: boolean; signal: boolean }
  | { op: "readuntil"; separators: string[]; text: boolean; limit?: number; signal: boolean }
  | { op: "readframe"; signal: boolean }
  | { op: "readinto"; n: number; signal: boolean }
  | { op: "peek"; n: number; signal: boolean }
  | { op: "skipuntil"; separators: string[]; signal: boolean };

/** The reads that have a call that does not wait. */
type TryOperation = Extract<ReadOperation, { op: "read" | "readline" | "readexactly" | "readuntil" | "readframe" }>;

type Operation =
  | ReadOperation
  | { op: "try"; of: TryOperation }
  | { op: "feed"; data: string }
  | { op: "end" }
  | { op: "fail" }
  | { op: "abort" };

interface Case {
  limit: number;
  policy: Policy;
  operations: Operation[];
}

/** What an attempt comes to: an outcome, or `undefined` for "not yet". */
type Attempted = string | undefined;

const ALPHABET = ["a", "a", "a", "b", "b", "\n", "\r"];
const LOST = "Error: lost";

/** All that the model knows. */
class Model {
  buffer: number[] = [];
  ended = false;
  failed = false;
  paused = false;
  waiting: { operation: ReadOperation; watched: Watch; dropped: number } | null = null;
  readonly #limit: number;
  readonly #policy: Policy;

  constructor({ limit, policy }: Case) {
    this.#limit = limit;
    this.#policy = policy;
    if (policy === "onDemand") this.paused = true;
  }

  feed(data: Uint8Array): void {
    this.buffer.push(...data);
    this.#tryAgain();
    this.#pauseIfTooMuch();
  }

  /** Bytes went right into the memory of the readinto that waits. */
  filled(data: Uint8Array): void {
    this.waiting!.watched.expected = show(data);
    this.waiting = null;
    this.#pauseIfTooMuch();
  }

  end(): void {
    this.ended = true;
    this.#tryAgain();
  }

  fail(): void {
    this.failed = true;
    this.#tryAgain();
  }

  abort(): void {
    if (!this.waiting?.operation.signal) return;
    this.waiting.watched.expected = "Error: aborted";
    this.waiting = null;
  }

  read(operation: ReadOperation, watched: Watch): void {
    const pending = { operation, watched, dropped: 0 };
    const outcome = this.#attempt(pending, this.waiting !== null);
    if (outcome !== undefined) {
      watched.expected = outcome;
      if (this.#policy === "bounded" && this.buffer.length <= this.#limit) this.paused = false;
    } else if (this.waiting !== null) {
      watched.expected = "Busy: Cannot read: another read is waiting on this reader";
    } else {
      this.waiting = pending;
      this.paused = false;
    }
  }

  /** The same read by the call that does not wait: what is complete, or nothing. */
  try(operation: TryOperation): string {
    const { ended, failed } = this;
    // All until the end is complete only then; the other calls know no end.
    if (operation.op !== "read" || operation.n >= 0) this.ended = this.failed = false;
    const all = operation.op === "read" && operation.n < 0 && this.buffer.length === 0;
    const outcome = all ? undefined : this.#attempt({ operation, dropped: 0 }, true);
    [this.ended, this.failed] = [ended, failed];
    if (this.#policy === "bounded" && outcome !== undefined && this.buffer.length <= this.#limit) this.paused = false;
    return outcome ?? "undefined";
  }

  #pauseIfTooMuch(): void {
    if (this.waiting !== null || this.#policy === "none") return;
    if (this.#policy === "onDemand" || this.buffer.length > 2 * this.#limit) this.paused = true;
  }

  #tryAgain(): void {
    if (this.waiting === null) return;
    const outcome = this.#attempt(this.waiting, false);
    if (outcome === undefined) return;
    this.waiting.watched.expected = outcome;
    this.waiting = null;
  }

  #attempt(pending: { operation: ReadOperation; dropped: number }, busy: boolean): Attempted {
    const { operation } = pending;
    const { buffer } = this;
    const all = Uint8Array.from(buffer);
    const take = (n: number) => show(Uint8Array.from(buffer.splice(0, n)));
    const takeText = (n: number) => text(Uint8Array.from(buffer.splice(0, n)));
    const atEnd = (outcome: () => string): Attempted => this.failed ? LOST : this.ended ? outcome() : undefined;
    switch (operation.op) {
      case "read":
        if (operation.n < 0) {
          if (buffer.length > 0 && (this.failed || this.ended)) return take(buffer.length);
          return atEnd(() => '""');
        }
        if (operation.n === 0) return '""';
        return buffer.length > 0 ? take(operation.n) : atEnd(() => '""');
      case "readinto":
        if (operation.n === 0) return '""';
        return buffer.length > 0 ? take(operation.n) : atEnd(() => "null");
      case "readexactly":
        if (buffer.length >= operation.n) return take(operation.n);
        return atEnd(() => `IncompleteReadError(${take(buffer.length)}, ${operation.n})`);
      case "peek":
        if (operation.n > 2 * this.#limit) {
          return `RangeError: Cannot peek ${operation.n} bytes: at most ${
            2 * this.#limit
          }, twice the limit, are buffered`;
        }
        if (buffer.length >= operation.n) return show(all.subarray(0, operation.n));
        return atEnd(() => show(all));
      case "readuint": {
        const { bits, littleEndian } = operation;
        if (buffer.length < bits / 8) {
          return atEnd(() => `IncompleteReadError(${take(buffer.length)}, ${bits / 8})`);
        }
        const digits = buffer.splice(0, bits / 8);
        return String((littleEndian ? digits.reverse() : digits).reduce((sum, digit) => 256 * sum + digit, 0));
      }
      case "readframe": {
        if (buffer.length > 0 && buffer.length > (buffer[0]! & 7)) {
          const length = buffer.shift()! & 7;
          return take(length);
        }
        return atEnd(() => buffer.length === 0 ? "null" : `IncompleteReadError(${take(buffer.length)}, null)`);
      }
      case "line": {
        const line = this.#attemptLine(atEnd, takeText);
        if (line === undefined || !line.startsWith("=")) return line;
        return line === "=" ? "undefined" : line.slice(1).replace(/\r?\n$/, "");
      }
      case "readline": {
        const line = this.#attemptLine(atEnd, operation.text ? takeText : take);
        if (line === undefined || !line.startsWith("=")) return line;
        return line === "=" && !operation.text ? '""' : line.slice(1);
      }
      case "readuntil": {
        const found = naiveSearch(all, operation.separators.map(bytes), operation.limit ?? this.#limit);
        if (found === null) return atEnd(() => `IncompleteReadError(${take(buffer.length)}, null)`);
        if ("consumed" in found) return `LimitOverrunError(${found.consumed})`;
        return operation.text ? takeText(found.end) : take(found.end);
      }
      case "skipuntil": {
        const separators = operation.separators.map(bytes);
        const found = naiveSearch(all, separators, Infinity);
        if (found !== null && "end" in found) {
          take(found.end);
          return String(pending.dropped + found.end);
        }
        const atTheEnd = atEnd(() => {
          take(all.length);
          return String(pending.dropped + all.length);
        });
        if (atTheEnd === undefined && !busy) {
          const n = all.length - naiveBegun(all, separators);
          take(n);
          pending.dropped += n;
        }
        return atTheEnd;
      }
    }
  }

  /** A line, after a "=" that tells it from an error; nothing but that at the end of the stream. */
  #attemptLine(atEnd: (outcome: () => string) => Attempted, take: (n: number) => string): Attempted {
    const found = naiveSearch(Uint8Array.from(this.buffer), [bytes("\n")], this.#limit);
    if (found !== null) return "end" in found ? `=${take(found.end)}` : `LimitOverrunError(${found.consumed})`;
    if (this.buffer.length > 0 && (this.failed || this.ended)) return `=${take(this.buffer.length)}`;
    return atEnd(() => "=");
  }
}

interface Watch {
  operation: Operation;
  expected: string;
  actual: string;
}

/** Runs a case; returns what was wrong, or `null`. */
async function run(one: Case): Promise<string | null> {
  const reader = new StreamReader({ limit: one.limit });
  const queue = queueOf(reader);
  const model = new Model(one);
  const transport = new RecordingTransport();
  if (one.policy !== "none") queue.attach(transport, one.policy);
  const watches: Watch[] = [];
  const views: { view: Uint8Array; copy: Uint8Array }[] = [];
  let controller = new AbortController();

  const start = (operation: ReadOperation): void => {
    const watched: Watch = { operation, expected: "pending", actual: "pending" };
    watches.push(watched);
    model.read(operation, watched);
    const options = operation.signal ? { signal: controller.signal } : undefined;
    startRead(reader, operation, options).then((result) => {
      watched.actual = show(result);
      if (result instanceof Uint8Array) views.push({ view: result, copy: result.slice() });
    }, (error) => watched.actual = showError(error));
  };

  for (const [i, operation] of one.operations.entries()) {
    switch (operation.op) {
      case "feed": {
        let data = bytes(operation.data);
        if (model.ended) break;
        const target = data.length > 0 ? queue.lendTarget() : null;
        if (target !== null) {
          // As a transport does that read right into it.
          const direct = data.subarray(0, target.length);
          target.set(direct);
          model.filled(direct);
          queue.targetFilled(target, direct.length);
          data = data.subarray(direct.length);
          await hops();
        }
        if (data.length > 0) {
          model.feed(data);
          reader.feedData(data);
          data.fill(0);
        }
        break;
      }
      case "end":
        model.end();
        reader.feedEof();
        break;
      case "fail":
        model.fail();
        reader.setException(new Error("lost"));
        break;
      case "abort":
        model.abort();
        controller.abort(new Error("aborted"));
        controller = new AbortController();
        break;
      case "try": {
        const watched: Watch = { operation, expected: model.try(operation.of), actual: "" };
        watches.push(watched);
        try {
          const result = tryRead(reader, operation.of);
          watched.actual = show(result);
          if (result !== undefined) views.push({ view: result, copy: result.slice() });
        } catch (error) {
          watched.actual = showError(error);
        }
        break;
      }
      default:
        start(operation);
    }
    await hops();
    const wrong = watches.find(({ expected, actual }) => expected !== actual);
    const at = `after operation ${i}, ${JSON.stringify(operation)}`;
    if (wrong !== undefined) {
      return `${at}: ${JSON.stringify(wrong.operation)} came to ${wrong.actual}, not ${wrong.expected}`;
    }
    if (reader.buffered !== model.buffer.length) {
      return `${at}: ${reader.buffered} buffered, not ${model.buffer.length}`;
    }
    if (reader.atEof() !== (model.ended && model.buffer.length === 0)) return `${at}: atEof() is ${reader.atEof()}`;
    const paused = transport.calls.at(-1) === "pause";
    if (paused !== model.paused) return `${at}: the transport is ${paused ? "" : "not "}paused`;
    if (transport.calls.some((call, k) => call === transport.calls[k - 1])) return `${at}: ${transport.calls}`;
  }
  const changed = views.find(({ view, copy }) => text(view) !== text(copy));
  return changed === undefined ? null : `${show(changed.copy)} was handed out and is ${show(changed.view)} now`;
}

/** Lets what is about to settle do so: a read, and what was chained to it above. */
/** Lets what is known by now settle: an error takes a few reactions more, to name the caller. */
async function hops(): Promise<void> {
  for (let i = 0; i < 8; i++) await null;
}

function startRead(
  reader: StreamReader,
  operation: ReadOperation,
  options: { signal: AbortSignal } | undefined,
): Promise<unknown> {
  switch (operation.op) {
    case "read":
      return reader.read(operation.n, options);
    case "readline":
      return operation.text ? reader.readline({ ...options, encoding: "latin1" }) : reader.readline(options);
    case "line":
      return reader.lines(options).next().then(({ value }) => value);
    case "readexactly":
      return reader.readexactly(operation.n, options);
    case "readuint": {
      const { bits, littleEndian } = operation;
      if (bits === 8) return reader.readUint8(options);
      return bits === 16 ? reader.readUint16(littleEndian, options) : reader.readUint32(littleEndian, options);
    }
    case "readframe":
      return reader.readframe(shortMessages, options);
    case "readuntil": {
      const { separators, limit, text } = operation;
      const separator = separators.length === 1 ? separators[0]! : separators;
      if (text) return reader.readuntil(separator, { ...options, limit, encoding: "latin1" });
      return reader.readuntil(separator, limit === undefined ? options : { ...options, limit });
    }
    case "readinto": {
      const memory = new Uint8Array(operation.n);
      return reader.readinto(memory, options).then((n) => n === null ? null : memory.subarray(0, n));
    }
    case "peek":
      return reader.peek(operation.n, options);
    case "skipuntil":
      return reader.skipuntil(operation.separators, options);
  }
}

function tryRead(reader: StreamReader, operation: TryOperation): Uint8Array | undefined {
  switch (operation.op) {
    case "read":
      return reader.tryread(operation.n);
    case "readline":
      return reader.tryreadline();
    case "readexactly":
      return reader.tryreadexactly(operation.n);
    case "readuntil":
      return reader.tryreaduntil(operation.separators, { limit: operation.limit });
    case "readframe":
      return reader.tryframe(shortMessages);
  }
}

function randomCase(random: SeededRandom): Case {
  const pick = <T>(list: readonly T[]): T => list[random.integer(0, list.length - 1)]!;
  const word = (least: number, most: number) =>
    Array.from({ length: random.integer(least, most) }, () => pick(ALPHABET)).join("");
  const longestPiece = pick([1, 3, 10, 30]);
  const limit = pick([1, 2, 3, 5, 8, 20, 65536]);
  const separators = (): string[] => {
    if (random.next() < 0.4) return [pick(["\n", "\r\n", "aab", "b"])];
    return Array.from({ length: random.integer(1, 3) }, () => word(1, 4));
  };
  const tryable = (): TryOperation => {
    const signal = random.next() < 0.5;
    switch (random.integer(0, 6)) {
      case 0:
        return { op: "read", n: random.next() < 0.2 ? -1 : random.integer(0, 12), signal };
      case 1:
      case 2:
        return { op: "readline", text: false, signal };
      case 3:
        return { op: "readexactly", n: random.integer(0, 20), signal };
      case 4:
        return { op: "readframe", signal };
      default: {
        const own = random.next() < 0.2 ? { limit: random.integer(1, 20) } : {};
        return { op: "readuntil", separators: separators(), text: false, signal, ...own };
      }
    }
  };
  const operation = (): Operation => {
    const signal = random.next() < 0.5;
    switch (random.integer(0, 19)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return tryable();
      case 4:
      case 5:
        return { op: "try", of: tryable() };
      case 6: {
        const one = tryable();
        return one.op === "readline" || one.op === "readuntil" ? { ...one, text: true } : one;
      }
      case 7:
        return { op: "readinto", n: random.integer(0, 6), signal };
      case 8:
        return { op: "peek", n: random.integer(0, 12), signal };
      case 9:
        return { op: "skipuntil", separators: separators(), signal };
      case 10:
        return random.next() < 0.5
          ? { op: "line", signal }
          : { op: "readuint", bits: pick([8, 16, 32]), littleEndian: random.next() < 0.5, signal };
      case 11:
        return { op: "abort" };
      case 12: {
        const chance = random.next();
        if (chance < 0.15) return { op: "end" };
        if (chance < 0.25) return { op: "fail" };
        return { op: "abort" };
      }
      default:
        return { op: "feed", data: word(0, longestPiece) };
    }
  };
  return {
    limit,
    policy: pick(["none", "bounded", "bounded", "onDemand"]),
    operations: Array.from({ length: random.integer(1, 24) }, operation),
  };
}

/** Leaves out operations, and halves what is fed, as long as the case still fails. */
async function shrink(one: Case): Promise<Case> {
  let smallest = one;
  const attempt = async (operations: Operation[]): Promise<boolean> => {
    const smaller = { ...smallest, operations };
    if (await run(smaller) === null) return false;
    smallest = smaller;
    return true;
  };
  for (let again = true; again;) {
    again = false;
    for (let i = smallest.operations.length - 1; i >= 0; i--) {
      const { operations } = smallest;
      const operation = operations[i]!;
      if (await attempt(operations.toSpliced(i, 1))) again = true;
      else if (operation.op === "feed" && operation.data.length > 1) {
        for (const data of [operation.data.slice(1), operation.data.slice(0, -1)]) {
          if (await attempt(operations.with(i, { op: "feed", data }))) {
            again = true;
            break;
          }
        }
      }
    }
  }
  return smallest;
}

const SEEDS = 10;
const CASES_PER_SEED = 4000;

for (let seed = 1; seed <= SEEDS; seed++) {
  Deno.test(`StreamReader does what the model says, ${CASES_PER_SEED} cases of seed ${seed} [R2–R12, M1]`, async () => {
    const random = new SeededRandom(seed);
    for (let i = 0; i < CASES_PER_SEED; i++) {
      const one = randomCase(random);
      const wrong = await run(one);
      if (wrong === null) continue;
      const smallest = await shrink(one);
      throw new Error(`seed ${seed}, case ${i}: ${wrong}\nshrunk: ${await run(smallest)}\n${JSON.stringify(smallest)}`);
    }
  });
}
