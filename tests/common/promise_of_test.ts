/** Promises that users' code returns. */
import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { promiseOf } from "../../src/common/promise_of.ts";
import { hostileValues } from "../support/hostile_values.ts";

class SubPromise<T> extends Promise<T> {}

Deno.test("promiseOf() follows promises, those of subclasses, and thenables", async () => {
  const thenable = { then: (resolve: (value: number) => void) => resolve(7) };
  for (const seven of [Promise.resolve(7), SubPromise.resolve(7), thenable, Object.assign(() => {}, thenable)]) {
    assertEquals(await promiseOf(seven), 7);
  }
});

Deno.test("promiseOf() makes a rejection of what a `then` throws [C11]", async () => {
  for (const [, value] of hostileValues()) {
    const fail = () => {
      throw value;
    };
    const late = {
      then: (resolve: (value: unknown) => void) => {
        resolve(7);
        fail();
      },
    };
    assertEquals(await promiseOf(late), 7);
    const getter = {
      get then() {
        return fail();
      },
    };
    for (const thenable of [{ then: fail }, getter, Promise.reject(value)]) {
      const thrown = await promiseOf(thenable)!.then(() => "none", (thrown) => ({ thrown }));
      assertStrictEquals((thrown as { thrown: unknown }).thrown, value);
    }
  }
});

Deno.test("promiseOf() is null where there is nothing to wait for, and never throws", () => {
  for (const [name, value] of hostileValues()) {
    const promise = promiseOf(value);
    if (promise === null) continue;
    assertInstanceOf(promise, Promise, name);
    promise.catch(() => {});
  }
  assertEquals([undefined, null, 7, "then", {}, { then: 7 }, () => {}].map(promiseOf), Array(7).fill(null));
});

Deno.test("promiseOf() makes a rejection of a promise whose constructor throws [C11]", async () => {
  const promise = Promise.resolve(7);
  Object.defineProperty(promise, "constructor", {
    get() {
      throw new Error("constructor");
    },
  });
  await assertRejects(() => promiseOf(promise)!, Error, "constructor");
});
