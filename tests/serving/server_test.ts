/** The life of a server: serving, closing and ending, over every kind of address [V4, V5, V9]. */
import { assert, assertEquals, assertFalse, assertLessOrEqual, assertRejects, assertStrictEquals } from "@std/assert";
import { createServer, Protocol } from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { EchoProtocol, kinds, plainKinds, portOf, tlsKinds } from "../support/servers.ts";
import { openDescriptors } from "../support/machine.ts";
import { until } from "../support/waiting.ts";

for (const kind of kinds) {
  Deno.test(`${kind.name}: a server serves, echoes and ends [V5]`, async () => {
    const server = await kind.createServer(() => new EchoProtocol());
    assert(server.isServing());
    assertEquals(server.addrs.length, 1);
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("hello");
    assertEquals(new TextDecoder().decode(await protocol.waitForBytes(5)), "hello");
    assertEquals(server.connections, 1);
    transport.close();
    await protocol.waitFor("connectionLost");
    await until(() => server.connections === 0);
    server.close();
    await server.waitClosed();
    assertEquals(server.addrs, []);
    assertFalse(server.isServing());
  });

  Deno.test(`${kind.name}: Server.close() lets open connections go on, and may be called again [V5]`, async () => {
    const server = await kind.createServer(() => new EchoProtocol());
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    await until(() => server.connections === 1);
    server.close();
    server.close();
    assertEquals(server.addrs, []);
    await assertRejects(() => server.startServing(), Error, "Cannot start serving: the server is closed");
    let closed = false;
    const waiting = server.waitClosed().then(() => closed = true);
    transport.write("still there");
    await protocol.waitForBytes(11);
    assertFalse(closed);
    assertEquals(server.connections, 1);
    transport.close();
    await waiting;
    assertEquals(server.connections, 0);
    await server.waitClosed();
    await protocol.waitFor("connectionLost");
  });

  Deno.test(`${kind.name}: startServing: false binds and does not serve [V4]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol(), { startServing: false });
    assertFalse(server.isServing());
    assertEquals(server.addrs.length, 1);
    const connecting = kind.createConnection(() => new RecordingProtocol(), server);
    if (!kind.tls) await connecting;
    await turns(5);
    assertEquals(server.connections, 0);
    await server.startServing();
    await server.startServing();
    assert(server.isServing());
    const { transport, protocol } = await connecting;
    await until(() => server.connections === 1);
    transport.abort();
    await protocol.waitFor("connectionLost");
  });

  Deno.test(`${kind.name}: closeClients() and abortClients() end the connections, not the server [V5]`, async () => {
    for (const end of ["closeClients", "abortClients"] as const) {
      await using server = await kind.createServer(() => new EchoProtocol());
      const clients = await Promise.all(
        [1, 2, 3].map(() => kind.createConnection(() => new RecordingProtocol(), server)),
      );
      await until(() => server.connections === 3);
      server[end]();
      for (const { protocol } of clients) await protocol.waitFor("connectionLost");
      await until(() => server.connections === 0);
      assert(server.isServing());
      const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
      transport.write("x");
      await protocol.waitForBytes(1);
      transport.close();
      await protocol.waitFor("connectionLost");
    }
  });

  Deno.test(`${kind.name}: a signal in the options closes the server, and its listener is not kept [V5]`, async () => {
    const controller = new AbortController();
    const server = await kind.createServer(() => new EchoProtocol(), { signal: controller.signal });
    controller.abort();
    assertEquals(server.addrs, []);
    await server.waitClosed();
    const reason = new Error("not now");
    const before = openDescriptors();
    const error = await assertRejects(() =>
      kind.createServer(() => new EchoProtocol(), { signal: AbortSignal.abort(reason) })
    );
    assertStrictEquals(error, reason);
    assertLessOrEqual(openDescriptors(), before);
  });
}

Deno.test("serveForever() ends when the server is closed, and begins to serve [V5]", async () => {
  const server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0, startServing: false });
  const serving = server.serveForever();
  await turns();
  assert(server.isServing());
  server.close();
  await serving;
  await assertRejects(() => server.serveForever(), Error, "Cannot start serving: the server is closed");
});

Deno.test("serveForever(): a second one at a time is Busy, one after the other is not [V5]", async () => {
  const server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  // Not even a turn between the two.
  const first = server.serveForever({ signal: controller.signal });
  const second = server.serveForever();
  await assertRejects(() => second, Deno.errors.Busy, "Cannot serve forever");
  assert(server.isServing());
  controller.abort();
  await first;
  assertFalse(server.isServing());
  assertEquals(server.addrs, []);
});

Deno.test("serveForever() with a signal that has aborted closes the server at once [V5]", async () => {
  const server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 });
  await server.serveForever({ signal: AbortSignal.abort() });
  assertEquals(server.addrs, []);
  await assertRejects(() => server.serveForever({ signal: {} as never }), TypeError, "signal must be an AbortSignal");
});

Deno.test("serveForever(): a signal that aborts later, when the server is closed, does nothing [V5]", async () => {
  const controller = new AbortController();
  const server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 });
  const serving = server.serveForever({ signal: controller.signal });
  server.close();
  await serving;
  controller.abort();
});

Deno.test("after waitClosed() the address may be bound again [V5]", async () => {
  let port = 0;
  for (let i = 0; i < 5; i++) {
    const server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1", port });
    port = portOf(server);
    if (i % 2 === 0) await turns(i);
    server.close();
    await server.waitClosed();
  }
});

for (const kind of tlsKinds) {
  Deno.test(`${kind.name}: Server.close() drops the handshakes under way, silently [V5]`, async () => {
    const errors: Error[] = [];
    const server = await kind.createServer(() => new EchoProtocol(), { onError: (e) => errors.push(e) });
    const silent = await Deno.connect({ port: portOf(server) });
    // The server has accepted the first when it serves the second.
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    server.close();
    transport.close();
    await protocol.waitFor("connectionLost");
    await server.waitClosed();
    assertEquals(errors, []);
    silent.close();
  });
}

for (const kind of plainKinds) {
  Deno.test(`${kind.name}: ref() and unref() reach the listener, at any time [V9]`, async () => {
    await using server = await kind.createServer(() => new EchoProtocol());
    server.unref();
    server.ref();
    server.unref();
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("x");
    await protocol.waitForBytes(1);
    transport.close();
    await protocol.waitFor("connectionLost");
    server.ref();
  });
}
