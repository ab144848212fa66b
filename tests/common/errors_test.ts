/** The error classes, and how values that are no errors become errors. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { openConnection, openUnixConnection } from "../../mod.ts";
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

Deno.test("toNetError() and explained() keep the code of the system", async () => {
  const refused = await assertRejects(() => Deno.connect({ port: 1 }), Deno.errors.ConnectionRefused);
  const reset = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  for (
    const [error, Class, code] of [
      [explained(refused, "connect"), Deno.errors.ConnectionRefused, "ECONNREFUSED"],
      [toNetError(refused, "connect"), Deno.errors.ConnectionRefused, "ECONNREFUSED"],
      [explained(reset, "connect"), Deno.errors.ConnectionReset, "ECONNRESET"],
      [toNetError(reset, "read"), Deno.errors.ConnectionReset, "ECONNRESET"],
    ] as const
  ) {
    assertInstanceOf(error, Class);
    assertEquals((error as { code?: unknown }).code, code);
  }
  assertEquals("code" in explained(new Error("x"), "connect"), false);
  // A code that tells of this side's own close is not kept.
  const closed = Object.assign(new Deno.errors.BadResource("x"), { code: "EBADF" });
  assertEquals("code" in toNetError(closed, "read"), false);
});

Deno.test("a connect that fails keeps the code of the system", async () => {
  for (const options of [{ port: 1 }, { port: 1, hostname: "localhost" }]) {
    const error = await assertRejects(() => openConnection(options));
    const errors = error instanceof AggregateError ? error.errors : [error];
    for (const one of errors) assertEquals(one.code, "ECONNREFUSED");
  }
  const error = await assertRejects(() => openUnixConnection({ path: "/no/such/socket" }), Deno.errors.NotFound);
  assertEquals((error as { code?: unknown }).code, "ENOENT");
});
