/** What a server listens on: several hosts, listeners that are given, and the options of each socket [V1, V4]. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { createServer, openConnection, Protocol, startServer } from "../../mod.ts";
import { bindTargets } from "../../src/serving/bind.ts";
import { certificate, EchoProtocol, portOf } from "../support/servers.ts";
import { hasIpv6, openDescriptors } from "../support/machine.ts";
import { until } from "../support/waiting.ts";

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

Deno.test("several hosts with port 0 get one port [V4]", async () => {
  const hostname = ["127.0.0.1", "127.0.0.2", "127.0.0.3", ...hasIpv6 ? ["::1"] : []];
  for (const tls of [undefined, { cert: certificate.cert, key: certificate.key }]) {
    await using server = await createServer(() => new Protocol(), { hostname, ...(tls && { tls }) });
    assertEquals(server.addrs.map((addr) => (addr as Deno.NetAddr).hostname), hostname);
    assertEquals(new Set(server.addrs.map((addr) => (addr as Deno.NetAddr).port)).size, 1);
  }
});

/** Listens for real, but on some addresses only after several attempts. */
function reluctant(failures: Record<string, number>) {
  const open = new Set<string>();
  let attempts = 0;
  const listen = ({ hostname, port }: { hostname: string; port: number }): Deno.Listener => {
    attempts++;
    if (failures[hostname]! > 0) {
      failures[hostname]!--;
      throw new Deno.errors.AddrInUse("Address already in use");
    }
    const listener = Deno.listen({ hostname, port });
    open.add(hostname);
    const close = () => {
      open.delete(hostname);
      listener.close();
    };
    return { addr: listener.addr, close } as Deno.Listener;
  };
  return { listen, open, attempts: () => attempts };
}

Deno.test("several hosts with port 0: a port that is taken on one of them is given up for another [V4]", async () => {
  const targets = ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map((hostname) => ({ hostname, name: null }));
  const { listen, open, attempts } = reluctant({ "127.0.0.3": 4 });
  const { listeners, addrs } = await bindTargets(targets, 0, listen);
  assertEquals(attempts(), 5 * 3);
  assertEquals(new Set(addrs.map((addr) => (addr as Deno.NetAddr).port)).size, 1);
  for (const listener of listeners) listener.close();
  assertEquals(open.size, 0);
});

Deno.test("several hosts with port 0: the attempts are bounded, and none stays bound [V4]", async () => {
  const targets = ["127.0.0.1", "127.0.0.2"].map((hostname) => ({ hostname, name: null }));
  const { listen, open, attempts } = reluctant({ "127.0.0.2": Infinity });
  await assertRejects(() => bindTargets(targets, 0, listen), Deno.errors.AddrInUse, 'Cannot listen on "127.0.0.2:');
  assertEquals(open.size, 0);
  assertEquals(attempts(), 20);
  // A port that was asked for is tried once.
  using free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  await assertRejects(() => bindTargets(targets, port, listen), Deno.errors.AddrInUse);
  assertEquals(attempts(), 22);
  assertEquals(open.size, 0);
});

Deno.test("a name with several addresses is served on each of them, on one port [V4]", async () => {
  const { lookup } = await import("node:dns/promises");
  const found = await lookup("localhost", { all: true });
  await using server = await createServer(() => new EchoProtocol(), { hostname: "localhost" });
  const hosts = (list: readonly string[]) => [...new Set(list)].sort();
  const served = server.addrs.map((addr) => (addr as Deno.NetAddr).hostname);
  const present = found.map(({ address }) => address).filter((address) => hasIpv6 || !address.includes(":"));
  assertEquals(hosts(served), hosts(present));

  const targets = ["127.0.0.1", "127.0.0.2"].map((hostname) => ({ hostname, name: "two.example" }));
  const { listeners, addrs } = await bindTargets(targets, 0, Deno.listen);
  assertEquals(addrs.map((addr) => (addr as Deno.NetAddr).hostname), ["127.0.0.1", "127.0.0.2"]);
  for (const listener of listeners) listener.close();
  using taken = Deno.listen({ hostname: "127.0.0.2", port: 0 });
  await assertRejects(
    () => bindTargets(targets, taken.addr.port, Deno.listen),
    Deno.errors.AddrInUse,
    `Cannot listen on "two.example" at "127.0.0.2:${taken.addr.port}": `,
  );
});

Deno.test("an address of a name that this machine does not have is skipped, unless the name has no other [V4]", async () => {
  // As "::1" of localhost where IPv6 is off.
  const named = (...hostnames: string[]) => hostnames.map((hostname) => ({ hostname, name: "two.example" }));
  const { listeners, addrs } = await bindTargets(named("192.0.2.1", "127.0.0.1"), 0, Deno.listen);
  assertEquals(addrs.map((addr) => (addr as Deno.NetAddr).hostname), ["127.0.0.1"]);
  for (const listener of listeners) listener.close();
  const before = openDescriptors();
  await assertRejects(
    () => bindTargets([...named("192.0.2.1", "203.0.113.1"), { hostname: "127.0.0.1", name: null }], 0, Deno.listen),
    Deno.errors.AddrNotAvailable,
    'Cannot listen on "two.example" at "192.0.2.1:',
  );
  assertEquals(openDescriptors(), before);
});

Deno.test("0.0.0.0 covers the other IPv4 addresses: no conflict, and each is served [V4]", async () => {
  await using server = await createServer(() => new EchoProtocol(), { hostname: ["127.0.0.1", "0.0.0.0"] });
  assertEquals(server.addrs.map((addr) => (addr as Deno.NetAddr).hostname), ["127.0.0.1", "0.0.0.0"]);
  for (const hostname of ["127.0.0.1", "127.0.0.2"]) await echo(hostname, portOf(server));
});

if (hasIpv6) {
  const pairs = [["0.0.0.0", "::"], ["::", "0.0.0.0"], ["127.0.0.1", "::"], ["::", "0:0:0::0", "::1", "0.0.0.0"]];
  for (const hostname of pairs) {
    Deno.test(`${hostname.join(" and ")}: no conflict, and both IP versions are served on one port [V4]`, async () => {
      for (const port of [0, freePort()]) {
        await using server = await createServer(() => new EchoProtocol(), { hostname, port });
        const unique = hostname.filter((one) => one !== "0:0:0::0");
        assertEquals(server.addrs.map((addr) => (addr as Deno.NetAddr).hostname), unique);
        assertEquals(new Set(server.addrs.map((addr) => (addr as Deno.NetAddr).port)).size, 1);
        for (const host of ["127.0.0.1", "::1"]) await echo(host, portOf(server));
      }
    });
  }

  Deno.test("0.0.0.0 and :: are AddrInUse where another server has either, and neither stays bound [V4]", async () => {
    const hostname = ["0.0.0.0", "::"];
    for (const other of ["0.0.0.0", "::", "127.0.0.1", "::1"]) {
      using taken = Deno.listen({ hostname: other, port: 0 });
      const { port } = taken.addr;
      const before = openDescriptors();
      await assertRejects(() => createServer(() => new Protocol(), { hostname, port }), Deno.errors.AddrInUse);
      assertEquals(openDescriptors(), before);
      taken.close();
      await using _server = await createServer(() => new Protocol(), { hostname, port });
    }
  });
}

async function echo(hostname: string, port: number): Promise<void> {
  await using connection = await openConnection({ hostname, port });
  connection.writer.write("x");
  await connection.reader.readexactly(1);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  return listener.addr.port;
}

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
