import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { ByteQueue } from "../../src/framing/byte_queue.ts";
import { Search, Separators } from "../../src/framing/separators.ts";
import { SeededRandom } from "../../src/testing/seeded_random.ts";
import { naiveBegun, naiveSearch } from "../support/reader_outcomes.ts";
import { bytes } from "../support/bytes.ts";

/** Every string over an alphabet with a length in a range. */
function words(alphabet: string, shortest: number, longest: number): string[] {
  let ofLength = [""];
  const all: string[] = shortest === 0 ? [""] : [];
  for (let length = 1; length <= longest; length++) {
    ofLength = ofLength.flatMap((word) => Array.from(alphabet, (letter) => word + letter));
    if (length >= shortest) all.push(...ofLength);
  }
  return all;
}

function* pairs<T>(list: T[]): Generator<[T, T]> {
  for (let i = 0; i < list.length; i++) {
    for (let k = 0; k < i; k++) yield [list[i]!, list[k]!];
  }
}

/** Searches in one go, stopping at each split, and byte by byte: always what the oracle finds. */
function check(search: Search, data: string, patterns: Uint8Array[]): void {
  const content = bytes(data);
  const buffer = new ByteQueue();
  buffer.append(content);
  const found = naiveSearch(content, patterns, Infinity);
  const end = found !== null && "end" in found ? found.end : -1;
  const verify = (how: string) => {
    const match = search.next(buffer, content.length);
    if (match !== end) fail(how, match);
    // Of equal ends the shortest.
    if (match >= 0) {
      const lengths = patterns.filter((one) => isSuffix(one, content.subarray(0, end))).map((one) => one.length);
      if (search.start !== end - Math.min(...lengths)) fail(how, search.start);
    } else {
      if (search.position !== content.length) fail(`${how}, position`, search.position);
      if (search.begun !== naiveBegun(content, patterns)) fail(`${how}, begun`, search.begun);
    }
  };
  const fail = (how: string, actual: unknown): never => {
    const list = patterns.map((one) => new TextDecoder().decode(one)).join(", ");
    throw new Error(`${list} in "${data}" ${how}: ${actual}, expected end ${end}`);
  };
  search.reset();
  verify("in one go");
  for (let split = 0; split < content.length; split++) {
    search.reset();
    const match = search.next(buffer, split);
    if (match >= 0) {
      if (match !== end || end > split) fail(`before ${split}`, match);
    } else verify(`split at ${split}`);
  }
  search.reset();
  for (let to = 1; to < content.length; to++) {
    if (search.next(buffer, to) >= 0) {
      if (to !== end) fail("byte by byte", to);
      return;
    }
  }
  verify("byte by byte");
}

/** Where a search that begins at the front finds something. */
function found(
  queue: ByteQueue,
  separators: string | string[] | Separators,
  to: number,
): { start: number; end: number } | null {
  const search = new Search(separators instanceof Separators ? separators : new Separators(separators));
  const end = search.next(queue, to);
  return end < 0 ? null : { start: search.start, end };
}

function isSuffix(one: Uint8Array, data: Uint8Array): boolean {
  const start = data.length - one.length;
  return start >= 0 && one.every((byte, i) => data[start + i] === byte);
}

Deno.test("Search finds one separator of 1 to 4 letters in every text over 2 letters, resumed anywhere", () => {
  const texts = words("ab", 0, 8);
  for (const pattern of words("ab", 1, 4)) {
    const patterns = [bytes(pattern)];
    const search = new Search(new Separators(pattern));
    for (const data of texts) check(search, data, patterns);
  }
});

Deno.test("Search finds one separator of 5 to 7 letters in every text over 2 letters, resumed anywhere", () => {
  const texts = words("ab", 9, 9);
  for (const pattern of words("ab", 5, 7).filter((_, i) => i % 3 === 0)) {
    const patterns = [bytes(pattern)];
    const search = new Search(new Separators(pattern));
    for (const data of texts) check(search, data, patterns);
  }
});

Deno.test("Search finds one separator of 1 to 3 letters in every text over 3 letters, resumed anywhere", () => {
  const texts = words("abc", 0, 6);
  for (const pattern of words("abc", 1, 3)) {
    const patterns = [bytes(pattern)];
    const search = new Search(new Separators(pattern));
    for (const data of texts) check(search, data, patterns);
  }
});

