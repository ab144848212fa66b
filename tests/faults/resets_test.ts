/** A peer that resets the connection, at every stage of its life. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type ConnectOptions,
  type ErrorContext,
  openConnection,
  Protocol,
  type Server,
  type StreamReader,
  type StreamWriter,
} from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { certificate, EchoProtocol, type Kind, pathOf, portOf, tlsKinds } from "../support/servers.ts";
import { ignore, MiB, Peer, realKinds, resettableKinds } from "./kit.ts";
import { openDescriptors } from "../support/machine.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

/** What a loss by the peer may be told as: which it is depends on what the system noticed first. */
function assertLostByPeer(error: unknown): void {
  const isOne = error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
  assert(isOne, `${error}`);
}

/** A server whose one connection is handed over, and a peer that is connected to it. */
async function accepted(kind: Kind): Promise<
  { reader: StreamReader; writer: StreamWriter; peer: Peer; server: Server } & AsyncDisposable
> {
  const streams = Promise.withResolvers<[StreamReader, StreamWriter]>();
  const server = await kind.startServer((reader, writer) => streams.resolve([reader, writer]));
  const peer = await Peer.connectedTo(kind, server);
  const [reader, writer] = await streams.promise;
  return {
    reader,
    writer,
    peer,
    server,
    async [Symbol.asyncDispose]() {
      await peer[Symbol.asyncDispose]();
      await until(() => server.connections === 0);
      await server.shutdown();
    },
  };
}

/** Whether a server still serves. */
async function assertServes(kind: Kind, server: Server): Promise<void> {
  const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
  transport.write("good");
  assertEquals(text(await protocol.waitForBytes(4)), "good");
  transport.close();
  await protocol.waitFor("connectionLost");
}

