/** Ends of connections in every order: half-closing, flushing, and what a peer gets to see [S1, W7, W8, W9]. */
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { connPair, createConnection, createServer, openConnection, type StreamConnection } from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { tcpPair } from "../support/conns.ts";
import { pattern, text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";
import { certificate, kinds, plainKinds, portOf } from "../support/servers.ts";

const MiB = 1 << 20;

/** Reads slowly: a little at a time, with turns of the event loop between. */
async function readSlowly({ reader }: StreamConnection): Promise<Uint8Array> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (let n = 0;; n++) {
    const piece = await reader.read(65536);
    if (piece.length === 0) break;
    pieces.push(piece.slice());
    if (n % 8 === 0) await turns(2);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

for (const kind of kinds) {
  Deno.test(`${kind.name}: close() flushes 8 MiB to a slow reader, then connectionLost(null) [W7]`, async () => {
    const message = pattern(8 * MiB);
    const lost: (Error | null)[] = [];
    class Sender extends RecordingProtocol {
      override connectionMade(transport: never): void {
        super.connectionMade(transport);
        this.transport.write(message);
        this.transport.close();
        assert(this.transport.isClosing());
        assertFalse(this.transport.isReading());
      }
      override connectionLost(error: Error | null): void {
        lost.push(error);
        super.connectionLost(error);
      }
    }
    await using server = await kind.createServer(() => new Sender());
    await using client = await kind.openConnection(server);
    const received = await readSlowly(client);
    assertEquals(received.length, message.length);
    assert(received.every((byte, i) => byte === message[i]));
    await client.writer.close();
    await until(() => lost.length === 1);
    assertEquals(lost, [null]);
  });

  Deno.test(`${kind.name}: EOF from the peer leaves the writer usable [S1]`, async () => {
    await using server = await kind.startServer(async (reader, writer) => {
      const all = await reader.read();
      writer.write(`${all.length} bytes\n`);
      await writer.drain();
      writer.write("and more\n");
    });
    await using client = await kind.openConnection(server);
    client.writer.write(new Uint8Array(100_000));
    assert(client.writer.canWriteEof());
    client.writer.writeEof();
    assertEquals(text(await client.reader.readline()), "100000 bytes\n");
    assertEquals(text(await client.reader.readline()), "and more\n");
    assertEquals(text(await client.reader.readline()), "");
    assert(client.reader.atEof());
  });

  Deno.test(`${kind.name}: the server half-closes first, and reads on [S1, W9]`, async () => {
    let received = 0;
    await using server = await kind.startServer(async (reader, writer) => {
      writer.write("that is all");
      writer.writeEof();
      received = (await reader.read()).length;
    });
    await using client = await kind.openConnection(server);
    assertEquals(text(await client.reader.read()), "that is all");
    client.writer.write(new Uint8Array(300_000));
    await client.writer.drain();
    client.writer.write(new Uint8Array(1));
    client.writer.writeEof();
    await client.writer.close();
    await until(() => received > 0);
    assertEquals(received, 300_001);
  });

  Deno.test(`${kind.name}: both half-close at once [W9]`, async () => {
    let received = -1;
    await using server = await kind.startServer(async (reader, writer) => {
      writer.writeEof();
      received = (await reader.read()).length;
    });
    await using client = await kind.openConnection(server);
    client.writer.write("x");
    client.writer.writeEof();
    assertEquals((await client.reader.read()).length, 0);
    await client.writer.close();
    await until(() => received === 1 && server.connections === 0);
  });

  Deno.test(`${kind.name}: writeEof() flushes 4 MiB before it half-closes; writes after it throw [W9, W5]`, async () => {
    const message = pattern(4 * MiB);
    await using server = await kind.startServer(async (reader, writer) => {
      writer.write(`${(await reader.read()).length}\n`);
    });
    await using client = await kind.openConnection(server);
    client.writer.write(message);
    client.writer.writeEof();
    client.writer.writeEof();
    for (const data of ["x", "", new Uint8Array(0)]) {
      assertThrows(() => client.writer.write(data), Error, "Cannot write: writeEof() was called before");
      assertThrows(() => client.writer.writelines([data]), Error, "Cannot write: writeEof() was called before");
    }
    await assertRejects(
      () => client.writer.sendall(new Uint8Array(0)),
      Error,
      "Cannot send: writeEof() was called before",
    );
    assertEquals(text(await client.reader.readline()), `${message.length}\n`);
  });

  Deno.test(`${kind.name}: close() after writeEof() ends in order [W7, W9]`, async () => {
    let received = 0;
    await using server = await kind.startServer(async (reader) => void (received = (await reader.read()).length));
    const { writer } = await kind.openConnection(server);
    writer.write(new Uint8Array(MiB));
    writer.writeEof();
    await writer.close();
    await until(() => received === MiB);
  });

  Deno.test(`${kind.name}: a protocol whose eofReceived returns false closes after flushing, true keeps open [C7]`, async () => {
    for (const keepOpen of [false, true]) {
      const made: RecordingProtocol[] = [];
      class Answering extends RecordingProtocol {
        override eofReceived(): boolean {
          this.transport.write(new Uint8Array(MiB));
          return super.eofReceived();
        }
      }
      await using server = await kind.createServer(() => {
        const protocol = new Answering({ keepOpen });
        made.push(protocol);
        return protocol;
      });
      await using client = await kind.openConnection(server);
      client.writer.writeEof();
      assertEquals((await client.reader.readexactly(MiB)).length, MiB);
      const { transport } = made[0]!;
      assertEquals(transport.isClosing(), !keepOpen);
      if (keepOpen) {
        transport.write("more");
        transport.close();
      }
      assertEquals(text(await client.reader.read()), keepOpen ? "more" : "");
      await client.writer.close();
      await made[0]!.waitFor("connectionLost");
      assertEquals(made[0]!.calls.at(-1)!.error, null);
      made[0]!.assertOrder();
    }
  });

  Deno.test(`${kind.name}: abort() drops what was not sent, at once [W8]`, async () => {
    await using server = await kind.startServer((_reader, writer) => void writer);
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write(new Uint8Array(64 * MiB));
    assert(transport.getWriteBufferSize() > 0);
    transport.abort();
    transport.abort();
    assertEquals(transport.getWriteBufferSize(), 0);
    assert(transport.isClosing());
    assertFalse(protocol.names.includes("connectionLost"));
    assertEquals((await protocol.waitFor("connectionLost")).error, null);
    await turns(3);
    protocol.assertOrder();
  });

  Deno.test(`${kind.name}: writes on a closing connection are dropped; from the fifth on each warns [W6]`, async () => {
    const warnings: string[] = [];
    const made: RecordingProtocol[] = [];
    await using server = await kind.createServer(() => {
      const protocol = new RecordingProtocol();
      made.push(protocol);
      return protocol;
    }, { onError: ({ message }) => warnings.push(message) });
    await using client = await kind.openConnection(server);
    await until(() => made.length === 1);
    const { transport } = made[0]!;
    transport.close();
    for (let i = 0; i < 4; i++) transport.write("x");
    transport.write("");
    transport.writelines([]);
    assertEquals(warnings, []);
    transport.write("x");
    assertEquals(warnings.length, 1);
    await client.writer.close();
    await made[0]!.waitFor("connectionLost");
    transport.writelines(["x", "y"]);
    assertEquals(warnings.length, 2);
    assert(warnings.every((message) => message.startsWith("Cannot write: the connection is closing")), `${warnings}`);
    assertThrows(() => transport.write(1 as never), TypeError);
  });

  Deno.test(`${kind.name}: pauseReading, resumeReading, close, abort, writeEof again, in any state [C4]`, async () => {
    await using server = await kind.startServer((_reader, writer) => void writer.close());
    const { transport, protocol } = await kind.createConnection(
      () => new RecordingProtocol({ keepOpen: true }),
      server,
    );
    const all = () => {
      transport.pauseReading();
      transport.pauseReading();
      transport.resumeReading();
      transport.resumeReading();
      transport.writeEof();
      transport.writeEof();
    };
    all();
    await protocol.waitFor("eofReceived");
    all();
    transport.close();
    all();
    transport.close();
    await protocol.waitFor("connectionLost");
    all();
    transport.close();
    transport.abort();
    transport.abort();
    await turns(3);
    protocol.assertOrder();
    assertEquals(protocol.names.filter((name) => name === "connectionLost").length, 1);
  });
}

for (const engine of ["node", "deno"] as const) {
  const way = engine === "node" ? "TLS" : "TLS by Deno";
  Deno.test(`${way}: the end of a close is bounded: the flush by closeTimeout, the wait for the peer's end by shutdownTimeout [W7, T1]`, async () => {
    const { cert, key, caCert } = certificate;
    const made: RecordingProtocol[] = [];
    // The peers keep their direction open for ever.
    await using server = await createServer(() => {
      const protocol = new RecordingProtocol({ keepOpen: true });
      made.push(protocol);
      return protocol;
    }, { hostname: "127.0.0.1", port: 0, tls: { cert, key, engine } });
    const connect = async (shutdownTimeout: number, closeTimeout: number) => {
      const tls = { caCerts: [caCert], shutdownTimeout };
      const factory = () => new RecordingProtocol();
      const options = { hostname: "127.0.0.1", port: portOf(server), tls, closeTimeout };
      const client = await createConnection(factory, options);
      await until(() => made.length === 1);
      return { ...client, peer: made.pop()! };
    };
    for (const flushed of [true, false]) {
      const { transport, protocol, peer } = await (flushed ? connect(150, Infinity) : connect(Infinity, 150));
      if (!flushed) {
        peer.transport.pauseReading();
        transport.write(new Uint8Array(64 * MiB));
      }
      const begun = performance.now();
      transport.close();
      const { error } = await protocol.waitFor("connectionLost");
      assertGreaterOrEqual(performance.now() - begun, 149);
      assertLess(performance.now() - begun, 3000);
      if (flushed) assertEquals(error, null);
      else assertInstanceOf(error, Deno.errors.TimedOut);
      peer.transport.abort();
    }
    // An endless timeout is none, and not the shortest of all.
    const { transport, protocol, peer } = await connect(Infinity, 30000);
    transport.close();
    await peer.waitFor("eofReceived");
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 1));
    assertFalse(protocol.names.includes("connectionLost"));
    peer.transport.close();
    await protocol.waitFor("connectionLost");
  });
}

