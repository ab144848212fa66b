import { assert, assertEquals, assertInstanceOf, assertLessOrEqual, assertRejects, assertThrows } from "@std/assert";
import { deadline } from "@std/async";
import type { ConnLike } from "../../src/conn/conn.ts";
import { type ConnKind, kinds } from "./conn_kinds.ts";
import { SeededRandom } from "../../src/testing/seeded_random.ts";
import { concat, pattern } from "../support/bytes.ts";

/** Writes all of it in pieces of random sizes, and spoils each piece of memory once its write is done. */
async function send(conn: ConnLike, data: Uint8Array, random: SeededRandom): Promise<void> {
  const memory = new Uint8Array(100_000);
  for (let at = 0; at < data.length;) {
    const piece = memory.subarray(0, 1 + Math.floor(random.next() ** 4 * (memory.length - 1)));
    const length = Math.min(piece.length, data.length - at);
    piece.set(data.subarray(at, at + length));
    const n = await conn.write(piece.subarray(0, length));
    assert(n >= 1 && n <= length, `write() took ${n} of ${length} bytes`);
    piece.fill(0xee);
    at += n;
  }
}

/** Reads that many bytes, or to the end, in pieces of random sizes. */
async function receive(conn: ConnLike, size = Infinity, random = new SeededRandom(0)): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const memory = new Uint8Array(100_000);
  for (let at = 0; at < size;) {
    const length = Math.min(1 + Math.floor(random.next() ** 4 * (memory.length - 1)), size - at);
    memory.fill(0xdd);
    const n = await conn.read(memory.subarray(0, length));
    if (n === null) break;
    assert(n >= 1 && n <= length, `read() gave ${n} of ${length} bytes`);
    assert(n === memory.length || memory[length] === 0xdd, "read() wrote beyond what it was given");
    chunks.push(memory.slice(0, n));
    at += n;
  }
  return concat(chunks);
}

/** Whether it is still pending after what is long enough for a system to do what it does without anybody's help. */
async function stalls(promise: Promise<unknown>): Promise<boolean> {
  try {
    await deadline(promise, 100);
    return false;
  } catch (error) {
    if (error instanceof DOMException && error.name === "TimeoutError") return true;
    throw error;
  }
}

/** Writes until a write waits. */
async function fill(conn: ConnLike): Promise<{ taken: number; pending: Promise<number> }> {
  const block = new Uint8Array(1 << 20);
  for (let taken = 0;;) {
    const pending = conn.write(block);
    if (await stalls(pending)) return { taken, pending };
    taken += await pending;
  }
}

function closeAll(...conns: ConnLike[]): void {
  for (const conn of conns) {
    try {
      conn.close();
    } catch (error) {
      assertInstanceOf(error, Deno.errors.BadResource);
    }
  }
}

function test(kind: ConnKind, what: string, body: (a: ConnLike, b: ConnLike) => Promise<void>): void {
  Deno.test(`ConnLike (${kind.name}) ${what}`, async () => {
    const [a, b] = await kind.pair();
    try {
      await deadline(body(a, b), 20_000);
    } finally {
      closeAll(a, b);
    }
  });
}