for (const kind of resettableKinds) {
  Deno.test(
    { name: `${kind.name}: reset before it is accepted: nothing is reported, the next client is served [V6]`, ignore },
    async () => {
      const errors: Error[] = [];
      await using server = await kind.createServer(() => new EchoProtocol(), {
        startServing: false,
        onError: (error) => errors.push(error),
      });
      await using peer = Peer.start();
      for (let i = 0; i < 3; i++) {
        await peer.tell("connect", ["127.0.0.1", portOf(server)]);
        await peer.tell("reset");
      }
      await server.startServing();
      await assertServes(kind, server);
      // Over TLS they count as handshakes that failed, if the platform hands them over at all.
      for (const error of errors) assertInstanceOf(error, Deno.errors.ConnectionReset);
      if (!kind.tls) assertEquals(errors, []);
      await until(() => server.connections === 0);
    },
  );

  Deno.test(
    { name: `${kind.name}: reset right after it is made: connectionLost(ConnectionReset), once [C1]`, ignore },
    async () => {
      const made: EchoProtocol[] = [];
      await using server = await kind.createServer(() => {
        const protocol = new EchoProtocol();
        made.push(protocol);
        return protocol;
      });
      await using peer = await Peer.connectedTo(kind, server);
      await until(() => server.connections === 1);
      await peer.tell("reset");
      const { error } = await made[0]!.waitFor("connectionLost");
      assertInstanceOf(error, Deno.errors.ConnectionReset);
      assertEquals(made[0]!.names, ["connectionMade", "connectionLost"]);
      made[0]!.assertOrder();
      await until(() => server.connections === 0);
      await assertServes(kind, server);
    },
  );

  Deno.test(
    { name: `${kind.name}: reset while a read waits: the read throws, the bytes before it stay [R8]`, ignore },
    async () => {
      await using scene = await accepted(kind);
      const { reader, writer, peer } = scene;
      await peer.tell("send", 1000);
      const reading = assertRejects(() => reader.readexactly(1_000_000), Deno.errors.ConnectionReset);
      // So that the reset cannot overtake the bytes in the peer's own system.
      await until(() => reader.buffered === 1000);
      await peer.tell("reset");
      const error = await reading;
      assertStrictEquals(reader.exception(), error);
      assertEquals((await reader.read(5000)).length, 1000);
      assertStrictEquals(await assertRejects(() => reader.read(1)), error);
      assertStrictEquals(await assertRejects(() => writer.drain()), error);
      assertStrictEquals(await assertRejects(() => writer.waitClosed()), error);
    },
  );

  Deno.test({
    name: `${kind.name}: reset while no read waits: the next read throws; with readAhead it is noticed at once [R10]`,
    ignore,
  }, async () => {
    await using scene = await accepted(kind);
    await scene.peer.tell("reset");
    await assertRejects(() => scene.reader.read(1), Deno.errors.ConnectionReset);

    const writers: StreamWriter[] = [];
    await using server = await kind.startServer((_, writer) => void writers.push(writer), { readAhead: true });
    await using peer = await Peer.connectedTo(kind, server);
    await until(() => writers.length === 1);
    await peer.tell("reset");
    await assertRejects(() => writers[0]!.waitClosed(), Deno.errors.ConnectionReset);
    assert(writers[0]!.isClosing());
  });

  Deno.test(
    { name: `${kind.name}: reset during a write: drain(), sendall() and waitClosed() throw [S2]`, ignore },
    async () => {
      await using scene = await accepted(kind);
      const { reader, writer, peer } = scene;
      writer.write(new Uint8Array(16 * MiB));
      const waiting = [writer.drain(), writer.drain(), writer.sendall(new Uint8Array(MiB))];
      assertEquals(await peer.tell("recv", 100_000), 100_000);
      await peer.tell("reset");
      const errors = await Promise.all(waiting.map((promise) => assertRejects(() => promise)));
      assertLostByPeer(errors[0]);
      for (const error of errors) assertStrictEquals(error, errors[0]);
      assertStrictEquals(await assertRejects(() => writer.waitClosed()), errors[0]);
      assertStrictEquals(await assertRejects(() => reader.read(1)), errors[0]);
      assertEquals(writer.transport.getWriteBufferSize(), 0);
    },
  );

  Deno.test(
    { name: `${kind.name}: reset during close(): close() rejects [W7, S3]`, ignore },
    async () => {
      await using scene = await accepted(kind);
      const { writer, peer } = scene;
      writer.write(new Uint8Array(16 * MiB));
      const closed = writer.close();
      assertEquals(await peer.tell("recv", 100_000), 100_000);
      await peer.tell("reset");
      assertLostByPeer(await assertRejects(() => closed));
    },
  );

  Deno.test({ name: `${kind.name}: reset after everything was sent: the close is in order [W7]`, ignore }, async () => {
    await using scene = await accepted(kind);
    const { writer, peer } = scene;
    writer.write("all of it");
    const closed = writer.close();
    assertEquals(await peer.tell("recv", 9), 9);
    await peer.tell("reset");
    await closed;
  });
}

/** The beginning of a TLS record that announces a ClientHello of 512 bytes. */
const HELLO_BEGUN = "1603010200010001fc0303";

for (const kind of tlsKinds) {
  Deno.test(
    { name: `${kind.name}: reset during the handshake: onError gets the error, no protocol is made [T2]`, ignore },
    async () => {
      const reports: ErrorContext[] = [];
      let made = 0;
      await using server = await kind.createServer(() => {
        made++;
        return new EchoProtocol();
      }, { onError: (_, context) => reports.push(context) });
      await using peer = Peer.start();
      for (const hello of ["", HELLO_BEGUN]) {
        await peer.tell("connect", ["127.0.0.1", portOf(server)]);
        // The server has accepted it when it has served another.
        await assertServes(kind, server);
        if (hello !== "") await peer.tell("sendhex", hello);
        await peer.tell("reset");
        await until(() => reports.length === 1);
        assertInstanceOf(reports.pop()!.error, Deno.errors.ConnectionReset);
      }
      assertEquals(made, 2);
      await until(() => server.connections === 0);
      await assertServes(kind, server);
    },
  );
}

const { cert, key, caCert } = certificate;
/** Clients by Deno's own TLS, and by node:tls, which is what speaks for a client with a certificate. */
const tlsClients: Record<string, ConnectOptions["tls"] & object> = {
  "TLS": { caCerts: [caCert] },
  "TLS by node": { caCerts: [caCert], cert, key },
};

