/** The reader at the end of real connections: in memory, over TCP, over Unix sockets. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { connPair } from "../../src/conn/conn_pair.ts";
import type { ConnLike } from "../../src/conn/conn.ts";
import { openConnection } from "../../src/streams/open_connection.ts";
import type { StreamReader } from "../../src/streams/stream_reader.ts";
import { hookedConn } from "../../src/testing/conns/hooked_conn.ts";
import { turns } from "../../src/testing/turns.ts";
import { outcome, show, text, watch } from "../support/reader_outcomes.ts";
import { tcpPair, unixPair, writeAll } from "../support/conns.ts";
import { until } from "../support/waiting.ts";
import { bytes, concat } from "../support/bytes.ts";

const kinds: Record<string, () => Promise<[ConnLike, ConnLike]>> = {
  "memory": () => Promise.resolve(connPair()),
  TCP: tcpPair,
  Unix: unixPair,
};

/** Opens streams on one end of a pair, and records every memory that is read into. */
async function open(kind: string, options: { limit?: number; readAhead?: boolean } = {}) {
  const [near, peer] = await kinds[kind]!();
  const reads: Uint8Array[] = [];
  const conn = hookedConn(near, { beforeRead: (p) => void reads.push(p) });
  const { reader, writer } = await openConnection({ conn, ...options });
  return {
    reader,
    writer,
    peer,
    reads,
    async [Symbol.asyncDispose]() {
      writer.abort();
      await writer.waitClosed().catch(() => {});
      try {
        peer.close();
      } catch {
        // The test has closed it.
      }
    },
  };
}

