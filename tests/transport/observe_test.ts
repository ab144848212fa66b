/** What can be seen of connections: `transport.stats()` and `observe()`. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import {
  connectReadPipe,
  connPair,
  createConnection,
  createDatagramEndpoint,
  createServer,
  DatagramProtocol,
  type ErrorContext,
  observe,
  type Observer,
  openConnection,
  Process,
  Protocol,
  type Server,
  setExceptionHandler,
  StreamReader,
  StreamReaderProtocol,
  subprocessExec,
  SubprocessStreamProtocol,
  type Transport,
} from "../../mod.ts";
import { RecordingDatagramProtocol, RecordingProtocol } from "../../src/testing/mod.ts";
import { certificate, EchoProtocol, kinds, portOf } from "../support/servers.ts";
import { until } from "../support/waiting.ts";

const { cert, key } = certificate;

/** Resolves when the clock has moved on: what happens next has another time. */
async function later(than: number): Promise<void> {
  while (Date.now() <= than) await new Promise((resolve) => setTimeout(resolve, 1));
}

for (const kind of kinds) {
  Deno.test(`${kind.name}: stats() counts bytes, and tells when the connection was opened and active last`, async () => {
    const before = Date.now();
    const protocols: EchoProtocol[] = [];
    const server = await kind.createServer(() => {
      const protocol = new EchoProtocol();
      protocols.push(protocol);
      return protocol;
    });
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    const first = transport.stats();
    assertEquals([first.bytesRead, first.bytesWritten, first.pausedSince], [0, 0, null]);
    assert(first.openedAt >= before && first.openedAt <= Date.now());
    assertEquals(first.lastActive, first.openedAt);
    await later(first.openedAt);
    transport.write("hello");
    await protocol.waitForBytes(5);
    const second = transport.stats();
    assertEquals([second.bytesRead, second.bytesWritten, second.openedAt], [5, 5, first.openedAt]);
    assert(second.lastActive > first.lastActive && second.lastActive <= Date.now());
    const atServer = protocols[0]!.transport.stats();
    assertEquals([atServer.bytesRead, atServer.bytesWritten], [5, 5]);
    transport.close();
    await protocol.waitFor("connectionLost");
    assertEquals(transport.stats().bytesRead, 5);
    await server.shutdown({ grace: 0 });
  });
}

for (const way of ["write", "sendall"] as const) {
  Deno.test(`a slow peer is visible by pausedSince, from streams too: ${way}() [W1]`, async () => {
    const [near, far] = connPair();
    await using one = await openConnection({ conn: near });
    await using other = await openConnection({ conn: far, limit: 1024 });
    const before = Date.now();
    const data = new Uint8Array(1 << 20);
    const sent = way === "write" ? (one.writer.write(data), one.writer.drain()) : one.writer.sendall(data);
    await until(() => one.writer.transport.stats().pausedSince !== null);
    const { pausedSince } = one.writer.transport.stats();
    assert(pausedSince! >= before && pausedSince! <= Date.now());
    await later(pausedSince!);
    await other.reader.readexactly(100);
    assertEquals(one.writer.transport.stats().pausedSince, pausedSince);
    await other.reader.readexactly(data.length - 100);
    await sent;
    await until(() => one.writer.transport.stats().pausedSince === null);
  });
}

