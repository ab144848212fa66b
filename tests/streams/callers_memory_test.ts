/** The caller's memory: in use until the promise settles, not after it, and harmless when it is taken away meanwhile [M3]. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { Buffer } from "node:buffer";
import { BufferedProtocol, type ConnLike, createConnection, openConnection, Protocol } from "../../mod.ts";
import { kinds as connKinds } from "../support/conn_kinds.ts";
import { until } from "../support/waiting.ts";
import { bytes, text } from "../support/bytes.ts";

const SIZE = 300_000;

/** Memory of each kind that a caller may have, filled with 1. */
const memories: [string, (size: number) => Uint8Array][] = [
  ["a plain array", (size) => new Uint8Array(size).fill(1)],
  ["a node Buffer", (size) => Buffer.alloc(size, 1)],
  ["a subclass", (size) => new class Bytes extends Uint8Array {}(size).fill(1)],
  ["a view of the middle", (size) => new Uint8Array(size + 20).fill(1).subarray(10, size + 10)],
  ["a resizable buffer", (size) => new Uint8Array(new ArrayBuffer(size, { maxByteLength: 2 * size })).fill(1)],
];

async function readAll(conn: ConnLike, size: number): Promise<Uint8Array> {
  const p = new Uint8Array(size);
  for (let n = 0; n < size;) n += await conn.read(p.subarray(n)) ?? size;
  return p;
}

for (const kind of connKinds) {
  for (const [name, make] of memories) {
    Deno.test(`${kind.name}: sendall() and write() of ${name} send what it held, and do not touch it afterwards [M2, M3]`, async () => {
      const [a, b] = await kind.pair();
      const { writer } = await openConnection({ conn: a });
      const memory = make(SIZE), written = make(1000);
      const received = readAll(b, SIZE + 2000);
      writer.write(written);
      written.fill(2);
      const sending = writer.sendall(memory);
      await sending;
      memory.fill(3);
      writer.writelines([make(1000)]);
      assert((await received).every((byte) => byte === 1));
      writer.abort();
      try {
        b.close();
      } catch {
        // Its other end is gone.
      }
    });
  }

  for (const ahead of [false, true]) {
    Deno.test(`${kind.name}: memory that is detached during sendall(), ${ahead ? "queued" : "under way"}, fails that call and its connection alone [M3]`, async () => {
      const [a, b] = await kind.pair();
      const [c, d] = await kind.pair();
      const { reader, writer } = await openConnection({ conn: a });
      const neighbour = await openConnection({ conn: c });
      if (ahead) writer.write(new Uint8Array(100_000));
      // More than is taken at once, whatever the conn.
      const memory = new Uint8Array(64 << 20);
      const sending = writer.sendall(memory);
      structuredClone(memory, { transfer: [memory.buffer] });
      assertEquals(memory.length, 0);
      // The peer goes on reading, so that the rest would be sent.
      const p = new Uint8Array(1 << 20);
      const draining = (async () => {
        while (await b.read(p) !== null);
      })().catch(() => {});
      const error = await sending.then(() => null, (error) => error);
      assertInstanceOf(error, TypeError, String(error));
      assert(error.message.startsWith("Cannot "), error.message);
      await until(() => reader.exception() !== null);
      assertEquals(writer.isClosing(), true);
      await draining;
      neighbour.writer.write("fine");
      assertEquals(text(await readAll(d, 4)), "fine");
      neighbour.writer.abort();
      for (const conn of [b, d]) {
        try {
          conn.close();
        } catch {
          // Its other end is gone.
        }
      }
    });
  }

  Deno.test(`${kind.name}: memory that shrinks during sendall() fails that call and its connection [M3]`, async () => {
    const [a, b] = await kind.pair();
    const { writer } = await openConnection({ conn: a });
    const buffer = new ArrayBuffer(64 << 20, { maxByteLength: 64 << 20 });
    const sending = writer.sendall(new Uint8Array(buffer));
    buffer.resize(10);
    const p = new Uint8Array(1 << 20);
    const draining = (async () => {
      while (await b.read(p) !== null);
    })().catch(() => {});
    assertInstanceOf(await sending.then(() => null, (error) => error), TypeError);
    await draining;
    try {
      b.close();
    } catch {
      // Its other end is gone.
    }
  });

  for (const by of ["readinto()", "getBuffer()"] as const) {
    Deno.test(`${kind.name}: memory that is detached while ${by} waits fails its connection alone, with a typed error [M3]`, async () => {
      const [a, b] = await kind.pair();
      const memory = new Uint8Array(1000);
      const lost = Promise.withResolvers<Error | null>();
      let reading: Promise<unknown> = Promise.resolve(null);
      if (by === "readinto()") {
        const { reader, writer } = await openConnection({ conn: a });
        reading = reader.readinto(memory).then(() => null, (error) => error);
        writer.waitClosed().then(() => lost.resolve(null), lost.resolve);
      } else {
        class Giving extends BufferedProtocol {
          override getBuffer(): Uint8Array {
            return memory;
          }
          override connectionLost(error: Error | null): void {
            lost.resolve(error);
          }
        }
        await createConnection(() => new Giving(), { conn: a });
      }
      structuredClone(memory, { transfer: [memory.buffer] });
      await b.write(bytes("for the memory"));
      const error = await lost.promise;
      assertInstanceOf(error, TypeError, String(error));
      assert(error.message.startsWith("Cannot read: "), error.message);
      if (by === "readinto()") assertInstanceOf(await reading, TypeError);
      try {
        b.close();
      } catch {
        // Its other end is gone.
      }
    });
  }

  Deno.test(`${kind.name}: shared memory is sent and filled, or fails its connection, and nothing else [M3]`, async () => {
    const [a, b] = await kind.pair();
    const { reader, writer } = await openConnection({ conn: a });
    const p = new Uint8Array(10);
    const received = b.read(p).catch(() => null);
    const sent = await writer.sendall(new Uint8Array(new SharedArrayBuffer(10))).then(() => null, (error) => error);
    if (sent === null) {
      assertEquals(await received, 10);
      const reading = reader.readinto(new Uint8Array(new SharedArrayBuffer(10))).then((n) => n, (error) => error);
      const written = b.write(bytes("x")).catch(() => {});
      const got = await reading;
      assert(got === 1 || got instanceof Error, String(got));
      await written;
    } else {
      assertInstanceOf(sent, Error);
      assertEquals(writer.isClosing(), true);
    }
    writer.abort();
    try {
      b.close();
    } catch {
      // Its other end is gone.
    }
  });
}

Deno.test("write() of memory that is detached already writes nothing [M2]", async () => {
  const [a, b] = await connKinds[0]!.pair();
  const { transport } = await createConnection(() => new Protocol(), { conn: a });
  const memory = new Uint8Array(10);
  structuredClone(memory, { transfer: [memory.buffer] });
  transport.write(memory);
  transport.writelines([memory, "x"]);
  await transport.sendall(memory);
  assertEquals(await b.read(new Uint8Array(10)), 1);
  transport.abort();
  b.close();
});
