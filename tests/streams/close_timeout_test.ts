/** How closing ends when the peer does not help: closeTimeout, abort(), and conns whose own methods fail [W7, W8, C1]. */
import { assert, assertEquals, assertGreaterOrEqual, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import {
  type ConnLike,
  connPair,
  createConnection,
  createServer,
  openConnection,
  openUnixConnection,
  Protocol,
  startServer,
  startUnixServer,
  type TcpConnectOptions,
  type Transport,
} from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { kinds } from "../support/servers.ts";
import { socketPath } from "../support/programs.ts";
import { until } from "../support/waiting.ts";

/** More than any system buffers. */
const MUCH = 64 << 20;

for (const kind of kinds) {
  Deno.test(`a peer that takes nothing ends a close after closeTimeout, with TimedOut, ${kind.name} [W7]`, async () => {
    const held = Promise.withResolvers<void>();
    await using server = await kind.startServer(() => held.promise);
    const client = await kind.openConnection(server, { closeTimeout: 150 });
    client.writer.write(new Uint8Array(MUCH));
    const begun = performance.now();
    const closed = client.writer.close();
    assert(client.writer.isClosing());
    await assertRejects(() => closed, Deno.errors.TimedOut, "Cannot close in order");
    assertGreaterOrEqual(performance.now() - begun, 149);
    assertEquals(client.writer.transport.getWriteBufferSize(), 0);
    server.abortClients();
    held.resolve();
  });
}

Deno.test("a slow peer that keeps taking bytes gets all of them, however long it takes [W7]", async () => {
  const [conn, peer] = connPair({ capacity: 100 });
  const { writer } = await openConnection({ conn, closeTimeout: 60 });
  writer.write(new Uint8Array(2000));
  const begun = performance.now();
  const closed = writer.close();
  const p = new Uint8Array(100);
  let total = 0;
  // 20 pieces, 15 ms apart: five times the timeout.
  for (let n; (n = await peer.read(p)) !== null; total += n) await new Promise((resolve) => setTimeout(resolve, 15));
  assertEquals(total, 2000);
  assertGreaterOrEqual(performance.now() - begun, 250);
  await closed;
  peer.close();
});

Deno.test("a file that never ends does not hold up a close for ever [W7]", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const dir = await Deno.makeTempDir();
  await new Deno.Command("mkfifo", { args: [`${dir}/fifo`] }).output();
  const other = await Deno.open(`${dir}/fifo`, { read: true, write: true });
  const fifo = await Deno.open(`${dir}/fifo`);
  const [conn, peer] = connPair();
  const { writer } = await openConnection({ conn, closeTimeout: 50 });
  const sending = writer.sendfile(fifo);
  await assertRejects(() => writer.close(), Deno.errors.TimedOut);
  await assertRejects(() => sending, Deno.errors.TimedOut);
  // The read of the file ends when the file has something.
  await other.write(new Uint8Array(1));
  other.close();
  await turns(3);
  fifo.close();
  peer.close();
  await Deno.remove(dir, { recursive: true });
});

Deno.test("closeTimeout is checked, on both sides [W7, V2]", async () => {
  const handler = () => {};
  for (
    const [closeTimeout, Class] of [[0, RangeError], [-1, RangeError], [NaN, RangeError], ["5", TypeError]] as const
  ) {
    const bad = { closeTimeout: closeTimeout as number };
    await assertRejects(() => openConnection({ port: 1, ...bad }), Class, "closeTimeout must be");
    await assertRejects(() => openUnixConnection({ path: "/x", ...bad }), Class, "closeTimeout must be");
    await assertRejects(() => startServer(handler, { port: 0, ...bad }), Class, "closeTimeout must be");
    await assertRejects(() => startUnixServer(handler, { path: "/x", ...bad }), Class, "closeTimeout must be");
  }
  const [conn, peer] = connPair();
  const { writer } = await openConnection({ conn, closeTimeout: undefined });
  await writer.close();
  peer.close();
});

for (
  const [kind, listen, connect] of [
    ["TCP", { hostname: "127.0.0.1", port: 0 }, (addr: Deno.Addr) => ({ hostname: "127.0.0.1", port: portOf(addr) })],
    ["Unix", { transport: "unix", path: socketPath() }, (addr: Deno.Addr) => ({ path: (addr as Deno.UnixAddr).path })],
  ] as const
) {
  Deno.test(
    `abort() frees the descriptor although a ${kind} peer never reads: the peer sees the end, not the rest [W8]`,
    {
      ignore: kind === "Unix" && Deno.build.os === "windows",
    },
    async () => {
      using listener = Deno.listen(listen as Deno.TcpListenOptions);
      const connecting = createConnection(() => new RecordingProtocol(), connect(listener.addr) as TcpConnectOptions);
      using peer = await listener.accept();
      const { transport, protocol } = await connecting;
      transport.write(new Uint8Array(MUCH));
      transport.write(new Uint8Array(MUCH));
      await turns(5);
      assert(transport.getWriteBufferSize() > 0);
      transport.abort();
      const { error } = await protocol.waitFor("connectionLost");
      assertEquals([error, transport.getWriteBufferSize()], [null, 0]);
      // A descriptor that a write under way keeps would go on sending.
      const p = new Uint8Array(1 << 20);
      let total = 0;
      const ended = (async () => {
        for (let n; (n = await peer.read(p)) !== null;) total += n;
      })();
      await ended.catch((error) => assertInstanceOf(error, Deno.errors.ConnectionReset));
      assertLess(total, MUCH);
    },
  );
}

