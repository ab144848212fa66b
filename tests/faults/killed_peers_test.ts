/** A peer whose process is killed during a transfer: only its system ends the connection. */
import { assert, assertEquals, assertGreaterOrEqual, assertInstanceOf, assertRejects } from "@std/assert";
import { IncompleteReadError, openConnection, type StreamReader, type StreamWriter } from "../../mod.ts";
import type { Kind } from "../support/servers.ts";
import { ignore, MiB, Peer, realKinds } from "./kit.ts";
import { until } from "../support/waiting.ts";

/** Has a handler play against a peer, and waits until nothing is left of the connection. */
async function against(
  kind: Kind,
  play: (peer: Peer, reader: StreamReader, writer: StreamWriter) => Promise<void>,
): Promise<void> {
  const streams = Promise.withResolvers<[StreamReader, StreamWriter]>();
  await using server = await kind.startServer((reader, writer) => streams.resolve([reader, writer]));
  await using peer = await Peer.connectedTo(kind, server);
  const [reader, writer] = await streams.promise;
  await play(peer, reader, writer);
  await writer.close().catch(() => {});
  await until(() => server.connections === 0);
}

for (const kind of realKinds) {
  Deno.test(
    { name: `${kind.name}: killed while it sends: what arrived is read, then the read fails [R3, R8]`, ignore },
    () =>
      against(kind, async (peer, reader) => {
        await peer.begin("send", 1 << 30);
        assertEquals((await reader.readexactly(MiB)).length, MiB);
        await reader.peek(1000);
        await peer.kill();
        const error = await assertRejects(() => reader.readexactly(1 << 30));
        if (!kind.tls) {
          assertInstanceOf(error, IncompleteReadError);
          assertGreaterOrEqual(error.partial.length, 1000);
        } else {
          // EOF without close_notify is an error; a system with unread bytes resets the connection.
          const isTyped = error instanceof Deno.errors.UnexpectedEof || error instanceof Deno.errors.ConnectionReset;
          assert(isTyped, `${error}`);
          assertGreaterOrEqual((await reader.read(1 << 30)).length, 1000);
        }
      }),
  );

  Deno.test(
    { name: `${kind.name}: killed while it is sent to: drain() and waitClosed() throw [S2, S3]`, ignore },
    () =>
      against(kind, async (peer, _reader, writer) => {
        writer.write(new Uint8Array(32 * MiB));
        const draining = writer.drain();
        assertEquals(await peer.tell("recv", MiB), MiB);
        await peer.kill();
        for (const promise of [draining, writer.waitClosed()]) {
          const error = await assertRejects(() => promise);
          assert(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe, `${error}`);
        }
        assertEquals(writer.transport.getWriteBufferSize(), 0);
      }),
  );
}

Deno.test(
  { name: "a server that is killed: its client gets an error, and connects to the next one", ignore },
  async () => {
    let port;
    {
      await using peer = Peer.start();
      port = await peer.tell("listen");
      const connecting = openConnection({ port });
      await peer.tell("accept");
      const { reader, writer } = await connecting;
      await peer.begin("send", 1 << 30);
      await reader.readexactly(MiB);
      await peer.kill();
      assert((await assertRejects(() => reader.readexactly(1 << 30))) instanceof IncompleteReadError);
      await writer.close();
    }
    await assertRejects(() => openConnection({ port }), Deno.errors.ConnectionRefused);
    await using peer = Peer.start();
    const next = openConnection({ port: await peer.tell("listen") });
    await peer.tell("accept");
    await using connection = await next;
    await peer.tell("send", 5);
    assertEquals((await connection.reader.readexactly(5)).length, 5);
  },
);