for (const kind of plainKinds) {
  Deno.test(`${kind.name}: closing with bytes unread does not destroy what was flushed [W7]`, async () => {
    const message = pattern(200_000);
    for (let i = 0; i < 20; i++) {
      await using server = await kind.startServer(async (reader, writer) => {
        await reader.readexactly(1);
        writer.write(message);
        await writer.close();
      });
      await using client = await kind.openConnection(server);
      // More than is read: what lies unread makes the system reset the connection.
      client.writer.write(new Uint8Array(50_000));
      await client.writer.drain();
      assertEquals((await client.reader.readexactly(message.length)).length, message.length);
    }
  });
}

Deno.test("a conn without closeWrite: canWriteEof() is false, and writeEof() throws [W9]", async () => {
  const [a, b] = connPair();
  const conn = { read: a.read.bind(a), write: a.write.bind(a), close: a.close.bind(a) };
  const { reader, writer } = await openConnection({ conn });
  assertFalse(writer.canWriteEof());
  assertThrows(() => writer.writeEof(), Error, "Cannot write EOF");
  writer.write("still open");
  assertEquals(await b.read(new Uint8Array(99)), 10);
  b.close();
  assertEquals((await reader.read()).length, 0);
  await writer.close();
});

Deno.test("a user who closes the conn itself is told by connectionLost, once [C1]", async () => {
  const memory = () => Promise.resolve(connPair());
  for (const pair of [memory, tcpPair]) {
    const [conn, peer] = await pair();
    const { protocol } = await createConnection(() => new RecordingProtocol(), { conn });
    conn.close();
    const { error } = await protocol.waitFor("connectionLost");
    assertInstanceOf(error, Deno.errors.ConnectionAborted);
    await turns(3);
    protocol.assertOrder();
    peer.close();
  }
});