Deno.test("stats() of an endpoint counts datagrams' bytes, and of a process those of its pipes", async () => {
  const localAddr = { hostname: "127.0.0.1", port: 0 };
  const receiver = await createDatagramEndpoint(() => new RecordingDatagramProtocol(), { localAddr });
  const sender = await createDatagramEndpoint(() => new DatagramProtocol(), { localAddr });
  const target = receiver.transport.getExtraInfo("sockname") as Deno.NetAddr;
  sender.transport.sendto(new Uint8Array(7), target);
  sender.transport.sendto(new Uint8Array(3), target);
  await until(() => receiver.transport.stats().bytesRead === 10 && sender.transport.stats().bytesWritten === 10);
  assertEquals([receiver.transport.stats().bytesWritten, sender.transport.stats().bytesRead], [0, 0]);
  for (const { transport } of [receiver, sender]) transport.close();

  const cat = await subprocessExec(() => new SubprocessStreamProtocol(), "cat", []);
  const process = new Process(cat.transport, cat.protocol);
  await process.communicate("hello");
  const { bytesRead, bytesWritten, pausedSince } = cat.transport.stats();
  assertEquals([bytesRead, bytesWritten, pausedSince], [5, 5, null]);
  await process[Symbol.asyncDispose]();
});

interface Told {
  name: string;
  args: unknown[];
}

/** An observer that records what it is told. */
function recorder(): { told: Told[]; observer: Required<Observer>; names(): string[] } {
  const told: Told[] = [];
  const method = (name: string) => (...args: unknown[]) => void told.push({ name, args });
  const observer = {
    opened: method("opened"),
    lost: method("lost"),
    handshakeFailed: method("handshakeFailed"),
    refused: method("refused"),
  };
  return { told, observer, names: () => told.map(({ name }) => name) };
}

for (const kind of kinds) {
  Deno.test(`${kind.name}: observe() tells of both ends, opened and lost, once each`, async () => {
    const { told, observer, names } = recorder();
    const server = await kind.createServer(() => new EchoProtocol());
    using _watch = observe(observer);
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("x");
    await protocol.waitForBytes(1);
    assertEquals(names(), ["opened", "opened"]);
    const opened = told.map(({ args }) => args[0]);
    assert(opened.includes(transport));
    transport.close();
    await until(() => told.length === 4);
    assertEquals(names().slice(2), ["lost", "lost"]);
    for (const { args } of told.slice(2)) {
      assert(opened.includes(args[0]));
      assertEquals(args[1], null);
    }
    await server.shutdown({ grace: 0 });
    assertEquals(told.length, 4);
  });
}

Deno.test("an observer is told in order: opened, connectionMade, connectionLost, lost with the same error", async () => {
  const order: unknown[] = [];
  class Noting extends Protocol {
    override connectionMade() {
      order.push("connectionMade");
    }
    override connectionLost(error: Error | null) {
      order.push("connectionLost", error);
    }
  }
  using _watch = observe({
    opened: () => void order.push("opened"),
    lost: (_transport, error) => void order.push("lost", error),
  });
  const failure = new Deno.errors.ConnectionReset("The peer has gone");
  await createConnection(() => new Noting(), {
    conn: { read: () => Promise.reject(failure), write: () => Promise.resolve(1), close() {} },
  });
  await until(() => order.includes("lost"));
  assertEquals(order.filter((one) => typeof one === "string"), ["opened", "connectionMade", "connectionLost", "lost"]);
  assertInstanceOf(order[3], Deno.errors.ConnectionReset);
  assertStrictEquals(order[5], order[3]);
});

Deno.test("an observer is told of handshakes that fail, and of refused clients, with the reason [V10, V12, T2]", async () => {
  const { told, observer, names } = recorder();
  using _watch = observe(observer);
  const onError = () => {};
  const probe = async (server: Server, bytes: string) => {
    const before = told.length;
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
    if (bytes !== "") await conn.write(new TextEncoder().encode(bytes)).catch(() => {});
    await until(() => told.length > before);
  };
  const hostname = "127.0.0.1";
  const from = [hostname];
  const servers = [
    await createServer(() => new Protocol(), { hostname, tls: { cert, key }, onError }),
    await createServer(() => new Protocol(), { hostname, accept: () => false }),
    await createServer(() => new Protocol(), { hostname, proxyProtocol: { from }, onError }),
    await createServer(() => new Protocol(), { hostname, maxConnectionsPerPeer: 1 }),
  ] as const;
  await probe(servers[0], "GET / HTTP/1.1\r\n\r\n");
  await probe(servers[1], "");
  await probe(servers[2], "GET / HTTP/1.1\r\n\r\n");
  assertEquals(names(), ["handshakeFailed", "refused", "refused"]);
  assertInstanceOf(told[0]!.args[0], Deno.errors.InvalidData);
  assertEquals((told[0]!.args[1] as Deno.NetAddr).hostname, hostname);
  assertEquals(told.slice(1).map(({ args }) => args[1]), ["filter", "proxyHeader"]);
  {
    using _held = await Deno.connect({ hostname, port: portOf(servers[3]) });
    await until(() => servers[3].connections === 1);
    await probe(servers[3], "");
  }
  assertEquals(told.slice(3, 5).map(({ name, args }) => [name, args[1]]), [["opened", undefined], [
    "refused",
    "perPeer",
  ]]);
  for (const server of servers) await server.shutdown({ grace: 0 });
});

