import tls from "node:tls";
import type { Duplex } from "node:stream";
import { once } from "node:events";
import { assertEquals } from "@std/assert";
import type { ConnLike } from "../../src/conn.ts";
import { duplexFromConn } from "../../src/adapters/duplex_from_conn.ts";
import { cert, key } from "./certificate.ts";

async function tcpPair(): Promise<[ConnLike, ConnLike]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
}

const pairs: Record<string, () => Promise<[ConnLike, ConnLike]>> = { TCP: tcpPair };

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
    const server = new tls.TLSSocket(far, { isServer: true, cert, key });
    server.allowHalfOpen = true;
    const client = tls.connect(
      { socket: near, ca: [cert], servername: "localhost", allowHalfOpen: true } as tls.ConnectionOptions,
    );
    const closed = Promise.all([once(client, "close"), once(server, "close")]);
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
}
