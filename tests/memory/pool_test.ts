import { assert, assertEquals } from "@std/assert";
import { acquireBlock, BLOCK_SIZES, releaseBlock } from "../../src/memory/pool.ts";

Deno.test("acquireBlock() gives the smallest block that holds the size, and none that is in use", () => {
  for (const [i, size] of BLOCK_SIZES.entries()) {
    assertEquals(acquireBlock((BLOCK_SIZES[i - 1] ?? 0) + 1).length, size);
    assertEquals(acquireBlock(size).length, size);
    const blocks = Array.from({ length: 4 }, () => acquireBlock(size));
    assertEquals(new Set(blocks).size, 4);
    blocks.forEach(releaseBlock);
    const again = Array.from({ length: 4 }, () => acquireBlock(size));
    assertEquals(new Set(again).size, 4);
    assert(again[0] === blocks[3], "not the one that is still in the caches");
  }
  assertEquals(acquireBlock(1_000_000).length, 1_000_000);
});

Deno.test("each block of acquireBlock() has an ArrayBuffer of its own [M5]", () => {
  for (const size of BLOCK_SIZES) {
    const blocks = Array.from({ length: 20 }, () => acquireBlock(size));
    assertEquals(new Set(blocks.map(({ buffer }) => buffer)).size, 20);
    for (const block of blocks) assertEquals(block.buffer.byteLength, size);
  }
});

Deno.test("acquireBlock() gives no block that was detached, before or after it was released [M5]", () => {
  for (const size of BLOCK_SIZES) {
    const [before, after] = [acquireBlock(size), acquireBlock(size)];
    structuredClone(before, { transfer: [before.buffer] });
    releaseBlock(before);
    releaseBlock(after);
    structuredClone(after, { transfer: [after.buffer] });
    for (let i = 0; i < 3; i++) assertEquals(acquireBlock(size).length, size);
  }
});

Deno.test("releaseBlock() keeps a bounded number of blocks, and only of the sizes of the pool [M4]", () => {
  const size = BLOCK_SIZES[0];
  const blocks = Array.from({ length: 10_000 }, () => acquireBlock(size));
  blocks.forEach(releaseBlock);
  const known = new Set(blocks);
  let kept = 0;
  for (let block = acquireBlock(size); known.has(block); block = acquireBlock(size)) kept++;
  assert(kept > 0 && kept * size <= 16 << 20, `${kept} blocks`);
  const foreign = new Uint8Array(size - 1);
  releaseBlock(foreign);
  assert(acquireBlock(size - 1) !== foreign);
});
