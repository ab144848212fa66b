/** LoopBudget: when work waits for others, for how long, and in which order [C10]. */
import { assert, assertEquals, assertLess, assertStrictEquals } from "@std/assert";
import { costOfCall, LoopBudget } from "../../src/common/loop_budget.ts";
import { turns } from "../../src/testing/turns.ts";

/** Work that takes some time, in milliseconds. */
function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

/** Works until the budget says to wait; tells how many pieces that were. */
function workUntilTold(budget: LoopBudget, ms = 0.01): { pieces: number; turn: Promise<void> } {
  for (let pieces = 1; pieces < 100_000; pieces++) {
    work(ms);
    const turn = budget.spend(1);
    if (turn !== null) return { pieces, turn };
  }
  throw new Error("The budget never said to wait");
}

/** Waits until no budget knows of a turn any more: as at the start of a program. */
async function rest(): Promise<void> {
  await turns(200);
  work(5);
}

Deno.test("spend() has work wait that holds the event loop, until the loop has turned often [C10]", async () => {
  await rest();
  let turned = 0;
  let done = false;
  const count = () => {
    turned++;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  const budget = new LoopBudget();
  for (let slice = 0; slice < 5; slice++) {
    const { turn } = workUntilTold(budget);
    const before = turned;
    await turn;
    // Tokio asks the system about sockets once in 61 runs of a task.
    assert(turned - before >= 61, `the loop turned ${turned - before} times`);
  }
  done = true;
  await turns();
});

Deno.test("spend() never has work wait that comes once or a few times in a turn, as an echo's does [C10]", async () => {
  await rest();
  const budgets = Array.from({ length: 10 }, () => new LoopBudget());
  for (let turn = 0; turn < 2000; turn++) {
    for (const budget of budgets) {
      assertEquals(budget.spend(costOfCall(1024)), null);
      assertEquals(budget.spend(costOfCall(100 * 1024)), null);
    }
    await turns();
  }
});

Deno.test("spend() has work wait that holds each turn for long, although the loop turns [C10]", async () => {
  await rest();
  const budget = new LoopBudget();
  for (let turn = 0; turn < 2000; turn++) {
    // As reads over TCP do: after some 128 that were ready the loop turns.
    for (let read = 0; read < 129; read++) {
      work(0.005);
      const wait = budget.spend(costOfCall(1));
      if (wait !== null) return await wait;
    }
    await turns();
  }
  throw new Error("The budget never said to wait");
});

Deno.test("work that waits is released in order, and what one does comes before the next is released [C10]", async () => {
  await rest();
  const order: string[] = [];
  const budgets = ["a", "b", "c"].map((name) => ({ name, budget: new LoopBudget() }));
  await Promise.all(budgets.map(async ({ name, budget }) => {
    for (let slice = 0; slice < 3; slice++) {
      const { turn } = workUntilTold(budget);
      await turn;
      order.push(name);
      await null;
      order.push(name);
    }
  }));
  assertEquals(order.join(""), "aabbccaabbccaabbcc");
});

Deno.test("work of one source that waits goes on in order, by one promise [C10]", async () => {
  await rest();
  const budget = new LoopBudget();
  const { turn } = workUntilTold(budget);
  const order: number[] = [];
  const first = turn.then(() => order.push(1));
  const again = budget.spend(1);
  assertStrictEquals(again, turn);
  await Promise.all([again!.then(() => order.push(2)), first]);
  assertEquals(order, [1, 2]);
  assertEquals(budget.spend(1), null);
});

Deno.test("work that takes long by the piece is looked at more often, and less often again after [C10]", async () => {
  await rest();
  const budget = new LoopBudget();
  await workUntilTold(budget, 1).turn;
  // The first slice could not know. Later ones end soon after a few milliseconds: 5, and a little for what was in hand.
  for (let slice = 0; slice < 5; slice++) {
    const { pieces, turn } = workUntilTold(budget, 1);
    await turn;
    if (slice > 0) assertLess(pieces, 20);
  }
  for (let slice = 0; slice < 5; slice++) await workUntilTold(budget).turn;
  assert(workUntilTold(budget).pieces >= 32);
  await turns(200);
});

Deno.test("a budget leaves nothing behind that keeps the process alive [C10]", async () => {
  const module = new URL("../../src/common/loop_budget.ts", import.meta.url);
  const source = `
    import { LoopBudget } from "${module}";
    const budget = new LoopBudget();
    for (let turn = null; turn === null;) {
      for (const end = performance.now() + 0.1; performance.now() < end;);
      turn = budget.spend(1);
    }
    console.log("waits");
  `;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-config", `data:application/typescript,${encodeURIComponent(source)}`],
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, "waits\n"]);
});