function portOf(addr: Deno.Addr): number {
  return (addr as Deno.NetAddr).port;
}

/** A conn one of whose methods fails in some way; the others work. */
function failing(
  conn: ConnLike,
  method: "close" | "write" | "read" | "closeWrite",
  how: "throws" | "rejects",
): ConnLike {
  const fail = () => {
    const error = new Deno.errors.NotSupported(`${method} ${how}`);
    if (method === "close") conn.close();
    if (how === "throws") throw error;
    return Promise.reject(error) as never;
  };
  return {
    read: (p) => conn.read(p),
    write: (p) => conn.write(p),
    close: () => conn.close(),
    closeWrite: () => conn.closeWrite!(),
    [method]: fail,
  };
}

class Counting extends Protocol {
  readonly lost: (Error | null)[] = [];
  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }
  override connectionLost(error: Error | null): void {
    this.lost.push(error);
  }
  transport!: Transport;
}

for (const how of ["throws", "rejects"] as const) {
  for (const way of ["close", "abort", "the peer's end"] as const) {
    Deno.test(`a conn whose close() ${how} is lost like any other, once, by ${way} [C1, W7]`, async () => {
      const [a, peer] = connPair();
      const { transport, protocol } = await createConnection(() => new Counting(), { conn: failing(a, "close", how) });
      const sending = transport.sendall(new Uint8Array(200_000));
      if (way === "close") {
        transport.close();
        const p = new Uint8Array(200_000);
        for (let n = 0; n < p.length;) n += await peer.read(p) ?? 0;
        await sending;
      } else if (way === "abort") {
        transport.abort();
        await assertRejects(() => sending);
      }
      peer.close();
      await until(() => protocol.lost.length > 0);
      await turns(3);
      assertEquals(protocol.lost.length, 1);
      if (way !== "the peer's end") {
        if (how === "throws") assertInstanceOf(protocol.lost[0], Deno.errors.NotSupported);
        else assertEquals(protocol.lost[0], null);
      }
      await sending.catch(() => {});
    });
  }
  for (const method of ["read", "write", "closeWrite"] as const) {
    Deno.test(`a conn whose ${method}() ${how} loses its connection with that error, once [C1]`, async () => {
      const [a, peer] = connPair();
      const { transport, protocol } = await createConnection(() => new Counting(), { conn: failing(a, method, how) });
      transport.write("x");
      transport.writeEof();
      await until(() => protocol.lost.length > 0);
      await turns(3);
      assertEquals(protocol.lost.map((error) => error?.message), [`${method} ${how}`]);
      peer.close();
    });
  }
}

Deno.test("a server whose conn's close() throws counts right, and waitClosed() resolves [C1, V5, V7]", async () => {
  const inner = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listener = Object.create(inner) as Deno.TcpListener;
  Object.defineProperty(listener, "addr", { value: inner.addr });
  listener.close = () => inner.close();
  listener.accept = async () => {
    const conn = await inner.accept();
    const close = conn.close.bind(conn);
    conn.close = () => {
      close();
      throw new Error("close is broken");
    };
    return conn;
  };
  const protocols: Counting[] = [];
  const server = await createServer(() => {
    const protocol = new Counting();
    protocols.push(protocol);
    return protocol;
  }, { listener, maxConnections: 1 });
  for (let i = 1; i <= 3; i++) {
    const client = await Deno.connect({ hostname: "127.0.0.1", port: inner.addr.port });
    await until(() => protocols.length === i && protocols[i - 1]!.transport !== undefined);
    assertEquals(server.connections, 1);
    protocols[i - 1]!.transport.close();
    await until(() => server.connections === 0);
    client.close();
  }
  assertEquals(protocols.map(({ lost }) => lost.map((error) => error?.message)), Array(3).fill(["close is broken"]));
  server.close();
  await server.waitClosed();
});

Deno.test("abort() inside pauseWriting: no callback but connectionLost comes after it [W8, W2]", async () => {
  const [conn, peer] = connPair({ capacity: 10 });
  const calls: string[] = [];
  class Aborting extends Protocol {
    override pauseWriting(): void {
      calls.push("pause");
      transport.abort();
      transport.setWriteBufferLimits({ high: 1 });
      transport.setWriteBufferLimits();
    }
    override resumeWriting(): void {
      calls.push("resume");
    }
    override connectionLost(): void {
      calls.push("lost");
    }
  }
  const { transport } = await createConnection(() => new Aborting(), { conn });
  transport.write(new Uint8Array(100_000));
  transport.setWriteBufferLimits({ high: 0 });
  await until(() => calls.includes("lost"));
  transport.setWriteBufferLimits();
  await turns(3);
  assertEquals(calls, ["pause", "lost"]);
  peer.close();
});

Deno.test("a close that the peer helps sets no timer and is quick [W7]", async () => {
  const original = globalThis.setTimeout;
  let timers = 0;
  globalThis.setTimeout = ((...args: Parameters<typeof original>) => (timers++, original(...args))) as typeof original;
  try {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    for (let i = 0; i < 5; i++) {
      const connecting = openConnection({ hostname: "127.0.0.1", port: listener.addr.port });
      const peer = await listener.accept();
      const { writer } = await connecting;
      writer.write("bye");
      await writer.close();
      assertEquals(await peer.read(new Uint8Array(9)), 3);
      peer.close();
    }
    assertLess(timers, 1);
  } finally {
    globalThis.setTimeout = original;
  }
});
