/** The memory of a readinto(): in use until its promise settles, and not after it, over every transport [M3]. */
import { assert, assertEquals, assertMatch, assertNotStrictEquals, assertStrictEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { connPair, openConnection, StreamReader, StreamReaderProtocol, type Transport } from "../../mod.ts";
import { ConnTransport } from "../../src/transport/conn_transport.ts";
import { turns } from "../../src/testing/turns.ts";
import { ManualConn } from "../transport/manual_conn.ts";
import { tcpPair, unixPair, writeAll } from "../support/conns.ts";
import { reportsOf } from "../support/reports.ts";
import { outcome, settle, text, watch } from "../support/reader_outcomes.ts";
import { bytes } from "../support/bytes.ts";

/** A transport of somebody else: it reads into the memory that it was given, some time after it was resumed. */
class ForeignTransport {
  readonly protocol: StreamReaderProtocol;
  /** The memory of the read under way. */
  memory: Uint8Array | null = null;
  #reading = true;

  constructor(reader: StreamReader) {
    this.protocol = new StreamReaderProtocol(reader);
    // What the protocol asks of a transport is this.
    this.protocol.connectionMade(this as unknown as Transport);
  }

  pauseReading(): void {
    this.#reading = false;
  }

  resumeReading(): void {
    this.#reading = true;
    this.memory ??= this.protocol.getBuffer(100);
  }

  /** Ends the read under way. */
  bring(data: Uint8Array): void {
    this.memory!.set(data);
    this.memory = null;
    this.protocol.bufferUpdated(data.length);
    if (this.#reading) this.resumeReading();
  }
}

/** The same where a read cannot be taken back: its memory is in use until the read is over, even if the connection is lost. */
class StubbornTransport extends ForeignTransport {
  settle: (() => unknown) | null = null;

  afterRead<T>(settle: () => T | Promise<T>): Promise<T> {
    if (this.memory === null) return Promise.resolve(settle());
    return new Promise((resolve) => this.settle = () => resolve(new Promise((resolve) => resolve(settle()))));
  }

  override bring(data: Uint8Array): void {
    super.bring(data);
    this.settle?.();
    this.settle = null;
  }

  /** Ends the read under way, which nobody wants any more. */
  drop(): void {
    this.memory = null;
    this.settle?.();
  }
}

const transports = { "without afterRead()": ForeignTransport, "with afterRead()": StubbornTransport };

for (const [kind, Kind] of Object.entries(transports)) {
  Deno.test(`StreamReader.readinto() over a transport ${kind} gets the bytes right into the caller's memory [M3]`, async () => {
    const reader = new StreamReader();
    const transport = new Kind(reader);
    const memory = new Uint8Array(10);
    for (const data of ["first", "second"]) {
      const read = reader.readinto(memory);
      assertStrictEquals(transport.memory, memory);
      transport.bring(bytes(data));
      assertEquals(await read, data.length);
      assertEquals(text(memory.subarray(0, data.length)), data);
      assertEquals(transport.memory, null);
    }
  });

  Deno.test(`StreamReader.readinto() over a transport ${kind} does not settle while its memory is read into [M3]`, async () => {
    const cases: [
      meanwhile: (reader: StreamReader) => void,
      outcome: string,
      memory: string,
      left: string,
    ][] = [
      [(reader) => reader.feedData(bytes("fed")), "7", "fedlate", ""],
      [(reader) => reader.feedData(bytes("fed by hand")), "10", "fed by han", "dlate"],
      [(reader) => reader.setException(new Error("set")), "Error: set", "late", "late"],
      [(reader) => reader.feedEof(), "null", "late", "late"],
      [(reader) => (reader.feedData(bytes("fed")), reader.feedEof()), "7", "fedlate", ""],
    ];
    for (const [meanwhile, expected, there, left] of cases) {
      const reader = new StreamReader();
      const transport = new Kind(reader);
      const memory = new Uint8Array(10);
      const read = watch(reader.readinto(memory));
      meanwhile(reader);
      await settle();
      assertEquals(read.outcome, "pending", expected);
      assertEquals(memory, new Uint8Array(10));
      transport.bring(bytes("late"));
      await settle();
      assertEquals(read.outcome, expected);
      assertEquals(text(memory.subarray(0, there.length)), there);
      // The bytes that nobody asked for any more are left to the next read.
      assertEquals(text(reader.tryread(100) ?? new Uint8Array(0)), left);
    }
  });

  Deno.test(`StreamReader.readinto() over a transport ${kind} is told of the end when that comes [M3]`, async () => {
    const ends: [end: (transport: ForeignTransport) => void, outcome: string][] = [
      [(transport) => transport.protocol.eofReceived(), "null"],
      [(transport) => transport.protocol.connectionLost(null), "null"],
      [(transport) => transport.protocol.connectionLost(new Error("lost")), "Error: lost"],
    ];
    for (const [end, expected] of ends) {
      const reader = new StreamReader();
      const transport = new Kind(reader);
      const read = watch(reader.readinto(new Uint8Array(10)));
      end(transport);
      await settle();
      if (transport instanceof StubbornTransport) {
        // The memory is still in use.
        assertEquals(read.outcome, "pending");
        transport.drop();
        await settle();
      }
      assertEquals(read.outcome, expected);
    }
  });
}

Deno.test("StreamReader.readinto() that waits for a kept read gets it later, and the memory is not read meanwhile [M3, C5]", async () => {
  const conn = new ManualConn();
  const { reader, writer } = await openConnection({ conn });
  const memory = new Uint8Array(10);
  const read = watch(reader.readinto(memory));
  writer.transport.pauseReading();
  await conn.bring("kept");
  await turns();
  assertEquals(read.outcome, "pending");
  // The read is over, and its bytes are not in this memory any more: whoever feeds the reader now is served from it.
  reader.feedData(bytes("fed"));
  await settle();
  assertEquals(read.outcome, "3");
  assertEquals(text(memory.subarray(0, 3)), "fed");
  memory.fill(0);
  const next = reader.readexactly(4);
  writer.transport.resumeReading();
  assertEquals(text(await next), "kept");
  writer.abort();
});

Deno.test("StreamReader.readinto() that waits when its connection is closed: what is discarded then lands elsewhere [M3, W7]", async () => {
  const conn = new ManualConn();
  const reader = new StreamReader();
  const transport = new ConnTransport(conn, new StreamReaderProtocol(reader), {
    extra: { tls: { alpnProtocol: null } },
  });
  transport.start();
  const memory = new Uint8Array(10);
  const read = watch(reader.readinto(memory));
  assertStrictEquals(conn.reads[0]!.p, memory);
  transport.close();
  await turns();
  conn.ends.shift()!.resolve();
  await turns();
  for (let i = 0; i < 3; i++) {
    await conn.bring("dropped");
    await turns();
    assertEquals(read.outcome, "pending");
    assertNotStrictEquals(conn.reads[0]!.p.buffer, memory.buffer);
    memory.fill(0);
  }
  await conn.bring(null);
  await turns();
  assertEquals(read.outcome, "null");
  assertEquals(memory, new Uint8Array(10));
});

for (
  const [kind, pair] of Object.entries({ memory: () => Promise.resolve(connPair()), TCP: tcpPair, Unix: unixPair })
) {
  Deno.test(`StreamReader.readinto() whose memory is detached meanwhile fails with its connection over ${kind}, and no other [M3]`, async () => {
    const [near, peer] = await pair();
    const [otherNear, otherPeer] = await pair();
    const { reader, writer } = await openConnection({ conn: near });
    const other = await openConnection({ conn: otherNear });
    const memory = new Uint8Array(10);
    const read = outcome(reader.readinto(memory));
    const lost = outcome(writer.waitClosed());
    const reports = await reportsOf(async () => {
      structuredClone(memory, { transfer: [memory.buffer] });
      await writeAll(peer, bytes("data"));
      const error = await read;
      assertMatch(error, /^TypeError: Cannot read.* detached/);
      assertEquals(await lost, error);
    });
    assert(reports.length <= 1);
    await writeAll(otherPeer, bytes("well"));
    const fine = new Uint8Array(4);
    assertEquals([await other.reader.readinto(fine), text(fine)], [4, "well"]);
    other.writer.abort();
    peer.close();
    otherPeer.close();
  });

  Deno.test(`StreamReader.readinto() takes subclasses, parts and resizable memory over ${kind}, and fills nothing else [M3]`, async () => {
    const [near, peer] = await pair();
    const { reader, writer } = await openConnection({ conn: near });
    const whole = new Uint8Array(new ArrayBuffer(8, { maxByteLength: 16 }));
    for (const memory of [Buffer.alloc(8).subarray(2, 6), whole.subarray(2, 6)]) {
      const read = reader.readinto(memory);
      await writeAll(peer, bytes("abcd"));
      assertEquals(await read, 4);
      assertEquals(text(memory), "abcd");
      assertEquals(new Uint8Array(memory.buffer, memory.byteOffset - 2, 2), new Uint8Array(2));
    }
    writer.abort();
    peer.close();
  });
}

Deno.test("StreamReader.readinto() with a signal whose memory is detached meanwhile fails alone, and the bytes stay [M3, R7]", async () => {
  const reader = new StreamReader();
  const memory = new Uint8Array(10);
  const read = outcome(reader.readinto(memory, { signal: new AbortController().signal }));
  structuredClone(memory, { transfer: [memory.buffer] });
  reader.feedData(bytes("data"));
  assertEquals(await read, "TypeError: Cannot read into memory: it was detached meanwhile");
  assertEquals(text(await reader.read(10)), "data");
});

Deno.test("StreamReader.readinto() into no memory reads 0 bytes at once, in every state, and refuses an aborted signal", async () => {
  const reader = new StreamReader();
  const nothing = new Uint8Array(0);
  assertEquals(await reader.readinto(nothing), 0);
  reader.feedData(bytes("a"));
  assertEquals(await reader.readinto(nothing), 0);
  assertEquals(await outcome(reader.readinto(nothing, { signal: AbortSignal.abort(new Error("no")) })), "Error: no");
  reader.setException(new Error("lost"));
  assertEquals(await reader.readinto(nothing), 0);
  assert(reader.buffered === 1);
});
