import { assert, assertEquals, assertThrows } from "@std/assert";
import { chunkers } from "../../src/testing/mod.ts";

const text = "one\r\n\r\ntwo, a longer line\r\nthree";
const data = new TextEncoder().encode(text);
const decode = (pieces: Uint8Array[]) => pieces.map((piece) => new TextDecoder().decode(piece));

Deno.test("chunkers() loses and adds nothing, and makes no empty piece", () => {
  for (const input of [data, data.subarray(0, 1), new Uint8Array(0), new TextEncoder().encode("\r\n")]) {
    for (const { name, chunk } of chunkers({ separator: "\r\n" })) {
      const pieces = chunk(input);
      assertEquals(decode(pieces).join(""), new TextDecoder().decode(input), name);
      assert(pieces.every((piece) => piece.length > 0), name);
    }
  }
});

Deno.test("chunkers() cuts where their names say", () => {
  const cut = (name: string) => decode(chunkers({ separator: "\r\n" }).find((one) => one.name === name)!.chunk(data));
  assertEquals(cut("whole"), [text]);
  assertEquals(cut("byte by byte"), [...text]);
  assertEquals(cut("7 bytes each"), ["one\r\n\r\n", "two, a ", "longer ", "line\r\nt", "hree"]);
  assertEquals(cut("before each separator"), ["one", "\r\n", "\r\ntwo, a longer line", "\r\nthree"]);
  assertEquals(cut("1 into each separator"), ["one\r", "\n\r", "\ntwo, a longer line\r", "\nthree"]);
  assertEquals(cut("after each separator"), ["one\r\n", "\r\n", "two, a longer line\r\n", "three"]);
});

Deno.test("chunkers() cuts randomly, but the same each time", () => {
  const [one, same, other] = [[5], [5], [6]].map((seeds) =>
    chunkers({ sizes: [], seeds }).find(({ name }) => name.startsWith("random"))!.chunk(new Uint8Array(10_000)).map((
      { length },
    ) => length)
  );
  assertEquals(one, same);
  assert(one!.join() !== other!.join());
});

Deno.test("chunkers() gives each piece memory of its own", () => {
  for (const { name, chunk } of chunkers()) {
    const input = new TextEncoder().encode("a\nb\n");
    const pieces = chunk(input);
    input.fill(0);
    assertEquals(decode(pieces).join(""), "a\nb\n", name);
  }
});

Deno.test("chunkers() refuses an empty separator and invalid sizes", () => {
  assertThrows(() => chunkers({ separator: "" }), TypeError, "the separator is empty");
  assertThrows(() => chunkers({ sizes: [3, 0] }), RangeError, "a size must be a positive integer, not 0");
});