Deno.test("observe() ends when it is disposed, each call by itself, and pipes are no connections", async () => {
  const { told, observer } = recorder();
  const one = observe(observer), other = observe(observer);
  const open = async () => {
    const [near, far] = connPair();
    const { transport } = await createConnection(() => new Protocol(), { conn: near });
    transport.abort();
    far.close();
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  await open();
  assertEquals(told.length, 4);
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  await open();
  assertEquals(told.length, 6);
  const reader = new StreamReader();
  await connectReadPipe(() => new StreamReaderProtocol(reader), new Blob(["text"]).stream());
  assertEquals((await reader.read()).length, 4);
  assertEquals(told.length, 6);
  other[Symbol.dispose]();
  await open();
  assertEquals(told.length, 6);
});

Deno.test("what an observer throws, at once or later, goes to the exception handler and touches nothing else", async () => {
  const contexts: ErrorContext[] = [];
  const before = setExceptionHandler((context) => void contexts.push(context));
  try {
    const { told, observer } = recorder();
    using _throws = observe({
      opened() {
        throw new Error("thrown");
      },
      lost: (() => Promise.reject(new Error("rejected"))) as unknown as (transport: Transport) => void,
    });
    using _watch = observe(observer);
    const [near, far] = connPair();
    const { transport } = await createConnection(() => new Protocol(), { conn: near });
    transport.abort();
    far.close();
    await until(() => contexts.length === 2);
    assertEquals(contexts.map(({ message }) => message), [
      "opened() of an observer failed",
      "lost() of an observer failed",
    ]);
    assertEquals(contexts.map(({ error }) => error.message), ["thrown", "rejected"]);
    assertEquals(told.length, 2);
  } finally {
    setExceptionHandler(before);
  }
});

Deno.test("observe() takes an instance of a class, calls its methods on it, and refuses what is no observer", () => {
  class Counter implements Observer {
    #count = 0;
    opened() {
      this.#count++;
    }
    get count() {
      return this.#count;
    }
  }
  const counter = new Counter();
  using _watch = observe(counter);
  assertEquals(counter.count, 0);
  assertThrows(() => observe(null as unknown as Observer), TypeError, "must be an object, not null");
  assertThrows(
    () => observe({ lost: true } as unknown as Observer),
    TypeError,
    "lost must be a function, not a boolean",
  );
});

Deno.test("a class that observes counts the connections", async () => {
  class Gauge implements Observer {
    open = 0;
    bytes = 0;
    opened() {
      this.open++;
    }
    lost(transport: Transport) {
      this.open--;
      this.bytes += transport.stats().bytesRead;
    }
  }
  const gauge = new Gauge();
  using _watch = observe(gauge);
  await using server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1" });
  const client = await openConnection({ port: server.port });
  client.writer.write("12345");
  await client.reader.readexactly(5);
  assertEquals(gauge.open, 2);
  await client.writer.close();
  await until(() => gauge.open === 0);
  assertEquals(gauge.bytes, 10);
});
