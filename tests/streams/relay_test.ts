/** relay(): both ways, half-closes passed on, one side's failure ends the other, idle timeout, back pressure. */
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import {
  type ConnLike,
  connPair,
  openConnection,
  relay,
  type RelayedBytes,
  type RelayOptions,
  type StreamConnection,
} from "../../mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { assertSameBytes, pattern } from "../support/bytes.ts";
import { type ConnKind, kinds as connKinds } from "../support/conn_kinds.ts";
import { readAll, writeAll } from "../support/conns.ts";
import { FakeTime } from "../support/fake_time.ts";
import { kinds } from "../support/servers.ts";

const encoder = new TextEncoder();

/** A relay between two connections, whose far ends the test holds. */
class Setup implements AsyncDisposable {
  private constructor(
    readonly left: ConnLike,
    readonly right: ConnLike,
    readonly a: StreamConnection,
    readonly b: StreamConnection,
    readonly done: Promise<RelayedBytes>,
  ) {}

  static async over(makePair: () => Promise<[ConnLike, ConnLike]>, options?: RelayOptions): Promise<Setup> {
    const [left, nearLeft] = await makePair();
    const [nearRight, right] = await makePair();
    const a = await openConnection({ conn: nearLeft });
    const b = await openConnection({ conn: nearRight });
    const done = relay(a, b, options);
    done.catch(() => {});
    return new Setup(left, right, a, b, done);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { writer } of [this.a, this.b]) {
      writer.abort();
      await writer.waitClosed().catch(() => {});
    }
    for (const conn of [this.left, this.right]) {
      try {
        conn.close();
      } catch {
        // The test did it.
      }
    }
    await turns(2);
  }
}

function memory(options?: RelayOptions): Promise<Setup> {
  return Setup.over(() => Promise.resolve(connPair()), options);
}

const halfClosing: ConnKind[] = connKinds.filter((kind) => kind.halfClose);

for (const kind of halfClosing) {
  Deno.test(`relay() over ${kind.name} moves bytes both ways, whole, and passes each end on`, async () => {
    await using setup = await Setup.over(() => Promise.resolve(kind.pair()));
    const { left, right } = setup;
    const there = pattern(3_000_000);
    const back = pattern(2_000_007).reverse();
    const [atRight, atLeft] = await Promise.all([
      readAll(right),
      readAll(left),
      writeAll(left, there).then(() => left.closeWrite!()),
      writeAll(right, back).then(() => right.closeWrite!()),
    ]);
    assertSameBytes(atRight, there);
    assertSameBytes(atLeft, back);
    assertEquals(await setup.done, { forward: there.length, backward: back.length });
  });

  Deno.test(`relay() over ${kind.name}: one direction goes on after the end of the other [S1]`, async () => {
    await using setup = await Setup.over(() => Promise.resolve(kind.pair()));
    const { left, right } = setup;
    await writeAll(left, encoder.encode("question"));
    await left.closeWrite!();
    assertEquals(await readAll(right), encoder.encode("question"));
    await writeAll(right, encoder.encode("answer"));
    await right.closeWrite!();
    assertEquals(await readAll(left), encoder.encode("answer"));
    assertEquals(await setup.done, { forward: 8, backward: 6 });
  });
}

for (const kind of kinds) {
  Deno.test(`relay() to ${kind.name}, through a handler's reader and writer`, async () => {
    await using target = await kind.startServer(async (reader, writer) => {
      writer.write(await reader.read());
    });
    let moved: RelayedBytes | undefined;
    await using proxy = await kind.startServer(async (reader, writer) => {
      await using upstream = await kind.openConnection(target);
      moved = await relay({ reader, writer }, upstream);
    });
    const { reader, writer } = await kind.openConnection(proxy);
    const data = pattern(500_000);
    const [echoed] = await Promise.all([reader.read(), writer.sendall(data).then(() => writer.writeEof())]);
    assertSameBytes(echoed, data);
    await writer.close();
    await proxy.shutdown();
    assertEquals(moved, { forward: data.length, backward: data.length });
  });
}

Deno.test("relay() moves first what was received and not read", async () => {
  const [left, nearLeft] = connPair();
  const [nearRight, right] = connPair();
  const a = await openConnection({ conn: nearLeft });
  const b = await openConnection({ conn: nearRight });
  await left.write(encoder.encode("CONNECT\nhello"));
  assertEquals(await a.reader.readline({ encoding: "utf-8" }), "CONNECT\n");
  const done = relay(a, b);
  await left.closeWrite();
  assertEquals(await readAll(right), encoder.encode("hello"));
  right.close();
  await done;
  for (const { writer } of [a, b]) await writer.close();
  left.close();
});

