/** Whose memory is whose: what the library may use, for how long, and how much of it [M1, M2, M3, M4]. */
import { assert, assertEquals, assertInstanceOf, assertLess, assertStrictEquals } from "@std/assert";
import { deadline } from "@std/async";
import { type ConnLike, connPair, createConnection, openConnection, Protocol, type StreamWriter } from "../../mod.ts";
import { hookedConn, RecordingProtocol } from "../../src/testing/mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { kinds, plainKinds } from "../support/servers.ts";
import { pattern, text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

for (const kind of kinds) {
  Deno.test(`${kind.name}: bytes handed to a user are never written again [M1]`, async () => {
    const kept: { seen: Uint8Array; copy: Uint8Array }[] = [];
    class Keeper extends Protocol {
      override dataReceived(seen: Uint8Array): void {
        kept.push({ seen, copy: seen.slice() });
      }
    }
    await using server = await kind.createServer(() => new Keeper());
    await using client = await kind.openConnection(server);
    const total = 2_000_000;
    for (let sent = 0, i = 1; sent < total; i++) {
      const piece = pattern(Math.min(total - sent, 1 + (i * i * 37) % 20_000)).map((byte) => byte ^ i);
      client.writer.write(piece);
      sent += piece.length;
      if (i % 5 === 0) await turns();
    }
    await client.writer.drain();
    await until(() => kept.reduce((sum, { seen }) => sum + seen.length, 0) === total);
    for (const { seen, copy } of kept) assertEquals(seen, copy);
  });

  Deno.test(`${kind.name}: bytes that reads gave are never written again [M1]`, async () => {
    await using server = await kind.startServer(async (_reader, writer) => {
      for (let i = 0; i < 3000; i++) {
        writer.write(`${i}:${"x".repeat(i % 700)}\n`);
        await writer.drain();
      }
    });
    await using client = await kind.openConnection(server);
    const lines: Uint8Array[] = [];
    for await (const line of client.reader) lines.push(line);
    assertEquals(lines.length, 3000);
    lines.forEach((line, i) => assertEquals(text(line), `${i}:${"x".repeat(i % 700)}\n`));
  });

  Deno.test(`${kind.name}: large pieces that reads gave are never written again, however they were read [M1]`, async () => {
    const total = 2_000_000;
    const data = pattern(total);
    await using server = await kind.startServer(async (_reader, writer) => {
      for (let sent = 0, i = 1; sent < total; i++) {
        const piece = data.subarray(sent, sent + 1 + (i * i * 37) % 40_000);
        writer.write(piece);
        await writer.drain();
        sent += piece.length;
      }
    });
    await using client = await kind.openConnection(server);
    const { reader } = client;
    const kept: { at: number; bytes: Uint8Array }[] = [];
    for (let at = 0, i = 0; at < total; i++) {
      const left = total - at;
      const bytes = i % 3 === 0
        ? await reader.readexactly(Math.min(left, 1 + (i * 7919) % 90_000))
        : await reader.read(i % 3 === 1 ? 65536 : 3000);
      kept.push({ at, bytes });
      at += bytes.length;
    }
    for (const { at, bytes } of kept) assertEquals(bytes, data.subarray(at, at + bytes.length));
  });

  Deno.test(`${kind.name}: write() and writelines() are done with the caller's memory when they return [M2]`, async () => {
    await using server = await kind.startServer(async (reader, writer) => writer.write(await reader.read()));
    await using client = await kind.openConnection(server);
    const memory = new Uint8Array(70_000);
    const expected: number[] = [];
    for (let i = 1; i <= 40; i++) {
      const size = (i * 997) % memory.length;
      memory.fill(i, 0, size);
      if (i % 2 === 0) client.writer.write(memory.subarray(0, size));
      else client.writer.writelines([memory.subarray(0, size >> 1), memory.subarray(size >> 1, size)]);
      for (let n = 0; n < size; n++) expected.push(i);
      memory.fill(0);
    }
    client.writer.writeEof();
    assertEquals(await client.reader.read(), Uint8Array.from(expected));
  });

  Deno.test(`${kind.name}: sendall() sends what lies in the caller's memory, and settles when it is taken [M3]`, async () => {
    const received: number[] = [];
    await using server = await kind.startServer(async (reader) => void received.push((await reader.read()).length));
    await using client = await kind.openConnection(server);
    const big = new Uint8Array(3_000_000);
    const first = client.writer.sendall(big);
    client.writer.write("between");
    const second = client.writer.sendall(big);
    await Promise.all([first, second]);
    assertEquals(client.writer.transport.getWriteBufferSize(), 0);
    client.writer.writeEof();
    await until(() => received.length === 1);
    assertEquals(received, [2 * big.length + 7]);
  });

  for (const who of ["this side", "the peer"]) {
    Deno.test(`${kind.name}: a readinto() and a sendall() that wait both end when ${who} aborts [M3, W8]`, async () => {
      const accepted = Promise.withResolvers<StreamWriter>();
      await using server = await kind.startServer((_reader, writer) => accepted.resolve(writer));
      await using client = await kind.openConnection(server);
      const peer = await accepted.promise;
      const reading = client.reader.readinto(new Uint8Array(10)).catch((error) => error);
      // No read waits: the second write waits behind the first.
      const sending = [50_000_000, 1].map((size) =>
        client.writer.sendall(new Uint8Array(size)).catch((error) => error)
      );
      await turns(10);
      (who === "this side" ? client.writer : peer).abort();
      const [read, ...sent] = await deadline(Promise.all([reading, ...sending]), 10_000);
      if (who === "this side") assertEquals(read, null);
      else assert(read === null || read instanceof Error, `${read}`);
      for (const error of sent) {
        assertInstanceOf(error, who === "this side" ? Deno.errors.ConnectionReset : Error);
      }
      peer.abort();
    });
  }
}

Deno.test("sendall() hands the caller's own memory to the conn [M3]", async () => {
  const [a, b] = connPair({ capacity: 1 << 20 });
  const buffers: ArrayBufferLike[] = [];
  const conn = hookedConn(a, { beforeWrite: (p) => void buffers.push(p.buffer) });
  const { writer } = await openConnection({ conn });
  const data = pattern(100_000);
  await writer.sendall(data);
  assertEquals(buffers.length, 1);
  assertStrictEquals(buffers[0], data.buffer);
  writer.abort();
  b.close();
});

Deno.test("readinto() hands the caller's own memory to the conn, when nothing is buffered [M3]", async () => {
  const [a, b] = connPair();
  const buffers: ArrayBufferLike[] = [];
  const conn = hookedConn(a, { beforeRead: (p) => void buffers.push(p.buffer) });
  const { reader, writer } = await openConnection({ conn });
  const memory = new Uint8Array(1000);
  const reading = reader.readinto(memory);
  await b.write(pattern(100));
  assertEquals(await reading, 100);
  assertEquals(memory.subarray(0, 100), pattern(100));
  assertEquals(buffers.length, 1);
  assertStrictEquals(buffers[0], memory.buffer);
  writer.abort();
  b.close();
});

Deno.test("a stream on which no read waits reads nothing [M4]", async () => {
  const [a, b] = connPair();
  let reads = 0;
  const conn = hookedConn(a, { beforeRead: () => void reads++ });
  const { reader, writer } = await openConnection({ conn });
  await b.write(pattern(10_000));
  await turns(3);
  assertEquals([reads, reader.buffered], [0, 0]);
  assertEquals((await reader.read(100)).length, 100);
  await turns(3);
  assertLess(reads, 3);
  writer.abort();
  b.close();
});

for (const limit of [1000, 65536]) {
  Deno.test(`with readAhead and a limit of ${limit} a stream buffers twice that and one read, no more [M4]`, async () => {
    const [a, b] = connPair();
    const { reader, writer } = await openConnection({ conn: a, limit, readAhead: true });
    const sending = sendForever(b);
    await turns(300);
    assert(reader.buffered >= 2 * limit, `${reader.buffered}`);
    // One read brings 128 KiB at most.
    assert(reader.buffered <= 2 * limit + 131_072, `${reader.buffered}`);
    writer.abort();
    b.close();
    await sending;
  });
}

async function sendForever(conn: ConnLike): Promise<void> {
  try {
    const chunk = new Uint8Array(50_000);
    for (;;) await conn.write(chunk);
  } catch {
    // Closed.
  }
}

for (const kind of plainKinds) {
  Deno.test(`${kind.name}: a paused protocol holds the peer back, in bounded memory [M4, C5]`, async () => {
    const made: RecordingProtocol[] = [];
    await using server = await kind.createServer(() => {
      const protocol = new (class extends RecordingProtocol {
        override connectionMade(transport: never): void {
          super.connectionMade(transport);
          this.transport.pauseReading();
        }
      })();
      made.push(protocol);
      return protocol;
    });
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    await until(() => made.length === 1);
    const total = 64 << 20;
    transport.write(new Uint8Array(total));
    let before = -1;
    // Until the system takes no more.
    while (transport.getWriteBufferSize() !== before) {
      before = transport.getWriteBufferSize();
      for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert(before > total / 2, `${before}`);
    assertEquals(made[0]!.received.length, 0);
    assertEquals(protocol.names, ["connectionMade", "pauseWriting"]);
    made[0]!.transport.resumeReading();
    transport.close();
    await made[0]!.waitFor("connectionLost");
    assertEquals(made[0]!.calls.reduce((sum, { data }) => sum + (data?.length ?? 0), 0), total);
    await protocol.waitFor("connectionLost");
    protocol.assertOrder();
  });
}

Deno.test("a write buffer holds what was written, and counts every byte of it [M4, W2]", async () => {
  const [a, b] = connPair({ capacity: 1000 });
  const { transport, protocol } = await createConnection(() => new RecordingProtocol(), { conn: a });
  for (let i = 0; i < 100; i++) transport.write(new Uint8Array(1000));
  assertEquals(transport.getWriteBufferSize(), 100_000);
  await turns();
  assertEquals(transport.getWriteBufferSize(), 99_000);
  assertEquals(protocol.names, ["connectionMade", "pauseWriting"]);
  const p = new Uint8Array(1000);
  for (let left = 98_000; left >= 0; left -= 1000) {
    await b.read(p);
    await turns();
    assertEquals(transport.getWriteBufferSize(), left);
    assertEquals(protocol.names.includes("resumeWriting"), left <= 16384);
  }
  transport.abort();
  b.close();
});

Deno.test("a stream reads 64 KiB at a time at most, however much comes [M4]", async () => {
  const sizes: number[] = [];
  const conn: ConnLike = {
    read: (p) => Promise.resolve(sizes.push(p.length) && p.length),
    write: (p) => Promise.resolve(p.length),
    close: () => {},
  };
  const { reader, writer } = await openConnection({ conn });
  await reader.readexactly(1_000_000);
  writer.abort();
  assertEquals(Math.max(...sizes), 65536);
});
