import tls from "node:tls";
import type { Duplex } from "node:stream";
import { once } from "node:events";
import { assert, assertEquals, assertLessOrEqual, assertRejects, assertStrictEquals } from "@std/assert";
import type { ConnLike } from "../../src/conn.ts";
import { connPair } from "../../src/adapters/conn_pair.ts";
import { duplexFromConn } from "../../src/adapters/duplex_from_conn.ts";
import { cert, key } from "./certificate.ts";
import { tcpPair, unixPair } from "./conn_kinds.ts";

const pairs: Record<string, () => Promise<[ConnLike, ConnLike]>> = {
  memory: () => Promise.resolve(connPair()),
  TCP: tcpPair,
  Unix: unixPair,
};

function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 255);
}

async function readAll(stream: Duplex): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) chunks.push(chunk as Uint8Array);
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}

for (const [kind, pair] of Object.entries(pairs)) {
  Deno.test(`duplexFromConn() carries 1 MiB there and back, with EOF both ways, over ${kind}`, async () => {
    const [a, b] = await pair();
    const [near, far] = await Promise.all([duplexFromConn(a), duplexFromConn(b)]);
    const data = pattern(1 << 20);
    const closed = Promise.all([once(near, "close"), once(far, "close")]);
    const echoed = readAll(far).then((got) => far.end(got));
    near.end(data);
    assertEquals(await readAll(near), data);
    await echoed;
    await closed;
  });

  Deno.test(`duplexFromConn() carries TLS, 1 MiB there and back, with EOF both ways, over ${kind}`, async () => {
    const [a, b] = await pair();
    const [near, far] = await Promise.all([duplexFromConn(a), duplexFromConn(b)]);
    const closed = Promise.all([once(near, "close"), once(far, "close")]);
    const server = new tls.TLSSocket(far, { isServer: true, cert, key });
    server.allowHalfOpen = true;
    const client = tls.connect(
      { socket: near, ca: [cert], servername: "localhost", allowHalfOpen: true } as tls.ConnectionOptions,
    );
    await once(client, "secureConnect");
    const data = pattern(1 << 20);
    const echoed = readAll(server).then((got) => server.end(got));
    client.end(data);
    assertEquals(await readAll(client), data);
    await echoed;
    client.destroy();
    server.destroy();
    await closed;
  });

  Deno.test(`duplexFromConn() stops reading when nobody reads the stream, over ${kind}`, async () => {
    const [a, b] = await pair();
    const near = await duplexFromConn(a);
    near.on("readable", () => {});
    const data = new Uint8Array(65536);
    let fed = 0;
    const feeding = (async () => {
      while (fed < 64 << 20) fed += await b.write(data);
    })();
    const failed = assertRejects(() => feeding);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // One more read than what fills it.
    assertLessOrEqual(near.readableLength, near.readableHighWaterMark + 65536);
    assert(fed < 64 << 20, "everything was taken from a stream that nobody reads");
    near.destroy();
    await once(near, "close");
    b.close();
    await failed;
  });
}

Deno.test("duplexFromConn() gives the prefix first", async () => {
  for (const prefix of [new Uint8Array([1, 2]), new Uint8Array(0), undefined]) {
    const [a, b] = connPair();
    const near = await duplexFromConn(a, { prefix });
    await b.write(new Uint8Array([3]));
    await b.closeWrite!();
    assertEquals([...await readAll(near)], [...prefix ?? [], 3]);
    near.destroy();
    b.close();
  }
});

Deno.test("duplexFromConn() hands over the pieces for keeps", async () => {
  const [a, b] = connPair();
  const near = await duplexFromConn(a);
  const pieces: Uint8Array[] = [];
  near.on("data", (piece) => pieces.push(piece));
  const data = pattern(30_000);
  for (let at = 0; at < data.length; at += 3000) await b.write(data.subarray(at, at + 3000));
  await b.closeWrite!();
  await once(near, "end");
  assertEquals(new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer()), data);
  near.destroy();
});

Deno.test("duplexFromConn() closes the conn when it is destroyed, amid a read and a write, without an error", async () => {
  const [a, b] = connPair({ capacity: 10 });
  const near = await duplexFromConn(a);
  near.on("error", (error) => assert(false, String(error)));
  near.resume();
  near.write(new Uint8Array(100));
  await new Promise((resolve) => setTimeout(resolve, 0));
  near.destroy();
  await once(near, "close");
  assertEquals(await b.read(new Uint8Array(100)), 10);
  assertEquals(await b.read(new Uint8Array(100)), null);
});

Deno.test("duplexFromConn() is destroyed with what a read or a write fails with", async () => {
  const failure = new Error("wires cut");
  const never = () => new Promise<never>(() => {});
  for (
    const [read, write] of [[() => Promise.reject(failure), never], [never, () => Promise.reject(failure)]] as const
  ) {
    let closed = 0;
    const near = await duplexFromConn({ read, write, close: () => void closed++ });
    near.resume();
    near.write("x");
    const [error] = await once(near, "error");
    assertStrictEquals(error, failure);
    if (!near.closed) await once(near, "close");
    assertEquals(closed, 1);
  }
});

Deno.test("duplexFromConn() writes in order and in one go what came while a write was under way", async () => {
  const written: number[][] = [];
  const near = await duplexFromConn({
    read: () => new Promise(() => {}),
    write: (p) => {
      written.push([...p]);
      return Promise.resolve(Math.min(2, p.length));
    },
    close() {},
  });
  for (let i = 1; i <= 4; i++) near.write(new Uint8Array([i]));
  await new Promise<void>((resolve) => near.end(() => resolve()));
  assertEquals(written, [[1], [2, 3, 4], [4]]);
  near.destroy();
});