Deno.test("relay(): the failure of one side ends the other, and is what the call rejects with", async () => {
  for (const failing of ["left", "right"] as const) {
    const error = new Error("the cable");
    const [conn, far] = connPair();
    const broken: ConnLike = {
      read: () => Promise.reject(error),
      write: (p) => conn.write(p),
      close: () => conn.close(),
    };
    const [near, other] = connPair();
    const sides = [await openConnection({ conn: broken }), await openConnection({ conn: near })] as const;
    const [a, b] = failing === "left" ? sides : [sides[1], sides[0]];
    assertEquals(await relay(a, b).catch((error) => error), error);
    assertEquals(await other.read(new Uint8Array(1)), null);
    for (const { writer } of sides) await writer.waitClosed().catch(() => {});
    far.close();
    other.close();
  }
});

Deno.test("relay(): a connection that cannot half-close is closed at the end of the other direction", async () => {
  const [left, nearLeft] = connPair();
  const [conn, right] = connPair();
  const whole: ConnLike = { read: (p) => conn.read(p), write: (p) => conn.write(p), close: () => conn.close() };
  const a = await openConnection({ conn: nearLeft });
  const b = await openConnection({ conn: whole });
  const done = relay(a, b);
  await left.write(encoder.encode("all"));
  await left.closeWrite();
  assertEquals(await readAll(right), encoder.encode("all"));
  assertEquals(await readAll(left), new Uint8Array(0));
  assertEquals(await done, { forward: 3, backward: 0 });
  await a.writer.close();
  left.close();
  right.close();
});

Deno.test("relay(): a sender is not read from while the receiver takes nothing", async () => {
  let read = 0;
  const endless: ConnLike = {
    read: (p) => {
      read += p.length;
      return Promise.resolve(p.length);
    },
    write: (p) => Promise.resolve(p.length),
    close: () => {},
  };
  const [near, stuck] = connPair({ capacity: 100 });
  const a = await openConnection({ conn: endless });
  const b = await openConnection({ conn: near });
  const done = relay(a, b);
  done.catch(() => {});
  await turns(50);
  // One read is being sent.
  assertLess(read, 300_000);
  const before = read;
  await turns(50);
  assertEquals(read, before);
  a.writer.abort();
  b.writer.abort();
  await done.catch(() => {});
  stuck.close();
});

Deno.test("relay(): idleTimeout ends both sides with TimedOut; a byte either way begins the time anew [V10]", async () => {
  using time = new FakeTime();
  await using setup = await memory({ idleTimeout: 1000 });
  let outcome: unknown;
  setup.done.catch((error) => outcome = error);
  for (let i = 0; i < 6; i++) {
    await time.advance(900);
    assertEquals(outcome, undefined);
    const [from, to] = i % 2 === 0 ? [setup.left, setup.right] : [setup.right, setup.left];
    await from.write(new Uint8Array(1));
    assertEquals(await to.read(new Uint8Array(9)), 1);
  }
  await time.advance(1200);
  assert(outcome instanceof Deno.errors.TimedOut, String(outcome));
  assertEquals(outcome.message, "Cannot relay: no byte was moved for 1000 ms");
  assertEquals(await setup.left.read(new Uint8Array(1)), null);
  assertEquals(await setup.right.read(new Uint8Array(1)), null);
  await turns(2);
  assertEquals(time.timers, 0);
});

Deno.test("relay(): a receiver that takes a few bytes now and then is not idle [V10]", async () => {
  using time = new FakeTime();
  await using setup = await Setup.over(() => Promise.resolve(connPair({ capacity: 10 })), { idleTimeout: 1000 });
  const writing = writeAll(setup.left, new Uint8Array(200)).then(() => setup.left.closeWrite!());
  const p = new Uint8Array(10);
  let received = 0;
  while (received < 200) {
    await time.advance(900);
    received += (await setup.right.read(p))!;
  }
  await writing;
  assertEquals(await setup.right.read(p), null);
});

Deno.test("relay(): signal and timeout abort both sides [R7]", async () => {
  const reason = new Error("enough");
  const stop = new AbortController();
  await using aborted = await memory({ signal: stop.signal });
  stop.abort(reason);
  assertEquals(await aborted.done.catch((error) => error), reason);
  assertEquals(await aborted.right.read(new Uint8Array(1)), null);
  await using late = await memory({ timeout: 20 });
  await assertRejects(() => late.done, Deno.errors.TimedOut, "Cannot relay: 20 ms are over");
  assertEquals(await late.left.read(new Uint8Array(1)), null);
});

Deno.test("relay() checks its arguments before anything is done [V2]", async () => {
  const [near, far] = connPair();
  const a = await openConnection({ conn: near });
  const any = (value: unknown) => value as never;
  await assertRejects(() => relay(a, any(null)), TypeError, "a side must have a reader and a writer");
  await assertRejects(() => relay(any({ reader: a.reader }), a), TypeError, "a side must have");
  await assertRejects(() => relay(a, a, { idleTimeout: -1 }), RangeError, "idleTimeout must be at least 0 ms");
  await assertRejects(() => relay(a, a, any({ idle: 1 })), TypeError, 'there is no option "idle"');
  assertEquals(a.writer.isClosing(), false);
  await a.writer.close();
  far.close();
});
