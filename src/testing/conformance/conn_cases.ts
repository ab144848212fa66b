/**
 * The conformance suite of connections: what transports rely on, checked on connected pairs.
 *
 * The properties are those that python-trio (`testing/_check_streams.py`) and Go (`nettest.TestConn`) check.
 *
 * @module
 */
import type { ConnLike } from "../../conn/conn.ts";
import { check, checkEqual, checkRejects, checkThrows, checkWaits, isPendingAfter, started } from "./checks.ts";
import {
  checkAll,
  type ConformanceCase,
  type ConformanceOptions,
  type ConformanceReport,
  type ConformanceSettings,
  lacking,
  makeCase,
  settingsOf,
  type WithDefaults,
} from "./conformance.ts";
import { receive, send } from "./conn_transfer.ts";
import { faultyConn } from "../conns/faulty_conn.ts";

/** A connected pair. */
export interface ConnPair {
  /** One end. */
  a: ConnLike;
  /** The other end. */
  b: ConnLike;
  /** Releases other resources of the pair. It is called after both ends are closed. */
  close?(): void | Promise<void>;
}

/** The capabilities of a kind of connection. By default it has all. */
export interface ConnCapabilities {
  /** `closeWrite()` ends one direction alone. Default: `true`. */
  halfClose?: boolean | undefined;
  /** The peer of a closed connection reads EOF rather than an error. Default: `true`. */
  cleanClose?: boolean | undefined;
  /** A second read or write while one waits fails with `Busy`. With Deno's own connections it waits. Default: `true`. */
  refusesOverlap?: boolean | undefined;
  /** Writes fail after the peer has closed. Default: `true`. */
  failsWrites?: boolean | undefined;
  /** The most bytes that writes accept while the peer does not read. Default: 33554432, which no system exceeds. */
  bound?: number | undefined;
}

/** Options of {@linkcode connCases}. */
export interface ConnCasesOptions extends ConformanceOptions, ConnCapabilities {}

/**
 * Makes the conformance cases for a kind of connection, to be registered with any test runner.
 *
 * @param makePair Makes a connected pair; called once for each case
 * @param options What the kind lacks; sizes in bytes and times in milliseconds
 * @returns The cases
 *
 * @example With a test runner
 * ```ts
 * import { connPair } from "@tideline/net";
 * import { connCases } from "@tideline/net/testing";
 *
 * const makePair = () => {
 *   const [a, b] = connPair();
 *   return Promise.resolve({ a, b });
 * };
 * for (const { name, ignore, fn } of connCases(makePair, { transferSize: 10_000 })) {
 *   // In a test file: Deno.test({ name: `connPair ${name}`, ignore, fn });
 *   if (!ignore) await fn();
 * }
 * ```
 */
export function connCases(makePair: () => Promise<ConnPair>, options: ConnCasesOptions = {}): ConformanceCase[] {
  const context = contextOf(options);
  return definitions.map(({ what, rule, needs, run }) =>
    makeCase({
      what,
      rule,
      notApplicable: needs?.every((capability) => !context[capability]) ? lacking(...needs) : null,
      timeout: context.timeout,
      open: makePair,
      run: (pair) => run(pair, context),
      release: async (pair) => {
        closeQuietly(pair.a);
        closeQuietly(pair.b);
        await pair.close?.();
      },
    })
  );
}

/**
 * Runs all conformance cases for a kind of connection.
 *
 * @param makePair Makes a connected pair; called once for each case
 * @param options What the kind lacks; sizes in bytes and times in milliseconds
 * @returns Which cases passed, and which do not apply
 * @throws {AggregateError} If cases failed; the message has their names, `errors` the reasons
 *
 * @example Without any test runner
 * ```ts
 * import { connPair } from "@tideline/net";
 * import { checkConn } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const report = await checkConn(() => {
 *   const [a, b] = connPair({ capacity: 100 });
 *   return Promise.resolve({ a, b });
 * }, { bound: 100, transferSize: 10_000 });
 * assertEquals(report.notApplicable, []);
 * ```
 */
