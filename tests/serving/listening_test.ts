/** What a server listens on: several hosts, listeners that are given, and the options of each socket [V1, V4]. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { createServer, openConnection, Protocol, startServer } from "../../mod.ts";
import { certificate, EchoProtocol, hasIpv6, portOf, until } from "./kit.ts";

Deno.test("several hosts are bound once each [V4]", async () => {
  const hostname = hasIpv6 ? ["127.0.0.1", "::1", "127.0.0.1"] : ["127.0.0.1", "127.0.0.2", "127.0.0.1"];
  await using server = await createServer(() => new EchoProtocol(), { hostname, port: 0 });
  assertEquals(server.addrs.map((addr) => (addr as Deno.NetAddr).hostname), hostname.slice(0, 2));
  for (const addr of server.addrs) {
    const { hostname, port } = addr as Deno.NetAddr;
    await using connection = await openConnection({ hostname, port });
    connection.writer.write("x");
    await connection.reader.readexactly(1);
  }
});

Deno.test("several hosts are bound all or none [V4]", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.2", port: 0 });
  const { port } = taken.addr;
  for (const tls of [undefined, { cert: certificate.cert, key: certificate.key }]) {
    const options = { hostname: ["127.0.0.1", "127.0.0.2"], port, ...(tls && { tls }) };
    const error = await assertRejects(() => createServer(() => new Protocol(), options), Deno.errors.AddrInUse);
    assert(error.message.startsWith(`Cannot listen on "127.0.0.2:${port}": `), error.message);
    // The first one is free again.
    Deno.listen({ hostname: "127.0.0.1", port }).close();
  }
});

Deno.test("a taken port is AddrInUse, another machine's address AddrNotAvailable [V4]", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  await assertRejects(
    () => createServer(() => new Protocol(), { hostname: "127.0.0.1", port }),
    Deno.errors.AddrInUse,
    `Cannot listen on "127.0.0.1:${port}"`,
  );
  await assertRejects(
    () => createServer(() => new Protocol(), { hostname: "192.0.2.1", port: 0 }),
    Deno.errors.AddrNotAvailable,
    'Cannot listen on "192.0.2.1:0"',
  );
});

Deno.test("a listener given is served, and closed with the server [V4]", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  {
    await using server = await createServer(() => new EchoProtocol(), { listener });
    assertEquals(server.addrs, [listener.addr]);
    await using client = await openConnection({ port });
    client.writer.write("x");
    await client.reader.readexactly(1);
  }
  Deno.listen({ hostname: "127.0.0.1", port }).close();
});

Deno.test("a listener that speaks TLS is served after each handshake, and closed in order [T2, W7]", async () => {
  const { cert, key, caCert } = certificate;
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key, alpnProtocols: ["x/1"] });
  const seen: unknown[] = [];
  await using server = await startServer(async (_reader, writer) => {
    seen.push(writer.getExtraInfo("tls")?.alpnProtocol);
    writer.write(new Uint8Array(500_000));
    await writer.drain();
  }, { listener });
  for (let i = 0; i < 3; i++) {
    await using client = await openConnection({
      hostname: "127.0.0.1",
      port: portOf(server),
      tls: { caCerts: [caCert], alpnProtocols: ["x/1"] },
    });
    assertEquals((await client.reader.read()).length, 500_000);
  }
  assertEquals(seen, ["x/1", "x/1", "x/1"]);
});

Deno.test("TCP_NODELAY is on unless told otherwise, at both ends, and keepAlive as told [V1]", async () => {
  const [probe, other] = await (async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  })();
  const prototype = Object.getPrototypeOf(probe);
  const { setNoDelay, setKeepAlive } = prototype;
  probe.close();
  other.close();
  const calls: [string, boolean | undefined][] = [];
  prototype.setNoDelay = function (on?: boolean) {
    calls.push(["noDelay", on]);
    return setNoDelay.call(this, on);
  };
  prototype.setKeepAlive = function (on?: boolean) {
    calls.push(["keepAlive", on]);
    return setKeepAlive.call(this, on);
  };
  try {
    for (
      const [options, expected] of [
        [{}, [["noDelay", true]]],
        [{ noDelay: true }, [["noDelay", true]]],
        [{ noDelay: false }, [["noDelay", false]]],
        [{ keepAlive: true }, [["noDelay", true], ["keepAlive", true]]],
        [{ keepAlive: false, noDelay: false }, [["noDelay", false], ["keepAlive", false]]],
      ] as const
    ) {
      calls.length = 0;
      await using server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1", port: 0, ...options });
      const raw = await Deno.connect({ port: portOf(server) });
      await until(() => server.connections === 1);
      assertEquals(calls as unknown, expected);
      raw.close();
      calls.length = 0;
      await using _client = await openConnection({ port: portOf(server), ...options });
      assertEquals(calls.slice(0, expected.length) as unknown, expected);
    }
  } finally {
    Object.assign(prototype, { setNoDelay, setKeepAlive });
  }
});
