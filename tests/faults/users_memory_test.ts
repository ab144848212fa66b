/**
 * Memory that is detached, shared, resizable, or of a hostile subclass, in every call that takes memory: each settles, the
 * process lives, and other connections never notice [M2, M3, C11].
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { Duplex } from "node:stream";
import * as net from "../../mod.ts";
import * as sock from "../../src/sock/mod.ts";
import { readAll, tcpPair } from "../support/conns.ts";
import { reportsOf } from "../support/reports.ts";
import { turns } from "../support/waiting.ts";

const SIZE = 1000;

/** Memory, and what happens to it while a call has it. */
interface Memory {
  bytes: Uint8Array;
  meanwhile: () => void;
}

class Hostile extends Uint8Array {
  static get [Symbol.species](): Uint8ArrayConstructor {
    throw new Error("species was read");
  }

  override slice(): never {
    throw new Error("slice() was called");
  }

  override subarray(): never {
    throw new Error("subarray() was called");
  }
}

class Liar extends Uint8Array {
  override get length(): number {
    return 1e9;
  }

  override get byteLength(): number {
    return 1e9;
  }
}

const nothing = () => {};

function fresh(): Uint8Array<ArrayBuffer> {
  return new Uint8Array(SIZE).fill(7);
}

const memories: Record<string, () => Memory> = {
  "detached before"() {
    const bytes = fresh();
    bytes.buffer.transfer();
    return { bytes, meanwhile: nothing };
  },
  "detached meanwhile"() {
    const bytes = fresh();
    return { bytes, meanwhile: () => void bytes.buffer.transfer() };
  },
  "shared": () => ({ bytes: new Uint8Array(new SharedArrayBuffer(SIZE)).fill(7), meanwhile: nothing }),
  "resizable": () => ({
    bytes: new Uint8Array(new ArrayBuffer(SIZE, { maxByteLength: 2 * SIZE })),
    meanwhile: nothing,
  }),
  "shrunk meanwhile"() {
    const buffer = new ArrayBuffer(SIZE, { maxByteLength: 2 * SIZE });
    return { bytes: new Uint8Array(buffer).fill(7), meanwhile: () => buffer.resize(10) };
  },
  "shrunk to nothing meanwhile"() {
    const buffer = new ArrayBuffer(SIZE, { maxByteLength: 2 * SIZE });
    return { bytes: new Uint8Array(buffer, 100, 100).fill(7), meanwhile: () => buffer.resize(0) };
  },
  "grown meanwhile"() {
    const buffer = new ArrayBuffer(SIZE, { maxByteLength: 2 * SIZE });
    return { bytes: new Uint8Array(buffer).fill(7), meanwhile: () => buffer.resize(2 * SIZE) };
  },
  "of a hostile subclass": () => ({ bytes: new Hostile(SIZE).fill(7), meanwhile: nothing }),
  "of a subclass that lies about its length": () => ({ bytes: new Liar(SIZE).fill(7), meanwhile: nothing }),
  "a proxy": () => ({ bytes: new Proxy(fresh(), {}), meanwhile: nothing }),
  "of WebAssembly": () => ({
    bytes: new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 0, SIZE).fill(7),
    meanwhile: nothing,
  }),
  "empty": () => ({ bytes: new Uint8Array(0), meanwhile: nothing }),
};

/** Two ends of a conn. */
const pairs: Record<string, () => Promise<[net.ConnLike, net.ConnLike]> | [net.ConnLike, net.ConnLike]> = {
  "memory": () => net.connPair(),
  "TCP": tcpPair,
  "Web Streams": () => {
    const [there, back] = [new TransformStream<Uint8Array>(), new TransformStream<Uint8Array>()];
    return [
      net.connFromStreams({ readable: back.readable, writable: there.writable }),
      net.connFromStreams({ readable: there.readable, writable: back.writable }),
    ];
  },
  "node": () => {
    const ends: Duplex[] = [];
    const make = (other: () => Duplex) =>
      new Duplex({
        read() {},
        write(chunk, _encoding, done) {
          other().push(chunk);
          done();
        },
        final(done) {
          other().push(null);
          done();
        },
      });
    ends.push(make(() => ends[1]!), make(() => ends[0]!));
    return [net.connFromNode(ends[0]!), net.connFromNode(ends[1]!)];
  },
};

interface Scene {
  conn: net.ConnLike;
  peer: net.ConnLike;
}