Deno.test("Search finds of two separators the match that ends first, of equal ends the shortest [R4]", () => {
  const texts = words("ab", 0, 6);
  for (const pair of pairs(words("ab", 1, 3))) {
    const patterns = pair.map(bytes);
    const search = new Search(new Separators(pair));
    for (const data of texts) check(search, data, patterns);
  }
  const more = words("abc", 6, 6).filter((_, i) => i % 5 === 0);
  for (const pair of pairs(words("abc", 1, 3))) {
    const patterns = pair.map(bytes);
    const search = new Search(new Separators(pair));
    for (const data of more) if (data.length % 2 === 0) check(search, data, patterns);
  }
});

Deno.test("Search finds the first end of three separators, in random texts [R4]", () => {
  const random = new SeededRandom(1);
  const word = (least: number, most: number) =>
    Array.from({ length: random.integer(least, most) }, () => "abc"[random.integer(0, 2)]).join("");
  for (let i = 0; i < 5000; i++) {
    const list = [word(1, 4), word(1, 6), word(1, 2)];
    check(new Search(new Separators(list)), word(0, 14), list.map(bytes));
  }
});

Deno.test("Search finds a separator far behind, over other occurrences of its first byte", () => {
  for (const gap of [1, 62, 63, 64, 65, 66, 130, 5000]) {
    for (const noise of ["x", "\r", "\rx", "\r\r\rx"]) {
      const data = noise.repeat(gap) + "\r\n\r\n";
      check1(data, "\r\n\r\n", data.length);
      check1(data, "\n\r\n", data.length);
      check1(data, "\r\n", data.length - 2);
    }
  }
  function check1(data: string, separator: string, end: number): void {
    const buffer = new ByteQueue();
    buffer.append(bytes(data));
    const start = end - separator.length;
    assertEquals(found(buffer, separator, data.length), { start, end });
    assertEquals(found(buffer, [separator, "never"], data.length), { start, end });
    assertEquals(found(buffer, separator, end - 1), null);
  }
});

Deno.test("Search goes on after bytes were dropped from the front", () => {
  const patterns = ["aab", "ba"].map(bytes);
  for (const data of words("ab", 1, 7)) {
    const content = bytes(data);
    const found = naiveSearch(content, patterns, Infinity);
    const search = new Search(new Separators(patterns));
    const buffer = new ByteQueue();
    let dropped = 0;
    let end = -1;
    for (const byte of content) {
      buffer.append(new Uint8Array([byte]));
      const match = search.next(buffer, buffer.length);
      if (match >= 0) {
        end = dropped + match;
        break;
      }
      const n = search.position - search.begun;
      buffer.drop(n);
      search.dropped(n);
      dropped += n;
      assert(buffer.length < 3, "more is kept than the longest separator has begun");
    }
    assertEquals(end, found !== null && "end" in found ? found.end : -1, data);
  }
});

Deno.test("Separators takes strings as UTF-8, any list, and knows the longest", () => {
  assertEquals(new Separators("é").longest, 2);
  assertEquals(new Separators(["a", "longer", bytes("to")]).longest, 6);
  const buffer = new ByteQueue();
  buffer.append(bytes("café!"));
  assertEquals(found(buffer, "é", 6), { start: 3, end: 5 });
});

Deno.test("Separators copies arrays: they may change afterwards", () => {
  for (const array of [bytes("ab"), Buffer.from("ab")]) {
    const separators = new Separators([array]);
    array.fill(0);
    const buffer = new ByteQueue();
    buffer.append(bytes("xab"));
    assertEquals(found(buffer, separators, 3), { start: 1, end: 3 });
  }
});

Deno.test("Separators refuses what is empty or no separator [R4]", () => {
  for (const wrong of ["", new Uint8Array(0), [], ["a", ""], [bytes("a"), new Uint8Array(0)]]) {
    assertThrows(() => new Separators(wrong), TypeError, "empty");
  }
  for (const wrong of [1, null, true, {}, [1], ["a", null], [["a"]], new ArrayBuffer(1), new Uint16Array(1)]) {
    assertThrows(() => new Separators(wrong as never), TypeError, "must be a string or a Uint8Array");
  }
});
