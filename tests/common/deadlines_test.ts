import { assert, assertEquals, assertGreaterOrEqual, assertLess, assertLessOrEqual } from "@std/assert";
import { type Clock, Deadline, Deadlines } from "../../src/common/deadlines.ts";
import { MAX_TIMER } from "../../src/common/timer.ts";
import { SeededRandom } from "../../src/testing/mod.ts";
import { turns } from "../../src/testing/turns.ts";

/** A clock by hand, which counts. */
class HandClock implements Clock {
  time = 0;
  set = 0;
  alive = true;
  pending: { at: number; call: () => void } | null = null;

  now(): number {
    return this.time;
  }

  setTimer(call: () => void, ms: number) {
    assert(Number.isInteger(ms) && ms >= 1, `a timer of ${ms} ms`);
    assertEquals(this.pending, null, "a second timer was set");
    this.set++;
    this.alive = true;
    this.pending = { at: this.time + ms, call };
    return { clear: () => this.pending = null, keepAlive: (alive: boolean) => this.alive = alive };
  }

  /** Goes to the next timer. */
  fire(): void {
    const { at, call } = this.pending!;
    this.pending = null;
    this.time = at;
    call();
  }
}

Deno.test("a deadline is never early, and at most 1/64 and the timer's millisecond late, by one timer for all", () => {
  const random = new SeededRandom(1);
  const clock = new HandClock();
  const all = new Deadlines(clock);
  let over = 0;
  const arm = (ms: number) => {
    const at = clock.time;
    const deadline = new Deadline(
      () => {
        over++;
        assertGreaterOrEqual(clock.time - at, ms);
        assertLessOrEqual(clock.time - at, Math.ceil(ms) * (1 + 1 / 64) + 1);
      },
      true,
      all,
    );
    deadline.arm(ms);
    return deadline;
  };
  let armed = 0;
  let disarmed = 0;
  for (let i = 0; i < 3000; i++) {
    const deadline = arm(random.integer(0, 2 ** random.integer(0, 19)) + 0.5);
    armed++;
    if (random.integer(0, 2) === 0) {
      deadline.disarm();
      deadline.disarm();
      disarmed++;
    }
    if (random.integer(0, 3) === 0) clock.fire();
    else if (clock.pending !== null) clock.time += (clock.pending.at - clock.time) * 0.25;
  }
  while (clock.pending !== null) clock.fire();
  assertEquals(over, armed - disarmed);
});

Deno.test("a deadline that is armed again counts anew, and one that is over may be armed by its own callback", () => {
  const clock = new HandClock();
  const all = new Deadlines(clock);
  const at: number[] = [];
  const deadline: Deadline = new Deadline(
    () => {
      at.push(clock.time);
      if (at.length < 3) deadline.arm(100);
    },
    true,
    all,
  );
  deadline.arm(50);
  clock.time = 40;
  deadline.arm(50);
  while (clock.pending !== null) clock.fire();
  assertEquals(at, [90, 190, 290]);
});

Deno.test("no timer outlives the last deadline, and one that is armed again in the same turn keeps it", async () => {
  const clock = new HandClock();
  const deadline = new Deadline(() => {}, true, new Deadlines(clock));
  for (let i = 0; i < 1000; i++) {
    deadline.arm(5000);
    await null;
    deadline.disarm();
    for (let hops = 0; hops < 4; hops++) await null;
  }
  assertEquals(clock.set, 1);
  await turns(1);
  assertEquals(clock.pending, null);
});

Deno.test("the timer keeps the process alive as long as a deadline that does", async () => {
  const clock = new HandClock();
  const all = new Deadlines(clock);
  const quiet = new Deadline(() => {}, false, all);
  const loud = new Deadline(() => {}, true, all);
  quiet.arm(1000);
  assertEquals(clock.alive, false);
  loud.arm(2000);
  assertEquals(clock.alive, true);
  loud.disarm();
  await turns(1);
  assertEquals(clock.alive, false);
  loud.arm(10);
  assertEquals(clock.alive, true);
  clock.fire();
  assertEquals(clock.alive, false);
  quiet.disarm();
  await turns(1);
  assertEquals(clock.pending, null);
});

Deno.test("a deadline beyond the longest timer is for ever, and sets none", () => {
  const clock = new HandClock();
  const deadline = new Deadline(() => {}, true, new Deadlines(clock));
  for (const ms of [MAX_TIMER + 1, Infinity]) deadline.arm(ms);
  assertEquals(clock.set, 0);
  deadline.arm(MAX_TIMER);
  assertEquals(clock.pending?.at, MAX_TIMER);
});

Deno.test("arming and disarming takes the same time among 100,000 deadlines as among 1,000", () => {
  const work = (n: number): number => {
    const clock = new HandClock();
    const all = new Deadlines(clock);
    const list = Array.from({ length: n }, () => new Deadline(() => {}, true, all));
    const begun = performance.now();
    for (let round = 0; round < 200_000 / n; round++) {
      for (const [i, deadline] of list.entries()) deadline.arm(1000 + 100 * (i % 7));
    }
    return performance.now() - begun;
  };
  work(1000);
  const [small, large] = [Math.min(work(1000), work(1000)), Math.min(work(100_000), work(100_000))];
  assertLess(large / small, 12);
});
