/**
 * What users do to a connection that floods them, while it waits for its turn [C10]: the rules hold as ever. No byte is lost
 * or comes twice, and nothing comes after a pause or the end.
 */
import { assertEquals, assertLess, assertRejects } from "@std/assert";
import {
  BufferedProtocol,
  connPair,
  createConnection,
  openConnection,
  Protocol,
  type Server,
  startServer,
  type StreamReader,
  type StreamWriter,
  type Transport,
} from "../../mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { certificate, type Kind } from "../support/servers.ts";
import { addressOf, Flood, type Role } from "./flood_kit.ts";
import { ignore, MiB, realKinds } from "./kit.ts";

/** The flood: each byte tells its place in it, so that one too many or too few is seen. */
const DIGITS = "0123456789";
const flood: Role = { role: "send", data: DIGITS };

/** Checks that bytes follow those before them. */
class Sequence {
  count = 0;

  /** Takes the next bytes; looks at the first and the last few, as the rest would take most of the time of a test. */
  take(data: Uint8Array): void {
    const near = data.length > 40 ? [data.subarray(0, 20), data.subarray(-20)] : [data];
    const ends = [this.count, this.count + data.length - near.at(-1)!.length];
    near.forEach((bytes, i) =>
      bytes.forEach((byte, at) => {
        if (byte !== 48 + (ends[i]! + at) % 10) throw new Error(`byte ${ends[i]! + at} is not what was sent`);
      })
    );
    this.count += data.length;
  }
}

/** Takes a flood, and fails if it takes bytes while it must not. */
class Taker extends Protocol {
  readonly sequence = new Sequence();
  readonly lost = Promise.withResolvers<Error | null>();
  transport!: Transport;
  state: "open" | "paused" | "ended" = "open";
  calls = 0;
  early = 0;

  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }

  override dataReceived(data: Uint8Array): void {
    this.calls++;
    if (this.state !== "open") this.early++;
    this.sequence.take(data);
  }

  override connectionLost(error: Error | null): void {
    this.lost.resolve(error);
  }
}

