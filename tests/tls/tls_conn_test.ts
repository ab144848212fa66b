import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { connPair } from "../../src/conn/conn_pair.ts";
import type { ConnLike } from "../../src/conn/conn.ts";
import { tlsAcceptConn, tlsConnectConn } from "../../src/tls/choose.ts";
import { until } from "../support/waiting.ts";
import { bytes, pattern } from "../support/bytes.ts";
import { disguise, readAll, tcpPair, writeAll } from "../support/conns.ts";
import { ignore, theCerts } from "../support/certificates.ts";
import { secure, ways } from "../support/tls_ways.ts";
import { skip } from "../support/machine.ts";

for (const [name, way] of Object.entries(ways)) {
  Deno.test({ name: `TLS ${name} carries 1 MiB there and back, with EOF both ways [S1]`, ignore }, async () => {
    const { client, server } = await secure(way);
    const data = pattern(1 << 20);
    const echoed = readAll(server.conn).then(async (got) => {
      await writeAll(server.conn, got);
      await server.conn.closeWrite!();
    });
    const sent = writeAll(client.conn, data).then(() => client.conn.closeWrite!());
    assertEquals(await readAll(client.conn, 10000), data);
    await Promise.all([echoed, sent]);
    client.conn.close();
    server.conn.close();
  });

  Deno.test({ name: `TLS ${name} goes on in one direction after the other has ended [S1]`, ignore }, async () => {
    for (const clientEndsFirst of [true, false]) {
      const { client, server } = await secure(way);
      const [first, second] = clientEndsFirst ? [client.conn, server.conn] : [server.conn, client.conn];
      await writeAll(first, bytes("last words"));
      await first.closeWrite!();
      assertEquals(await readAll(second), bytes("last words"));
      assertEquals(await second.read(new Uint8Array(1)), null);
      const rest = writeAll(second, pattern(300_000)).then(() => second.closeWrite!());
      assertEquals(await readAll(first), pattern(300_000));
      await rest;
      first.close();
      second.close();
    }
  });

  Deno.test({ name: `TLS ${name} keeps the end behind 200 kB that are read late`, ignore }, async () => {
    const { client, server } = await secure(way);
    const sent = writeAll(client.conn, pattern(200_000)).then(() => client.conn.closeWrite!());
    // Time enough for all that can arrive unread to have arrived.
    await new Promise((resolve) => setTimeout(resolve, 50));
    assertEquals(await readAll(server.conn, 1000), pattern(200_000));
    await sent;
    client.conn.close();
    server.conn.close();
  });

  Deno.test({ name: `TLS ${name} agrees on an application protocol`, ignore }, async () => {
    for (
      const [offered, known, agreed] of [[["b", "a"], ["a"], "a"], [["a"], undefined, null], [undefined, ["a"], null]]
    ) {
      const { client, server } = await secure(
        way,
        offered ? { alpnProtocols: offered as string[] } : {},
        known ? { alpnProtocols: known as string[] } : {},
      );
      assertEquals([client.info.alpnProtocol, server.info.alpnProtocol], [agreed, agreed] as (string | null)[]);
      client.conn.close();
      server.conn.close();
    }
  });

  Deno.test({ name: `TLS ${name} keeps the addresses of the conn underneath`, ignore }, async () => {
    const { client, server } = await secure(way);
    assertEquals(client.conn.remoteAddr, server.conn.localAddr);
    assertEquals(client.conn.localAddr, server.conn.remoteAddr);
    client.conn.close();
    server.conn.close();
  });

  Deno.test({ name: `TLS ${name} leaves no descriptor behind after an orderly end [W7]`, ignore }, async () => {
    if (Deno.build.os !== "linux") return skip("counting descriptors", "this is not Linux");
    await endInOrder(way);
    // Deno closes them in the background: some counted here may go yet, so that there may be fewer in the end. A leak
    // would be ten.
    const before = openSockets();
    for (let i = 0; i < 10; i++) await endInOrder(way);
    await until(() => openSockets() <= before);
  });

  Deno.test({ name: `TLS ${name}: close() settles a read and a write that wait`, ignore }, async () => {
    const { client, server } = await secure(way);
    const reading = assertRejects(() => client.conn.read(new Uint8Array(1)), Deno.errors.Interrupted);
    client.conn.close();
    await reading;
    await assertRejects(() => client.conn.read(new Uint8Array(1)), Deno.errors.BadResource);
    // The peer does not read: writes fill the system's buffers, and then wait.
    const writing = fill(server.conn);
    server.conn.close();
    assertInstanceOf(await writing, Error);
  });

  Deno.test(
    { name: `TLS ${name}: a peer that is gone without ending TLS is UnexpectedEof, not the end`, ignore },
    async () => {
      for (const cut of ["client", "server"] as const) {
        const link = await cutLink(way);
        const { client, server } = await secure(link.way);
        const [near, far] = cut === "client" ? [server, client] : [client, server];
        await writeAll(far.conn, bytes("half a"));
        assertEquals(await near.conn.read(new Uint8Array(10)), 6);
        const failing = assertRejects(() => near.conn.read(new Uint8Array(10)), Deno.errors.UnexpectedEof);
        await link.cut();
        await failing;
        await assertRejects(() => near.conn.read(new Uint8Array(10)), Deno.errors.UnexpectedEof);
        client.conn.close();
        server.conn.close();
      }
    },
  );
}