export function checkConn(
  makePair: () => Promise<ConnPair>,
  options: ConnCasesOptions = {},
): Promise<ConformanceReport> {
  return checkAll("conn", connCases(makePair, options));
}

type Context = ConformanceSettings & WithDefaults<ConnCapabilities>;

interface Definition {
  what: string;
  rule: string;
  /** The case applies to a kind that has one of these. */
  needs?: (keyof ConnCapabilities)[];
  run(pair: ConnPair, context: Context): Promise<void>;
}

function contextOf(options: ConnCasesOptions): Context {
  const { halfClose = true, cleanClose = true, refusesOverlap = true, failsWrites = true } = options;
  const { bound = 33_554_432 } = options;
  return { ...settingsOf(options), halfClose, cleanClose, refusesOverlap, failsWrites, bound };
}

const GONE = [Deno.errors.BrokenPipe, Deno.errors.ConnectionReset, Deno.errors.ConnectionAborted];
const { Interrupted, BadResource, BrokenPipe, NotConnected, Busy } = Deno.errors;

const definitions: Definition[] = [
  {
    what: "transfers bytes in both directions at once, in pieces of random sizes",
    rule: "M3",
    run: ({ a, b }, context) => duplex(a, b, context),
  },
  {
    what: "transfers bytes in both directions at once when calls are short and late",
    rule: "M3",
    async run({ a, b }, context) {
      const faults = { shortReads: true, shortWrites: true, delayTurns: 3 };
      const { seed } = context;
      await duplex(faultyConn(a, { ...faults, seed }), faultyConn(b, { ...faults, seed: seed + 1 }), context);
    },
  },
  {
    what: "resolves a waiting read when bytes arrive",
    rule: "ConnLike",
    async run({ a, b }, { quiet }) {
      const p = new Uint8Array(8);
      const reading = started(b.read(p));
      await checkWaits(reading, quiet, "a read of nothing");
      checkEqual(await a.write(Uint8Array.of(7)), 1, "what write() took");
      checkEqual(await reading, 1, "what read() gave");
      checkEqual([...p], [7, 0, 0, 0, 0, 0, 0, 0], "the memory");
    },
  },
  {
    what: "reads into an empty array, and writes an empty one, at once",
    rule: "ConnLike",
    async run({ a, b }, context) {
      checkEqual(await a.write(new Uint8Array(0)), 0, "what write() took");
      checkEqual(await b.read(new Uint8Array(0)), 0, "what read() gave");
      // Neither is EOF, and later calls work.
      await Promise.all([send(a, 10, context.seed), receiveAll(b, 10, context.seed)]);
    },
  },
  {
    what: "returns null after the last byte, every time",
    rule: "ConnLike",
    needs: ["halfClose", "cleanClose"],
    async run({ a, b }, context) {
      const sending = send(a, 1000, context.seed).then(() => end(a, context));
      await Promise.all([sending, receiveToEnd(b, 1000, context.seed)]);
      for (let i = 0; i < 3; i++) checkEqual(await b.read(new Uint8Array(8)), null, "the end");
    },
  },
  {
    what: "delivers 200 kB and EOF to a reader that starts late",
    rule: "ConnLike",
    needs: ["halfClose", "cleanClose"],
    async run({ a, b }, context) {
      const sending = started(send(a, 200_000, context.seed).then(() => end(a, context)));
      await isPendingAfter(sending, context.quiet);
      await Promise.all([sending, receiveToEnd(b, 200_000, context.seed)]);
    },
  },
  {
    what: "half-closes, one side ending first",
    rule: "ConnLike",
    needs: ["halfClose"],
    run: ({ a, b }, context) => halfCloseBoth(a, b, context),
  },
  {
    what: "half-closes, the other side ending first",
    rule: "ConnLike",
    needs: ["halfClose"],
    run: ({ a, b }, context) => halfCloseBoth(b, a, context),
  },
  {
    what: "ends the writing direction after a waiting write",
    rule: "ConnLike",
    needs: ["halfClose"],
    async run({ a, b }, context) {
      const { taken, writing } = await fill(a, context);
      const ending = a.closeWrite!().catch(async (error) => {
        // It may also refuse while a write waits.
        if (!(error instanceof Busy)) throw error;
        await writing;
        await a.closeWrite!();
      });
      const [got, more] = await Promise.all([drain(b), writing, ending]);
      checkEqual(got, taken + more, "what came");
    },
  },
  {
    what: "resolves a waiting read with null when the peer ends writing",
    rule: "ConnLike",
    needs: ["halfClose"],
    async run({ a, b }, { quiet }) {
      const reading = started(b.read(new Uint8Array(8)));
      await checkWaits(reading, quiet, "a read of nothing");
      await a.closeWrite!();
      checkEqual(await reading, null, "the end");
    },
  },
  {
    what: "rejects a waiting read at close(), and every later call",
    rule: "ConnLike",
    async run({ a }, { quiet, halfClose }) {
      const reading = started(a.read(new Uint8Array(8)));
      await checkWaits(reading, quiet, "a read of nothing");
      a.close();
      await checkRejects(reading, [Interrupted, BadResource], "the read that waited");
      await checkRejects(a.read(new Uint8Array(8)), [BadResource], "a read after close()");
      await checkRejects(a.write(new Uint8Array(8)), [BadResource], "a write after close()");
      if (halfClose) await checkRejects(a.closeWrite!(), [BadResource], "closeWrite() after close()");
      checkThrows(() => a.close(), [BadResource], "a second close()");
    },
  },
  {
    what: "rejects a waiting write at close()",
    rule: "ConnLike",
    async run({ a }, context) {
      const { writing } = await fill(a, context);
      a.close();
      await checkRejects(writing, [Interrupted, BadResource], "the write that waited");
    },
  },
  {
    what: "delivers what was written before close(), then EOF",
    rule: "ConnLike",
    needs: ["cleanClose"],
    async run({ a, b }, { seed }) {
      const sending = send(a, 5000, seed).then(() => a.close());
      await Promise.all([sending, receiveToEnd(b, 5000, seed)]);
    },
  },
  {
    what: "makes a writer wait within the bound while the peer does not read",
    rule: "M4",
    async run({ a, b }, context) {
      const { taken, writing } = await fill(a, context);
      check(taken <= context.bound, `writes took ${taken} bytes, more than ${context.bound}`);
      let got = await drain(b, taken + 1);
      while (await isPendingAfter(writing, context.quiet)) got += await readSome(b);
      const all = taken + await writing;
      checkEqual(got + await drain(b, all - got), all, "what came");
    },
  },
  {
    what: "rejects writes after the peer has closed",
    rule: "ConnLike",
    needs: ["failsWrites"],
    async run({ a, b }) {
      b.close();
      const flood = async () => {
        for (;;) await a.write(new Uint8Array(65536));
      };
      await checkRejects(flood(), GONE, "a write to a closed peer");
    },
  },
  {
    what: "rejects a waiting write when the peer closes",
    rule: "ConnLike",
    needs: ["failsWrites"],
    async run({ a, b }, context) {
      const { writing } = await fill(a, context);
      b.close();
      await checkRejects(writing, GONE, "the write that waited");
    },
  },
  {
    what: "resolves a waiting read with null when the peer closes",
    rule: "ConnLike",
    needs: ["cleanClose"],
    async run({ a, b }, { quiet }) {
      const reading = started(a.read(new Uint8Array(8)));
      await checkWaits(reading, quiet, "a read of nothing");
      b.close();
      checkEqual(await reading, null, "the end");
    },
  },
  {
    what: "settles every waiting call when both ends are closed",
    rule: "ConnLike",
    async run({ a, b }, context) {
      // A read and a write of one end at once are independent.
      const reading = started(b.read(new Uint8Array(8)));
      const { writing } = await fill(b, context);
      await checkWaits(reading, context.quiet, "a read of nothing");
      a.close();
      b.close();
      await Promise.allSettled([reading, writing]);
    },
  },
  {
    what: "refuses a second read or write while one waits",
    rule: "ConnLike",
    needs: ["refusesOverlap"],
    async run({ a, b }, context) {
      const reading = started(b.read(new Uint8Array(8)));
      await checkRefused(b.read(new Uint8Array(8)), context, "a second read");
      const { writing } = await fill(b, context);
      await checkRefused(b.write(new Uint8Array(8)), context, "a second write");
      // The first ones go on.
      await checkWaits(writing, 0, "the first write");
      await a.write(Uint8Array.of(7));
      checkEqual(await reading, 1, "what the first read gave");
      a.close();
      b.close();
      await Promise.allSettled([writing]);
    },
  },
];