for (const kind of Object.keys(kinds)) {
  for (const readAhead of [false, true]) {
    Deno.test(`StreamReader reads in every way over ${kind}${readAhead ? ", reading ahead" : ""}`, async () => {
      await using ends = await open(kind, { readAhead });
      const { reader, peer } = ends;
      const written = (async () => {
        for (
          const piece of ["line\r\nexa", "ctly", "up to--", "END--x", "skipped\n", "1\n2\r\n", "peek", "into", "re"]
        ) {
          await writeAll(peer, bytes(piece));
          await turns();
        }
        await peer.closeWrite!();
      })();
      assertEquals(text(await reader.readline()), "line\r\n");
      assertEquals(text(await reader.readexactly(7)), "exactly");
      assertEquals(text(await reader.readuntil(["--END--", "never"])), "up to--END--");
      assertEquals(text(await reader.read(1)), "x");
      assertEquals(await reader.skipuntil(), 8);
      const lines = reader.lines();
      assertEquals([(await lines.next()).value, (await lines.next()).value], ["1", "2"]);
      assertEquals(text(await reader.peek(4)), "peek");
      assertEquals(text(await reader.readexactly(4)), "peek");
      const memory = new Uint8Array(4);
      for (let n = 0; n < 4;) n += (await reader.readinto(memory.subarray(n)))!;
      assertEquals(text(memory), "into");
      assertEquals(text(concat(await Array.fromAsync(reader.readable))), "re");
      assertEquals(await reader.readinto(memory), null);
      assertEquals(reader.atEof(), true);
      await written;
    });

    Deno.test(`StreamReader reads a megabyte over ${kind}${readAhead ? ", reading ahead" : ""}, whatever the sizes [M1]`, async () => {
      const data = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 31 + (i >> 8)) & 255);
      await using ends = await open(kind, { readAhead, limit: 4096 });
      const { reader, peer } = ends;
      const written = writeAll(peer, data).then(() => peer.closeWrite!());
      const pieces: Uint8Array[] = [];
      const memory = new Uint8Array(30_000);
      let total = 0;
      for (let i = 0; total < data.length; i++) {
        let piece;
        if (i % 3 === 0) piece = await reader.read(1 + i * 97 % 20_000);
        else if (i % 3 === 1) piece = await reader.readexactly(Math.min(i * 61 % 50_000, data.length - total));
        else piece = memory.slice(0, (await reader.readinto(memory)) ?? 0);
        pieces.push(piece);
        total += piece.length;
      }
      await written;
      assertEquals((await reader.read()).length, 0);
      let at = 0;
      for (const piece of pieces) {
        assert(piece.every((byte, i) => byte === data[at + i]), `the piece at ${at} is not what was sent`);
        at += piece.length;
      }
    });
  }

  Deno.test(`StreamReader.readinto() hands the caller's own memory to a conn over ${kind} [M3]`, async () => {
    await using ends = await open(kind);
    const { reader, peer, reads } = ends;
    const memory = new Uint8Array(10);
    const read = reader.readinto(memory);
    assertStrictEquals(reads.at(-1), memory);
    await writeAll(peer, bytes("direct"));
    assertEquals(await read, 6);
    assertEquals(text(memory.subarray(0, 6)), "direct");

    // With a signal not: a read from the system cannot be taken back.
    const other = new Uint8Array(10);
    const abortable = reader.readinto(other, { signal: new AbortController().signal });
    assert(!reads.includes(other));
    await writeAll(peer, bytes("copied"));
    assertEquals(await abortable, 6);
    assertEquals(text(other.subarray(0, 6)), "copied");

    // Nor while something is buffered.
    await writeAll(peer, bytes("abcdef"));
    await reader.peek(6);
    const count = reads.length;
    assertEquals(await reader.readinto(memory.subarray(0, 4)), 4);
    assertEquals(reads.length, count);
    assertEquals(text(memory.subarray(0, 4)), "abcd");
  });

  Deno.test(`StreamReader.readinto() over ${kind} keeps its memory until the conn is done with it, whatever is set or fed [M3]`, async () => {
    await using ends = await open(kind);
    const { reader, writer, peer } = ends;
    const [first, second] = [new Uint8Array(10), new Uint8Array(10)];
    const fed = reader.readinto(first);
    reader.feedData(bytes("fed"));
    await turns(2);
    assertEquals(first, new Uint8Array(10));
    await writeAll(peer, bytes("late"));
    assertEquals(await fed, 7);
    assertEquals(text(first.subarray(0, 7)), "fedlate");

    const failed = outcome(reader.readinto(second));
    reader.setException(new Deno.errors.TimedOut("too slow"));
    await turns(2);
    await writeAll(peer, bytes("late"));
    assertEquals(await failed, "TimedOut: too slow");
    // They were not asked for any more, and are left to the next read [R8].
    assertEquals(text(await reader.read(10)), "late");
    assertEquals(writer.isClosing(), false);
  });

  Deno.test(`StreamReader.readinto() over ${kind} ends with the connection, as what that was lost with says [M3]`, async () => {
    for (const failure of [null, new Deno.errors.TimedOut("too slow")]) {
      await using ends = await open(kind);
      const { reader, writer } = ends;
      const read = outcome(reader.readinto(new Uint8Array(10)));
      if (failure !== null) reader.setException(failure);
      writer.abort();
      assertEquals(await read, failure === null ? "null" : "TimedOut: too slow");
    }
  });

  Deno.test(`StreamReader reads nothing over ${kind} unless a read waits [R10]`, async () => {
    await using ends = await open(kind);
    const { reader, peer, reads } = ends;
    await writeAll(peer, bytes("abcdef"));
    await turns(5);
    assertEquals([reads.length, reader.buffered], [0, 0]);
    assertEquals(text(await reader.read(2)), "ab");
    await turns(5);
    assertEquals([reads.length, reader.buffered], [1, 4]);
  });

  Deno.test(`StreamReader that reads ahead over ${kind} holds at most 2 × limit and one read more [R10]`, async () => {
    await using ends = await open(kind, { readAhead: true, limit: 1000 });
    const { reader, peer, reads } = ends;
    const data = new Uint8Array(200_000);
    const written = writeAll(peer, data);
    await until(() => reader.buffered > 2000);
    await turns(20);
    assert(reader.buffered <= 2000 + 131_072, `${reader.buffered} bytes are buffered`);
    const count = reads.length;
    await turns(5);
    assertEquals(reads.length, count);
    assertEquals((await reader.readexactly(data.length)).length, data.length);
    await written;
  });

  Deno.test(`StreamReader that reads ahead over ${kind} notices that its peer left [R10]`, async () => {
    await using ends = await open(kind, { readAhead: true });
    ends.peer.close();
    await until(() => ends.reader.atEof() || ends.reader.exception() !== null);
  });

  Deno.test(`StreamReader loses nothing over ${kind} to reads that are aborted while the conn is read [R7]`, async () => {
    await using ends = await open(kind);
    const { reader, peer } = ends;
    const starts: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => reader.read(4, { signal }),
      (signal) => reader.read(-1, { signal }),
      (signal) => reader.readline({ signal }),
      (signal) => reader.readexactly(100_000, { signal }),
      (signal) => reader.readuntil("--", { signal }),
      (signal) => reader.readinto(new Uint8Array(4), { signal }),
      (signal) => reader.peek(100, { signal }).then(() => "enough"),
    ];
    let sent = "";
    let consumed = "";
    for (let i = 0; i < 3 * starts.length; i++) {
      const controller = new AbortController();
      const read = starts[i % starts.length]!(controller.signal);
      const piece = `piece ${i};`;
      // The abort comes before the bytes, with them, or after them.
      const sending = i % 3 === 0 ? null : writeAll(peer, bytes(piece));
      if (i % 3 === 2) await turns(3);
      controller.abort(new Error("enough"));
      const result = await read.catch((error) => error.message);
      if (sending === null) await writeAll(peer, bytes(piece));
      else await sending;
      sent += piece;
      if (result instanceof Uint8Array) consumed += text(result);
      // A completed readinto() has put its bytes into an array that is not kept here.
      else if (typeof result === "number") consumed += sent.slice(consumed.length, consumed.length + result);
      else assertEquals(result, "enough");
    }
    const rest = sent.length - consumed.length;
    assertEquals(consumed + text(await reader.readexactly(rest)), sent);
  });

  Deno.test(`StreamReader.readinto() ends when a connection over ${kind} is lost, and leaves the memory alone`, async () => {
    const ends = await open(kind);
    const memory = new Uint8Array(10);
    const read = watch(ends.reader.readinto(memory));
    ends.writer.abort();
    await until(() => read.outcome !== "pending");
    assertEquals(read.outcome, "null");
    await writeAll(ends.peer, bytes("too late")).catch(() => {});
    await turns(5);
    assertEquals(memory, new Uint8Array(10));
    ends.peer.close();
  });

  Deno.test(`StreamReader over ${kind} delivers what came before the connection was lost, then fails or ends [R8]`, async () => {
    await using ends = await open(kind);
    const { reader, peer } = ends;
    await writeAll(peer, bytes("line\nrest"));
    assertEquals(text(await reader.readline()), "line\n");
    ends.writer.abort();
    await ends.writer.waitClosed();
    assertEquals(await outcome(reader.readexactly(5)), 'IncompleteReadError("rest", 5)');
    assertEquals(await outcome(reader.readline()), '""');
  });

  Deno.test(`StreamReader.read() to the end over ${kind} is not bound by the limit [R2, R11]`, async () => {
    await using ends = await open(kind, { limit: 10 });
    const written = writeAll(ends.peer, new Uint8Array(300_000).fill(7)).then(() => ends.peer.closeWrite!());
    const all = await ends.reader.read();
    assertEquals([all.length, all.every((byte) => byte === 7)], [300_000, true]);
    await written;
  });
}

Deno.test("StreamReader over a conn that fails throws its error, and only once the bytes are read [R8]", async () => {
  let fail: (error: Error) => void = () => {};
  const pieces = [bytes("one\ntwo")];
  const conn: ConnLike = {
    read(p) {
      const piece = pieces.shift();
      if (piece === undefined) return new Promise((_, reject) => fail = reject);
      p.set(piece);
      return Promise.resolve(piece.length);
    },
    write: (p) => Promise.resolve(p.length),
    close: () => fail(new Deno.errors.Interrupted("closed")),
  };
  const { reader, writer } = await openConnection({ conn });
  assertEquals(text(await reader.readline()), "one\n");
  const waiting: Promise<string> = outcome(reader.readexactly(10));
  const lost = new Deno.errors.ConnectionReset("lost");
  await turns();
  fail(lost);
  assertEquals(await waiting, "ConnectionReset: lost");
  assertEquals(show(await reader.readline()), '"two"');
  assertStrictEquals(await (reader as StreamReader).readline().catch((error) => error), lost);
  assertStrictEquals(await writer.drain().catch((error) => error), lost);
});
