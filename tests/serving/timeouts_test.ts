/** The timeout of connecting, and idleTimeout [V10]. */
import { assert, assertEquals, assertGreaterOrEqual, assertLess, assertLessOrEqual, assertRejects } from "@std/assert";
import {
  type ConnectOptions,
  connPair,
  createConnection,
  createDatagramEndpoint,
  createServer,
  DatagramProtocol,
  openConnection,
  openUnixConnection,
  Protocol,
  startServer,
  startUnixServer,
} from "../../mod.ts";
import { sockAccept, sockConnect, sockRecv, sockRecvfrom, sockRecvInto, sockSendall } from "../../src/sock/mod.ts";
import { sockDatagram } from "../../src/sock/mod.ts";
import { SeededRandom } from "../../src/testing/mod.ts";
import { dialAny } from "../../src/serving/dial.ts";
import { limited } from "../../src/common/wait.ts";
import { turns } from "../../src/testing/turns.ts";
import { FakeTime } from "../support/fake_time.ts";
import { kinds } from "../support/servers.ts";
import { socketPath } from "../support/programs.ts";
import { readAll } from "../support/conns.ts";
import { until } from "../support/waiting.ts";

/** Replaces a method until the block ends. */
function replaced<K extends string>(object: { [k in K]: unknown }, name: K, value: unknown): Disposable {
  const before = object[name];
  Object.assign(object, { [name]: value });
  return { [Symbol.dispose]: () => void Object.assign(object, { [name]: before }) };
}

/** Tells how its connection ended. */
class Ending extends Protocol {
  isLost = false;
  lostWith: Error | null = null;
  override connectionLost(error: Error | null): void {
    this.isLost = true;
    this.lostWith = error;
  }
}

/** A connect that never ends by itself. */
function endless({ signal }: { signal?: AbortSignal }): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
}

Deno.test("timeout bounds connecting to an address that does not answer [V10]", async () => {
  using _connect = replaced(Deno, "connect", endless);
  const connecting = () => openConnection({ hostname: "192.0.2.1", port: 7, timeout: 30 });
  await assertRejects(connecting, Deno.errors.TimedOut, 'Cannot connect to "192.0.2.1" port 7: 30 ms are over');
  await assertRejects(
    () => createConnection(() => new Protocol(), { hostname: "name.example", port: 7, timeout: 30 }),
    Deno.errors.TimedOut,
    'Cannot connect to "name.example" port 7',
  );
  await assertRejects(() => sockConnect({ hostname: "192.0.2.1", port: 7, timeout: 30 }), Deno.errors.TimedOut);
  await assertRejects(() => openUnixConnection({ path: "/tmp/no", timeout: 30 }), Deno.errors.TimedOut, '"/tmp/no"');
  // The aborts reach the system in a later turn.
  await turns(2);
});

Deno.test("timeout bounds all addresses together [V10, V3]", async () => {
  using time = new FakeTime();
  const tried: string[] = [];
  using _connect = replaced(Deno, "connect", (options: { hostname: string; signal?: AbortSignal }) => {
    tried.push(options.hostname);
    return endless(options);
  });
  const limits = { happyEyeballsDelay: 100, timeout: 1000 };
  const call = limited("connect", limits, (signal) => dialAny(["a", "b", "c"], { port: 7, ...limits, signal }));
  const rejected = assertRejects(() => call, Deno.errors.TimedOut, "Cannot connect: 1000 ms are over");
  await time.advance(900);
  assertEquals(tried, ["a", "b", "c"]);
  await time.advance(120);
  await rejected;
  await turns(2);
  assertEquals(time.timers, 0);
});

Deno.test("timeout and signal bound the resolution of a name, of streams and of datagrams [V10, R7]", async () => {
  using time = new FakeTime();
  const where = { hostname: "localhost", port: 7 };
  const factory = () => new DatagramProtocol();
  const calls: ((limits: { timeout?: number; signal?: AbortSignal }) => Promise<unknown>)[] = [
    (limits) => openConnection({ ...where, family: 4, ...limits }),
    (limits) => sockConnect({ ...where, ...limits }),
    (limits) => createDatagramEndpoint(factory, { remoteAddr: where, ...limits }),
    (limits) => sockDatagram({ remoteAddr: where, ...limits }),
  ];
  for (const call of calls) {
    const late = call({ timeout: 100 });
    time.jump(102);
    await assertRejects(() => late, Deno.errors.TimedOut, "100 ms are over");
    const reason = new Error("enough");
    const stop = new AbortController();
    const aborted = call({ signal: stop.signal });
    stop.abort(reason);
    assertEquals(await aborted.catch((error) => error), reason);
  }
  // What the system brings later is closed: the sanitizers look for it.
  for (let i = 0; i < 5; i++) {
    (await createDatagramEndpoint(factory, { remoteAddr: where })).transport.close();
    await turns(5);
  }
});

