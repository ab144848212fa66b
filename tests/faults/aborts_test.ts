/**
 * Signals that abort at every point of a call's way: the call rejects with the reason or is done, nothing is lost, nothing
 * leaks, and the next call works. Opening connections is aborted the same way in tests/serving/connect_test.ts.
 */
import { assert, assertEquals, assertGreater, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { connPair, openConnection, type StreamReader, type StreamWriter } from "../../mod.ts";
import { sockAccept, sockConnect, sockRecv, sockRecvInto, sockSendall } from "../../src/sock/mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { EchoProtocol } from "../support/servers.ts";
import { MiB, outcomeOf, realKinds } from "./kit.ts";
import { openDescriptors } from "../support/machine.ts";
import { pattern, text } from "../support/bytes.ts";
import { socketPath } from "../support/programs.ts";
import { until } from "../support/waiting.ts";

/** How many points to abort at. */
const POINTS = 40;

/** Waits until one of the points: the first ones lie a microtask apart, later ones ever more turns of the event loop. */
async function reach(point: number): Promise<void> {
  for (let hop = 0; hop < Math.min(point, 10); hop++) await null;
  await turns(Math.floor(Math.max(0, point - 10) ** 2 / 3));
}

/** How many of the points ended with the reason, and how many with a result. */
interface Tally {
  aborted: number;
  done: number;
}

/**
 * Plays a scene again and again, each time with a signal that aborts a little later.
 *
 * @param scene Plays it; `settled` tells of a call whether it gave a result, and checks that it rejected with the reason if not
 */
async function abortedAtEveryPoint(
  scene: (
    signal: AbortSignal,
    outcome: <T>(call: Promise<T>) => Promise<{ value: T } | null>,
  ) => Promise<void>,
): Promise<Tally> {
  const tally = { aborted: 0, done: 0 };
  for (let point = 0; point < POINTS; point++) {
    const controller = new AbortController();
    const reason = new Error(`at point ${point}`);
    const playing = scene(controller.signal, async (call) => {
      const outcome = await outcomeOf(call);
      if ("value" in outcome) {
        tally.done++;
        return outcome;
      }
      assertStrictEquals(outcome.error, reason);
      tally.aborted++;
      return null;
    });
    await reach(point);
    controller.abort(reason);
    await playing;
  }
  return tally;
}

const MESSAGE = "alpha\nbeta\n";
/** As they come, a turn of the event loop between. */
const PIECES = ["al", "pha\nbe", "ta\n"];

/** Every read that takes a signal, and how many bytes its result took from the stream. */
const reads: Record<string, (reader: StreamReader, options: { signal: AbortSignal }) => Promise<number>> = {
  "read(n)": async (reader, options) => (await reader.read(4, options)).length,
  "read() to the end": async (reader, options) => (await reader.read(-1, options)).length,
  "readline()": async (reader, options) => (await reader.readline(options)).length,
  "readexactly()": async (reader, options) => (await reader.readexactly(9, options)).length,
  "readuntil()": async (reader, options) => (await reader.readuntil(["eta", "zeta"], options)).length,
  "readinto()": async (reader, options) => (await reader.readinto(new Uint8Array(4), options))!,
  "peek()": async (reader, options) => (await reader.peek(9, options)).length - 9,
  "skipuntil()": async (reader, options) => await reader.skipuntil("beta", options),
  "lines()": async (reader, options) => (await reader.lines(options).next()).value!.length + 1,
};

for (const kind of realKinds) {
  for (const [name, read] of Object.entries(reads)) {
    Deno.test(`${kind.name}: ${name} aborted at every point loses no byte, and the next read works [R7]`, async () => {
      const streams = Promise.withResolvers<[StreamReader, StreamWriter]>();
      await using server = await kind.startServer((reader, writer) => streams.resolve([reader, writer]));
      await using client = await kind.openConnection(server);
      const [reader, writer] = await streams.promise;
      const { aborted, done } = await abortedAtEveryPoint(async (signal, outcome) => {
        const reading = outcome(read(reader, { signal }));
        for (const piece of PIECES) {
          client.writer.write(piece);
          await turns();
        }
        const result = await reading;
        const taken = result === null ? 0 : result.value;
        const rest = await reader.readexactly(MESSAGE.length - taken);
        assertEquals(text(rest), MESSAGE.slice(taken));
      });
      assertGreater(aborted, 0);
      if (name !== "read() to the end") assertGreater(done, 0);
      // The end of the other side is what a close over TLS waits for.
      void writer.close();
    });
  }

  Deno.test(`${kind.name}: drain() aborted at every point: what was written arrives, and the next drain() works [S2]`, async () => {
    const data = pattern(4 * MiB);
    const streams = Promise.withResolvers<[StreamReader, StreamWriter]>();
    await using server = await kind.startServer((reader, writer) => streams.resolve([reader, writer]));
    await using client = await kind.openConnection(server);
    const [, writer] = await streams.promise;
    const { aborted } = await abortedAtEveryPoint(async (signal, outcome) => {
      writer.write(data);
      const draining = outcome(writer.drain({ signal }));
      await turns();
      const received = client.reader.readexactly(data.length);
      await draining;
      await writer.drain();
      assertEquals((await received).length, data.length);
    });
    assertGreater(aborted, 0);
    assertEquals(writer.transport.getWriteBufferSize(), 0);
    void writer.close();
  });

  Deno.test(`${kind.name}: a server whose signal aborts at every point of its opening leaves nothing [V5]`, async () => {
    const before = openDescriptors();
    const { aborted, done } = await abortedAtEveryPoint(async (signal, outcome) => {
      const opened = await outcome(kind.createServer(() => new EchoProtocol(), { signal }));
      if (opened === null) return;
      const server = opened.value;
      await server.waitClosed();
      assertEquals(server.addrs, []);
    });
    assertGreater(aborted + done, POINTS - 1);
    await until(() => openDescriptors() <= before);
  });

  Deno.test(`${kind.name}: serveForever() aborted at every point closes the server and keeps its connections [V5]`, async () => {
    await abortedAtEveryPoint(async (signal) => {
      const server = await kind.createServer(() => new EchoProtocol());
      const client = await kind.openConnection(server);
      client.writer.write("x");
      assertEquals((await client.reader.readexactly(1)).length, 1);
      await server.serveForever({ signal });
      assert(!server.isServing());
      client.writer.write("y");
      assertEquals(text(await client.reader.readexactly(1)), "y");
      await client.writer.close();
      await server.waitClosed();
    });
  });
}

/** Pairs of conns for the calls on sockets. */
const sockets = {
  TCP: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  Unix: () => Deno.listen({ transport: "unix", path: socketPath() }),
};

function connectTo({ addr }: Deno.Listener, signal?: AbortSignal): Promise<Deno.Conn> {
  const options = signal === undefined ? {} : { signal };
  return addr.transport === "tcp"
    ? sockConnect({ hostname: addr.hostname, port: addr.port, ...options })
    : sockConnect({ transport: "unix", path: (addr as Deno.UnixAddr).path, ...options });
}

for (const [name, listen] of Object.entries(sockets)) {
  Deno.test(`${name}: sockConnect() and sockAccept() aborted at every point leak nothing, and lose no client [V3]`, async () => {
    using listener = listen();
    const before = openDescriptors();
    const connects = await abortedAtEveryPoint(async (signal, outcome) => {
      const accepting = sockAccept(listener);
      const result = await outcome(connectTo(listener, signal));
      result?.value.close();
      // Connected or not: the next one is, behind the aborted ones in the backlog.
      const client = await connectTo(listener);
      await client.write(new Uint8Array([1]));
      let server = await accepting;
      while (await sockRecv(server, 1).then((bytes) => bytes.length === 0, () => true)) {
        server.close();
        server = await sockAccept(listener);
      }
      client.close();
      server.close();
    });
    assertGreater(connects.aborted, 0);
    assertGreater(connects.done, 0);

    const accepts = await abortedAtEveryPoint(async (signal, outcome) => {
      const accepting = outcome(sockAccept(listener, { signal }));
      await turns(2);
      const client = await connectTo(listener);
      const result = await accepting;
      const server = result?.value ?? await sockAccept(listener);
      await client.write(new Uint8Array([2]));
      assertEquals(await sockRecv(server, 9), new Uint8Array([2]));
      client.close();
      server.close();
    });
    assertGreater(accepts.aborted, 0);
    assertGreater(accepts.done, 0);
    await until(() => openDescriptors() <= before);
  });

  Deno.test(`${name}: sockRecv() and sockRecvInto() aborted at every point lose no byte [R7]`, async () => {
    using listener = listen();
    const [client, server] = await Promise.all([connectTo(listener), listener.accept()]);
    const memory = new Uint8Array(4);
    const calls = [
      async (signal: AbortSignal) => text(await sockRecv(server, 4, { signal })),
      async (signal: AbortSignal) => text(memory.slice(0, await sockRecvInto(server, memory, { signal }))),
    ];
    for (const call of calls) {
      const { aborted, done } = await abortedAtEveryPoint(async (signal, outcome) => {
        const receiving = outcome(call(signal));
        for (const piece of PIECES) {
          await sockSendall(client, new TextEncoder().encode(piece));
          await turns();
        }
        let received = (await receiving)?.value ?? "";
        while (received.length < MESSAGE.length) received += text(await sockRecv(server, 100));
        assertEquals(received, MESSAGE);
      });
      assertGreater(aborted, 0);
      assertGreater(done, 0);
    }
    client.close();
    server.close();
  });

  Deno.test(`${name}: sockSendall() aborted at every point sends a prefix, and later sends are refused`, async () => {
    using listener = listen();
    const data = pattern(4 * MiB);
    const { aborted } = await abortedAtEveryPoint(async (signal, outcome) => {
      const [client, server] = await Promise.all([connectTo(listener), listener.accept()]);
      const sending = outcome(sockSendall(client, data, { signal }));
      let received = 0;
      const receiving = (async () => {
        const p = new Uint8Array(MiB);
        for (let n; (n = await server.read(p)) !== null;) {
          for (let i = 0; i < n; i++) if (p[i] !== data[received + i]) throw new Error(`Byte ${received + i} is wrong`);
          received += n;
        }
      })();
      const sent = await sending;
      const next = await outcomeOf(sockSendall(client, new Uint8Array(0)));
      client.close();
      await receiving;
      server.close();
      if (sent !== null) assertEquals(received, data.length);
      else if (!("error" in next)) assertEquals(received, 0);
      else assertInstanceOf(next.error, Deno.errors.ConnectionAborted);
    });
    assertGreater(aborted, 0);
  });
}

Deno.test("the connection over a conn given, aborted at every point of its TLS handshake, is closed [V3]", async () => {
  const { aborted } = await abortedAtEveryPoint(async (signal, outcome) => {
    const [conn, peer] = connPair();
    await outcome(openConnection({ conn, tls: { serverName: "localhost" }, signal }));
    // The peer's end has come: nothing holds the other one.
    const p = new Uint8Array(65536);
    while (await peer.read(p).catch(() => null) !== null);
    peer.close();
  });
  assertEquals(aborted, POINTS);
});

Deno.test("a server closed at every point while clients connect: each is served, or told of the end [V5]", async () => {
  for (const kind of realKinds) {
    const before = openDescriptors();
    let served = 0;
    let refused = 0;
    for (let point = 0; point < POINTS; point++) {
      const server = await kind.createServer(() => new EchoProtocol(), { onError: () => {} });
      const clients = Array.from({ length: 5 }, async () => {
        const opened = await outcomeOf(kind.openConnection(server));
        if ("error" in opened) return refused++;
        const { reader, writer } = opened.value;
        writer.write("x");
        const echoed = await outcomeOf(reader.read(1));
        if ("value" in echoed && echoed.value.length === 1) served++;
        else refused++;
        writer.abort();
      });
      await reach(point);
      server.close();
      await Promise.all(clients);
      await server.waitClosed();
      assertEquals(server.connections, 0);
    }
    assertEquals(served + refused, 5 * POINTS);
    assertGreater(refused, 0, kind.name);
    await until(() => openDescriptors() <= before);
  }
});
