/** Many begin in one go: each once, in order, whatever another does. */
import { assertEquals } from "@std/assert";
import { flushWhenIdle, scheduleFlush, type Starter, waitNoMore } from "../../src/transport/write_scheduler.ts";
import { turn } from "./manual_conn.ts";

/** Notes that it begins, and does something else then. */
class Noting implements Starter {
  follower: Starter | null = null;
  patience = 0;
  constructor(readonly name: string, readonly begun: string[], readonly act: () => void = () => {}) {}

  begin(): void {
    this.begun.push(this.name);
    this.act();
  }
}

/** The errors that nobody catches meanwhile, of which none ends the tests. */
class Uncaught implements Disposable {
  readonly errors: unknown[] = [];

  constructor() {
    addEventListener("error", this.#onError);
  }

  [Symbol.dispose](): void {
    removeEventListener("error", this.#onError);
  }

  readonly #onError = (event: ErrorEvent): void => {
    event.preventDefault();
    this.errors.push(event.error);
  };
}

Deno.test("scheduleFlush() begins all in order, a hop later, and each once", async () => {
  const begun: string[] = [];
  const [a, b, c] = ["a", "b", "c"].map((name) => new Noting(name, begun));
  for (const starter of [a!, b!, a!, c!, b!, c!]) scheduleFlush(starter);
  assertEquals(begun, []);
  await null;
  assertEquals(begun, ["a", "b", "c"]);
  for (const starter of [c!, a!]) scheduleFlush(starter);
  await null;
  assertEquals(begun, ["a", "b", "c", "c", "a"]);
});

Deno.test("scheduleFlush() from within a begin comes after those that wait, or a hop later", async () => {
  const begun: string[] = [];
  const late = new Noting("late", begun);
  const first = new Noting("first", begun, () => scheduleFlush(late));
  const last = new Noting("last", begun);
  scheduleFlush(first);
  scheduleFlush(last);
  await turn();
  assertEquals(begun, ["first", "last", "late"]);
  scheduleFlush(first);
  await turn();
  assertEquals(begun, ["first", "last", "late", "first", "late"]);
});

Deno.test("scheduleFlush() goes on with the others when one throws", async () => {
  const begun: string[] = [];
  const oops = new Error("oops");
  using uncaught = new Uncaught();
  scheduleFlush(
    new Noting("a", begun, () => {
      throw oops;
    }),
  );
  scheduleFlush(new Noting("b", begun));
  await turn();
  assertEquals([begun, uncaught.errors], [["a", "b"], [oops]]);
});

/** Hops of the microtask queue. */
async function hops(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await null;
}

Deno.test("flushWhenIdle() begins in the same turn, when it was not called again for ten hops", async () => {
  const begun: string[] = [];
  const [a, b] = ["a", "b"].map((name) => new Noting(name, begun)) as [Noting, Noting];
  for (let i = 0; i < 5; i++) {
    flushWhenIdle(a);
    if (i === 0) flushWhenIdle(b);
    await hops(3);
    assertEquals(begun, i < 2 ? [] : ["b"], `after round ${i}`);
  }
  const turn = new Promise((resolve) => setTimeout(resolve));
  await hops(20);
  assertEquals(begun, ["b", "a"]);
  await turn;
  // And anew.
  flushWhenIdle(a);
  await hops(20);
  assertEquals(begun, ["b", "a", "a"]);
});

Deno.test("waitNoMore(): who began otherwise does not begin again, and may wait anew at once", async () => {
  const begun: string[] = [];
  const [a, b] = ["a", "b"].map((name) => new Noting(name, begun)) as [Noting, Noting];
  waitNoMore(a);
  assertEquals(a.patience, 0);
  for (const starter of [a, b]) flushWhenIdle(starter);
  waitNoMore(a);
  await hops(30);
  assertEquals(begun, ["b"]);
  flushWhenIdle(a);
  waitNoMore(a);
  flushWhenIdle(a);
  await hops(30);
  assertEquals(begun, ["b", "a"]);
});

Deno.test("flushWhenIdle() from within a begin begins later, and one that throws holds up no other", async () => {
  const begun: string[] = [];
  const oops = new Error("oops");
  using uncaught = new Uncaught();
  const late = new Noting("late", begun);
  flushWhenIdle(
    new Noting("a", begun, () => {
      flushWhenIdle(late);
      throw oops;
    }),
  );
  flushWhenIdle(new Noting("b", begun));
  await hops(40);
  assertEquals([begun, uncaught.errors], [["a", "b", "late"], [oops]]);
});
