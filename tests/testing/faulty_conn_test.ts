import { assert, assertEquals, assertGreater, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import type { ConnLike } from "../../src/conn/conn.ts";
import { connPair } from "../../src/conn/conn_pair.ts";
import { faultyConn, type FaultyConnOptions, SeededRandom } from "../../src/testing/mod.ts";
import { tcpPair } from "../support/conns.ts";

const kinds: [string, () => Promise<[ConnLike, ConnLike]>][] = [
  ["memory", () => Promise.resolve(connPair())],
  ["TCP", tcpPair],
];

/** Sends 20 kB to a faulty conn, and gives how they came: the sizes of the reads, and the bytes. */
async function receive(pair: [ConnLike, ConnLike], options: FaultyConnOptions) {
  const [near, far] = pair;
  const conn = faultyConn(near, options);
  const sent = new SeededRandom(9).fill(new Uint8Array(20_000));
  const writing = far.write(sent);
  const sizes: number[] = [];
  const got: number[] = [];
  const p = new Uint8Array(4096);
  while (got.length < sent.length) {
    const n = (await conn.read(p))!;
    sizes.push(n);
    got.push(...p.subarray(0, n));
  }
  await writing;
  conn.close();
  far.close();
  assertEquals(Uint8Array.from(got), sent);
  return sizes;
}

for (const [kind, makePair] of kinds) {
  Deno.test(`faultyConn() over ${kind} brings all bytes in short reads, the same ones for a seed`, async () => {
    const of = async (seed: number) => await receive(await makePair(), { seed, shortReads: true, delayTurns: 2 });
    const sizes = await of(1);
    assertGreater(sizes.length, 10);
    // Over a network what a read can bring also depends on the network, but less than it is asked for it is enough here.
    if (kind === "memory") assertEquals(await of(1), sizes);
    assert((await of(2)).join() !== sizes.join());
  });

  Deno.test(`faultyConn() over ${kind} takes part of what is written`, async () => {
    const [near, far] = await makePair();
    const conn = faultyConn(near, { shortWrites: true, delayTurns: 2 });
    const data = new Uint8Array(1000);
    const taken: number[] = [];
    for (let i = 0; i < 20; i++) taken.push(await conn.write(data));
    assert(taken.every((n) => n >= 1 && n <= 1000));
    assert(taken.some((n) => n < 1000));
    const total = taken.reduce((sum, n) => sum + n);
    assertEquals(conn.bytesWritten, total);
    let got = 0;
    while (got < total) got += (await far.read(new Uint8Array(4096)))!;
    assertEquals(got, total);
    conn.close();
    far.close();
  });

  Deno.test(`faultyConn() over ${kind} returns EOF after a number of bytes, every time`, async () => {
    const [near, far] = await makePair();
    const conn = faultyConn(near, { eofAfter: 7 });
    await far.write(new Uint8Array(10));
    assertEquals(await conn.read(new Uint8Array(4)), 4);
    assertEquals(await conn.read(new Uint8Array(4)), 3);
    assertEquals(await conn.read(new Uint8Array(4)), null);
    assertEquals(await conn.read(new Uint8Array(4)), null);
    assertEquals(conn.bytesRead, 7);
    conn.close();
    far.close();
  });

  Deno.test(`faultyConn() over ${kind} fails each direction after its bytes`, async () => {
    const [near, far] = await makePair();
    const conn = faultyConn(near, { readErrorAfter: 3, writeErrorAfter: 5 });
    await far.write(new Uint8Array(10));
    assertEquals(await conn.read(new Uint8Array(8)), 3);
    await assertRejects(() => conn.read(new Uint8Array(8)), Deno.errors.ConnectionReset, "fail after 3 bytes");
    assertEquals(await conn.write(new Uint8Array(8)), 5);
    await assertRejects(() => conn.write(new Uint8Array(8)), Deno.errors.ConnectionReset, "fail after 5 bytes");
    conn.close();
    far.close();
  });

  Deno.test(`FaultyConn.stallWrites() over ${kind} holds writes, and the end, until they are released`, async () => {
    const [near, far] = await makePair();
    const conn = faultyConn(near);
    conn.stallWrites();
    const order: string[] = [];
    const writing = conn.write(new Uint8Array(3)).then((n) => order.push(`wrote ${n}`));
    const ending = conn.closeWrite!().then(() => order.push("ended"));
    // Other calls get on meanwhile, so much time has passed.
    await far.write(new Uint8Array(1));
    await conn.read(new Uint8Array(1));
    assertEquals(order, []);
    conn.releaseWrites();
    await Promise.all([writing, ending]);
    assertEquals(order, ["wrote 3", "ended"]);
    assertEquals(await far.read(new Uint8Array(8)), 3);
    assertEquals(await far.read(new Uint8Array(8)), null);
    conn.close();
    far.close();
  });

  Deno.test(`faultyConn() over ${kind} is interrupted by close(), stalled or late`, async () => {
    for (const prepare of ["stall", "delay"]) {
      const [near, far] = await makePair();
      const conn = faultyConn(near, { delayTurns: prepare === "delay" ? 1000 : 0 });
      if (prepare === "stall") conn.stallWrites();
      const writing = assertRejects(() => conn.write(new Uint8Array(3)), Deno.errors.Interrupted);
      const reading = assertRejects(() => conn.read(new Uint8Array(3)), Deno.errors.Interrupted);
      await assertRejects(() => conn.read(new Uint8Array(3)), Deno.errors.Busy);
      conn.close();
      await Promise.all([writing, reading]);
      await assertRejects(() => conn.write(new Uint8Array(3)), Deno.errors.BadResource);
      assertThrows(() => conn.close(), Deno.errors.BadResource);
      far.close();
    }
  });
}

Deno.test("faultyConn() fails with the error it was given", async () => {
  const [near, far] = connPair();
  const error = new Error("mine");
  const conn = faultyConn(near, { readErrorAfter: 0, error });
  assertStrictEquals(await assertRejects(() => conn.read(new Uint8Array(1))), error);
  conn.close();
  far.close();
});

Deno.test("faultyConn() has a closeWrite() only where the conn has one", () => {
  const [near, far] = connPair();
  const { read, write, close } = {
    read: () => near.read(NONE),
    write: () => near.write(NONE),
    close: () => near.close(),
  };
  assertEquals(faultyConn({ read, write, close }).closeWrite, undefined);
  near.close();
  far.close();
});

Deno.test("faultyConn() refuses invalid numbers", () => {
  assertThrows(
    () => faultyConn(connPair()[0], { eofAfter: -1 }),
    RangeError,
    "eofAfter must be a non-negative integer, not -1",
  );
  assertThrows(
    () => faultyConn(connPair()[0], { delayTurns: 0.5 }),
    RangeError,
    "delayTurns must be a non-negative integer, not 0.5",
  );
});

const NONE = new Uint8Array(0);
