/** The block that a connection's reads go into: what is handed out is a copy [M1, M5], and blocks are used again [M4]. */
import { assert, assertEquals, assertLess, assertNotStrictEquals } from "@std/assert";
import { releaseBlock } from "../../src/memory/pool.ts";
import { MOST_EXPECTED } from "../../src/memory/read_size_predictor.ts";
import { ReceiveBuffer } from "../../src/memory/receive_buffer.ts";
import { SeededRandom } from "../../src/testing/mod.ts";

Deno.test("ReceiveBuffer never reads into what it handed out, over many connections that come and go [M1, M5]", () => {
  const random = new SeededRandom(1);
  const pick = <T>(choices: readonly T[]): T => choices[random.integer(0, choices.length - 1)]!;
  const lost: Uint8Array[] = [];
  const given: { bytes: Uint8Array; byte: number; whose: ReceiveBuffer }[] = [];
  const connections = Array.from({ length: 20 }, () => new ReceiveBuffer());
  for (let i = 0; i < 5000; i++) {
    const memory = pick(connections);
    const expected = pick([1, 1000, 2049, 5000, 16384, 40_000, 150_000, MOST_EXPECTED]);
    const byte = i % 256;
    const block = memory.acquire(expected);
    assert(block.length >= expected, `${block.length} for ${expected}`);
    // Reads of connections that were lost write on.
    lost.at(-1)?.fill(255 - byte);
    block.fill(byte);
    switch (random.integer(0, 9)) {
      case 0:
        memory.release();
        break;
      case 1:
        assertEquals(memory.view(expected).every((one) => one === byte), true);
        releaseBlock(memory.passOn());
        break;
      case 2:
        lost.push(block);
        memory.abandon();
        break;
      default:
        given.push({ bytes: memory.copy(random.integer(1, expected)), byte, whose: memory });
    }
    if (given.length > 300) check(given.splice(0, 100));
  }
  check(given);
  connections.forEach((memory) => memory.release());

  function check(some: typeof given) {
    const owners = new Map<ArrayBufferLike, ReceiveBuffer>();
    for (const { bytes, byte, whose } of some) {
      assert(bytes.every((one) => one === byte), `${bytes.length} bytes were written again`);
      assert((owners.get(bytes.buffer) ?? whose) === whose, "two connections share a buffer");
      owners.set(bytes.buffer, whose);
    }
  }
});

Deno.test("ReceiveBuffer uses few blocks for many connections that read one after the other [M4]", () => {
  const blocks = new Set<Uint8Array>();
  for (let i = 0; i < 1000; i++) {
    const memory = new ReceiveBuffer();
    blocks.add(memory.acquire(5000));
    if (i % 2 === 0) memory.copy(5000);
    else memory.release();
  }
  assertLess(blocks.size, 5);
});

Deno.test("ReceiveBuffer.abandon() keeps its block from every other connection", () => {
  const memory = new ReceiveBuffer();
  const block = memory.acquire(1000);
  memory.abandon();
  memory.release();
  for (let i = 0; i < 100; i++) assertNotStrictEquals(new ReceiveBuffer().acquire(1000), block);
});
