/** Promises that need not be awaited, and whose errors name the caller all the same [S3]. An unhandled one fails this file. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { rejection } from "../../src/common/callers_frames.ts";
import { handled, ignorable, observed, rejected } from "../../src/common/handled.ts";
import { turns } from "../support/waiting.ts";

const made = () => Object.assign(new Error("lost"), { stack: "Error: lost" });

/** Ways to make a promise that rejects later. */
const ways: Record<string, (promise: Promise<void>) => Promise<void>> = {
  "ignorable()": ignorable,
  "ignorable() twice": (promise) => ignorable(ignorable(promise)),
  "observed()": (promise) => observed(promise, () => {}),
  "observed() of ignorable()": (promise) => observed(ignorable(promise), () => {}),
};

for (const [way, wrap] of Object.entries(ways)) {
  Deno.test(`${way}: an ignored rejection is handled, an awaited one names the caller [S3]`, async () => {
    const ignored = Promise.withResolvers<void>();
    wrap(ignored.promise);
    ignored.reject(made());
    await turns(2);

    const { promise, resolve } = Promise.withResolvers<void>();
    const error = made();
    async function theCaller(): Promise<void> {
      await wrap(promise);
    }
    const calling = theCaller();
    calling.catch(() => {});
    await turns(1);
    resolve(rejection(error));
    await assertRejects(() => calling);
    assert(error.stack.includes("theCaller"), error.stack);
    assertEquals(await wrap(Promise.resolve()), undefined);
  });
}

Deno.test("rejected(): an ignored rejection is handled, an awaited one names the caller [S3]", async () => {
  rejected(made());
  await turns(2);
  const error = made();
  async function theCaller(): Promise<void> {
    await rejected(error);
  }
  await assertRejects(theCaller);
  assert(error.stack.includes("theCaller"), error.stack);
});

Deno.test("handled() returns the same promise", () => {
  const promise = Promise.reject(made());
  assertEquals(handled(promise) === promise, true);
});