Deno.test({ name: "tlsConnectConn() gives Deno's own conn over TCP", ignore }, async () => {
  const { client } = await openAndClose(ways["native to native over TCP"]!);
  assertEquals((client.conn as Deno.TlsConn).handshake instanceof Function, true);
});

Deno.test({ name: "tlsConnectConn() and tlsAcceptConn() tell who the peer is, by node:tls", ignore }, async () => {
  const { client, server } = await openAndClose(ways["node to node over memory"]!);
  assertEquals(client.info.protocol, "TLSv1.3");
  assert(client.info.cipher?.startsWith("TLS_"), client.info.cipher);
  assertEquals([client.info.serverName, server.info.serverName], ["localhost", "localhost"]);
  assertEquals(server.info.peerCertificate, null);
  const certificate = client.info.peerCertificate!;
  assertEquals([certificate.subject, certificate.issuer], [{ CN: "localhost" }, { CN: "Test CA" }]);
  assertEquals(certificate.subjectAltName, "DNS:localhost, IP Address:127.0.0.1, IP Address:::1");
  assert(certificate.validFrom.getTime() <= Date.now() && Date.now() < certificate.validTo.getTime());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", certificate.raw as BufferSource));
  assertEquals(certificate.fingerprint256.replaceAll(":", "").toLowerCase(), digest.toHex());
});

Deno.test({ name: "tlsConnectConn() and tlsAcceptConn() take bytes that were read before", ignore }, async () => {
  const { ca, server: identity } = theCerts();
  for (const [a, b] of [await tcpPair(), connPair()]) {
    const connecting = tlsConnectConn(a, { serverName: "localhost", caCerts: [ca] });
    const hello = new Uint8Array(100);
    const n = await b.read(hello);
    const server = await tlsAcceptConn(b, identity, { prefix: hello.subarray(0, n!) });
    const client = await connecting;
    await writeAll(server.conn, bytes("hello"));
    assertEquals(await client.conn.read(hello), 5);
    client.conn.close();
    server.conn.close();
  }
});

Deno.test({ name: "TLS works inside TLS, to a server within a server", ignore }, async () => {
  const outer = await secure(ways["native to node over TCP"]!);
  const { ca, other } = theCerts();
  const [server, client] = await Promise.all([
    tlsAcceptConn(outer.server.conn, other),
    tlsConnectConn(outer.client.conn, { serverName: "other.example", caCerts: [ca] }),
  ]);
  const data = pattern(300_000);
  const sent = writeAll(client.conn, data).then(() => client.conn.closeWrite!());
  assertEquals(await readAll(server.conn), data);
  await sent;
  await writeAll(server.conn, bytes("bye"));
  await server.conn.closeWrite!();
  assertEquals(await readAll(client.conn), bytes("bye"));
  client.conn.close();
  server.conn.close();
});

