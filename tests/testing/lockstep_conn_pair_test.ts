import { assertEquals, assertRejects } from "@std/assert";
import { lockstepConnPair } from "../../src/testing/mod.ts";

Deno.test("lockstepConnPair() ends a write when the last byte of it is read, not before", async () => {
  const [a, b] = lockstepConnPair();
  let written: number | null = null;
  const writing = a.write(Uint8Array.of(1, 2, 3)).then((n) => written = n);
  const p = new Uint8Array(2);
  assertEquals(await b.read(p), 2);
  assertEquals([...p], [1, 2]);
  assertEquals(written, null);
  assertEquals(await b.read(p), 1);
  assertEquals(p[0], 3);
  assertEquals(await writing, 3);
  a.close();
  b.close();
});

Deno.test("lockstepConnPair() serves a read that waits", async () => {
  const [a, b] = lockstepConnPair();
  const reading = b.read(new Uint8Array(8));
  assertEquals(await a.write(new Uint8Array(3)), 3);
  assertEquals(await reading, 3);
  a.close();
  b.close();
});

Deno.test("lockstepConnPair() fails a write whose peer closes", async () => {
  const [a, b] = lockstepConnPair();
  const writing = assertRejects(() => a.write(new Uint8Array(3)), Deno.errors.BrokenPipe);
  assertEquals(await b.read(new Uint8Array(2)), 2);
  b.close();
  await writing;
  a.close();
});
