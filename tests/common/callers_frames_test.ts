/** Stacks that name the caller. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { abortable } from "../../src/common/abort.ts";
import { rejection } from "../../src/common/callers_frames.ts";
import { hostileValues } from "../support/hostile_values.ts";
import { turns } from "../support/waiting.ts";

const ways: Record<string, (promise: Promise<never>) => Promise<unknown>> = {
  "directly": (promise) => promise,
  "through an async function": async (promise) => await promise,
  "through then()": (promise) => promise.then(() => {}),
  "through abortable()": (promise) => abortable(promise, new AbortController().signal),
  "through Promise.all()": (promise) => Promise.all([promise]),
};

for (const [way, through] of Object.entries(ways)) {
  Deno.test(`rejection() names who waits ${way}, in the stack of the same error`, async () => {
    const { promise, resolve } = Promise.withResolvers<never>();
    async function theCaller(): Promise<void> {
      await through(promise);
    }
    const error = new Error("lost");
    const calling = theCaller();
    await turns(1);
    resolve(rejection(error));
    assertStrictEquals(await assertRejects(() => calling), error);
    assert(error.stack!.startsWith("Error: lost\n"), error.stack);
    assert(error.stack!.includes("at async theCaller"), error.stack);
  });
}

Deno.test("rejection() names the caller of a call that is refused at once", async () => {
  const error = new Error("lost");
  async function theCaller(): Promise<void> {
    await rejection(error);
  }
  await assertRejects(theCaller);
  assert(error.stack!.includes("at async theCaller"), error.stack);
});

Deno.test("rejection() names the first that awaits the error, where another call ignores it", async () => {
  const error = new Error("lost");
  rejection(error).catch(() => {});
  await turns(1);
  async function theCaller(): Promise<void> {
    await rejection(error);
  }
  await assertRejects(theCaller);
  assert(error.stack!.includes("at async theCaller"), error.stack);
});

Deno.test("rejection() adds frames once, and leaves the limit of stacks as it was", async () => {
  const { stackTraceLimit } = Error;
  const error = new Error("lost");
  async function first(): Promise<void> {
    await rejection(error);
  }
  async function second(): Promise<void> {
    await rejection(error);
  }
  await assertRejects(first);
  const { stack } = error;
  await assertRejects(second);
  assertEquals(error.stack, stack);
  assertEquals(Error.stackTraceLimit, stackTraceLimit);
});

Deno.test("rejection() formats no stack before it is read", async () => {
  const holder = Error as { prepareStackTrace?: unknown };
  let formatted = 0;
  const error = new Error("lost");
  try {
    holder.prepareStackTrace = () => {
      formatted++;
      return "    at async formatted";
    };
    await rejection(error).catch(() => {});
    assertEquals(formatted, 0);
    assert(error.stack!.includes("formatted"));
    assert(formatted > 0);
  } finally {
    delete holder.prepareStackTrace;
  }
});

Deno.test("the stack of an error that was rejected with may be set", async () => {
  const error = new Error("lost");
  await rejection(error).catch(() => {});
  error.stack = "another";
  assertEquals(error.stack, "another");
});

Deno.test("rejection() takes errors that are frozen, and a program that makes stacks its own way [C11]", async () => {
  for (const [, value] of hostileValues()) {
    const { thrown } = await rejection(value).then(() => ({ thrown: "none" }), (thrown) => ({ thrown }));
    assertStrictEquals(thrown, value);
  }
  const frozen = Object.freeze(new Error("frozen"));
  assertStrictEquals(await assertRejects(() => rejection(frozen)), frozen);
  const holder = Error as { prepareStackTrace?: unknown };
  try {
    holder.prepareStackTrace = () => {
      throw new Error("by prepareStackTrace");
    };
    const error = Object.defineProperty(new Error("x"), "stack", { value: 7, writable: false });
    assertStrictEquals(await assertRejects(() => rejection(error)), error);
  } finally {
    delete holder.prepareStackTrace;
  }
});
