import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { ClosedError, openConnection, type Server, startServer, startUnixServer } from "../../mod.ts";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { certificate } from "../support/servers.ts";

const renewed = await selfSignedCertificate();
const { cert, key, caCert } = certificate;
const ADDRESS = { hostname: "127.0.0.1", port: 0 };

function connect(server: Server, trusted: string) {
  const { port } = server.addrs[0] as Deno.NetAddr;
  return openConnection({ hostname: "127.0.0.1", port, tls: { caCerts: [trusted] } });
}

Deno.test("Server.setTls() counts for handshakes from now on; open connections go on [T4]", async () => {
  await using server = await startServer(async (reader, writer) => {
    for await (const line of reader) writer.write(line);
  }, { ...ADDRESS, tls: { cert, key }, onError: () => {} });
  await using before = await connect(server, caCert);
  const options = { cert: renewed.cert, key: renewed.key };
  server.setTls(options);
  // What the user does with the object afterwards changes nothing.
  Object.assign(options, { cert, key });

  await using after = await connect(server, renewed.caCert);
  await assertRejects(() => connect(server, caCert), Deno.errors.InvalidData);
  for (const { reader, writer } of [before, after]) {
    writer.write("still here\n");
    assertEquals(new TextDecoder().decode(await reader.readline()), "still here\n");
  }
});

Deno.test("Server.setTls() asks serverNames() anew, even if it is the same function", async () => {
  let current = { cert, key };
  const serverNames = () => current;
  await using server = await startServer((_reader, writer) => void writer.close(), {
    ...ADDRESS,
    tls: { cert, key, serverNames },
    onError: () => {},
  });
  const { port } = server.addrs[0] as Deno.NetAddr;
  const byName = (trusted: string) => openConnection({ hostname: "localhost", port, tls: { caCerts: [trusted] } });
  await (await byName(caCert)).writer.close();
  current = { cert: renewed.cert, key: renewed.key };
  // Remembered until then.
  await (await byName(caCert)).writer.close();
  server.setTls({ cert, key, serverNames });
  await (await byName(renewed.caCert)).writer.close();
});

Deno.test("Server.setTls() with wrong options changes nothing, and is refused where there is no TLS to set [T4, V2]", async () => {
  const handler = () => {};
  const identity = { cert, key };
  await using server = await startServer(handler, { ...ADDRESS, tls: identity });
  assertThrows(() => server.setTls({ ...identity, key: renewed.key }), TypeError, "Cannot use the TLS options: ");
  assertThrows(() => server.setTls({ ...identity, handshakeTimeout: 0 }), RangeError);
  assertThrows(() => server.setTls({ ...identity, engine: "deno" }), TypeError, 'listens for engine "node"');
  await (await connect(server, caCert)).writer.close();

  await using plain = await startServer(handler, ADDRESS);
  assertThrows(() => plain.setTls(identity), TypeError, "was opened without tls");

  const native = await startServer(handler, { ...ADDRESS, tls: { ...identity, engine: "deno" } });
  assertThrows(() => native.setTls(identity), TypeError, "Deno's own listener keeps those");
  native.close();
  const error = assertThrows(() => native.setTls(identity), ClosedError);
  assertInstanceOf(error, Error);
  await native.waitClosed();
});

Deno.test("engine deno is refused where it cannot be honoured [T4, V2]", async () => {
  const handler = () => {};
  const tls = { cert, key, engine: "deno" } as const;
  using listener = Deno.listen(ADDRESS);
  await assertRejects(() => startServer(handler, { listener, tls }), TypeError, "over a listener that is given");
  await assertRejects(() => startUnixServer(handler, { path: "/tmp/never", tls }), TypeError, "over a Unix socket");
  for (const options of [{ noDelay: true }, { keepAlive: true }]) {
    await assertRejects(() => startServer(handler, { ...ADDRESS, tls, ...options }), TypeError, 'engine "deno"');
  }
});
