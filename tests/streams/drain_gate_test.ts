/** Waiting for drain() and for the end of the connection [S2, S3]. */
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { DrainGate } from "../../src/streams/drain_gate.ts";

const oops = new Error("oops");

/** What became of promises until now. */
async function states(promises: Promise<void>[]): Promise<string[]> {
  const result = promises.map(() => "waits");
  promises.forEach((promise, i) => promise.then(() => result[i] = "passed", (error) => result[i] = `${error}`));
  await new Promise((resolve) => setTimeout(resolve));
  return result;
}

Deno.test("DrainGate.drain() passes while open, and waits while shut [S2]", async () => {
  const gate = new DrainGate();
  assertEquals(await states([gate.drain(), gate.drain()]), ["passed", "passed"]);
  gate.pause();
  gate.pause();
  const waiting = [gate.drain(), gate.drain()];
  assertEquals(await states(waiting), ["waits", "waits"]);
  gate.resume();
  gate.resume();
  assertEquals(await states([...waiting, gate.drain()]), ["passed", "passed", "passed"]);
  gate.pause();
  assertEquals(await states([...waiting, gate.drain()]), ["passed", "passed", "waits"]);
  gate.lose(null);
});

Deno.test("DrainGate.lose() rejects waiting drains with its error, else ConnectionReset [S2]", async () => {
  for (const error of [oops, null]) {
    const gate = new DrainGate();
    gate.pause();
    const waiting = [gate.drain(), gate.drain()];
    gate.lose(error);
    for (const drain of waiting) {
      const thrown = await assertRejects(() => drain, error === null ? Deno.errors.ConnectionReset : Error);
      if (error !== null) assertStrictEquals(thrown, error);
    }
    // Who comes later learns that there is no connection.
    await assertRejects(() => gate.drain(), Deno.errors.ConnectionReset);
    gate.resume();
    gate.pause();
    await assertRejects(() => gate.drain(), Deno.errors.ConnectionReset);
  }
});

Deno.test("DrainGate.lost() tells the end to who asked before and after [S3]", async () => {
  const clean = new DrainGate();
  const early = clean.lost();
  assertEquals(await states([early]), ["waits"]);
  clean.lose(null);
  assertEquals(await states([early, clean.lost()]), ["passed", "passed"]);
  const failed = new DrainGate();
  const before = failed.lost();
  failed.lose(oops);
  for (const lost of [before, failed.lost(), failed.lost()]) {
    assertStrictEquals(await assertRejects(() => lost), oops);
  }
});
