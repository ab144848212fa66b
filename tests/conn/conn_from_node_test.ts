import tls from "node:tls";
import { connect, createServer, type Socket } from "node:net";
import { Duplex, duplexPair } from "node:stream";
import { once } from "node:events";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { connFromNode } from "../../src/conn/conn_from_node.ts";
import type { ConnLike } from "../../src/conn/conn.ts";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { socketPair, writeAll } from "../support/conns.ts";

async function countToEnd(conn: ConnLike, size = 65536): Promise<number> {
  const p = new Uint8Array(size);
  let total = 0;
  for (let n; (n = await conn.read(p)) !== null;) total += n;
  return total;
}

Deno.test("connFromNode() throws a TypeError at streams of objects and of text", () => {
  const methods = { read() {}, write() {} };
  assertThrows(() => connFromNode(new Duplex({ ...methods, objectMode: true })), TypeError);
  assertThrows(() => connFromNode(new Duplex({ ...methods, readableObjectMode: true })), TypeError);
  assertThrows(() => connFromNode(new Duplex({ ...methods, encoding: "utf8" })), TypeError);
});

Deno.test("connFromNode() has the addresses of a socket, and none for another stream", async () => {
  const [near, far] = await socketPair();
  const [a, b] = [connFromNode(near), connFromNode(far)];
  assertEquals(a.remoteAddr, { transport: "tcp", hostname: "127.0.0.1", port: far.localPort! });
  assertEquals(a.localAddr, b.remoteAddr!);
  a.close();
  b.close();
  const plain = connFromNode(duplexPair()[0]);
  assertEquals([plain.localAddr, plain.remoteAddr], [undefined, undefined]);
});

// The end must not be lost behind bytes that were read late, when the stream has long been told of it.
for (const allowHalfOpen of [true, false]) {
  Deno.test(`connFromNode() gives a late reader 200 kB and the end, node:net, allowHalfOpen ${allowHalfOpen}`, async () => {
    const server = createServer((socket) => void socket.end(new Uint8Array(200_000)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const socket = connect({ port: (server.address() as { port: number }).port, host: "127.0.0.1", allowHalfOpen });
    await once(socket, "connect");
    const conn = connFromNode(socket);
    server.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    assertEquals(await countToEnd(conn, 1000), 200_000);
    assertEquals(await conn.read(new Uint8Array(1)), null);
    await writeAll(conn, new Uint8Array(10));
    conn.close();
  });
}

Deno.test("connFromNode() gives a late reader 200 kB and the end, a plain Duplex that pushes all at once", async () => {
  const duplex = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() });
  duplex.push(new Uint8Array(200_000));
  duplex.push(null);
  const conn = connFromNode(duplex);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(await countToEnd(conn, 1000), 200_000);
  assertEquals(await conn.read(new Uint8Array(1)), null);
  conn.close();
});

Deno.test("connFromNode() carries bytes both ways over a TLSSocket", async () => {
  const { cert, key, caCert } = await selfSignedCertificate();
  const tlsServer = tls.createServer({ cert, key }).listen(0, "127.0.0.1");
  const accepted = once(tlsServer, "secureConnection");
  await once(tlsServer, "listening");
  const { port } = tlsServer.address() as { port: number };
  const clientSide = tls.connect({ port, host: "127.0.0.1", ca: [caCert], servername: "localhost" });
  await once(clientSide, "secureConnect");
  const [serverSide] = await accepted;
  const [client, server] = [connFromNode(clientSide), connFromNode(serverSide)];
  for (const [from, to] of [[client, server], [server, client]] as const) {
    await from.write(new Uint8Array(1000).fill(7));
    assertEquals(await to.read(new Uint8Array(1000)), 1000);
  }
  const closed = Promise.all([clientSide, serverSide].map((socket) => once(socket, "close")));
  client.close();
  server.close();
  await closed;
  tlsServer.close();
  await once(tlsServer, "close");
});

Deno.test("connFromNode() gives the stream memory of its own, 65536 bytes at most [M4]", async () => {
  const chunks: Uint8Array[] = [];
  const conn = connFromNode(
    new Duplex({
      read() {},
      write(chunk, _encoding, callback) {
        chunks.push(chunk);
        callback();
      },
    }),
  );
  const p = new Uint8Array(100_000).fill(1);
  assertEquals(await conn.write(p), 65536);
  p.fill(2);
  assert(chunks[0]!.every((value) => value === 1));
  conn.close();
});

Deno.test("connFromNode() gives the bytes that came before a failure, then the failure as a Deno error", async () => {
  const duplex = new Duplex({ read() {}, write() {} });
  const conn = connFromNode(duplex);
  duplex.push(new Uint8Array(3));
  const writing = conn.write(new Uint8Array(1));
  duplex.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
  await assertRejects(() => writing, Deno.errors.ConnectionReset, "ECONNRESET");
  assertEquals(await conn.read(new Uint8Array(8)), 3);
  await assertRejects(() => conn.read(new Uint8Array(8)), Deno.errors.ConnectionReset, "ECONNRESET");
  await assertRejects(() => conn.write(new Uint8Array(8)), Deno.errors.ConnectionReset, "ECONNRESET");
  await assertRejects(() => conn.closeWrite!(), Deno.errors.ConnectionReset, "ECONNRESET");
  conn.close();
});

Deno.test("connFromNode() tells a stream destroyed by someone else from one that ended", async () => {
  const duplex = new Duplex({ read() {}, write() {} });
  const conn = connFromNode(duplex);
  const waiting = conn.read(new Uint8Array(8));
  duplex.destroy();
  await assertRejects(() => waiting, Deno.errors.ConnectionReset, "Cannot read: the stream was destroyed");
  await assertRejects(() => conn.write(new Uint8Array(8)), Deno.errors.ConnectionReset, "Cannot write: the stream");
  conn.close();
});

Deno.test("connFromNode() interrupts closeWrite() that waits", async () => {
  const conn = connFromNode(new Duplex({ read() {}, write() {}, final() {} }));
  const ending = assertRejects(() => conn.closeWrite!(), Deno.errors.Interrupted);
  conn.close();
  await ending;
});

Deno.test("connFromNode() destroys the stream at close()", async () => {
  const [near, far]: [Socket, Socket] = await socketPair();
  const [a, b] = [connFromNode(near), connFromNode(far)];
  a.close();
  assertEquals(near.destroyed, true);
  assertEquals(await b.read(new Uint8Array(1)), null);
  b.close();
});
