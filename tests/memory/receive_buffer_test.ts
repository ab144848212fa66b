/** Where reads land whose bytes are given away: nothing is ever offered again that was given [M1], within bounds [M4]. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { LEAST_EXPECTED, MOST_EXPECTED } from "../../src/memory/read_size_predictor.ts";
import { ReceiveBuffer } from "../../src/memory/receive_buffer.ts";
import { SeededRandom } from "../../src/testing/mod.ts";

/** Reads: fills what is offered with a byte, as far as `n` goes, and accepts it. */
function read(memory: ReceiveBuffer, expected: number, n: number, byte: number, most = MOST_EXPECTED): Uint8Array {
  const offered = memory.offer(expected, most);
  offered.fill(byte);
  return memory.accept(Math.min(n, offered.length));
}

Deno.test("ReceiveBuffer never offers again what it gave away, over many connections that come and go [M1]", () => {
  const random = new SeededRandom(1);
  const pick = <T>(choices: readonly T[]): T => choices[random.integer(0, choices.length - 1)]!;
  const lost: Uint8Array[] = [];
  const given: { bytes: Uint8Array; byte: number }[] = [];
  const connections = Array.from({ length: 20 }, () => new ReceiveBuffer());
  for (let i = 0; i < 5000; i++) {
    const memory = pick(connections);
    const expected = pick([1, 2048, 2049, 5000, 16384, 40_000, 150_000, 262_144]);
    const byte = i % 256;
    lost.at(-1)?.fill(byte);
    switch (random.integer(0, 9)) {
      case 0:
        memory.release();
        break;
      case 1:
        // A read that brought nothing, and one whose bytes are copied.
        memory.offer(expected, MOST_EXPECTED).fill(byte);
        memory.takeBack();
        memory.lend(Math.min(expected, 65536)).fill(byte);
        assert(memory.look(100).every((one) => one === byte));
        break;
      case 2:
        // Lost with a read under way, which writes on.
        lost.push(memory.offer(expected, MOST_EXPECTED));
        memory.abandon();
        break;
      default: {
        const n = random.integer(1, expected);
        const bytes = read(memory, expected, n, byte);
        assert(bytes.length > 0 && bytes.length <= n);
        given.push({ bytes, byte });
      }
    }
    if (given.length > 300) given.splice(0, 100).forEach(check);
  }
  given.forEach(check);
  connections.forEach((memory) => memory.release());

  function check({ bytes, byte }: { bytes: Uint8Array; byte: number }) {
    assert(bytes.every((one) => one === byte), `${bytes.length} bytes were written again`);
  }
});

Deno.test("ReceiveBuffer offers at least what is expected, and no more than the most", () => {
  const memory = new ReceiveBuffer();
  for (const expected of [1, LEAST_EXPECTED, LEAST_EXPECTED + 1, 16384, 65536, MOST_EXPECTED]) {
    for (const most of [expected, 2 * expected, MOST_EXPECTED]) {
      const { length } = memory.offer(expected, most);
      assert(length >= expected, `${length} for ${expected}`);
      assert(length <= Math.max(most, LEAST_EXPECTED), `${length} for at most ${most}`);
    }
  }
  memory.release();
});

Deno.test("ReceiveBuffer copies small pieces and gives large ones as they landed", () => {
  const memory = new ReceiveBuffer();
  const block = memory.offer(LEAST_EXPECTED, MOST_EXPECTED);
  assert(memory.accept(1000).buffer !== block.buffer, "a small piece was not copied");
  const first = memory.offer(10_000, MOST_EXPECTED);
  assertStrictEquals(memory.accept(10_000).buffer, first.buffer);
  // The next one comes to lie behind it.
  const second = memory.offer(10_000, MOST_EXPECTED);
  assertStrictEquals(second.buffer, first.buffer);
  assertEquals(second.byteOffset, first.byteOffset + 10_000);
  memory.release();
});

Deno.test("a region has room for three large messages while there are few, for one while there are many, and a little more", () => {
  const size = 100_000;
  // More than there may be rests of others.
  const all = Array.from({ length: 80 }, () => new ReceiveBuffer());
  const rooms = all.map((memory) => {
    const { length } = memory.offer(size, 1 << 20);
    memory.accept(1);
    return length;
  });
  assert(rooms.slice(0, 20).includes(3 * size + 1000), `${rooms}`);
  assertEquals(rooms.at(-1), size + 1000);
  all.forEach((memory) => memory.release());
});

for (const end of ["release", "abandon"] as const) {
  Deno.test(`what a connection leaves of its region by ${end}() is the next one's, so short ones share it`, () => {
    const buffers = new Set<ArrayBufferLike>();
    for (let i = 0; i < 12; i++) {
      const memory = new ReceiveBuffer();
      buffers.add(read(memory, 5000, 5000, i).buffer);
      memory[end]();
    }
    assert(buffers.size <= 2, `${buffers.size} regions for 12 connections with 5000 bytes each`);
  });
}

Deno.test("connections wait with a bound on their regions in all, and others with 16 KiB [M4]", () => {
  for (const expected of [10_000, 200_000]) {
    for (let round = 0; round < 2; round++) {
      const all = Array.from({ length: 800 }, () => new ReceiveBuffer());
      for (const memory of all) read(memory, expected, 1, 0);
      const waiting = all.map((memory) => memory.offer(expected, MOST_EXPECTED).length);
      const large = waiting.filter((length) => length > 16384);
      const total = large.reduce((sum, length) => sum + length, 0);
      assert(total > 16 << 20 && total <= 33 << 20, `${large.length} connections have ${total} bytes`);
      const [last, its] = [all.at(-1)!, waiting.at(-1)!];
      assert(its <= 16384, `${its} bytes`);
      // What comes behind a block that was filled is there already, and need not wait.
      last.accept(its);
      assert(last.offer(expected, MOST_EXPECTED).length >= expected);
      all.forEach((memory) => memory.release());
    }
  }
});

Deno.test("what is in the region of a memory that nobody releases counts until that is collected [M4]", async () => {
  const program = `
    import { ReceiveBuffer } from "${new URL("../../src/memory/receive_buffer.ts", import.meta.url)}";
    const waits = () => {
      const memory = new ReceiveBuffer();
      memory.offer(10_000, 1 << 20);
      memory.accept(1);
      return memory.offer(10_000, 1 << 20).length;
    };
    const sizes = [];
    for (let i = 0; i < 700; i++) sizes.push(waits());
    const before = sizes.at(-1);
    for (let i = 0; i < 3; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve));
    }
    console.log(JSON.stringify([sizes[0], before, waits()]));
  `;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-config",
      "--v8-flags=--expose-gc",
      `data:application/javascript,${encodeURIComponent(program)}`,
    ],
  }).output();
  const [first, many, afterwards] = JSON.parse(new TextDecoder().decode(stdout)) as [number, number, number];
  assert(first > 16384 && many <= 16384, `${first}, and ${many} bytes after 700 others`);
  assert(afterwards > 16384, `${afterwards} bytes after the others were collected`);
});