for (const kind of kinds) {
  test(kind, "carries bytes both ways at once, whatever the sizes", async (a, b) => {
    const there = pattern(700_000, 1);
    const back = pattern(500_000, 2);
    const [, , gotThere, gotBack] = await Promise.all([
      send(a, there, new SeededRandom(1)),
      send(b, back, new SeededRandom(2)),
      receive(b, there.length, new SeededRandom(3)),
      receive(a, back.length, new SeededRandom(4)),
    ]);
    assertEquals(gotThere, there);
    assertEquals(gotBack, back);
  });

  test(kind, "wakes a read that waits", async (a, b) => {
    const p = new Uint8Array(8);
    const waiting = b.read(p);
    assert(await stalls(waiting));
    const written = a.write(new Uint8Array([1, 2, 3]));
    assertEquals(await waiting, 3);
    assertEquals(await written, 3);
    assertEquals([...p], [1, 2, 3, 0, 0, 0, 0, 0]);
  });

  test(kind, "reads and writes nothing into and from nothing", async (a, b) => {
    assertEquals(await a.write(new Uint8Array(0)), 0);
    assertEquals(await b.read(new Uint8Array(0)), 0);
  });

  test(kind, "gives the end after the bytes, again and again", async (a, b) => {
    const sent = send(a, pattern(1000), new SeededRandom(5)).then(() => kind.halfClose ? a.closeWrite!() : a.close());
    assertEquals(await receive(b), pattern(1000));
    await sent;
    for (let i = 0; i < 3; i++) assertEquals(await b.read(new Uint8Array(8)), null);
  });

  test(kind, "gives 200 kB and the end to a reader that comes late", async (a, b) => {
    const sent = send(a, pattern(200_000), new SeededRandom(6)).then(() =>
      kind.halfClose ? a.closeWrite!() : a.close()
    );
    await stalls(sent);
    assertEquals(await receive(b), pattern(200_000));
    await sent;
  });

  if (kind.halfClose) {
    for (const order of ["asked first", "answered first"]) {
      test(kind, `half-closes, the side that ${order} being the first to end`, async (a, b) => {
        const [first, second] = order === "asked first" ? [a, b] : [b, a];
        const ended = send(first, pattern(300_000, 3), new SeededRandom(7)).then(() => first.closeWrite!());
        assertEquals(await receive(second), pattern(300_000, 3));
        await ended;
        await assertRejects(() => first.write(new Uint8Array(1)), Deno.errors.BrokenPipe);
        const answered = send(second, pattern(300_000, 4), new SeededRandom(8)).then(() => second.closeWrite!());
        assertEquals(await receive(first), pattern(300_000, 4));
        await answered;
        assertEquals(await first.read(new Uint8Array(1)), null);
      });
    }

    test(kind, "ends writing after a write that waits", async (a, b) => {
      const { taken, pending } = await fill(a);
      const ended = a.closeWrite!();
      const got = await receive(b);
      assertEquals(got.length, taken + await pending);
      await ended;
    });

    test(kind, "ends a read that waits when the peer ends writing", async (a, b) => {
      const waiting = b.read(new Uint8Array(8));
      await a.closeWrite!();
      assertEquals(await waiting, null);
    });
  }

  test(kind, "is interrupted by close() while a read waits, and of no use afterwards", async (a, b) => {
    const waiting = a.read(new Uint8Array(8));
    const rejected = assertRejects(() => waiting, Deno.errors.Interrupted);
    assert(await stalls(waiting));
    a.close();
    await rejected;
    await assertRejects(() => a.read(new Uint8Array(8)), Deno.errors.BadResource);
    await assertRejects(() => a.write(new Uint8Array(8)), Deno.errors.BadResource);
    await assertRejects(() => a.closeWrite!(), Deno.errors.BadResource);
    assertThrows(() => a.close(), Deno.errors.BadResource);
    assertEquals(await b.read(new Uint8Array(8)), null);
  });

  test(kind, "is interrupted by close() while a write waits", async (a) => {
    const { pending } = await fill(a);
    const rejected = assertRejects(() => pending, Deno.errors.Interrupted);
    a.close();
    await rejected;
  });

  test(kind, "gives what was written before close(), and then the end", async (a, b) => {
    const sent = send(a, pattern(5000), new SeededRandom(9)).then(() => a.close());
    assertEquals(await receive(b), pattern(5000));
    await sent;
  });

  test(kind, "stops a writer that nobody reads from, within its bound [M4]", async (a, b) => {
    const { taken, pending } = await fill(a);
    assertLessOrEqual(taken, kind.bound);
    const got = await receive(b, taken + 1);
    assertEquals(got.length, taken + 1);
    await Promise.all([pending.then((n) => receive(b, n - 1)), pending]);
  });

  if (kind.failsWrites) {
    test(kind, "fails writes once the peer is gone", async (a, b) => {
      b.close();
      const error = await assertRejects(async () => {
        for (;;) await a.write(new Uint8Array(65536));
      });
      assert(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset, String(error));
    });

    test(kind, "fails a write that waits when the peer goes", async (a, b) => {
      const { pending } = await fill(a);
      const rejected = assertRejects(() => pending);
      b.close();
      const error = await rejected;
      assert(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset, String(error));
    });
  }

  test(kind, "tells of the end when the peer goes while a read waits", async (a, b) => {
    const waiting = a.read(new Uint8Array(8));
    assert(await stalls(waiting));
    b.close();
    assertEquals(await waiting, null);
  });

  if (kind.busy) {
    test(kind, "refuses a second read or write while one waits", async (a, b) => {
      const reading = b.read(new Uint8Array(8));
      await assertRejects(() => b.read(new Uint8Array(8)), Deno.errors.Busy);
      const { pending } = await fill(b);
      await assertRejects(() => b.write(new Uint8Array(8)), Deno.errors.Busy);
      const all = Promise.all([assertRejects(() => reading), assertRejects(() => pending)]);
      closeAll(a, b);
      await all;
    });
  }
}
