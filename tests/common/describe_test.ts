/** How messages show values: never a secret, never much, never by running other code that could throw. */
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { describe, describeType, quote } from "../../src/common/describe.ts";
import { hostileValues } from "../support/hostile_values.ts";

Deno.test("describe() puts strings in quotes and leaves numbers bare", () => {
  const cases: [unknown, string][] = [
    ["localhost", '"localhost"'],
    ["", '""'],
    ['a"b\n\0', '"a\\"b\\n\\u0000"'],
    [80, "80"],
    [-0, "-0"],
    [NaN, "NaN"],
    [10n, "10n"],
    [true, "true"],
    [null, "null"],
    [undefined, "undefined"],
    [Symbol("s"), "a symbol"],
    [() => {}, "a function"],
    [{}, "an object"],
    [Object.create(null), "an object"],
    [[], "an empty array"],
    [["a"], "an array"],
    [new Uint8Array(3), "a Uint8Array"],
    [new ArrayBuffer(3), "an ArrayBuffer"],
    [new URL("http://user:secret@host/"), "a URL"],
    [new Date(NaN), "a Date"],
    [new TypeError("secret"), "a TypeError"],
    [new (class Mine {})(), "a Mine"],
    [new (class {})(), "an object"],
  ];
  for (const [value, expected] of cases) assertEquals(describe(value), expected);
});

Deno.test("describe() shows at most 100 characters of a value", () => {
  for (const character of ["x", '"', "\0", "\ud800", "💥", "\\"]) {
    for (const length of [99, 100, 101, 1_000_000]) {
      const text = describe(character.repeat(length));
      assertLessOrEqual(text.length, 102, text);
      assert(text.startsWith('"') && text.endsWith('"'), text);
      // What is shown is whole: no escape is cut in two.
      JSON.parse(text);
    }
  }
  assertEquals(describe("x".repeat(100)), `"${"x".repeat(100)}"`);
  assertEquals(describe("x".repeat(101)), `"${"x".repeat(99)}…"`);
  assertLessOrEqual(describe(10n ** 1000n).length, 100);
  assertLessOrEqual(describe(new ({ ["N".repeat(1000)]: class {} }["N".repeat(1000)]!)()).length, 100);
});

Deno.test("describe() shows nothing of a secret", () => {
  const secret = "hunter2";
  const holders = [
    new TextEncoder().encode(secret),
    { secret },
    [secret],
    { toString: () => secret, [Symbol.toPrimitive]: () => secret, toJSON: () => secret },
    { [Symbol.for("Deno.customInspect")]: () => secret, [Symbol.toStringTag]: secret },
    JSON.parse(`{"constructor":{"name":"${secret}"},"__proto__":{"constructor":{"name":"${secret}"}}}`),
    `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`,
    new Map([[secret, secret]]),
    new Error(secret),
    () => secret,
    Symbol(secret),
  ];
  for (const holder of holders) assert(!describe(holder).includes(secret), describe(holder));
  assertEquals(describeType(secret), "a string");
  assertEquals(describeType(7), "a number");
});

Deno.test("describe() and describeType() take any value, and never throw", () => {
  for (const [name, value] of hostileValues()) {
    for (const text of [describe(value), describeType(value)]) {
      assert(text.length > 0 && text.length <= 102, `${name}: ${text}`);
    }
  }
});

Deno.test("quote() keeps what is short as JSON has it", () => {
  for (const text of ["", "a", "\u2028", '"', "\\", "\ud800"]) assertEquals(JSON.parse(quote(text)), text);
});
