import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { acquireBlock, allocate, BLOCK_SIZES, copyOf, releaseBlock, SharedBlock } from "../../src/memory/pool.ts";
import { SeededRandom } from "../../src/testing/mod.ts";

const SIZES = [0, 1, 1000, 2048, 2049, 16384, 65536, 65537, 262144, 300_000];

Deno.test("allocate() gives zeroed memory that nothing else lies in", () => {
  const pieces = Array.from({ length: 5 }, () => SIZES).flat().map((size, i) => {
    const piece = allocate(size);
    assertEquals(piece.length, size);
    assert(piece.every((byte) => byte === 0), `${size} bytes`);
    return piece.fill(i);
  });
  for (const [i, piece] of pieces.entries()) assert(piece.every((byte) => byte === i), `piece ${i}`);
});

Deno.test("copyOf() copies exactly so many bytes, also of a node Buffer", () => {
  for (const size of SIZES) {
    for (
      const original of [new Uint8Array(size + 5), Buffer.alloc(size + 5), new Uint8Array(size), Buffer.alloc(size)]
    ) {
      original.fill(1);
      const copy = copyOf(original, size);
      original.fill(2);
      assertEquals(copy.length, size);
      assert(copy.every((byte) => byte === 1), `${size} bytes of a ${original.constructor.name}`);
      assertStrictEquals(copy.constructor, Uint8Array);
    }
  }
});

Deno.test("acquireBlock() lends the smallest block that holds the size, and never one that is lent", () => {
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

Deno.test("releaseBlock() keeps a bounded number of blocks, and only of the sizes it lends [M4]", () => {
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

Deno.test("SharedBlock lends pieces that do not overlap, and lends them anew when they are back", () => {
  const random = new SeededRandom(7);
  const lent: { block: SharedBlock; piece: Uint8Array; mark: number }[] = [];
  const buffers = new Set<ArrayBufferLike>();
  for (let i = 0; i < 20_000; i++) {
    if (lent.length < 100 && random.next() < 0.52) {
      const n = random.integer(1, SharedBlock.largestPiece);
      const block = SharedBlock.for(n);
      const piece = block.lend(n);
      assertEquals(piece.length, n);
      lent.push({ block, piece: piece.fill(i % 251), mark: i % 251 });
      buffers.add(piece.buffer);
    } else if (lent.length > 0) {
      const [{ block, piece, mark }] = lent.splice(random.integer(0, lent.length - 1), 1) as [typeof lent[number]];
      assert(piece.every((byte) => byte === mark), "written over");
      block.takeBack();
    }
  }
  // 100 pieces of 1 KiB, taken back in any order, keep their blocks busy for long; but not for ever.
  assert(buffers.size < 100, `${buffers.size} blocks`);
  for (const { block } of lent) block.takeBack();
});

Deno.test({
  name: "a process that gives away much keeps ballast that costs no memory, one that gives little none [M4]",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const program = `
    import { freshMemory } from "${new URL("../../src/memory/pool.ts", import.meta.url)}";
    const report = [];
    for (const mib of [0, 15, 2, 100]) {
      for (let i = 0; i < mib; i++) freshMemory(1 << 20);
      const { external, rss } = Deno.memoryUsage();
      report.push({ external, rss });
    }
    console.log(JSON.stringify(report));
  `;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", `data:application/typescript,${encodeURIComponent(program)}`],
    }).output();
    const MIB = 1 << 20;
    const report: { external: number; rss: number }[] = JSON.parse(new TextDecoder().decode(stdout));
    const [before, little, much, more] = report.map(({ external }) => external / MIB) as [
      number,
      number,
      number,
      number,
    ];
    assert(little - before < 20, `${little - before} MiB after 15`);
    assert(much - before > 768 && much - before < 800, `${much - before} MiB after 17`);
    assert(more - before < 960, `${more - before} MiB after 117`);
    const grown = (report[2]!.rss - report[0]!.rss) / MIB;
    assert(grown < 64, `${grown} MiB of memory for ballast`);
  },
});