async function duplex(a: ConnLike, b: ConnLike, { seed, transferSize }: Context): Promise<void> {
  await Promise.all([
    send(a, transferSize, seed),
    send(b, transferSize, seed + 1),
    receiveAll(b, transferSize, seed),
    receiveAll(a, transferSize, seed + 1),
  ]);
}

async function receiveAll(conn: ConnLike, size: number, seed: number): Promise<void> {
  checkEqual(await receive(conn, size, seed), size, "what came");
}

async function receiveToEnd(conn: ConnLike, size: number, seed: number): Promise<void> {
  checkEqual(await receive(conn, Infinity, seed), size, "what came");
}

async function halfCloseBoth(first: ConnLike, second: ConnLike, { seed }: Context): Promise<void> {
  const [size, answerSeed] = [300_000, seed + 1];
  const asking = send(first, size, seed).then(() => first.closeWrite!());
  await Promise.all([asking, receiveToEnd(second, size, seed)]);
  await checkRejects(first.write(new Uint8Array(1)), [BrokenPipe, NotConnected], "a write after closeWrite()");
  const answering = send(second, size, answerSeed).then(() => second.closeWrite!());
  await Promise.all([answering, receiveToEnd(first, size, answerSeed)]);
  checkEqual(await first.read(new Uint8Array(1)), null, "the end");
}

