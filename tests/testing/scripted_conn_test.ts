import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { createConnection } from "../../mod.ts";
import { RecordingProtocol, scriptedConn, type ScriptStep } from "../../src/testing/mod.ts";
import { bytes } from "../support/bytes.ts";

async function readText(conn: { read(p: Uint8Array): Promise<number | null> }, size = 64): Promise<string | null> {
  const p = new Uint8Array(size);
  const n = await conn.read(p);
  return n === null ? null : new TextDecoder().decode(p.subarray(0, n));
}

Deno.test("scriptedConn() gives and expects what its steps say, in any pieces", async () => {
  const conn = scriptedConn([{ read: "hello" }, { write: "HELLO" }, { write: bytes("!") }, { read: null }]);
  assertEquals(await readText(conn, 3), "hel");
  assertEquals(await readText(conn), "lo");
  assertEquals(await conn.write(bytes("HEL")), 3);
  assertEquals(await conn.write(bytes("LO!")), 2);
  assertEquals(await conn.write(bytes("!")), 1);
  assertEquals(await readText(conn), null);
  conn.done();
});

Deno.test("scriptedConn() lets a call wait for its turn", async () => {
  const conn = scriptedConn([{ write: "a" }, { read: "b" }, { write: "c" }]);
  const log: string[] = [];
  const reading = readText(conn).then((text) => log.push(`read ${text}`));
  assertEquals(await conn.write(bytes("a")), 1);
  log.push("wrote a");
  await reading;
  await conn.write(bytes("c"));
  assertEquals(log, ["wrote a", "read b"]);

  const other = scriptedConn([{ read: "b" }, { write: "c" }]);
  const writing = other.write(bytes("c")).then(() => log.push("wrote c"));
  assertEquals(await readText(other), "b");
  await writing;
  other.done();
});

Deno.test("scriptedConn() waits for a promise, fulfilled or not", async () => {
  for (const settle of ["resolve", "reject"] as const) {
    const { promise, ...trigger } = Promise.withResolvers<void>();
    const conn = scriptedConn([{ wait: promise }, { read: "now" }]);
    let early = true;
    const reading = readText(conn).then((text) => (assert(!early), text));
    assertThrows(() => conn.done(), Error, "step 1 of 2 (wait)");
    early = false;
    trigger[settle](undefined);
    assertEquals(await reading, "now");
    conn.done();
  }
});

Deno.test("scriptedConn() fails reads and writes with the very errors of the script", async () => {
  const [readError, writeError] = [new Error("r"), new Error("w")];
  const conn = scriptedConn([{ readError }, { writeError }, { closeWrite: true }]);
  assertStrictEquals(await assertRejects(() => conn.read(new Uint8Array(1))), readError);
  assertStrictEquals(await assertRejects(() => conn.write(bytes("x"))), writeError);
  await conn.closeWrite();
  conn.done();
});

Deno.test("scriptedConn() names the step that is broken, at once and by done()", async () => {
  const cases: [ScriptStep[], (conn: ReturnType<typeof scriptedConn>) => Promise<unknown>, string][] = [
    [
      [{ write: "ab" }, { write: "abc" }],
      async (conn) => {
        await conn.write(bytes("ab"));
        await conn.write(bytes("abd"));
      },
      'at step 2 of 2 (write "abc"), "abd" was written',
    ],
    [
      [{ write: "abcd" }],
      async (conn) => {
        await conn.write(bytes("ab"));
        await conn.write(bytes("ce"));
      },
      'at step 1 of 1 (write "cd" after 2 bytes), "ce" was written',
    ],
    [[], (conn) => conn.write(Uint8Array.of(0, 255)), "at its end, [0, 255] was written"],
    [[], (conn) => conn.closeWrite(), "at its end, the writing direction was ended"],
    [[{ write: "a" }], (conn) => conn.closeWrite(), 'at step 1 of 1 (write "a"), the writing direction was ended'],
    [[{ closeWrite: true }], (conn) => conn.write(bytes("a")), 'at step 1 of 1 (closeWrite), "a" was written'],
  ];
  for (const [steps, breakIt, message] of cases) {
    const conn = scriptedConn(steps);
    const error = await assertRejects(() => breakIt(conn), Error, `Cannot follow the script: ${message}`);
    assertStrictEquals(await assertRejects(() => conn.read(new Uint8Array(1))), error);
    conn.close();
    assertStrictEquals(assertThrows(() => conn.done()), error);
  }
});

Deno.test("ScriptedConn.done() names the first step that was not done", async () => {
  const conn = scriptedConn([{ read: "hello" }, { read: null }]);
  await readText(conn, 2);
  conn.close();
  assertThrows(() => conn.done(), Error, 'step 1 of 2 (read "llo" after 2 bytes) was not done');
  assertThrows(() => scriptedConn([{ read: null }]).done(), Error, "step 1 of 1 (read null) was not done");
});

Deno.test("scriptedConn() behaves as a conn: one call at a time, and none after close()", async () => {
  const conn = scriptedConn([{ read: "" }]);
  assertEquals(await conn.read(new Uint8Array(0)), 0);
  assertEquals(await conn.write(new Uint8Array(0)), 0);
  const reading = assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.Interrupted);
  await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.Busy);
  conn.close();
  assert(conn.closed);
  await reading;
  await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.BadResource);
  await assertRejects(() => conn.write(new Uint8Array(1)), Deno.errors.BadResource);
  assertThrows(() => conn.close(), Deno.errors.BadResource);
  conn.done();
});

Deno.test("scriptedConn() refuses what is no step", () => {
  assertThrows(() => scriptedConn([{ rite: "a" } as unknown as ScriptStep]), TypeError, 'no step "rite"');
});

Deno.test("scriptedConn() serves a transport, and done() tells what the transport was failed with", async () => {
  const conn = scriptedConn([{ read: "ping" }, { write: "pong" }]);
  const { transport, protocol } = await createConnection(() => new RecordingProtocol(), { conn });
  await protocol.waitForBytes(4);
  transport.write("pung");
  const { error } = await protocol.waitFor("connectionLost");
  assertStrictEquals(assertThrows(() => conn.done()), error!);
});
