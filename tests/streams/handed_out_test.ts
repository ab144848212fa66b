/** Memory that is handed out belongs to one connection, may be detached at any time, and is in proportion [M5]. */
import { assert, assertEquals, assertLess, assertLessOrEqual, assertRejects } from "@std/assert";
import {
  connectReadPipe,
  type ConnLike,
  connPair,
  createConnection,
  createDatagramEndpoint,
  createSubprocessExec,
  DatagramProtocol,
  type IncompleteReadError,
  openConnection,
  Protocol,
  StreamReader,
  StreamReaderProtocol,
  subprocessExec,
  SubprocessProtocol,
  type Transport,
} from "../../mod.ts";
import { sockDatagram, sockRecv, sockRecvfrom, sockSendto } from "../../src/sock/mod.ts";
import { SeededRandom } from "../../src/testing/mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { kinds, plainKinds } from "../support/servers.ts";
import { pattern } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

/** The largest buffer of a small piece, in bytes. */
const LARGEST_SMALL = 8192;

type Bytes = Uint8Array<ArrayBuffer>;

function detach({ buffer }: Bytes): void {
  if (!buffer.detached) structuredClone(buffer, { transfer: [buffer] });
}

function checkProportion(piece: Uint8Array): void {
  assertLessOrEqual(piece.buffer.byteLength, Math.max(LARGEST_SMALL, 2 * piece.length), `of ${piece.length} bytes`);
}

/** When the memory of a piece is detached, before the next read; `earlier` are the pieces before it. */
const moments: Record<string, (piece: Bytes, earlier: Bytes[]) => void | Promise<void>> = {
  "at once": detach,
  "after an await": async (piece) => {
    await null;
    detach(piece);
  },
  "in a later turn": async (piece) => {
    await turns(1);
    detach(piece);
  },
  "when others came": (_piece, earlier) => earlier.splice(0, 3).forEach(detach),
  "never": () => {},
};

const CELL = 50;

/** Lines of a connection: `cell` times its digit, then a newline, in groups of growing and falling lengths. */
function linesOf(digit: number, count: number): Bytes {
  const all: number[] = [];
  for (let i = 0; i < count; i++) all.push(...Array(1 + (i * i * 7) % CELL).fill(48 + digit), 10);
  return Uint8Array.from(all);
}

/** Every call of a reader that hands out memory. */
const calls: Record<string, (reader: StreamReader) => Promise<Bytes>> = {
  "read(n)": (reader) => reader.read(30),
  "read(65536)": (reader) => reader.read(65536),
  "readline()": (reader) => reader.readline(),
  "readuntil(bytes)": async (reader) => {
    try {
      return await reader.readuntil(new Uint8Array([10]));
    } catch {
      return new Uint8Array(0);
    }
  },
  "readexactly(n)": async (reader) => {
    try {
      return await reader.readexactly(17);
    } catch (error) {
      return (error as IncompleteReadError).partial as Bytes;
    }
  },
  "peek(n)": async (reader) => {
    const piece = await reader.peek(40);
    const seen = piece.slice();
    detach(piece);
    const read = await reader.read(40);
    assertEquals(read.subarray(0, seen.length), seen);
    return read;
  },
  "an iteration": async (reader) => {
    for await (const line of reader) return line;
    return new Uint8Array(0);
  },
};

