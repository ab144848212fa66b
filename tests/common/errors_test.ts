/** The error classes, and how values that are no errors become errors. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { asError, ClosedError, comesOf, explained, toNetError } from "../../src/common/errors.ts";
import { hostileValues } from "../support/hostile_values.ts";

Deno.test("ClosedError is an Error with a name and a cause", () => {
  const cause = new Error("cause");
  const error = new ClosedError("Cannot write: writeEof() was called before", { cause });
  assertInstanceOf(error, Error);
  assertEquals(error.name, "ClosedError");
  assertStrictEquals(error.cause, cause);
  assertEquals(String(error), "ClosedError: Cannot write: writeEof() was called before");
});

Deno.test("asError() leaves errors as they are, of whatever class", () => {
  class Mine extends Error {}
  for (
    const error of [new Error("x"), new TypeError("x"), new Mine("x"), new DOMException("x"), new AggregateError([])]
  ) {
    assertStrictEquals(asError(error, "dataReceived()"), error);
  }
});

Deno.test("asError(), toNetError() and explained() make an error of any value, with the value as its cause [C11]", () => {
  for (const [name, value] of hostileValues()) {
    for (const error of [asError(value, "dataReceived()"), toNetError(value, "read"), explained(value, "read")]) {
      assertInstanceOf(error, Error, name);
      assertEquals(error.cause, value, name);
      assert(error.message.startsWith("Cannot "), name);
      assert(error.message.length < 200, `${name}: ${error.message}`);
    }
  }
  assertEquals(
    asError("text", "dataReceived()").message,
    'Cannot finish dataReceived(): it threw "text"',
  );
  assertEquals(asError(Object.create(null), "the handler").message, "Cannot finish the handler: it threw an object");
});

Deno.test("comesOf() finds an error by identity, as a cause and among several, at any depth up to a bound [S4]", () => {
  const loss = new Deno.errors.ConnectionReset("reset");
  let deep: unknown = loss;
  for (let i = 0; i < 20; i++) deep = new Error("wrapped", { cause: deep });
  const circle = new Error("circle");
  circle.cause = circle;
  for (const error of [loss, deep, new AggregateError([circle, new AggregateError([deep])])]) {
    assert(comesOf(error, loss));
  }
  const throwing = Object.defineProperty(new Error("x"), "cause", {
    get() {
      throw loss;
    },
  });
  const others = hostileValues().map(([, value]) => new Error("x", { cause: value }));
  const alike = new Deno.errors.ConnectionReset("reset");
  for (
    const error of [circle, throwing, alike, new AggregateError(others), ...others, new Error("x", { cause: alike })]
  ) {
    assert(!comesOf(error, loss));
  }
});
