/**
 * What the tests of the reader share: outcomes as text, ways to cut bytes, a transport that records, and the oracle,
 * which searches naively and knows nothing of the reader.
 *
 * @module
 */
import { assertStrictEquals } from "@std/assert";
import { IncompleteReadError, LimitOverrunError } from "../../src/common/errors.ts";
import { SeededRandom } from "../../src/testing/seeded_random.ts";
import type { BaseProtocolLike, ReadTransport, TransportStats } from "../../src/transport/types.ts";

/** Bytes as text, a character for each. */
export const text = (data: Uint8Array): string => Array.from(data, (byte) => String.fromCharCode(byte)).join("");

/** Lets every promise that is about to settle do so, without a turn of the event loop. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await null;
}

/** What came of a read, as text that can be compared. */
export function show(value: unknown): string {
  return value instanceof Uint8Array ? JSON.stringify(text(value)) : String(value);
}

/** What a read failed with, as text that can be compared. */
export function showError(error: unknown): string {
  if (error instanceof IncompleteReadError) return `IncompleteReadError(${show(error.partial)}, ${error.expected})`;
  if (error instanceof LimitOverrunError) return `LimitOverrunError(${error.consumed})`;
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  return `thrown: ${String(error)}`;
}

/** Awaits what comes of a read. */
export function outcome(promise: Promise<unknown>): Promise<string> {
  return promise.then(show, showError);
}

/** A read being watched: `outcome` is "pending" until it settles. */
export interface Watched {
  outcome: string;
}

/** Watches a read without awaiting it. */
export function watch(promise: Promise<unknown>): Watched {
  const watched: Watched = { outcome: "pending" };
  promise.then((value) => watched.outcome = show(value), (error) => watched.outcome = showError(error));
  return watched;
}

/** Ways to cut bytes into pieces, for small data: whole, in pieces of 1, 2 and 3, at random. */
export function* cuttings(data: Uint8Array, seeds = [1, 2, 3, 4]): Generator<{ name: string; pieces: Uint8Array[] }> {
  yield { name: "whole", pieces: data.length > 0 ? [data.slice()] : [] };
  for (const size of [1, 2, 3]) yield { name: `pieces of ${size}`, pieces: cut(data, () => size) };
  for (const seed of seeds) {
    const random = new SeededRandom(seed);
    yield { name: `random pieces, seed ${seed}`, pieces: cut(data, () => random.integer(1, 9)) };
  }
}

function cut(data: Uint8Array, nextSize: () => number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < data.length;) pieces.push(data.slice(at, at += nextSize()));
  return pieces;
}

/** What the oracle says of a search: where the match ends, or the overrun's `consumed`, or neither. */
export type Found = { end: number } | { consumed: number } | null;

/** The rule R4 in its own words, byte by byte and from scratch. */
export function naiveSearch(data: Uint8Array, separators: readonly Uint8Array[], limit: number): Found {
  const longest = Math.max(...separators.map((separator) => separator.length));
  const shortestFirst = [...separators].sort((a, b) => a.length - b.length);
  const window = data.subarray(0, limit + longest);
  for (let end = 1; end <= window.length; end++) {
    for (const separator of shortestFirst) {
      const start = end - separator.length;
      if (start < 0 || !separator.every((byte, i) => window[start + i] === byte)) continue;
      return start > limit ? { consumed: start } : { end };
    }
  }
  return data.length >= limit + longest ? { consumed: limit + 1 } : null;
}

/** How many of the last bytes may be the beginning of a separator. */
export function naiveBegun(data: Uint8Array, separators: readonly Uint8Array[]): number {
  for (let n = data.length; n > 0; n--) {
    const tail = data.subarray(data.length - n);
    if (separators.some((one) => one.length > n && tail.every((byte, i) => one[i] === byte))) return n;
  }
  return 0;
}

/** A transport that only records being paused and resumed. */
export class RecordingTransport implements ReadTransport {
  /** What was called: "pause" or "resume". */
  readonly calls: string[] = [];

  isReading(): boolean {
    return this.calls.at(-1) !== "pause";
  }
  ref(): void {}

  unref(): void {}

  pauseReading(): void {
    this.calls.push("pause");
  }
  resumeReading(): void {
    this.calls.push("resume");
  }
  getExtraInfo(): undefined {}
  stats(): TransportStats {
    throw new Error("there are none");
  }
  isClosing(): boolean {
    return false;
  }
  close(): void {}
  setProtocol(): void {}
  getProtocol(): BaseProtocolLike {
    throw new Error("there is none");
  }
}

/** Expects a rejection with the very reason of a signal. */
export async function assertReason(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  let thrown: unknown = "nothing";
  try {
    await promise;
  } catch (error) {
    thrown = error;
  }
  assertStrictEquals(thrown, signal.reason);
}