async function end(conn: ConnLike, { halfClose }: Context): Promise<void> {
  if (halfClose) await conn.closeWrite!();
  else conn.close();
}

async function checkRefused(call: Promise<unknown>, { quiet }: Context, what: string): Promise<void> {
  check(!await isPendingAfter(call, quiet), `${what} waited`);
  await checkRejects(call, [Busy], what);
}

/** Writes until a write waits. */
async function fill(conn: ConnLike, { quiet, bound }: Context): Promise<{ taken: number; writing: Promise<number> }> {
  const block = new Uint8Array(1 << 20);
  for (let taken = 0; taken <= bound;) {
    const writing = started(conn.write(block));
    if (await isPendingAfter(writing, quiet)) return { taken, writing };
    taken += await writing;
  }
  throw new Error(`writes took more than ${bound} bytes while the peer did not read`);
}

/** Reads `size` bytes, or to EOF; returns the number read. */
async function drain(conn: ConnLike, size = Infinity): Promise<number> {
  let got = 0;
  for (let n; got < size && (n = await readSome(conn, size - got)) > 0;) got += n;
  return got;
}

/** Reads once; returns the number of bytes, 0 at EOF. */
async function readSome(conn: ConnLike, most = Infinity): Promise<number> {
  return await conn.read(new Uint8Array(Math.min(1 << 18, most))) ?? 0;
}

function closeQuietly(conn: ConnLike): void {
  try {
    conn.close();
  } catch (error) {
    // A case has closed it already.
    if (!(error instanceof BadResource)) throw error;
  }
}