/** A server whose only client floods it, and the protocol that takes it. */
async function flooded<P extends Protocol | BufferedProtocol>(
  kind: Kind,
  makeProtocol: () => P,
): Promise<{ protocol: P; server: Server } & AsyncDisposable> {
  const made = Promise.withResolvers<P>();
  const server = await kind.createServer(() => {
    const protocol = makeProtocol();
    made.resolve(protocol);
    return protocol;
  }, { onError: () => {} });
  const client = await Flood.start(flood, addressOf(kind, server));
  const protocol = await made.promise;
  return {
    protocol,
    server,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Lets a flood go on for some bytes; comes back amid the hand-over of the loop, as other work does. */
async function more(sequence: Sequence, bytes: number): Promise<void> {
  for (const enough = sequence.count + bytes; sequence.count < enough;) await turns();
}

for (const kind of realKinds) {
  for (const end of ["abort", "close"] as const) {
    Deno.test({
      name: `${kind.name}: ${end}() amid a flood: nothing comes after it, and connectionLost once [C10, C1, W8]`,
      ignore,
      async fn() {
        await using scene = await flooded(kind, () => new Taker());
        const { protocol, server } = scene;
        await more(protocol.sequence, MiB);
        protocol.transport[end]();
        protocol.state = "ended";
        // Over TLS close() waits for the peer's end, which this peer does not send.
        if (end === "close") protocol.transport.abort();
        assertEquals(await protocol.lost.promise, null);
        await turns(200);
        assertEquals([protocol.early, server.connections], [0, 0]);
      },
    });
  }

  Deno.test({
    name:
      `${kind.name}: pauseReading() and resumeReading() amid a flood: nothing comes while paused, nothing is lost [C10, C5]`,
    ignore,
    async fn() {
      await using scene = await flooded(kind, () => new Taker());
      const { protocol } = scene;
      for (let pause = 0; pause < 20; pause++) {
        await more(protocol.sequence, MiB / 4);
        protocol.transport.pauseReading();
        protocol.state = "paused";
        await turns(pause % 2 === 0 ? 1 : 200);
        protocol.state = "open";
        protocol.transport.resumeReading();
      }
      await more(protocol.sequence, MiB);
      assertEquals(protocol.early, 0);
    },
  });

  Deno.test({
    name: `${kind.name}: setProtocol() amid a flood, to the other kind and back: every byte comes, in order [C10, C8]`,
    ignore,
    async fn() {
      await using scene = await flooded(kind, () => new Taker());
      const { protocol } = scene;
      const { sequence, transport } = protocol;
      class Buffered extends BufferedProtocol {
        readonly memory = new Uint8Array(50_000);
        override getBuffer(): Uint8Array {
          return this.memory;
        }
        override bufferUpdated(n: number): void {
          sequence.take(this.memory.subarray(0, n));
        }
      }
      for (let round = 0; round < 20; round++) {
        await more(sequence, MiB / 4);
        transport.setProtocol(round % 2 === 0 ? new Buffered() : protocol);
      }
      await more(sequence, MiB);
    },
  });

  Deno.test({
    name: `${kind.name}: reads amid a flood that time out or are aborted lose no byte [C10, R7]`,
    ignore,
    async fn() {
      const sequence = new Sequence();
      let given = 0;
      const done = Promise.withResolvers<void>();
      await using server = await kind.startServer(async (reader) => {
        try {
          const late = performance.now() + 500;
          for (let i = 0; sequence.count < 4 * MiB || (given < 20 && performance.now() < late); i++) {
            const giveUp = new AbortController();
            // Given up at once, in a hop, in a turn, or by a timeout.
            if (i % 4 === 1) queueMicrotask(() => giveUp.abort());
            if (i % 4 === 2) setImmediate(() => giveUp.abort());
            const signal = i % 500 === 0 ? AbortSignal.timeout(1) : giveUp.signal;
            const read = i % 3 === 0 ? reader.readexactly(40_000, { signal }) : reader.read(7 + i % 5000, { signal });
            if (i % 4 === 3) giveUp.abort();
            await read.then((data) => sequence.take(data), () => given++);
          }
          done.resolve();
        } catch (error) {
          done.reject(error);
        }
      }, { onError: () => {} });
      await using _client = await Flood.start(flood, addressOf(kind, server));
      await done.promise;
    },
  });

  Deno.test({
    name: `${kind.name}: shutdown() amid floods ends all of them within its grace [C10, V5]`,
    ignore,
    async fn() {
      await using server = await kind.startServer(async (reader) => {
        for await (const _line of reader);
      }, { onError: () => {} });
      const role: Role = { role: "send", data: "\n", connections: 3 };
      await using _client = await Flood.start(role, addressOf(kind, server));
      while (server.connections < 3) await turns();
      await turns(100);
      const begun = performance.now();
      await server.shutdown({ grace: 100 });
      assertEquals(server.connections, 0);
      assertLess(performance.now() - begun, 5000);
    },
  });

  Deno.test({
    name: `${kind.name}: beside a flood another client connects, with its handshake, and is served [C10, T2]`,
    ignore,
    async fn() {
      let lines = 0;
      await using server = await kind.startServer(async (reader, writer) => {
        for await (const line of reader) {
          if (line.length > 1) writer.write(line);
          else lines++;
        }
      }, { onError: () => {} });
      const address = addressOf(kind, server);
      await using _client = await Flood.start({ role: "send", data: "\n" }, address);
      while (lines === 0) await turns();
      for (let client = 0; client < 3; client++) {
        const before = lines;
        await using asker = await Flood.start({ role: "ask", questions: 1 }, address);
        await asker.go();
        assertLess(JSON.parse(await asker.next())[0], 1000);
        assertLess(before, lines);
      }
    },
  });
}

Deno.test("close() while a read waits for its turn does not destroy what was flushed [C10, W7]", async () => {
  class Answerer extends BufferedProtocol {
    readonly #memory = new Uint8Array(16_384);
    #transport!: Transport;
    #reads = 0;
    override connectionMade(transport: Transport): void {
      this.#transport = transport;
    }
    override getBuffer(): Uint8Array {
      return this.#memory;
    }
    override bufferUpdated(): void {
      // Long enough for the loop to be handed over after a few reads: as these never wait for bytes, it does not turn else.
      for (const end = performance.now() + 2; performance.now() < end;);
      if (++this.#reads !== 20) return;
      setImmediate(() => {
        this.#transport.write("answer");
        this.#transport.close();
      });
    }
  }
  for (let round = 0; round < 5; round++) {
    const [conn, peer] = connPair({ capacity: MiB });
    assertEquals(await peer.write(new Uint8Array(MiB)), MiB);
    await createConnection(() => new Answerer(), { conn });
    const p = new Uint8Array(100);
    const n = await peer.read(p);
    assertEquals(new TextDecoder().decode(p.subarray(0, n!)), "answer");
    assertEquals(await peer.read(p), null);
    peer.close();
  }
});

/** Both ends of a connection in this process; the one writes lines, the other reads them. */
async function linesOverPair(): Promise<{ reader: StreamReader; ends: (() => void)[] }> {
  const [a, b] = connPair();
  const { reader, writer } = await openConnection({ conn: a });
  const other = await openConnection({ conn: b });
  const line = new TextEncoder().encode("line\n".repeat(1000));
  (async () => {
    for (;;) await other.writer.sendall(line);
  })().catch(() => {});
  return { reader, ends: [() => writer.abort(), () => other.writer.abort()] };
}

Deno.test("several reads at once amid a flood settle in the order of their calls [C10, R6]", async () => {
  const { reader, ends } = await linesOverPair();
  const order: number[] = [];
  let expected = 0;
  for (let round = 0; round < 3000; round++) {
    await reader.peek(40);
    const reads = Array.from({ length: 5 }, (_, i) => reader.readline().then(() => order.push(5 * round + i)));
    await Promise.all(reads);
    expected += 5;
  }
  assertEquals(order, Array.from({ length: expected }, (_, i) => i));
  for (const end of ends) end();
});

Deno.test("readinto() amid a flood has the caller's memory until it settles, and not after [C10, M3]", async () => {
  const { reader, ends } = await linesOverPair();
  for (let round = 0; round < 20_000; round++) {
    const p = new Uint8Array(50);
    const n = (await reader.readinto(p))!;
    const before = p.slice();
    await null;
    assertEquals(p, before);
    assertLess(0, n);
  }
  for (const end of ends) end();
});

Deno.test({
  name: "startTls() after a flood of plain lines on both sides [C10, S5]",
  ignore,
  async fn() {
    const { cert, key, caCert } = certificate;
    const count = 500_000;
    const served = Promise.withResolvers<void>();
    const handler = async (reader: StreamReader, writer: StreamWriter) => {
      try {
        for (let i = 0; i < count; i++) await reader.readline();
        writer.write("go\n");
        await writer.startTls({ cert, key });
        for (let i = 0; i < count; i++) await reader.readline();
        writer.write("done\n");
        await writer.drain();
        served.resolve();
      } catch (error) {
        served.reject(error);
      }
    };
    await using server = await startServer(handler, { hostname: "127.0.0.1", port: 0 });
    await using client = await openConnection({ port: (server.addrs[0] as Deno.NetAddr).port });
    const lines = new Uint8Array(count).fill(10);
    await client.writer.sendall(lines);
    assertEquals((await client.reader.readline()).length, 3);
    await client.writer.startTls({ caCerts: [caCert], serverName: "localhost" });
    await client.writer.sendall(lines);
    assertEquals((await client.reader.readline()).length, 5);
    await served.promise;
  },
});

Deno.test("a connection that is lost amid a flood fails the reads to come, after what was received [C10, R8]", async () => {
  const [conn, peer] = connPair();
  const { reader, writer } = await openConnection({ conn });
  const line = new TextEncoder().encode("line\n".repeat(10_000));
  const writing = (async () => {
    for (let i = 0; i < 50; i++) await peer.write(line);
    // Bytes of the other direction that nobody reads make this a reset.
    peer.close();
  })();
  writer.write("unread");
  let read = 0;
  await assertRejects(async () => {
    for (;;) read += (await reader.readexactly(5)).length;
  }, Deno.errors.ConnectionReset);
  await writing;
  assertEquals(read % 5, 0);
});