Deno.test({ name: "TLS over node:tls holds no more than a block for who does not read [M4]", ignore }, async () => {
  const { client, server } = await secure(ways["node to node over memory"]!);
  let written = 0;
  const writing = (async () => {
    for (;;) written += await client.conn.write(new Uint8Array(16384));
  })().catch((error) => error);
  let before = -1;
  while (before !== written) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // A write under way, and the two buffers of the pair in memory.
  assert(written <= 3 * 65536, `${written} bytes were taken`);
  client.conn.close();
  server.conn.close();
  assertInstanceOf(await writing, Deno.errors.Interrupted);
});

Deno.test(
  { name: "TLS over node:tls refuses a second call of a kind, and calls after closeWrite()", ignore },
  async () => {
    const { client, server } = await secure(ways["node to node over memory"]!);
    const reading = client.conn.read(new Uint8Array(1));
    await assertRejects(() => client.conn.read(new Uint8Array(1)), Deno.errors.Busy);
    const writing = client.conn.write(bytes("x"));
    await assertRejects(() => client.conn.write(bytes("y")), Deno.errors.Busy);
    assertEquals(await writing, 1);
    await client.conn.closeWrite!();
    await assertRejects(() => client.conn.write(bytes("z")), Deno.errors.BrokenPipe);
    assertEquals(await readAll(server.conn), bytes("x"));
    await server.conn.closeWrite!();
    assertEquals(await reading, null);
    assertEquals(await client.conn.read(new Uint8Array(0)), 0);
    client.conn.close();
    server.conn.close();
  },
);

async function openAndClose(way: (typeof ways)[string]) {
  const both = await secure(way);
  both.client.conn.close();
  both.server.conn.close();
  return both;
}

/** Each side ends its direction, reads to the other's end, and closes. */
async function endInOrder(way: (typeof ways)[string]) {
  const { client, server } = await secure(way);
  await Promise.all([client, server].map(async ({ conn }) => {
    await writeAll(conn, bytes("bye"));
    await conn.closeWrite!();
    assertEquals(await readAll(conn), bytes("bye"));
    conn.close();
  }));
}

function openSockets(): number {
  let count = 0;
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      if (Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:")) count++;
    } catch (error) {
      // The descriptor that reads the directory is gone by now.
      assertInstanceOf(error, Deno.errors.NotFound);
    }
  }
  return count;
}

async function fill(conn: ConnLike): Promise<unknown> {
  try {
    for (;;) await conn.write(new Uint8Array(65536));
  } catch (error) {
    return error;
  }
}

/** A way with a relay in between that can end the connection where TLS does not see it coming. */
async function cutLink(way: (typeof ways)[string]): Promise<{ way: (typeof ways)[string]; cut(): Promise<void> }> {
  const [near, nearRelay] = await tcpPair();
  let farRelay: ConnLike;
  const copy = async (from: ConnLike, to: ConnLike) => {
    const p = new Uint8Array(65536);
    try {
      for (let n; (n = await from.read(p)) !== null;) await writeAll(to, p.subarray(0, n));
    } catch (error) {
      assertInstanceOf(error, Error);
    }
  };
  let relaying: Promise<unknown>;
  return {
    way: async (options) => {
      const ends = await way(options);
      const isNative = ends.client.constructor.name === "TcpConn";
      farRelay = ends.client;
      relaying = Promise.all([copy(nearRelay, farRelay), copy(farRelay, nearRelay)]);
      return { ...ends, client: isNative ? near : disguise(near) };
    },
    async cut() {
      await Promise.all([nearRelay.closeWrite(), farRelay.closeWrite!()]);
      nearRelay.close();
      farRelay.close();
      await relaying;
    },
  };
}
