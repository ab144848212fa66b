/** Using the package reserves nothing by itself; reserveGcHeadroom() does, until it is disposed [M6]. */
import { assert, assertEquals, assertGreaterOrEqual, assertLess, assertThrows } from "@std/assert";
import { reserveGcHeadroom } from "../../src/tuning/mod.ts";

const MIB = 1 << 20;

/** Runs a program in a process of its own; returns the numbers that it prints as JSON. */
async function measure(program: string): Promise<number[]> {
  const root = new URL("../../", import.meta.url);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-config",
      "--v8-flags=--expose-gc",
      `data:application/javascript,${encodeURIComponent(program.replaceAll("ROOT/", root.href))}`,
    ],
  }).output();
  assertEquals(success, true, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("importing the package, and receiving 100 MiB, reserves no memory beyond what is in use [M6]", async () => {
  const [imported, fed, received] = await measure(`
    const external = () => {
      gc();
      return Deno.memoryUsage().external;
    };
    const before = external();
    const { connPair, createConnection, Protocol, StreamReader } = await import("ROOT/mod.ts");
    await import("ROOT/src/tuning/mod.ts");
    const imported = external() - before;

    const reader = new StreamReader();
    reader.feedData(new Uint8Array(${25 * MIB}));
    const fed = external() - before;
    await reader.readexactly(${25 * MIB});

    let left = ${100 * MIB};
    const [a, b] = connPair();
    const lost = Promise.withResolvers();
    class Sink extends Protocol {
      dataReceived(data) {
        left -= data.length;
      }
      connectionLost() {
        lost.resolve();
      }
    }
    await createConnection(() => new Sink(), { conn: a });
    const block = new Uint8Array(65536);
    for (let sent = 0; sent < ${100 * MIB};) sent += await b.write(block.subarray(0, ${100 * MIB} - sent));
    b.close();
    await lost.promise;
    if (left !== 0) throw new Error("not all came");
    console.log(JSON.stringify([imported, fed, external() - before]));
  `);
  assertLess(imported!, 4 * MIB);
  // The fed bytes, and the array that they were fed from.
  assertGreaterOrEqual(fed!, 25 * MIB);
  assertLess(fed!, 3 * 25 * MIB);
  assertLess(received!, 32 * MIB);
});

Deno.test("reserveGcHeadroom() reserves until it is disposed, once; several reservations add up", () => {
  const external = () => Deno.memoryUsage().external;
  const before = external();
  const grown = () => Math.round((external() - before) / (64 * MIB));
  const outer = reserveGcHeadroom(256 * MIB);
  assertEquals(grown(), 4);
  const inner = reserveGcHeadroom(512 * MIB);
  assertEquals(grown(), 12);
  inner[Symbol.dispose]();
  inner[Symbol.dispose]();
  assertEquals(grown(), 4);
  outer[Symbol.dispose]();
  assertEquals(grown(), 0);
  {
    using _headroom = reserveGcHeadroom();
    assertEquals(grown(), 12);
  }
  assertEquals(grown(), 0);
});

Deno.test({
  name: "reserveGcHeadroom() takes no memory of the system, and stays when its result is dropped",
  ignore: Deno.build.os === "windows",
  async fn() {
    const [rss, external] = await measure(`
      const { reserveGcHeadroom } = await import("ROOT/src/tuning/mod.ts");
      gc();
      const before = Deno.memoryUsage();
      (() => void reserveGcHeadroom())();
      for (let i = 0; i < 3; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve));
      }
      const after = Deno.memoryUsage();
      console.log(JSON.stringify([after.rss - before.rss, after.external - before.external]));
    `);
    assertLess(rss!, 768 * MIB / 8);
    assertGreaterOrEqual(external!, 768 * MIB);
  },
});

Deno.test("reserveGcHeadroom() refuses what is no size, and more than there is room for", () => {
  for (const bytes of ["1", null, {}, 7n]) {
    assertThrows(() => reserveGcHeadroom(bytes as never), TypeError, "Cannot reserve GC headroom: the size must be a");
  }
  for (const bytes of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(() => reserveGcHeadroom(bytes), RangeError, "Cannot reserve GC headroom: the size must be a whole");
  }
  const error = assertThrows(
    () => reserveGcHeadroom(2 ** 52),
    RangeError,
    "there is no room for 4503599627370496 bytes",
  );
  assert(error.cause instanceof RangeError);
  reserveGcHeadroom(0)[Symbol.dispose]();
});
