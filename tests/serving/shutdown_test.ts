/** `shutdown()` and disposal: how long a server waits, and what it does when the time is up [V5]. */
import { assert, assertEquals, assertGreaterOrEqual, assertLess, assertRejects } from "@std/assert";
import { createServer, Protocol } from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { FakeListener } from "./fake_listener.ts";
import { EchoProtocol, kinds, until } from "./kit.ts";

for (const kind of kinds) {
  Deno.test(`${kind.name}: shutdown() waits the grace for connections to end by themselves [V5]`, async () => {
    const server = await kind.createServer(() => new EchoProtocol());
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    await until(() => server.connections === 1);
    const done = server.shutdown({ grace: 60_000 });
    transport.write("bye");
    await protocol.waitForBytes(3);
    transport.close();
    await done;
    await protocol.waitFor("connectionLost");
    assertEquals(server.connections, 0);
  });

  Deno.test(`${kind.name}: dispose closes the connections, after what was written is sent [V5]`, async () => {
    const message = new Uint8Array(300_000).fill(7);
    class Greeter extends RecordingProtocol {
      override connectionMade(transport: never): void {
        super.connectionMade(transport);
        this.transport.write(message);
      }
    }
    const server = await kind.createServer(() => new Greeter());
    const { protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    await until(() => server.connections === 1);
    await server[Symbol.asyncDispose]();
    assertEquals(server.connections, 0);
    assertEquals((await protocol.waitForBytes(message.length)).length, message.length);
    await protocol.waitFor("connectionLost");
  });
}

Deno.test("shutdown() is bounded: grace, closeClients(), grace, abortClients() [V5]", async () => {
  // A client that neither ends nor reads, of a server that has too much to send.
  const calls: [what: string, at: number][] = [];
  const begun = performance.now();
  const note = (what: string) => calls.push([what, performance.now() - begun]);
  const listener = new FakeListener();
  class Talker extends Protocol {
    override connectionMade(transport: Parameters<Protocol["connectionMade"]>[0]): void {
      transport.write(new Uint8Array(1_000_000));
      const { close, abort } = transport;
      transport.close = () => (note("close"), close.call(transport));
      transport.abort = () => (note("abort"), abort.call(transport));
    }
    override connectionLost(error: Error | null): void {
      note(`lost ${error}`);
    }
  }
  const server = await createServer(() => new Talker(), { listener });
  const client = listener.connect();
  await until(() => server.connections === 1);
  await server.shutdown({ grace: 100 });
  const names = calls.map(([what]) => what);
  assertEquals(names, ["close", "abort", "lost null"]);
  const [close, abort] = calls.map(([, at]) => at);
  assertGreaterOrEqual(close!, 99);
  assertGreaterOrEqual(abort! - close!, 99);
  assertLess(abort!, 2000);
  client.close();
});

Deno.test("shutdown({ grace: 0 }) ends everything at once [V5]", async () => {
  const listener = new FakeListener();
  const server = await createServer(() => new RecordingProtocol(), { listener });
  const client = listener.connect();
  await until(() => server.connections === 1);
  const begun = performance.now();
  await server.shutdown({ grace: 0 });
  assertLess(performance.now() - begun, 500);
  assertEquals(server.connections, 0);
  client.close();
});

Deno.test("shutdown() refuses a grace that is none [V5]", async () => {
  await using server = await createServer(() => new Protocol(), { port: 0, hostname: "127.0.0.1" });
  await assertRejects(() => server.shutdown({ grace: -1 }), RangeError, "grace must be at least 0 ms, not -1");
  await assertRejects(() => server.shutdown({ grace: NaN }), RangeError, "NaN");
  await assertRejects(() => server.shutdown({ grace: "1" as never }), TypeError, "grace must be a number");
  await assertRejects(() => server.shutdown({ graze: 1 } as never), TypeError, 'there is no option "graze"');
  assert(server.isServing());
});

Deno.test("shutdown() may be called twice at a time, with an endless grace too [V5]", async () => {
  const listener = new FakeListener();
  const server = await createServer(() => new RecordingProtocol(), { listener });
  const client = listener.connect();
  await until(() => server.connections === 1);
  const patient = server.shutdown({ grace: Infinity });
  await server.shutdown({ grace: 0 });
  await patient;
  client.close();
});
