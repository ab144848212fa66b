/** Bytes that are no TLS, before, during and after the handshake. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { type ConnLike, type ErrorContext, openConnection, type StreamReader, type StreamWriter } from "../../mod.ts";
import { SeededRandom } from "../../src/testing/seeded_random.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { certificate, EchoProtocol, portOf, tlsKinds } from "../support/servers.ts";
import { openDescriptors } from "../support/machine.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

/** What clients send that do not speak TLS, or not well. */
const garbage: Record<string, Uint8Array<ArrayBuffer>> = {
  "plain HTTP": new TextEncoder().encode("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"),
  "zeros": new Uint8Array(100_000),
  "noise": new SeededRandom(1).fill(new Uint8Array(10_000)),
  "an alert": Uint8Array.fromHex("15030100020228"),
  "a record that is too long": Uint8Array.fromHex("160301ffff" + "00".repeat(20_000)),
  "data before the handshake": Uint8Array.fromHex("17030300050102030405"),
  "a hello of noise": Uint8Array.fromHex("1603010024" + "01000020" + "aa".repeat(32)),
  "the hello of SSL 2": Uint8Array.fromHex(
    "802e0100020015000000100100800200800300800400800500800600400700c0" + "11".repeat(16),
  ),
};

for (const kind of tlsKinds) {
  Deno.test(`${kind.name}: garbage instead of a handshake: onError gets one error each, the server lives [T2]`, async () => {
    const reports: ErrorContext[] = [];
    let made = 0;
    await using server = await kind.createServer(() => {
      made++;
      return new EchoProtocol();
    }, { onError: (_, context) => reports.push(context) });
    const before = openDescriptors();
    for (const [what, bytes] of Object.entries(garbage)) {
      const conn = await Deno.connect({ port: portOf(server) });
      await conn.write(bytes).catch(() => {});
      await until(() => reports.length === 1);
      const { error, message } = reports.pop()!;
      assertEquals(message, "TLS handshake failed");
      const isTyped = error instanceof Deno.errors.InvalidData || error instanceof Deno.errors.ConnectionReset;
      assert(isTyped, `${what}: ${error}`);
      conn.close();
    }
    assertEquals(made, 0);
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.write("good");
    assertEquals(text(await protocol.waitForBytes(4)), "good");
    transport.close();
    await protocol.waitFor("connectionLost");
    assertEquals(reports, []);
    await until(() => openDescriptors() <= before);
  });

  Deno.test(`${kind.name}: a byte changed on its way after the handshake loses the connection, and is never delivered [C1]`, async () => {
    const streams = Promise.withResolvers<[StreamReader, StreamWriter]>();
    await using server = await kind.startServer((reader, writer) => streams.resolve([reader, writer]));
    const plain = await Deno.connect({ port: portOf(server) });
    let isTampering = false;
    const conn: ConnLike = {
      read: (p) => plain.read(p),
      write(p) {
        if (isTampering) p[p.length - 1]! ^= 1;
        return plain.write(p);
      },
      close: () => plain.close(),
      closeWrite: () => plain.closeWrite(),
    };
    const client = await openConnection({
      conn,
      tls: { serverName: "localhost", caCerts: [certificate.caCert] },
    });
    const [reader, writer] = await streams.promise;
    client.writer.write("good\n");
    assertEquals(text(await reader.readline()), "good\n");
    isTampering = true;
    client.writer.write("evil\n");
    const error = await assertRejects(() => reader.readline());
    const isTyped = error instanceof Deno.errors.InvalidData || error instanceof Deno.errors.ConnectionReset;
    assert(isTyped, `${error}`);
    assertStrictEquals(await assertRejects(() => writer.waitClosed()), error);
    assertEquals(reader.buffered, 0);
    await until(() => server.connections === 0);
    // The other end has been told, one way or another.
    const told = await client.reader.read().catch((error) => error);
    if (!(told instanceof Uint8Array)) assertInstanceOf(told, Error);
    client.writer.abort();
  });
}
