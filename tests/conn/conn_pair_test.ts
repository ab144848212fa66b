import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { connPair } from "../../src/conn/conn_pair.ts";
import { readOnce } from "../support/conns.ts";

const bytes = (...values: number[]) => new Uint8Array(values);

Deno.test("connPair() holds 65536 bytes each way unless told otherwise [M4]", async () => {
  const [a] = connPair();
  assertEquals(await a.write(new Uint8Array(1 << 20)), 65536);
  const [, b] = connPair({ capacity: 10 });
  assertEquals(await b.write(new Uint8Array(1 << 20)), 10);
});

Deno.test("connPair() throws a RangeError at a capacity that is none", () => {
  for (const capacity of [0, -1, 1.5, NaN, Infinity]) {
    const error = assertThrows(() => connPair({ capacity }), RangeError);
    assertEquals(
      error.message,
      `Cannot make a pair of connections: the capacity must be a positive integer, not ${capacity}`,
    );
  }
});

Deno.test("connPair() takes what fits of a write, and lets one that waits go as soon as there is room", async () => {
  const [a, b] = connPair({ capacity: 4 });
  assertEquals(await a.write(bytes(1, 2, 3)), 3);
  assertEquals(await a.write(bytes(4, 5, 6)), 1);
  const waiting = a.write(bytes(5, 6, 7));
  assertEquals(await readOnce(b, 2), [1, 2]);
  assertEquals(await waiting, 2);
  assertEquals(await readOnce(b), [3, 4, 5, 6]);
});

Deno.test("connPair() fills the memory of a read that waits and keeps the rest", async () => {
  const [a, b] = connPair({ capacity: 4 });
  const waiting = readOnce(b, 2);
  const memory = bytes(1, 2, 3, 4, 5, 6, 7);
  assertEquals(await a.write(memory), 6);
  memory.fill(0);
  assertEquals(await waiting, [1, 2]);
  assertEquals(await readOnce(b), [3, 4, 5, 6]);
});

Deno.test("connPair() resets the connection for a peer whose bytes were dropped, after what it was sent", async () => {
  const [a, b] = connPair();
  await a.write(bytes(1));
  await b.write(bytes(2));
  b.close();
  assertEquals(await readOnce(a), [2]);
  await assertRejects(() => readOnce(a), Deno.errors.ConnectionReset);
  await assertRejects(() => a.write(bytes(1)), Deno.errors.BrokenPipe);
  a.close();
});

Deno.test("connPair() resets the connection for a read that waits if its side's bytes are dropped", async () => {
  const [a, b] = connPair();
  await a.write(bytes(1));
  const waiting = readOnce(a);
  b.close();
  await assertRejects(() => waiting, Deno.errors.ConnectionReset);
});

Deno.test("connPair() ends writing once, however often it is asked", async () => {
  const [a, b] = connPair();
  await a.closeWrite!();
  await a.closeWrite!();
  await assertRejects(() => a.write(bytes()), Deno.errors.BrokenPipe);
  assertEquals(await readOnce(b), null);
  assertEquals(await b.read(new Uint8Array(0)), 0);
});

Deno.test("connPair() interrupts closeWrite() that waits for a write", async () => {
  const [a] = connPair({ capacity: 1 });
  await a.write(bytes(1));
  const writing = a.write(bytes(2));
  const ending = a.closeWrite!();
  await assertRejects(() => a.write(bytes(3)), Deno.errors.BrokenPipe);
  const rejected = Promise.all([
    assertRejects(() => writing, Deno.errors.Interrupted),
    assertRejects(() => ending, Deno.errors.Interrupted),
  ]);
  a.close();
  await rejected;
});

Deno.test("connPair() leaves the event loop its turns, however busy the two ends are", async () => {
  const [a, b] = connPair();
  let turned = false;
  setTimeout(() => turned = true, 0);
  const p = new Uint8Array(1);
  let rounds = 0;
  for (; !turned && rounds < 1_000_000; rounds++) {
    const waiting = b.read(p);
    await a.write(p);
    await waiting;
  }
  assert(turned, `no turn of the event loop in ${rounds} rounds`);
});

// Every sequence of reads and writes of these sizes, against a plain list of bytes.
for (const capacity of [1, 2, 3, 5]) {
  Deno.test(`connPair({ capacity: ${capacity} }) is a queue of bytes, whatever is done in whatever order`, async () => {
    const sizes = [1, 2, 4];
    const steps = sizes.flatMap((size) => [{ write: true, size }, { write: false, size }]);
    for (let run = 0; run < steps.length ** 4; run++) {
      const [a, b] = connPair({ capacity });
      const queue: number[] = [];
      let next = 1;
      for (let rest = run, i = 0; i < 8; i++, rest = Math.floor(rest / steps.length) || run + i) {
        const { write, size } = steps[rest % steps.length]!;
        if (write && queue.length < capacity) {
          const data = Uint8Array.from({ length: size }, () => next++);
          const n = await a.write(data);
          assertEquals(n, Math.min(size, capacity - queue.length));
          next -= size - n;
          queue.push(...data.subarray(0, n));
        } else if (!write && queue.length > 0) {
          assertEquals(await readOnce(b, size), queue.splice(0, size));
        }
      }
    }
  });
}