Deno.test("timeout bounds the TLS handshake as well, and leaves no connection [V10, T2]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const options: ConnectOptions = { port: listener.addr.port, tls: true, timeout: 50 };
  const accepted = listener.accept();
  await assertRejects(() => openConnection(options), Deno.errors.TimedOut, "50 ms are over");
  // Deno's own TLS keeps the descriptor until the peer leaves.
  (await accepted).close();

  const [a, b] = connPair();
  const over = { conn: a, tls: { serverName: "localhost" }, timeout: 30 };
  await assertRejects(() => openConnection(over), Deno.errors.TimedOut, "Cannot connect to the peer: 30 ms are over");
  await readAll(b);
  b.close();
});

Deno.test("a timeout that is not over leaves the connection and no timer [V10]", async () => {
  for (const kind of kinds) {
    await using server = await kind.startServer(async (reader, writer) => writer.write(await reader.readline()));
    const { reader, writer } = await kind.openConnection(server, { timeout: 60_000 });
    writer.write("x\n");
    assertEquals(await reader.readline({ encoding: "utf-8" }), "x\n");
    await writer.close();
  }
});

Deno.test("timeout and idleTimeout are checked before anything is done [V10, V2]", async () => {
  const [conn] = connPair();
  const never = () => {
    throw new Error("unreachable");
  };
  for (const name of ["timeout", "idleTimeout"]) {
    for (const [value, Class] of [[-1, RangeError], [NaN, RangeError], ["1", TypeError]] as const) {
      const bad = { [name]: value } as never as { timeout: number };
      await assertRejects(() => openConnection({ conn, ...bad }), Class, `${name} must be`);
      await assertRejects(() => openConnection({ port: 1, ...bad }), Class, `${name} must be`);
      await assertRejects(() => openUnixConnection({ path: "/tmp/no", ...bad }), Class, `${name} must be`);
      if (name === "timeout") continue;
      await assertRejects(() => startServer(never, { port: 0, ...bad }), Class, `${name} must be`);
      await assertRejects(() => startUnixServer(never, { path: socketPath(), ...bad }), Class, `${name} must be`);
    }
  }
});

for (const kind of kinds) {
  Deno.test(`over ${kind.name} a silent connection is lost with TimedOut after idleTimeout, on either side [V10]`, async () => {
    const lost = Promise.withResolvers<unknown>();
    const heldServer = Promise.withResolvers<void>();
    {
      await using server = await kind.startServer(async (reader) => {
        await reader.readline().catch(lost.resolve);
      }, { idleTimeout: 50 });
      const begun = performance.now();
      const { reader, writer } = await kind.openConnection(server);
      const error = await lost.promise;
      assertGreaterOrEqual(performance.now() - begun, 49);
      assert(error instanceof Deno.errors.TimedOut, String(error));
      assertEquals(error.message, "Cannot go on: no byte was sent or received for 50 ms");
      await reader.read().catch(() => {});
      await writer.close().catch(() => {});
    }
    {
      await using server = await kind.startServer(() => heldServer.promise);
      const client = await kind.createConnection(() => new Ending(), server, { idleTimeout: 50 });
      await until(() => client.protocol.isLost);
      assert(client.protocol.lostWith instanceof Deno.errors.TimedOut);
      const streams = await kind.openConnection(server, { idleTimeout: 50 });
      await assertRejects(() => streams.reader.read(), Deno.errors.TimedOut, "no byte was sent or received");
      await assertRejects(() => streams.writer.waitClosed(), Deno.errors.TimedOut);
      heldServer.resolve();
    }
  });
}

Deno.test("idleTimeout: a byte either way begins the time anew; what is silent is lost by 20 % later, never early [V10]", async () => {
  using time = new FakeTime();
  const random = new SeededRandom(7);
  const clients = [];
  for (let i = 0; i < 200; i++) {
    const [near, far] = connPair();
    const { transport, protocol } = await createConnection(() => new Ending(), {
      conn: near,
      idleTimeout: 5000,
    });
    const peer = await createConnection(() => new Ending(), { conn: far });
    // A third speaks until its end is near, a third hears, and a third is silent from the start.
    clients.push({
      transport,
      protocol,
      peer,
      part: i % 3,
      active: time.now,
      next: time.now + random.integer(1, 4900),
    });
  }
  const end = time.now + 40_000;
  const lostAfter: number[] = [];
  const live = new Set(clients);
  while (live.size > 0) {
    await time.advance(50);
    for (const client of live) {
      const { transport, protocol, peer, part, active, next } = client;
      if (protocol.isLost) {
        live.delete(client);
        assert(protocol.lostWith instanceof Deno.errors.TimedOut);
        lostAfter.push(time.now - active);
        peer.transport.abort();
      } else if (part < 2 && time.now >= next && time.now < end) {
        if (part === 0) transport.write("x");
        else peer.transport.write("x");
        client.active = time.now;
        client.next = time.now + random.integer(1, 4900);
      }
    }
  }
  assertEquals(lostAfter.length, 200);
  // The test looks every 50 ms.
  assertGreaterOrEqual(Math.min(...lostAfter), 5000);
  assertLessOrEqual(Math.max(...lostAfter), 6000 + 50);
  assertGreaterOrEqual(time.now, end);
  await turns(2);
  assertEquals(time.timers, 0);
});

