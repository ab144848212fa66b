/** Readers that are slower than what they are sent: back pressure reaches the sender, and memory stays within bounds [M4, S2, R10, C5]. */
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
  assertRejects,
} from "@std/assert";
import { Protocol, type Server, type StreamWriter, type Transport } from "../../mod.ts";
import { type Kind, pathOf, portOf } from "../support/servers.ts";
import { turns } from "../../src/testing/turns.ts";
import { MemoryWatch, MiB, realKinds } from "./kit.ts";
import { until } from "../support/waiting.ts";

const GiB = 1 << 30;

/** What a transfer may cost in memory: an eighth of what is offered, garbage not yet collected included. */
const MOST_GROWTH = 128 * MiB;

/** More than the buffers of any system, both ends together. */
const BEYOND_THE_SYSTEM = 64 * MiB;

/** What one read can bring beyond the bound at which it is the last one. */
const LARGEST_READ = 64 * 1024;

function connectTo(server: Server, kind: Kind): Promise<Deno.Conn> {
  return kind.name === "Unix"
    ? Deno.connect({ transport: "unix", path: pathOf(server) })
    : Deno.connect({ port: portOf(server) });
}

for (const kind of realKinds) {
  const block = new Uint8Array(MiB);

  Deno.test(`${kind.name}: a slow reader is sent 1 GiB by drain() in bounded memory [S2, M4]`, async () => {
    let offered = 0;
    let received = 0;
    let mostAhead = 0;
    const memory = new MemoryWatch();
    await using server = await kind.startServer(async (_reader, writer) => {
      while (offered < GiB) {
        writer.write(block);
        offered += block.length;
        await writer.drain();
        mostAhead = Math.max(mostAhead, offered - received);
      }
    });
    await using client = await kind.openConnection(server);
    const p = new Uint8Array(256 * 1024);
    for (let n; (n = await client.reader.readinto(p)) !== null;) {
      received += n;
      // Slower than the sender, which can go on in each turn.
      if (received % (8 * MiB) < n) {
        await turns(2);
        memory.look();
      }
    }
    assertEquals(received, GiB);
    assertLess(mostAhead, BEYOND_THE_SYSTEM);
    assertLess(memory.growth, MOST_GROWTH);
  });

  Deno.test(`${kind.name}: a reader on demand puts back pressure on a sender of 1 GiB [R10, M4]`, async () => {
    let sent = 0;
    let received = 0;
    const memory = new MemoryWatch();
    await using server = await kind.startServer(async (reader, writer) => {
      // No read waits: the sender stops, and nothing is buffered here.
      for (let before = -1; before !== sent;) {
        before = sent;
        await turns(50);
      }
      assertLess(sent, BEYOND_THE_SYSTEM);
      assertEquals(reader.buffered, 0);
      while (received < GiB) {
        received += (await reader.read(65536)).length;
        if (received % MiB === 0) memory.look();
        assertLessOrEqual(reader.buffered, 2 * reader.limit + LARGEST_READ);
      }
      writer.write("done");
    });
    await using client = await kind.openConnection(server);
    while (sent < GiB) {
      await client.writer.sendall(block);
      sent += block.length;
    }
    assertEquals((await client.reader.readexactly(4)).length, 4);
    assertEquals(received, GiB);
    assertLess(memory.growth, MOST_GROWTH);
  });

  Deno.test(`${kind.name}: a peer that never reads stops a sender that waits for resumeWriting [W2, M4]`, async () => {
    const made = Promise.withResolvers<Sender>();
    class Sender extends Protocol {
      transport!: Transport;
      written = 0;
      isPaused = false;
      override connectionMade(transport: Transport): void {
        this.transport = transport;
        made.resolve(this);
        this.send();
      }
      override pauseWriting(): void {
        this.isPaused = true;
      }
      override resumeWriting(): void {
        this.isPaused = false;
        this.send();
      }
      send(): void {
        while (!this.isPaused && this.written < GiB) {
          this.transport.write(block);
          this.written += block.length;
        }
      }
    }
    const memory = new MemoryWatch();
    await using server = await kind.createServer(() => new Sender());
    await using _client = await kind.openConnection(server);
    const sender = await made.promise;
    for (let before = -1; before !== sender.written;) {
      before = sender.written;
      await turns(50);
    }
    assert(sender.isPaused);
    assertLess(sender.written, BEYOND_THE_SYSTEM);
    const { high } = sender.transport.getWriteBufferLimits();
    assertLessOrEqual(sender.transport.getWriteBufferSize(), high + block.length);
    assertLess(memory.growth, MOST_GROWTH);
    // Nothing but an abort ends it before its time.
    sender.transport.abort();
    await until(() => server.connections === 0);
  });
}

for (const kind of realKinds.filter(({ tls }) => !tls)) {
  for (const end of ["abort()", "closeTimeout"] as const) {
    Deno.test(`${kind.name}: a handler that ends with bytes that its peer never reads: ${end} ends the connection [S4, W7, W8]`, async () => {
      let writer: StreamWriter | undefined;
      const handler = (_reader: unknown, w: StreamWriter) => {
        writer = w;
        w.write(new Uint8Array(BEYOND_THE_SYSTEM));
        return Promise.resolve();
      };
      await using server = await kind.startServer(handler, end === "abort()" ? {} : { closeTimeout: 200 });
      const silent = await connectTo(server, kind);
      await until(() => writer?.isClosing() === true);
      if (end === "abort()") {
        await turns(50);
        assertEquals(server.connections, 1);
        assertGreater(writer!.transport.getWriteBufferSize(), 0);
        writer!.abort();
      }
      await until(() => server.connections === 0);
      if (end === "closeTimeout") await assertRejects(() => writer!.waitClosed(), Deno.errors.TimedOut);
      silent.close();
    });
  }
}

Deno.test("a sender that never waits keeps in memory what it writes; getWriteBufferSize() tells how much", async () => {
  const kind = realKinds[0]!;
  let writer: StreamWriter | undefined;
  await using server = await kind.startServer((_reader, w) => void (writer = w));
  const silent = await connectTo(server, kind);
  await until(() => writer !== undefined);
  const offered = 128 * MiB;
  for (let sent = 0; sent < offered; sent += MiB) writer!.write(new Uint8Array(MiB));
  await turns(50);
  const size = writer!.transport.getWriteBufferSize();
  assertGreater(size, writer!.transport.getWriteBufferLimits().high);
  assertGreaterOrEqual(size, offered - BEYOND_THE_SYSTEM);
  writer!.abort();
  assertEquals(writer!.transport.getWriteBufferSize(), 0);
  await until(() => server.connections === 0);
  silent.close();
});