for (const kind of kinds) {
  for (const [call, read] of Object.entries(calls)) {
    Deno.test(`${kind.name}: what ${call} gives is one connection's alone, and may be detached at any time [M5]`, async () => {
      const sent = Array.from({ length: 3 }, (_, digit) => linesOf(digit, 300));
      let accepted = 0;
      await using server = await kind.startServer(async (_reader, writer) => {
        const bytes = sent[accepted++]!;
        for (let at = 0; at < bytes.length; at += 997) {
          writer.write(bytes.subarray(at, at + 997));
          await writer.drain();
          await turns(1);
        }
      });
      const owners = new Map<ArrayBufferLike, number>();
      const random = new SeededRandom(call.length);
      const names = Object.keys(moments);
      await Promise.all(sent.map(async () => {
        await using client = await kind.openConnection(server);
        const got: number[] = [];
        const earlier: Bytes[] = [];
        for (let piece = await read(client.reader); piece.length > 0; piece = await read(client.reader)) {
          // The digits of one connection are its own.
          const owner = piece.find((byte) => byte !== 10) ?? (owners.get(piece.buffer) ?? got[0]!);
          assertEquals(owners.get(piece.buffer) ?? owner, owner, "a buffer is shared");
          owners.set(piece.buffer, owner);
          // Nor does the rest of the buffer show anything of others.
          for (const byte of new Uint8Array(piece.buffer)) assert(byte === 0 || byte === 10 || byte === owner);
          checkProportion(piece);
          got.push(...piece);
          earlier.push(piece);
          await moments[names[random.integer(0, names.length - 1)]!]!(piece, earlier);
        }
        assertEquals(Uint8Array.from(got), sent[(got[0] ?? 48) - 48]!);
      }));
      assertEquals(accepted, 3);
    });
  }

  Deno.test(`${kind.name}: 50 connections are served correctly while another detaches all memory it gets [M5]`, async () => {
    class Echo extends Protocol {
      #transport!: Transport;
      readonly #attacks: boolean;
      readonly #kept: Bytes[] = [];
      constructor(attacks: boolean) {
        super();
        this.#attacks = attacks;
      }
      override connectionMade(transport: Transport): void {
        this.#transport = transport;
      }
      override dataReceived(data: Bytes): void {
        this.#transport.write(data);
        if (!this.#attacks) return;
        if (data.length % 3 === 0) detach(data);
        else if (data.length % 3 === 1) queueMicrotask(() => detach(data));
        else this.#kept.push(data);
        if (this.#kept.length > 3) detach(this.#kept.shift()!);
      }
    }
    let made = 0;
    await using server = await kind.createServer(() => new Echo(made++ % 50 === 0));
    const converse = async (id: number) => {
      await using client = await kind.openConnection(server);
      for (let i = 0; i < 20; i++) {
        const message = pattern((id * 131 + i * i * 97) % 7000 + 1).map((byte) => byte ^ id);
        client.writer.write(message);
        assertEquals(await client.reader.readexactly(message.length), message);
      }
    };
    await Promise.all(Array.from({ length: 51 }, (_, id) => converse(id)));
    assertEquals(made, 51);
  });
}

Deno.test("lines of 5 bytes carry little with them, also if each is cloned: 100,000 of them [M5]", async () => {
  const reader = new StreamReader();
  const block = new TextEncoder().encode("line\n".repeat(10_000));
  let cloned = 0;
  const buffers = new Set<ArrayBufferLike>();
  for (let fed = 0; fed < 10; fed++) {
    reader.feedData(block);
    for (let i = 0; i < 10_000; i++) {
      const { buffer } = await reader.readline();
      cloned += buffer.byteLength;
      buffers.add(buffer);
    }
  }
  const total = 100_000 * 5;
  assertLessOrEqual(cloned, 128 * total);
  assertLessOrEqual([...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0), 2 * total);
});

Deno.test("a message has a buffer of at most twice its size, or of 8 KiB, whatever came before [M5]", async () => {
  const [a, b] = connPair({ capacity: 1 << 20 });
  const pieces: Uint8Array[] = [];
  class Keeper extends Protocol {
    override dataReceived(data: Uint8Array): void {
      checkProportion(data);
      pieces.push(data);
    }
  }
  const { transport } = await createConnection(() => new Keeper(), { conn: a });
  const sizes = [300_000, 3000, 5, 100_000, 3000, 3000, 5, 5, 1_000_000, 3000, 1, 1024, 1025, 262_144, 3000];
  let bytes = 0;
  for (const size of sizes) {
    for (let sent = 0; sent < size;) sent += await b.write(new Uint8Array(size - sent));
    bytes += size;
    await until(() => pieces.reduce((sum, { length }) => sum + length, 0) === bytes);
  }
  const allocated = [...new Set(pieces.map(({ buffer }) => buffer))].reduce(
    (sum, { byteLength }) => sum + byteLength,
    0,
  );
  assertLessOrEqual(allocated, 1.1 * bytes);
  transport.abort();
  b.close();
});

Deno.test("bytes that a connection received are in no buffer of a later one [M5]", async () => {
  const tcp = plainKinds[0]!;
  const secret = 0xa5;
  const pieces: Uint8Array[] = [];
  await using server = await tcp.startServer(async (reader) => {
    for (let data = await reader.read(100); data.length > 0; data = await reader.read(700)) pieces.push(data);
  });
  for (const byte of [secret, 1]) {
    for (const size of [1, 1000, 5000, 60_000, 200_000]) {
      await using client = await tcp.openConnection(server);
      client.writer.write(new Uint8Array(size).fill(byte));
    }
    await until(() => server.connections === 0);
    if (byte === secret) pieces.splice(0);
  }
  assertEquals(pieces.reduce((sum, { length }) => sum + length, 0), 266_001);
  for (const { buffer } of pieces) assert(!new Uint8Array(buffer).includes(secret));
});

Deno.test("the rest of what an aborted sockRecv() brought survives that its beginning is detached [M5]", async () => {
  const [a, b] = connPair();
  const giveUp = new AbortController();
  const given = sockRecv(a, 1000, { signal: giveUp.signal });
  giveUp.abort();
  await given.catch(() => {});
  await b.write(pattern(1000));
  const got: number[] = [];
  while (got.length < 1000) {
    const piece = await sockRecv(a, 7 + got.length % 300);
    assertEquals(piece.buffer.byteLength, piece.length);
    got.push(...piece);
    detach(piece);
  }
  assertEquals(Uint8Array.from(got), pattern(1000));
  a.close();
  b.close();
});

Deno.test("a datagram has a buffer of its own, and may be detached [M5]", async () => {
  const received: Uint8Array[] = [];
  class Receiver extends DatagramProtocol {
    override datagramReceived(data: Bytes): void {
      assertEquals(data.buffer.byteLength, data.length);
      received.push(data.slice());
      detach(data);
    }
  }
  const local = { hostname: "127.0.0.1" };
  const { transport } = await createDatagramEndpoint(() => new Receiver(), { localAddr: local });
  using sock = await sockDatagram({ localAddr: local });
  const to = transport.getExtraInfo("sockname") as Deno.NetAddr;
  for (const size of [1, 100, 1400]) {
    await sockSendto(sock, pattern(size), to);
    await until(() => received.at(-1)?.length === size);
    assertEquals(received.at(-1), pattern(size));
    await sockSendto(sock, pattern(size), sock.addr);
    const [data] = await sockRecvfrom(sock, 50);
    assertEquals(data, pattern(size).subarray(0, 50));
    assertEquals(data.buffer.byteLength, data.length);
  }
  transport.abort();
  await turns(5);
});

Deno.test("what a process writes, and what communicate() gives, may be detached [M5]", async () => {
  const input = pattern(300_000);
  const cat = await createSubprocessExec("cat", [], { stdin: "piped", stdout: "piped" });
  const { stdout } = await cat.communicate(input);
  assertEquals(stdout, input);
  checkProportion(stdout!);

  const got: number[] = [];
  const exited = Promise.withResolvers<void>();
  class Collector extends SubprocessProtocol {
    override pipeDataReceived(_fd: number, data: Bytes): void {
      checkProportion(data);
      got.push(...data);
      detach(data);
    }
    override connectionLost(): void {
      exited.resolve();
    }
  }
  const { transport } = await subprocessExec(() => new Collector(), "cat", []);
  const stdin = transport.getPipeTransport(0)!;
  stdin.write(input);
  stdin.writeEof();
  await exited.promise;
  assertEquals(Uint8Array.from(got), input);
});

Deno.test("what comes through a pipe may be detached [M5]", async () => {
  const path = await Deno.makeTempFile();
  const bytes = linesOf(1, 2000);
  await Deno.writeFile(path, bytes);
  const reader = new StreamReader();
  await connectReadPipe(() => new StreamReaderProtocol(reader), await Deno.open(path));
  const got: number[] = [];
  for await (const line of reader) {
    got.push(...line);
    detach(line);
  }
  assertEquals(Uint8Array.from(got), bytes);
  await Deno.remove(path);
});

Deno.test("a stream whose lines are detached while the next line is incomplete loses none of it [M5]", async () => {
  const [a, b] = connPair();
  const { reader, writer } = await openConnection({ conn: a });
  const text = new TextEncoder().encode(`${"a".repeat(60)}\n${"b".repeat(600)}\n${"c".repeat(60)}`);
  for (let round = 0; round < 50; round++) {
    await b.write(text);
    for (const length of [61, 601]) {
      const line = await reader.readline();
      assertEquals(line.length, length);
      detach(line);
    }
    const reading = reader.readline();
    await turns(round % 3);
    await b.write(new TextEncoder().encode("d\n"));
    const line = await reading;
    assertEquals(line.length, 62);
    assertLess(line[59]!, line[60]!);
    detach(line);
  }
  writer.abort();
  b.close();
});

for (const moment of ["when it is given", "before it settles"]) {
  Deno.test(`a conn that detaches the memory of its read ${moment} fails alone [M5]`, async () => {
    const hostile = (): ConnLike => ({
      async read(p) {
        if (moment === "before it settles") await null;
        detach(p as Bytes);
        return 5;
      },
      write: (p) => Promise.resolve(p.length),
      close: () => {},
    });
    const [a, b] = connPair();
    await using innocent = await openConnection({ conn: a });
    for (let i = 0; i < 20; i++) {
      const reading = innocent.reader.readexactly(1000);
      const lost = Promise.withResolvers<Error | null>();
      const protocol = new (class extends Protocol {
        override connectionLost(error: Error | null) {
          lost.resolve(error);
        }
      })();
      await createConnection(() => protocol, { conn: hostile() });
      assert(await lost.promise instanceof TypeError);
      const { reader, writer } = await openConnection({ conn: hostile() });
      await assertRejects(() => reader.read(10), TypeError, "Cannot read: the memory was detached");
      writer.abort();
      await b.write(pattern(1000));
      assertEquals(await reading, pattern(1000));
    }
    b.close();
  });
}
