/** Memory that is handed out: copies that the library never uses again, in buffers in proportion to the pieces [M1, M5]. */
import { assert, assertEquals, assertLessOrEqual, assertStrictEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { copyOf, HandOut, LARGEST_SHARED, LARGEST_SLAB } from "../../src/memory/handed_out.ts";
import { SeededRandom } from "../../src/testing/mod.ts";

const SIZES = [1, 5, 64, 512, 513, LARGEST_SHARED, LARGEST_SHARED + 1, 16384, 100_000];

function detach({ buffer }: Uint8Array<ArrayBuffer>): void {
  structuredClone(buffer, { transfer: [buffer] });
}

Deno.test("copyOf() copies exactly the bytes asked for, also of a node Buffer", () => {
  for (const size of [0, ...SIZES]) {
    for (
      const original of [new Uint8Array(size + 5), Buffer.alloc(size + 5), new Uint8Array(size), Buffer.alloc(size)]
    ) {
      original.fill(1);
      const copy = copyOf(original, size);
      original.fill(2);
      assertEquals([copy.length, copy.buffer.byteLength], [size, size]);
      assert(copy.every((byte) => byte === 1), `${size} bytes of a ${original.constructor.name}`);
      assertStrictEquals(copy.constructor, Uint8Array);
    }
  }
});

Deno.test("HandOut.copy() and cut() give copies that stay as they are, whichever others are detached [M1, M5]", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new SeededRandom(seed);
    const out = new HandOut();
    const pieces: { piece: Uint8Array<ArrayBuffer>; copy: Uint8Array }[] = [];
    for (let step = 0; step < 100; step++) {
      out.forget();
      const block = random.fill(new Uint8Array(random.size(5000)));
      const end = random.integer(1, block.length);
      for (let at = random.integer(0, end - 1); at < end;) {
        const n = Math.min(end - at, random.size(2000));
        const cut = random.next() < 0.5;
        const piece = cut ? out.cut(block, at, n, end) : out.copy(block, at, at + n);
        assertEquals(piece, block.subarray(at, at + n), `seed ${seed}, step ${step}`);
        pieces.push({ piece, copy: piece.slice() });
        if (random.next() < 0.1) detach(piece);
        at += n;
      }
      block.fill(0);
    }
    for (const { piece, copy } of pieces) if (piece.length > 0) assertEquals(piece, copy, `seed ${seed}`);
  }
});

for (const way of ["copy", "cut"] as const) {
  const hand = (out: HandOut, block: Uint8Array<ArrayBuffer>, at: number, n: number) =>
    way === "copy" ? out.copy(block, at, at + n) : out.cut(block, at, n, block.length);

  Deno.test(`HandOut.${way}() gives small pieces a small buffer, and others one of exactly their size [M5]`, () => {
    for (const size of SIZES) {
      const out = new HandOut();
      const block = new Uint8Array(200 * size);
      for (let i = 0; i < 200; i++) {
        const { byteLength } = hand(out, block, i * size, size).buffer;
        if (size > LARGEST_SHARED) assertEquals(byteLength, size);
        else assertLessOrEqual(byteLength, Math.min(128 * size, LARGEST_SLAB), `${size} bytes`);
      }
    }
  });

  Deno.test(`HandOut.${way}() allocates no more than twice what it hands out, with many pieces of one size [M4]`, () => {
    for (const size of SIZES) {
      const out = new HandOut();
      const block = new Uint8Array(1000 * size);
      const buffers = new Set<ArrayBuffer>();
      for (let i = 0; i < 1000; i++) buffers.add(hand(out, block, i * size, size).buffer);
      const allocated = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
      assertLessOrEqual(allocated, 2 * 1000 * size, `${size} bytes`);
      if (size <= 64) assertLessOrEqual(buffers.size, 1000 / 10, `${size} bytes`);
    }
  });
}

Deno.test("the first 32 pieces of a HandOut have buffers of exactly their size, so that an idle connection keeps none", () => {
  for (const size of [1, 64, 1000]) {
    const out = new HandOut();
    for (let i = 0; i < 32; i++) assertEquals(out.copy(new Uint8Array(size), 0, size).buffer.byteLength, size);
    assertLessOrEqual(size + 1, out.copy(new Uint8Array(size), 0, size).buffer.byteLength);
  }
});

Deno.test("the buffer of what HandOut.copy() gives holds nothing behind it but zeros [M5]", () => {
  const out = new HandOut();
  for (let i = 0; i < 200; i++) {
    const piece = out.copy(new Uint8Array(100).fill(7), 0, 100);
    const behind = new Uint8Array(piece.buffer, piece.byteOffset + piece.length);
    assert(behind.every((byte) => byte === 0));
  }
});
