/** How much the next read is expected to bring, from what those before it brought. */
import { assert, assertEquals } from "@std/assert";
import {
  LEAST_EXPECTED,
  MOST_EXPECTED,
  QUOTA,
  ReadSizePredictor,
  SMALL_READ,
} from "../../src/memory/read_size_predictor.ts";

/** Takes note of reads, each as what it brought and what there was room for; returns what is expected after each. */
function after(
  reads: readonly (readonly [n: number, room: number])[],
  expectation = new ReadSizePredictor(),
): number[] {
  return reads.map(([n, room]) => {
    expectation.note(n, room);
    return expectation.size;
  });
}

const times = <T>(count: number, value: T): T[] => Array(count).fill(value);

Deno.test("ReadSizePredictor grows by leaps while reads fill their memory, up to a bound", () => {
  assertEquals(new ReadSizePredictor().size, LEAST_EXPECTED);
  const leaps = [LEAST_EXPECTED, 8 * LEAST_EXPECTED, 64 * LEAST_EXPECTED, MOST_EXPECTED];
  assertEquals(after(leaps.map((n) => [n, n])), [...leaps.slice(1), MOST_EXPECTED]);
});

Deno.test("ReadSizePredictor does not grow by reads that had less room than it asks for", () => {
  const expectation = new ReadSizePredictor();
  after(times(8, [10_000, 65536] as const), expectation);
  assertEquals(after(times(4, [5000, 5000] as const), expectation), times(4, 10_000));
  assertEquals(after([[10_000, 10_000]], expectation), [80_000]);
});

Deno.test("ReadSizePredictor is the largest of eight reads", () => {
  const sizes = [3000, 10, 5000, 10, 10, 10, 10, 10];
  assertEquals(after(sizes.map((n) => [n, 65536])), [...times(7, LEAST_EXPECTED), 5000]);
});

Deno.test("ReadSizePredictor of messages of one size settles at that size, so that each comes in one read", () => {
  for (const size of [1, 1000, 2048, 4096, 10_240, 32_768, 102_400, 262_144]) {
    const expectation = new ReadSizePredictor();
    let reads = 0;
    for (let message = 0; message < 40; message++) {
      for (let left = size; left > 0; reads += message < 20 ? 0 : 1) {
        const room = expectation.size;
        const n = Math.min(left, room);
        expectation.note(n, room);
        left -= n;
      }
    }
    assertEquals(reads, 20, `reads for 20 messages of ${size} bytes`);
  }
});

Deno.test("ReadSizePredictor forgets a large message after eight small reads, and not before", () => {
  const expectation = new ReadSizePredictor();
  after([[2048, 2048], [5000, 16384]], expectation);
  assertEquals(after(times(7, [10, 16384]), expectation), [...times(6, 16384), 5000]);
  assertEquals(after(times(8, [10, 16384]), expectation), [...times(7, 5000), LEAST_EXPECTED]);
});

Deno.test("ReadSizePredictor never falls below what an idle connection has ready, whatever little room there was", () => {
  assertEquals(after([[1, 1], [0, 5], [1, 1]]), times(3, LEAST_EXPECTED));
});

for (const size of [20_000, 200_000]) {
  Deno.test(`pending reads of ${size} bytes stay within a quota, beyond it connections wait with a small one [M4]`, () => {
    for (let round = 0; round < 2; round++) {
      const all = Array.from({ length: 2000 }, () => new ReadSizePredictor());
      for (const predictor of all) after([[size, 1 << 20], ...times(7, [1, 1 << 20] as const)], predictor);
      const issued = all.map((predictor) => predictor.issue());
      const large = issued.filter((n) => n > SMALL_READ);
      const total = large.reduce((sum, n) => sum + n, 0);
      assert(total > QUOTA / 2 && total <= QUOTA, `${large.length} connections wait with ${total} bytes`);
      assertEquals(issued.at(-1), SMALL_READ);
      // Each settles once, and a second time changes nothing.
      for (const predictor of all) predictor.settle();
      for (const predictor of all) predictor.settle();
    }
  });
}

Deno.test("a connection whose last read was filled does not have to wait, and is not held to the quota", () => {
  const all = Array.from({ length: 200 }, () => new ReadSizePredictor());
  for (const predictor of all) after([[200_000, 1 << 20], ...times(7, [1, 1 << 20] as const)], predictor);
  for (const predictor of all) predictor.issue();
  const another = new ReadSizePredictor();
  after([[200_000, 200_000]], another);
  assertEquals(another.issue(), MOST_EXPECTED);
  another.settle();
  after([[100, 200_000]], another);
  assertEquals(another.issue(), SMALL_READ);
  for (const predictor of [...all, another]) predictor.settle();
});

Deno.test("a read of no more than 16 KiB does not count against the quota", () => {
  const small = Array.from({ length: 5000 }, () => new ReadSizePredictor());
  for (const predictor of small) after([[10_000, 16384], ...times(7, [1, 16384] as const)], predictor);
  assertEquals(new Set(small.map((predictor) => predictor.issue())), new Set([10_000]));
  const large = new ReadSizePredictor();
  after([[100_000, 1 << 20], ...times(7, [1, 1 << 20] as const)], large);
  assertEquals(large.issue(), 100_000);
  for (const predictor of [...small, large]) predictor.settle();
});
