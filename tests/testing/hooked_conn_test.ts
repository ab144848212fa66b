import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { connPair } from "../../src/conn/conn_pair.ts";
import { hookedConn } from "../../src/testing/mod.ts";

Deno.test("hookedConn() calls each hook before its call", async () => {
  const [a, b] = connPair();
  const log: string[] = [];
  const conn = hookedConn(a, {
    beforeRead: (p) => void log.push(`read ${p.length}`),
    beforeWrite: (p) => void log.push(`write ${p.length}`),
    beforeCloseWrite: () => void log.push("closeWrite"),
    beforeClose: () => void log.push("close"),
  });
  await b.write(new Uint8Array(2));
  assertEquals(await conn.read(new Uint8Array(8)), 2);
  assertEquals(await conn.write(new Uint8Array(3)), 3);
  await conn.closeWrite!();
  conn.close();
  assertEquals(log, ["read 8", "write 3", "closeWrite", "close"]);
  assertEquals(await b.read(new Uint8Array(8)), 3);
  b.close();
});

Deno.test("hookedConn() holds a call until its hook is done", async () => {
  const [a, b] = connPair();
  const { promise, resolve } = Promise.withResolvers<void>();
  const conn = hookedConn(a, { beforeWrite: () => promise });
  const writing = conn.write(Uint8Array.of(2));
  await b.write(Uint8Array.of(1));
  await a.write(Uint8Array.of(1));
  resolve();
  await writing;
  const p = new Uint8Array(8);
  assertEquals(await b.read(p), 2);
  assertEquals([...p.subarray(0, 2)], [1, 2]);
  conn.close();
  b.close();
});

Deno.test("hookedConn() fails a call with what its hook throws, and spares the conn", async () => {
  const [a, b] = connPair();
  const error = new Error("mine");
  const conn = hookedConn(a, {
    beforeRead: () => Promise.reject(error),
    beforeWrite: () => {
      throw error;
    },
    beforeClose: () => {
      throw error;
    },
  });
  assertStrictEquals(await assertRejects(() => conn.read(new Uint8Array(1))), error);
  assertStrictEquals(await assertRejects(() => conn.write(new Uint8Array(1))), error);
  assertStrictEquals(assertThrows(() => conn.close()), error);
  a.close();
  assertEquals(await b.read(new Uint8Array(8)), null);
  b.close();
});
