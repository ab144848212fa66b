/** `maxConnections`, and what counts as a connection [V7]. */
import { assertEquals, assertFalse } from "@std/assert";
import { createServer, openConnection, Protocol } from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { FakeListener } from "../support/fake_listener.ts";
import { EchoProtocol, kinds, portOf, tlsKinds } from "../support/servers.ts";
import { until } from "../support/waiting.ts";

for (const kind of kinds) {
  Deno.test(`${kind.name}: at maxConnections accepting stops until one ends [V7]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol(), { maxConnections: 2 });
    const first = await kind.createConnection(() => new RecordingProtocol(), server);
    const second = await kind.createConnection(() => new RecordingProtocol(), server);
    await until(() => server.connections === 2);
    // TCP and Unix clients are connected by the system; that of TLS has to wait.
    const third = kind.createConnection(() => new RecordingProtocol(), server);
    third.then(({ transport }) => transport.write("third"));
    first.transport.write("a");
    second.transport.write("b");
    await first.protocol.waitForBytes(1);
    await second.protocol.waitForBytes(1);
    assertEquals(server.connections, 2);
    first.transport.close();
    await first.protocol.waitFor("connectionLost");
    const { transport, protocol } = await third;
    await protocol.waitForBytes(5);
    assertEquals(server.connections, 2);
    for (const each of [second, { transport, protocol }]) {
      each.transport.close();
      await each.protocol.waitFor("connectionLost");
    }
  });
}

Deno.test("the cap holds over all hosts of a server together [V7]", async () => {
  // Each listener has an accept under way when the last place goes: the client that it brings waits for the next.
  const hostname = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
  await using server = await createServer(() => new EchoProtocol(), { hostname, port: 0, maxConnections: 1 });
  let most = 0;
  const clients = server.addrs.flatMap((addr) => [addr, addr]).map(async (addr) => {
    const { hostname, port } = addr as Deno.NetAddr;
    await using connection = await openConnection({ hostname, port });
    connection.writer.write("x");
    await connection.reader.readexactly(1);
    most = Math.max(most, server.connections);
  });
  await Promise.all(clients);
  assertEquals(most, 1);
});

Deno.test("a client that waits for a place when the server closes is closed [V7]", async () => {
  const listeners = ["127.0.0.1", "127.0.0.2"];
  const server = await createServer(() => new EchoProtocol(), { hostname: listeners, port: 0, maxConnections: 1 });
  const [a, b] = server.addrs as Deno.NetAddr[];
  await using first = await openConnection({ hostname: a!.hostname, port: a!.port });
  first.writer.write("x");
  await first.reader.readexactly(1);
  await using second = await openConnection({ hostname: b!.hostname, port: b!.port });
  server.close();
  assertEquals(await second.reader.read(), new Uint8Array());
  first.writer.write("y");
  await first.reader.readexactly(1);
  await first.writer.close();
  await server.waitClosed();
});

Deno.test("connections counts from connectionMade to connectionLost [V7]", async () => {
  const counts: [string, number][] = [];
  const listener = new FakeListener();
  class Counter extends Protocol {
    override connectionMade(): void {
      counts.push(["made", server.connections]);
    }
    override connectionLost(): void {
      counts.push(["lost", server.connections]);
    }
  }
  const server = await createServer(() => new Counter(), { listener });
  const [a, b] = [listener.connect(), listener.connect()];
  await until(() => counts.length === 2);
  a.close();
  await until(() => counts.length === 3);
  b.close();
  await until(() => counts.length === 4);
  assertEquals(counts, [["made", 1], ["made", 2], ["lost", 2], ["lost", 1]]);
  assertEquals(server.connections, 0);
  await server.shutdown();
});

Deno.test("a connectionMade that throws gives its place back [V7, C6]", async () => {
  const errors: Error[] = [];
  class Broken extends Protocol {
    override connectionMade(): void {
      throw new Error("oops");
    }
  }
  const listener = new FakeListener();
  await using server = await createServer(() => new Broken(), {
    listener,
    maxConnections: 1,
    onError: (e) => errors.push(e),
  });
  for (const client of [listener.connect(), listener.connect(), listener.connect()]) {
    assertEquals(await client.read(new Uint8Array(1)), null);
    client.close();
  }
  assertEquals(errors.map(({ message }) => message), ["oops", "oops", "oops"]);
  await until(() => server.connections === 0);
});

for (const kind of tlsKinds) {
  Deno.test(`${kind.name}: the cap counts handshakes under way [V7]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol(), { maxConnections: 1, onError: () => {} });
    const silent = await Deno.connect({ port: portOf(server) });
    const waiting = kind.createConnection(() => new RecordingProtocol(), server);
    let connected = false;
    waiting.then(() => connected = true);
    // A round trip of the system and back: nothing brings the second client on until the first is gone.
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    for (let i = 0; i < 20; i++) {
      const [a, b] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
      a.close();
      b.close();
    }
    assertFalse(connected);
    assertEquals(server.connections, 0);
    silent.close();
    const { transport, protocol } = await waiting;
    transport.close();
    await protocol.waitFor("connectionLost");
  });
}
