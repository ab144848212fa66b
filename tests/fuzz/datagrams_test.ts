// Endpoints that send and receive datagrams of any size, from and to any address: they arrive whole and in order, and only
// from the peer if there is one; a send error reaches errorReceived, and the endpoint lives.
import { assert, assertEquals } from "@std/assert";
import { createDatagramEndpoint, DatagramProtocol, type DatagramTransport } from "../../mod.ts";
import { openDescriptors } from "../support/machine.ts";
import { until } from "../support/waiting.ts";
import { cases, isTyped, pick, randomBytes, run, type SeededRandom, watchErrors } from "./kit.ts";

/** Records all callbacks. */
class Collector extends DatagramProtocol {
  readonly received: [Uint8Array, number][] = [];
  readonly errors: Error[] = [];
  lost = false;

  override datagramReceived(data: Uint8Array, addr: Deno.NetAddr): void {
    this.received.push([data, addr.port]);
  }

  override errorReceived(error: Error): void {
    this.errors.push(error);
  }

  override connectionLost(): void {
    this.lost = true;
  }
}

interface Endpoint {
  transport: DatagramTransport;
  protocol: Collector;
  port: number;
}

async function open(remoteAddr?: { port: number }): Promise<Endpoint> {
  const localAddr = { hostname: "127.0.0.1" };
  const { transport, protocol } = await createDatagramEndpoint(() => new Collector(), {
    localAddr,
    ...remoteAddr && { remoteAddr },
  });
  return { transport, protocol, port: (transport.getExtraInfo("sockname") as Deno.NetAddr).port };
}

function sizeOf(random: SeededRandom): number {
  return pick(random, [0, 0, 1, 508, 1472, 9000, 65507, random.size(65507)]);
}

Deno.test("datagrams of all sizes come whole and in order, and strangers' none at all [W3, D1]", async () => {
  using _watch = watchErrors();
  const before = openDescriptors();
  for (const { name, random } of cases(25)) {
    await run(name, async () => {
      const server = await open();
      const client = await open({ port: server.port });
      const stranger = await open();
      const to = { transport: "udp", hostname: "127.0.0.1" } as const;
      for (let i = random.integer(1, 12); i > 0; i--) {
        // No more at once than a socket's buffer of 200 KiB is sure to hold.
        const sent = [randomBytes(random, sizeOf(random)), randomBytes(random, random.integer(0, 3000))];
        const already = server.protocol.received.length;
        for (const data of sent) client.transport.sendto(data);
        stranger.transport.sendto(randomBytes(random, 20), { ...to, port: client.port });
        await until(() => server.protocol.received.length === already + sent.length);
        assertEquals(server.protocol.received.slice(already), sent.map((data) => [data, client.port]));
      }
      server.transport.sendto(new Uint8Array([7]), { ...to, port: client.port });
      await until(() => client.protocol.received.length > 0);
      assertEquals(client.protocol.received, [[new Uint8Array([7]), server.port]]);
      for (const { transport, protocol } of [server, client, stranger]) {
        assertEquals(protocol.errors, []);
        transport.close();
        await until(() => protocol.lost);
      }
    });
  }
  await until(() => openDescriptors() <= before);
});

Deno.test("an endpoint gets the error of a datagram that cannot be sent, and lives [D1, D2]", async () => {
  using _watch = watchErrors();
  const sender = await open();
  const receiver = await open();
  const hosts = ["127.0.0.1", "127.0.0.1", "255.255.255.255", "::1", "0.0.0.0", "no-such-host.invalid", "", "::g"];
  const ports = [receiver.port, receiver.port, 0, 1, -1, 65536, 1.5, NaN];
  for (const { name, random } of cases(150)) {
    const addr = { transport: "udp", hostname: pick(random, hosts), port: pick(random, ports) } as const;
    const data = randomBytes(random, pick(random, [0, 10, 65507, 65508, 70000]));
    await run(`${name}, ${data.length} bytes to ${JSON.stringify(addr)}`, () => {
      try {
        sender.transport.sendto(data, addr);
      } catch (error) {
        assert(error instanceof TypeError || error instanceof RangeError, `${error}`);
      }
    });
  }
  await until(() => sender.transport.getWriteBufferSize() === 0);
  const already = receiver.protocol.received.length;
  sender.transport.sendto(new Uint8Array([7]), { transport: "udp", hostname: "127.0.0.1", port: receiver.port });
  await until(() => receiver.protocol.received.length > already);
  assertEquals(receiver.protocol.received.at(-1)![0], new Uint8Array([7]));
  // Of what the system refuses there is not always a class; the message says what was not sent, and where.
  for (const error of sender.protocol.errors) {
    assert(isTyped(error) || error.message.startsWith("Cannot send a datagram of "), error.stack);
  }
  for (const { transport, protocol } of [sender, receiver]) {
    transport.close();
    await until(() => protocol.lost);
  }
});