/** Every call that takes memory. The peer sends when it is to be read, and reads all that comes. */
const calls: Record<string, (memory: Memory, scene: Scene) => unknown> = {
  "StreamWriter.write()": ({ bytes, meanwhile }, { conn }) =>
    withStreams(conn, ({ writer }) => {
      writer.write(bytes);
      meanwhile();
      return writer.drain();
    }),
  "StreamWriter.writelines()": ({ bytes, meanwhile }, { conn }) =>
    withStreams(conn, ({ writer }) => {
      writer.writelines(["a", bytes, "b", bytes]);
      meanwhile();
      return writer.drain();
    }),
  "StreamWriter.sendall()": ({ bytes, meanwhile }, { conn }) =>
    withStreams(conn, ({ writer }) => {
      const sending = writer.sendall(bytes);
      meanwhile();
      return sending;
    }),
  "StreamWriter.sendall() behind a write()": ({ bytes, meanwhile }, { conn }) =>
    withStreams(conn, ({ writer }) => {
      writer.write(new Uint8Array(200_000));
      const sending = writer.sendall(bytes);
      meanwhile();
      return sending;
    }),
  "StreamWriter.writable": ({ bytes, meanwhile }, { conn }) =>
    withStreams(conn, ({ writer }) => {
      const sending = writer.writable.getWriter().write(bytes);
      meanwhile();
      return sending;
    }),
  "StreamReader.readinto()": ({ bytes, meanwhile }, { conn, peer }) =>
    withStreams(conn, async ({ reader }) => {
      const reading = reader.readinto(bytes);
      reading.catch(nothing);
      await turns(1);
      meanwhile();
      peer.write(new Uint8Array(500)).catch(nothing);
      await reading;
    }),
  "StreamReader.readinto() of what is buffered": ({ bytes, meanwhile }, { conn, peer }) =>
    withStreams(conn, async ({ reader }) => {
      peer.write(new Uint8Array(500)).catch(nothing);
      await reader.peek(1);
      const reading = reader.readinto(bytes);
      meanwhile();
      await reading;
    }),
  "StreamReader.feedData()": async ({ bytes, meanwhile }) => {
    const reader = new net.StreamReader();
    reader.feedData(bytes);
    meanwhile();
    reader.feedEof();
    await reader.read(1);
    await reader.readline();
    await reader.read();
  },
  "StreamReader.readuntil()": async ({ bytes, meanwhile }) => {
    const reader = new net.StreamReader();
    const reading = reader.readuntil(bytes);
    meanwhile();
    reader.feedData(fresh());
    reader.feedEof();
    await reading;
  },
  "getBuffer()": ({ bytes, meanwhile }, { conn, peer }) => lossOf(conn, peer, bytes, meanwhile, nothing),
  "getBuffer(), meanwhile in bufferUpdated()": ({ bytes, meanwhile }, { conn, peer }) =>
    lossOf(conn, peer, bytes, nothing, meanwhile),
  "sockSendall()": ({ bytes, meanwhile }, { conn }) => {
    const sending = sock.sockSendall(conn, bytes);
    meanwhile();
    return sending;
  },
  "sockSendall() with a signal": ({ bytes, meanwhile }, { conn }) => {
    const sending = sock.sockSendall(conn, bytes, { signal: new AbortController().signal });
    meanwhile();
    return sending;
  },
  "sockRecvInto()": async ({ bytes, meanwhile }, { conn, peer }) => {
    const reading = sock.sockRecvInto(conn, bytes);
    reading.catch(nothing);
    await turns(1);
    meanwhile();
    peer.write(new Uint8Array(500)).catch(nothing);
    await reading;
  },
  "sockRecvInto() with a signal": async ({ bytes, meanwhile }, { conn, peer }) => {
    const reading = sock.sockRecvInto(conn, bytes, { signal: new AbortController().signal });
    reading.catch(nothing);
    await turns(1);
    meanwhile();
    peer.write(new Uint8Array(500)).catch(nothing);
    await reading;
  },
  "the write() of a conn": ({ bytes, meanwhile }, { conn }) => {
    const writing = conn.write(bytes);
    meanwhile();
    return writing;
  },
  "the read() of a conn": async ({ bytes, meanwhile }, { conn, peer }) => {
    const reading = Promise.resolve(conn.read(bytes));
    reading.catch(nothing);
    await turns(1);
    meanwhile();
    peer.write(new Uint8Array(500)).catch(nothing);
    await reading;
  },
};

/** Uses streams over a conn, and ends them. */
async function withStreams(conn: net.ConnLike, use: (streams: net.StreamConnection) => unknown): Promise<void> {
  const streams = await net.openConnection({ conn });
  try {
    await use(streams);
  } finally {
    streams.writer.abort();
    await streams.writer.waitClosed().catch(nothing);
  }
}

/** Has a buffered protocol give memory, until its connection is lost. */
async function lossOf(
  conn: net.ConnLike,
  peer: net.ConnLike,
  bytes: Uint8Array,
  beforeData: () => void,
  withData: () => void,
): Promise<void> {
  const lost = Promise.withResolvers<Error | null>();
  const protocol = Object.assign(new net.BufferedProtocol(), {
    getBuffer: () => bytes,
    bufferUpdated: withData,
    connectionLost: (error: Error | null) => lost.resolve(error),
  });
  await net.createConnection(() => protocol, { conn });
  await turns(1);
  beforeData();
  for (let i = 0; i < 3; i++) {
    peer.write(new Uint8Array(500)).catch(nothing);
    await turns(1);
  }
  peer.close();
  const error = await lost.promise;
  if (error !== null) throw error;
}

/** What a call ended with, if it ended. */
async function outcomeOf(call: () => unknown): Promise<"done" | "hangs" | { error: unknown }> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<"hangs">((resolve) => timer = setTimeout(() => resolve("hangs"), 5000));
  const attempt = (async () => {
    try {
      await call();
      return "done";
    } catch (error) {
      return { error };
    }
  })();
  const outcome = await Promise.race([attempt, late]);
  clearTimeout(timer!);
  return outcome as "done";
}

