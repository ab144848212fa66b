import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { SeededRandom } from "../../src/testing/mod.ts";

Deno.test("SeededRandom gives the numbers of Mulberry32, as published", () => {
  // The first values of the reference implementation for the seed 1, of 32 bits each.
  const random = new SeededRandom(1);
  const values = [random.next(), random.next(), random.next()].map((value) => value * 2 ** 32);
  assertEquals(values, [2693262067, 11749833, 2265367787]);
});

Deno.test("SeededRandom gives the same for the same seed, and other things for another", () => {
  const of = (seed: number) => new SeededRandom(seed).fill(new Uint8Array(32));
  assertEquals(of(7), of(7));
  assertNotEquals(of(7), of(8));
});

Deno.test("SeededRandom.fill() gives one stream, however it is cut", () => {
  const whole = new SeededRandom(3).fill(new Uint8Array(1000));
  const cut = new SeededRandom(3);
  const sizes = new SeededRandom(4);
  for (let at = 0; at < whole.length;) {
    const piece = cut.fill(new Uint8Array(Math.min(sizes.size(40), whole.length - at)));
    assertEquals(piece, whole.slice(at, at + piece.length));
    at += piece.length;
  }
});

Deno.test("SeededRandom.integer() and size() reach both ends and nothing beyond", () => {
  const random = new SeededRandom(5);
  const integers = new Set(Array.from({ length: 1000 }, () => random.integer(-2, 2)));
  assertEquals([...integers].sort((a, b) => a - b), [-2, -1, 0, 1, 2]);
  const sizes = Array.from({ length: 20_000 }, () => random.size(1000));
  assertEquals(Math.min(...sizes), 1);
  assertEquals(Math.max(...sizes), 1000);
  const small = sizes.filter((size) => size < 32).length;
  assert(small > 8000 && small < 12_000, `${small} of 20000 sizes are below 32`);
});

Deno.test("SeededRandom refuses a seed that is not an integer", () => {
  assertThrows(() => new SeededRandom(1.5), RangeError, "the seed must be an integer, not 1.5");
});
