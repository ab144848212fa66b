import { assert, assertEquals, assertRejects } from "@std/assert";
import { connPair } from "../../src/conn/conn_pair.ts";
import type { ConnLike } from "../../src/conn/conn.ts";
import { checkConn, connCases, type ConnPair, lockstepConnPair } from "../../src/testing/mod.ts";

const QUICK = { transferSize: 100_000, quiet: 10, timeout: 400, bound: 65536 };

/** A pair of which one end is broken in some way. */
function broken(breakIt: (conn: ConnLike) => Partial<ConnLike>): () => Promise<ConnPair> {
  return () => {
    const [a, b] = connPair();
    const sound: ConnLike = {
      read: (p) => a.read(p),
      write: (p) => a.write(p),
      close: () => a.close(),
      closeWrite: () => a.closeWrite!(),
    };
    return Promise.resolve({ a: { ...sound, ...breakIt(a) }, b });
  };
}

/** Faults of a conn, and the case that finds each. */
const mistakes: [string, string, (conn: ConnLike) => Partial<ConnLike>][] = [
  ["changes some bytes", "transfers bytes in both directions at once, in pieces", (conn) => {
    let writes = 0;
    return { write: (p) => conn.write(++writes % 2 === 0 ? p.map((byte, i) => i === 0 ? byte ^ 1 : byte) : p) };
  }],
  [
    "uses the memory of a write after its promise resolved",
    "transfers bytes in both directions at once, in pieces",
    (conn) => {
      let before: Promise<unknown> = Promise.resolve();
      return {
        write: (p) => {
          before = before.then(() => conn.write(p)).catch(() => {});
          return Promise.resolve(p.length);
        },
      };
    },
  ],
  ["reads beyond the memory it was given", "transfers bytes in both directions at once, in pieces", (conn) => ({
    read: (p) => {
      new Uint8Array(p.buffer, p.byteOffset)[p.length] = 1;
      return conn.read(p);
    },
  })],
  ["claims to have taken more than it was given", "transfers bytes in both directions at once, in pieces", (conn) => ({
    write: async (p) => await conn.write(p) + 1,
  })],
  ["rejects an empty write", "reads into an empty array", (conn) => ({
    write: (p) => p.length === 0 ? Promise.reject(new Error("nothing")) : conn.write(p),
  })],
  ["buffers without a bound", "makes a writer wait within the bound", () => ({
    write: (p) => Promise.resolve(p.length),
  })],
  ["cannot end writing", "half-closes, one side ending first", () => ({ closeWrite: () => Promise.resolve() })],
  ["closes everything when it ends writing", "half-closes, one side ending first", (conn) => ({
    closeWrite: () => Promise.resolve(conn.close()),
  })],
  ["leaves a waiting read pending at close()", "rejects a waiting read at close()", (conn) => ({
    read: (p) => conn.read(p).catch(() => new Promise(() => {})),
  })],
  ["can be closed twice", "rejects a waiting read at close()", (conn) => {
    let closed = false;
    return {
      close: () => {
        if (!closed) conn.close();
        closed = true;
      },
    };
  }],
  ["never settles a write", "resolves a waiting read when bytes arrive", (conn) => ({
    write: async (p) => {
      await conn.write(p);
      return await new Promise(() => {});
    },
  })],
];

for (const [what, name, breakIt] of mistakes) {
  Deno.test(`connCases() finds a conn that ${what}`, async () => {
    const found = connCases(broken(breakIt), QUICK).find((one) => one.name.startsWith(name))!;
    await assertRejects(() => found.fn());
    // With a sound conn the same case passes.
    await connCases(broken(() => ({})), { ...QUICK, timeout: 10_000 }).find((one) => one.name === found.name)!.fn();
  });
}

Deno.test("connCases() names each case differently, with its rule", () => {
  const names = connCases(broken(() => ({}))).map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  for (const { name, rule } of connCases(broken(() => ({})))) assert(name.endsWith(`[${rule}]`), name);
});

Deno.test("connCases() ignores cases for what a kind lacks, says why, and never passes them", async () => {
  const cases = connCases(broken(() => ({})), { halfClose: false });
  const ignored = cases.filter(({ ignore }) => ignore);
  assertEquals(ignored.length, 4);
  for (const { notApplicable, fn } of ignored) {
    assertEquals(notApplicable, 'the kind lacks "halfClose"');
    await assertRejects(() => fn(), Error, 'the kind lacks "halfClose"');
  }
  assert(cases.filter(({ ignore }) => !ignore).every(({ notApplicable }) => notApplicable === null));
});

Deno.test("checkConn() tells which cases passed and which do not apply", async () => {
  const makePair = () => {
    const [a, b] = lockstepConnPair();
    return Promise.resolve({ a, b });
  };
  const report = await checkConn(makePair, { ...QUICK, timeout: 10_000, bound: 0, failsWrites: false });
  assertEquals(report.passed.length, connCases(makePair).length - 2);
  assertEquals(report.notApplicable.map(({ why }) => why), Array(2).fill('the kind lacks "failsWrites"'));
});

Deno.test("checkConn() throws the names and reasons of all cases that failed", async () => {
  const makePair = broken(() => ({ closeWrite: () => Promise.reject(new Error("not today")) }));
  const error = await assertRejects(() => checkConn(makePair, QUICK), AggregateError, "Cannot accept the conn: ");
  assert(error.errors.length >= 3);
  for (const { message } of error.errors) assert(error.message.includes(message), message);
  assert(error.message.includes("half-closes, one side ending first [ConnLike]: not today"), error.message);
});

Deno.test("connCases() closes both ends and releases the rest of the pair, also when a case fails", async () => {
  const closed: string[] = [];
  const makePair = async () => {
    const { a, b } = await broken((conn) => ({ close: () => (closed.push("a"), conn.close()) }))();
    return { a: { ...a, write: () => Promise.reject(new Error("no")) }, b, close: () => void closed.push("around") };
  };
  await assertRejects(() => connCases(makePair, QUICK)[0]!.fn(), Error, "no");
  assertEquals(closed, ["a", "around"]);
});