/** What refuses memory, or tells of the end that it led to. */
const refusals = [TypeError, RangeError, net.IncompleteReadError, ...Object.values(Deno.errors)];

for (const [over, makePair] of Object.entries(pairs)) {
  for (const [what, call] of Object.entries(calls)) {
    // These are the platform's own.
    if (over === "TCP" && what.includes("of a conn")) continue;
    Deno.test(`${over}: ${what} takes any memory, or refuses it with a clear error, and never hangs [M2, M3]`, async () => {
      for (const [kind, make] of Object.entries(memories)) {
        const [conn, peer] = await makePair();
        const where = `${kind}`;
        // What the peer gets is of no interest here, but it has to be taken.
        const draining =
          what.includes("read()") || what.includes("ecv") || what.includes("readinto") || what.includes("getBuffer")
            ? null
            : readAll(peer).catch(nothing);
        const reports = await reportsOf(async () => {
          const outcome = await outcomeOf(() => call(make(), { conn, peer }));
          assert(outcome !== "hangs", where);
          if (outcome !== "done") {
            assertInstanceOf(outcome.error, Error, where);
            assert(refusals.some((one) => outcome.error instanceof one), `${where}: ${outcome.error}`);
            assert(!(outcome.error instanceof Deno.errors.BadResource), where);
            assert(!(outcome.error instanceof Deno.errors.Interrupted), where);
          }
        });
        for (const { error } of reports) assertInstanceOf(error, Error, where);
        for (const one of [conn, peer]) {
          try {
            one.close();
          } catch {
            // It was closed.
          }
        }
        await draining;
        await turns(1);
      }
    });
  }
}

const others: Record<string, (memory: Memory) => unknown> = {
  async "DatagramTransport.sendto()"({ bytes, meanwhile }) {
    const { transport } = await net.createDatagramEndpoint(() => new net.DatagramProtocol(), {
      localAddr: { hostname: "127.0.0.1" },
    });
    try {
      transport.sendto(bytes, transport.getExtraInfo("sockname") as Deno.NetAddr);
      meanwhile();
      await turns(2);
    } finally {
      transport.abort();
      await turns(2);
    }
  },
  async "sockSendto()"({ bytes, meanwhile }) {
    const datagrams = await sock.sockDatagram({ localAddr: { hostname: "127.0.0.1" } });
    try {
      const sending = sock.sockSendto(datagrams, bytes, datagrams.addr as Deno.NetAddr);
      meanwhile();
      await sending;
    } finally {
      datagrams.close();
      await turns(2);
    }
  },
  async "Process.communicate()"({ bytes, meanwhile }) {
    await using process = await net.createSubprocessExec("cat", [], { stdin: "piped", stdout: "piped" });
    const talking = process.communicate(bytes);
    meanwhile();
    await talking;
  },
  async "the chunks of a ReadableStream"({ bytes, meanwhile }) {
    const readable = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(bytes);
        meanwhile();
        controller.close();
      },
    });
    const reader = new net.StreamReader();
    const lost = Promise.withResolvers<void>();
    class Lost extends net.StreamReaderProtocol {
      override connectionLost(error: Error | null): void {
        super.connectionLost(error);
        lost.resolve();
      }
    }
    await net.connectReadPipe(() => new Lost(reader), readable);
    await reader.read();
    await lost.promise;
  },
};

for (const [what, call] of Object.entries(others)) {
  Deno.test(`${what} takes any memory, or refuses it with a clear error, and never hangs [M2, M3]`, async () => {
    for (const [kind, make] of Object.entries(memories)) {
      const outcome = await outcomeOf(() => call(make()));
      assert(outcome !== "hangs", kind);
      if (outcome === "done") continue;
      assertInstanceOf(outcome.error, Error, kind);
      assert(refusals.some((one) => outcome.error instanceof one), `${kind}: ${outcome.error}`);
    }
  });
}

Deno.test("write() and writelines() take memory as it is when they are called [M2]", async () => {
  for (const [over, makePair] of Object.entries(pairs)) {
    const [conn, peer] = await makePair();
    const receiving = readAll(peer);
    const { writer } = await net.openConnection({ conn });
    const gone = fresh();
    writer.write(gone);
    gone.fill(0);
    gone.buffer.transfer();
    const buffer = new ArrayBuffer(SIZE, { maxByteLength: 2 * SIZE });
    const shrunk = new Uint8Array(buffer).fill(7);
    writer.writelines([shrunk, shrunk]);
    shrunk.fill(0);
    buffer.resize(0);
    const shared = new Uint8Array(new SharedArrayBuffer(SIZE)).fill(7);
    writer.write(shared);
    shared.fill(0);
    const hostile = new Hostile(SIZE).fill(7);
    writer.write(hostile);
    hostile.fill(0);
    await writer.close();
    assertEquals(await receiving, new Uint8Array(5 * SIZE).fill(7), over);
    peer.close();
  }
});