for (const [name, tls] of Object.entries(tlsClients)) {
  Deno.test(
    { name: `${name}: reset by the server during the handshake: the connect rejects [T2]`, ignore },
    async () => {
      await using peer = Peer.start();
      const port = await peer.tell("listen");
      const connecting = openConnection({ port, tls });
      const rejected = assertRejects(
        () => connecting,
        Deno.errors.ConnectionReset,
        "Cannot complete the TLS handshake",
      );
      await peer.tell("accept");
      // The client's hello has arrived.
      await peer.tell("recv", 100);
      await peer.tell("reset");
      await rejected;
    },
  );

  Deno.test(
    { name: `${name}: reset by the server after the handshake: the client's read throws [C1]`, ignore },
    async () => {
      await using peer = Peer.start();
      const port = await peer.tell("listen");
      const connecting = openConnection({ port, tls });
      await peer.tell("accept", Peer.identity);
      const { reader, writer } = await connecting;
      const reading = assertRejects(() => reader.readline(), Deno.errors.ConnectionReset);
      await peer.tell("reset");
      await reading;
      await assertRejects(() => writer.waitClosed(), Deno.errors.ConnectionReset);
    },
  );
}

Deno.test({ name: "TCP: reset by the server right after the connect: the first read throws", ignore }, async () => {
  await using peer = Peer.start();
  const port = await peer.tell("listen");
  for (let i = 0; i < 20; i++) {
    const connecting = openConnection({ port });
    await peer.tell("accept");
    await peer.tell("reset");
    const { reader, writer } = await connecting;
    await assertRejects(() => reader.read(1), Deno.errors.ConnectionReset);
    await assertRejects(() => writer.close(), Deno.errors.ConnectionReset);
  }
});

// Systems refuse socket options of a connection that is reset; Linux does not, so this one is made to.
Deno.test("TCP: reset before the socket options are set: the connect rejects, and leaves no descriptor [V3]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connected = await Deno.connect({ port: listener.addr.port });
  const prototype = Object.getPrototypeOf(connected);
  const { setNoDelay } = prototype;
  const accepted = [await listener.accept()];
  prototype.setNoDelay = () => {
    throw new TypeError("Invalid argument (os error 22)");
  };
  const before = openDescriptors();
  try {
    await assertRejects(() => openConnection({ port: listener.addr.port }), Error, "Invalid argument");
    accepted.push(await listener.accept());
    await until(() => openDescriptors() <= before + 1);
  } finally {
    prototype.setNoDelay = setNoDelay;
  }
  for (const conn of [connected, ...accepted]) conn.close();
});

Deno.test(
  { name: "TCP: reset after the peer half-closed: its bytes and its end were read, a write tells", ignore },
  async () => {
    await using scene = await accepted(resettableKinds[0]!);
    const { reader, writer, peer } = scene;
    await peer.tell("send", 1000);
    await peer.tell("shutdown");
    assertEquals((await reader.read()).length, 1000);
    await peer.tell("reset");
    const writing = async () => {
      for (;;) {
        writer.write(new Uint8Array(MiB));
        await writer.drain();
      }
    };
    assertLostByPeer(await assertRejects(writing));
    assert(reader.atEof() || reader.exception() !== null);
  },
);

Deno.test("Unix: a peer that closes with bytes unread resets the connection: as over TCP", async () => {
  const kind = realKinds.find(({ name }) => name === "Unix")!;
  const lost = Promise.withResolvers<Error | null>();
  class Talker extends Protocol {
    override connectionMade(transport: Parameters<Protocol["connectionMade"]>[0]): void {
      transport.write("more than is read");
    }
    override connectionLost(error: Error | null): void {
      lost.resolve(error);
    }
  }
  await using server = await kind.createServer(() => new Talker());
  const conn = await Deno.connect({ transport: "unix", path: pathOf(server) });
  await conn.read(new Uint8Array(1));
  conn.close();
  assertInstanceOf(await lost.promise, Deno.errors.ConnectionReset);
});
