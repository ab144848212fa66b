/** When flushes happen: a hop after they are ready, or else at the end of the turn; each once, whatever another does [W4]. */
import { assertEquals } from "@std/assert";
import { turn } from "./manual_conn.ts";
import {
  cancelFlush,
  type Flushable,
  flushSoon,
  type FlushState,
  flushWhenIdle,
} from "../../src/transport/write_scheduler.ts";

/** Notes that it is flushed, and does something else then. */
class Noting implements Flushable {
  flushState: FlushState = "idle";
  flushedAlone = false;
  answering = true;
  constructor(readonly name: string, readonly flushed: string[], readonly act: () => void = () => {}) {}

  flush(): void {
    this.flushed.push(this.name);
    this.act();
  }
}

Deno.test("flushSoon() flushes all in order, a hop later, and each once [W4]", async () => {
  const flushed: string[] = [];
  const [a, b, c] = ["a", "b", "c"].map((name) => new Noting(name, flushed)) as [Noting, Noting, Noting];
  for (let round = 1; round <= 3; round++) {
    for (const one of [a, b, c]) flushWhenIdle(one);
    for (const one of [b, a, b, c, a]) flushSoon(one);
    assertEquals(flushed, []);
    await null;
    assertEquals(flushed.splice(0), ["b", "a", "c"]);
    await turn();
    assertEquals(flushed, []);
    assertEquals([a.flushState, b.flushState, c.flushState], ["idle", "idle", "idle"]);
  }
});

Deno.test("flushSoon() needs no flushWhenIdle() before, and cancelFlush() takes it back [W4]", async () => {
  const flushed: string[] = [];
  const a = new Noting("a", flushed), b = new Noting("b", flushed);
  flushSoon(a);
  flushSoon(b);
  flushSoon(a);
  cancelFlush(b);
  await null;
  assertEquals([flushed, a.flushState, b.flushState], [["a"], "idle", "idle"]);
  flushSoon(b);
  cancelFlush(b);
  flushWhenIdle(b);
  await null;
  assertEquals(flushed, ["a"]);
  await turn();
  assertEquals(flushed, ["a", "b"]);
});

Deno.test("flushWhenIdle() flushes in the same turn, after any number of hops, each once [W4]", async () => {
  for (const hops of [0, 1, 2, 3, 4, 5, 20, 500]) {
    const flushed: string[] = [];
    const a = new Noting("a", flushed), b = new Noting("b", flushed);
    let turned = false;
    setImmediate(() => setImmediate(() => turned = true));
    let flushedInTurn = false;
    for (let i = 0; i <= hops; i++) {
      flushWhenIdle(a);
      if (i === 0) flushWhenIdle(b);
      assertEquals(flushed, []);
      await null;
    }
    const last = new Noting("last", flushed, () => flushedInTurn = !turned);
    flushWhenIdle(last);
    await turn();
    assertEquals([flushed, flushedInTurn], [["a", "b", "last"], true], `${hops} hops`);
  }
});

Deno.test("flushWhenIdle() flushes a lone write after a few hops, and what follows in that turn at its end [W4]", async () => {
  const flushed: string[] = [];
  const a = new Noting("a", flushed);
  a.answering = false;
  for (let round = 1; round <= 3; round++) {
    flushWhenIdle(a);
    for (let hop = 0; hop < 10; hop++) await null;
    assertEquals(flushed.splice(0), ["a"]);
    for (let i = 0; i < 5; i++) {
      flushWhenIdle(a);
      for (let hop = 0; hop < 10; hop++) await null;
      assertEquals(flushed, []);
    }
    await turn();
    assertEquals(flushed.splice(0), ["a"]);
  }
});

Deno.test("cancelFlush() takes a flush back, and what is written after it is flushed anew [W4]", async () => {
  const flushed: string[] = [];
  const [a, b, c] = ["a", "b", "c"].map((name) => new Noting(name, flushed)) as [Noting, Noting, Noting];
  for (const one of [a, b, c]) flushWhenIdle(one);
  flushSoon(c);
  for (const one of [a, b, c]) cancelFlush(one);
  flushWhenIdle(a);
  await null;
  assertEquals(flushed, []);
  await turn();
  assertEquals(flushed, ["a"]);
  assertEquals([a.flushState, b.flushState, c.flushState], ["idle", "idle", "idle"]);
});

Deno.test("what is written in a flush is flushed later, not in it [W4]", async () => {
  const flushed: string[] = [];
  let left = 3;
  const again: Noting = new Noting("again", flushed, () => {
    if (--left > 0) flushWhenIdle(again);
    flushWhenIdle(other);
  });
  const other = new Noting("other", flushed);
  flushWhenIdle(again);
  flushSoon(again);
  await null;
  assertEquals(flushed, ["again"]);
  while (left > 0) await turn();
  await turn();
  assertEquals(flushed.filter((name) => name === "again").length, 3);
  assertEquals(flushed.at(-1), "other");
  assertEquals([again.flushState, other.flushState], ["idle", "idle"]);
});

Deno.test("many that are written to in one turn are flushed in one go at its end, in order [W4]", async () => {
  const flushed: string[] = [];
  const all = Array.from({ length: 1000 }, (_, i) => new Noting(String(i), flushed));
  for (const one of all) flushWhenIdle(one);
  for (let i = 0; i < 1000; i += 2) flushSoon(all[i]!);
  await null;
  assertEquals(flushed.length, 500);
  await turn();
  assertEquals(flushed.slice(500), all.filter((_, i) => i % 2 === 1).map(({ name }) => name));
});
