// The instruments of tools/soak.ts are worth nothing if they cannot fail.
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type ConnLike, connPair, openConnection } from "../mod.ts";
import { SeededRandom } from "../src/testing/mod.ts";
import { Ledger } from "../tools/soak/ledger.ts";
import { growthOf, openDescriptors } from "../tools/soak/resources.ts";
import { roundTrip } from "../tools/soak/transfer.ts";

Deno.test("Ledger.error() counts errors with a class, and reports others as faults", () => {
  const ledger = new Ledger();
  for (const error of [new Deno.errors.ConnectionReset("x"), new DOMException("x"), new AggregateError([])]) {
    ledger.error("here", error);
  }
  assertEquals(ledger.problems, []);
  const bad = [new Error("bare"), new Deno.errors.BadResource("x"), new AggregateError([new Error("inside")]), "text"];
  for (const error of bad) ledger.error("here", error);
  assertEquals(ledger.problems.length, bad.length);
  assertEquals(ledger.errors, {
    ConnectionReset: 1,
    DOMException: 1,
    AggregateError: 2,
    Error: 2,
    BadResource: 1,
    string: 1,
  });
});

Deno.test("growthOf() sees memory that grows with the conversations, and none that goes up and down", () => {
  const samples = (heap: number[]) => heap.map((heap, i) => ({ conversations: 100 * i, rss: 0, heap, external: 0 }));
  assertEquals(growthOf(samples([10, 1010, 2010, 3010])), { rss: 0, heap: 3000, heapPerConversation: 10, external: 0 });
  assertEquals(growthOf(samples([500, 900, 500, 900, 500])).heap, 0);
});

Deno.test("openDescriptors() tells of what is open", { ignore: Deno.build.os !== "linux" }, () => {
  const before = openDescriptors();
  using _listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const opened = [...openDescriptors()].filter(([fd]) => !before.has(fd));
  assertEquals(opened.length >= 1, true);
  assertMatch(opened.map(([, what]) => what).join(), /socket/);
});

Deno.test("roundTrip() finds a byte that changed on its way", async () => {
  for (const flip of [-1, 5000]) {
    const [a, b] = connPair();
    let seen = 0;
    const flipping: ConnLike = {
      async read(p) {
        const n = await b.read(p);
        if (n !== null && flip >= seen && flip < seen + n) p[flip - seen]! ^= 1;
        seen += n ?? 0;
        return n;
      },
      write: (p) => b.write(p),
      close: () => b.close(),
      closeWrite: () => b.closeWrite!(),
    };
    await using near = await openConnection({ conn: a });
    await using far = await openConnection({ conn: flipping });
    const echoing = far.reader.readable.pipeTo(far.writer.writable);
    const trip = roundTrip(near, new SeededRandom(1), { size: 10_000 });
    if (flip < 0) assertEquals(await trip, 20_000);
    else await assertRejects(() => trip, Error, "a round trip brought");
    near.writer.writeEof();
    await echoing;
  }
});