Deno.test("idleTimeout sets no timer per connection, read or write, and none at 0 or Infinity [V10]", async () => {
  using time = new FakeTime();
  const pairs = [];
  for (const idleTimeout of [0, Infinity, undefined, ...Array(100).fill(5000)]) {
    const [near, far] = connPair();
    const client = await createConnection(() => new Ending(), { conn: near, idleTimeout });
    pairs.push({ client, far });
    if (pairs.length <= 3) assertEquals(time.timersSet, 0);
  }
  assertEquals(time.timersSet, 1);
  for (const { client, far } of pairs) {
    client.transport.write("x");
    await far.write(new Uint8Array(1));
  }
  await turns(2);
  assertEquals(time.timersSet, 1);
  for (const { client, far } of pairs) {
    client.transport.abort();
    far.close();
  }
  await turns(2);
  assertEquals(time.timers, 0);
});

Deno.test("idleTimeout ends a peer that takes nothing, and leaves a close to closeTimeout [V10, W7]", async () => {
  using time = new FakeTime();
  const [near, far] = connPair({ capacity: 10 });
  const stuck = await createConnection(() => new Ending(), { conn: near, idleTimeout: 1000 });
  stuck.transport.write(new Uint8Array(1000));
  await time.advance(1200);
  assert(stuck.protocol.lostWith instanceof Deno.errors.TimedOut);
  far.close();

  const [closing, peer] = connPair({ capacity: 10 });
  const client = await createConnection(() => new Ending(), {
    conn: closing,
    idleTimeout: 1000,
    closeTimeout: 5000,
  });
  client.transport.write(new Uint8Array(1000));
  client.transport.close();
  await time.advance(4900);
  assertEquals(client.protocol.isLost, false);
  await time.advance(200);
  assert(String(client.protocol.lostWith).includes("Cannot close in order"));
  peer.close();
});

Deno.test("an event loop that was blocked ends no connection whose bytes wait to be read [V10]", async () => {
  await using server = await createServer(() => new Ending(), {
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 480,
  });
  const client = await createConnection(() => new Ending(), { port: server.port });
  await until(() => server.connections === 1);
  client.transport.write("x");
  const blockedUntil = performance.now() + 700;
  while (performance.now() < blockedUntil);
  await turns(5);
  assertEquals(server.connections, 1);
  assertEquals(client.protocol.isLost, false);
  client.transport.abort();
});

Deno.test("the sock calls time out: what comes is kept, and a cut send is known [R7]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await assertRejects(() => sockAccept(listener, { timeout: 20 }), Deno.errors.TimedOut, "Cannot accept: 20 ms");
  using client = await sockConnect({ port: listener.addr.port, timeout: 60_000 });
  using server = await sockAccept(listener, { timeout: 60_000 });
  await assertRejects(() => sockRecv(server, 9, { timeout: 20 }), Deno.errors.TimedOut, "Cannot receive: 20 ms");
  await assertRejects(() => sockRecvInto(server, new Uint8Array(9), { timeout: 20 }), Deno.errors.TimedOut);
  await sockSendall(client, new Uint8Array([1, 2]), { timeout: 60_000 });
  assertEquals(await sockRecv(server, 9, { timeout: 60_000 }), new Uint8Array([1, 2]));
  const much = new Uint8Array(64 << 20);
  await assertRejects(() => sockSendall(client, much, { timeout: 30 }), Deno.errors.TimedOut, "Cannot send: 30 ms");
  await assertRejects(() => sockSendall(client, much), Deno.errors.ConnectionAborted);

  using sock = await sockDatagram({ localAddr: { hostname: "127.0.0.1" }, timeout: 60_000 });
  await assertRejects(() => sockRecvfrom(sock, 9, { timeout: 20 }), Deno.errors.TimedOut);
  await sock.send(new Uint8Array([3]), sock.addr);
  assertEquals((await sockRecvfrom(sock, 9, { timeout: 60_000 }))[0], new Uint8Array([3]));
});

Deno.test("neither idleTimeout nor what is left of timeouts keeps the process alive [V9, V10]", async () => {
  const mod = new URL("../../mod.ts", import.meta.url).href;
  const code = `
    import { openConnection, startServer } from "${mod}";
    const server = await startServer(async (reader) => void await reader.read(), { hostname: "127.0.0.1", port: 0, idleTimeout: 60000 });
    const { reader, writer } = await openConnection({ port: server.port, idleTimeout: 60000, timeout: 60000 });
    writer.write("x");
    await reader.readline({ timeout: 1 }).catch(() => {});
    server.unref();
    for (const transport of server.transports()) transport.unref();
    writer.transport.unref();
    console.log("end");
  `;
  const begun = performance.now();
  const { code: exit, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    stdout: "piped",
    stderr: "piped",
  }).output();
  assertEquals([exit, new TextDecoder().decode(stdout)], [0, "end\n"], new TextDecoder().decode(stderr));
  assertLess(performance.now() - begun, 30_000);
});
