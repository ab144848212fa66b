import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  connPair,
  createConnection,
  createServer,
  openConnection,
  Protocol,
  startServer,
  startTls,
  type StreamConnection,
  type StreamReader,
  type StreamWriter,
  type Transport,
} from "../../mod.ts";
import { ignore, theCerts } from "../support/certificates.ts";

const decoder = new TextDecoder();

/** Two connected pairs of streams: the client's and, accepted by a server, the server's. */
interface Pair extends AsyncDisposable {
  client: StreamConnection;
  reader: StreamReader;
  writer: StreamWriter;
}

const kinds: Record<string, (readAhead: boolean) => Promise<Pair>> = {
  async TCP(readAhead) {
    const accepted = Promise.withResolvers<[StreamReader, StreamWriter]>();
    const server = await startServer((reader, writer) => accepted.resolve([reader, writer]), {
      hostname: "127.0.0.1",
      port: 0,
      readAhead,
    });
    const { port } = server.addrs[0] as Deno.NetAddr;
    const client = await openConnection({ hostname: "localhost", port, readAhead });
    const [reader, writer] = await accepted.promise;
    return { client, reader, writer, [Symbol.asyncDispose]: () => endAll(client, writer, server) };
  },
  async memory(readAhead) {
    const [a, b] = connPair();
    const client = await openConnection({ conn: a, readAhead });
    const { reader, writer } = await openConnection({ conn: b, readAhead });
    return { client, reader, writer, [Symbol.asyncDispose]: () => endAll(client, writer) };
  },
};

async function endAll(client: StreamConnection, writer: StreamWriter, server?: AsyncDisposable): Promise<void> {
  client.writer.abort();
  writer.abort();
  await Promise.allSettled([client.writer.waitClosed(), writer.waitClosed()]);
  await server?.[Symbol.asyncDispose]();
}

function clientOptions() {
  return { caCerts: [theCerts().ca], serverName: "localhost" };
}

for (const [kind, make] of Object.entries(kinds)) {
  for (const readAhead of [false, true]) {
    Deno.test({
      name: `StreamWriter.startTls() takes what is buffered for the handshake when told so, over ${kind}${
        readAhead ? ", reading ahead" : ""
      } [S5]`,
      ignore,
      async fn() {
        await using pair = await make(readAhead);
        const { client, reader, writer } = pair;
        const connecting = client.writer.startTls(clientOptions());
        // The hello is read, and stays.
        assertEquals((await reader.peek(1))[0], 22);
        await Promise.all([
          connecting,
          writer.startTls({ ...theCerts().server, serverSide: true, buffered: "handshake" }),
        ]);
        client.writer.write("secret\n");
        assertEquals(decoder.decode(await reader.readline()), "secret\n");
        writer.write("answer\n");
        assertEquals(decoder.decode(await client.reader.readline()), "answer\n");
      },
    });
  }
}

Deno.test({ name: "startTls() with buffered is for servers, and takes nothing else [S5, V2]", ignore }, async () => {
  await using pair = await kinds.memory!(false);
  const { client, writer } = pair;
  const server = { ...theCerts().server, serverSide: true };
  await assertRejects(
    () => client.writer.startTls({ ...clientOptions(), buffered: "handshake" }),
    TypeError,
    "server side",
  );
  const wrong = { ...server, buffered: "plain" as "handshake" };
  await assertRejects(() => writer.startTls(wrong), TypeError, 'buffered must be "handshake", not "plain"');
  // Nothing was changed by that.
  await Promise.all([client.writer.startTls(clientOptions()), writer.startTls(server)]);
});

for (const [kind, make] of Object.entries(kinds)) {
  for (const readAhead of [false, true]) {
    const how = `over ${kind}${readAhead ? ", reading ahead" : ""}`;
    const serverOptions = () => ({ ...theCerts().server, serverSide: true });

    Deno.test({
      name: `StreamWriter.startTls() upgrades both sides after earlier traffic, ${how} [S5]`,
      ignore,
      async fn() {
        await using pair = await make(readAhead);
        const { client, reader, writer } = pair;
        client.writer.write("STARTTLS\r\n");
        assertEquals(decoder.decode(await reader.readline()), "STARTTLS\r\n");
        writer.write("220 go ahead\r\n");
        const upgraded = writer.startTls(serverOptions());
        assertEquals(decoder.decode(await client.reader.readline()), "220 go ahead\r\n");
        await Promise.all([upgraded, client.writer.startTls(clientOptions())]);

        client.writer.write("secret\n");
        assertEquals(decoder.decode(await reader.readline()), "secret\n");
        const big = crypto.getRandomValues(new Uint8Array(60000));
        const sent = writer.sendall(big);
        assertEquals(await client.reader.readexactly(big.length), big);
        await sent;
        assertEquals(client.writer.getExtraInfo("tls")?.alpnProtocol, null);
        // Half-close, both ways [S1].
        client.writer.writeEof();
        assertEquals((await reader.read()).length, 0);
        writer.write("bye");
        writer.close();
        assertEquals(decoder.decode(await client.reader.read()), "bye");
        await client.writer.close();
        await writer.waitClosed();
      },
    });

    Deno.test({
      name: `StreamWriter.startTls() refuses plain bytes that were sent ahead, ${how} [S5]`,
      ignore,
      async fn() {
        await using pair = await make(readAhead);
        const { client, reader, writer } = pair;
        client.writer.write("STARTTLS\r\nEVIL\r\n");
        await reader.readline();
        writer.write("220 go ahead\r\n");
        await assertRejects(() => writer.startTls(serverOptions()), Deno.errors.InvalidData, "plain text");
        assert(writer.isClosing());
        await writer.waitClosed();
      },
    });

    Deno.test({
      name: `StreamWriter.startTls() with wrong options changes nothing, ${how} [S5]`,
      ignore,
      async fn() {
        await using pair = await make(readAhead);
        const { client, reader, writer } = pair;
        await assertRejects(() => writer.startTls({ serverSide: true }), TypeError);
        await assertRejects(() => client.writer.startTls({ colour: "red" } as never), TypeError, "colour");
        await assertRejects(() => client.writer.startTls({ ...clientOptions(), handshakeTimeout: 0 }), RangeError);
        client.writer.write("still plain\n");
        assertEquals(decoder.decode(await reader.readline()), "still plain\n");
      },
    });

    Deno.test({
      name: `StreamWriter.startTls() fails on both sides where the certificate is refused, ${how} [S5]`,
      ignore,
      async fn() {
        await using pair = await make(readAhead);
        const { client, writer } = pair;
        const results = await Promise.allSettled([
          writer.startTls(serverOptions()),
          client.writer.startTls({ ...clientOptions(), serverName: "wrong.example" }),
        ]);
        assertEquals(results.map(({ status }) => status), ["rejected", "rejected"]);
        const { reason } = results[1] as PromiseRejectedResult;
        assert(reason instanceof Deno.errors.InvalidData, String(reason));
        await assertRejects(() => client.writer.waitClosed(), Deno.errors.InvalidData);
      },
    });

    Deno.test({
      name: `StreamWriter.startTls() times out on a peer that stalls, ${how} [S5, T1, T2]`,
      ignore,
      async fn() {
        await using pair = await make(readAhead);
        const { writer } = pair;
        await assertRejects(
          () => writer.startTls({ ...serverOptions(), handshakeTimeout: 50 }),
          Deno.errors.TimedOut,
        );
        await assertRejects(() => writer.waitClosed(), Deno.errors.TimedOut);
      },
    });

    Deno.test({
      name: `StreamWriter.abort() ends an upgrade that is being made, ${how} [S5]`,
      ignore,
      async fn() {
        await using pair = await make(readAhead);
        const { writer } = pair;
        const upgraded = writer.startTls(serverOptions());
        writer.abort();
        await assertRejects(() => upgraded, Deno.errors.ConnectionReset);
        await writer.waitClosed();
      },
    });

    Deno.test({
      name: `StreamWriter.startTls() works inside TLS, ${how} [S5]`,
      ignore,
      async fn() {
        await using pair = await make(readAhead);
        const { client, reader, writer } = pair;
        for (let layer = 0; layer < 2; layer++) {
          await Promise.all([writer.startTls(serverOptions()), client.writer.startTls(clientOptions())]);
        }
        writer.write("twice wrapped\n");
        assertEquals(decoder.decode(await client.reader.readline()), "twice wrapped\n");
        client.writer.write("and back\n");
        assertEquals(decoder.decode(await reader.readline()), "and back\n");
      },
    });
  }
}

Deno.test({
  name: "StreamWriter.startTls() takes the side from where the writer came, and the name from the host [S5]",
  ignore,
  async fn() {
    await using server = await startServer(async (reader, writer) => {
      await writer.startTls(theCerts().server);
      writer.write(await reader.readline());
    }, { hostname: "127.0.0.1", port: 0 });
    const { port } = server.addrs[0] as Deno.NetAddr;
    await using client = await openConnection({ hostname: "localhost", port });
    await client.writer.startTls({ caCerts: [theCerts().ca] });
    client.writer.write("hello\n");
    assertEquals(decoder.decode(await client.reader.readline()), "hello\n");
  },
});

class Recorder extends Protocol {
  transport!: Transport;
  text = "";
  readonly ended = Promise.withResolvers<Error | null>();
  #until: [number, () => void] = [Infinity, () => {}];
  override connectionMade(transport: Transport) {
    this.transport = transport;
  }
  override dataReceived(data: Uint8Array) {
    this.text += decoder.decode(data);
    if (this.text.length >= this.#until[0]) this.#until[1]();
  }
  override connectionLost(error: Error | null) {
    this.ended.resolve(error);
  }
  received(n: number): Promise<void> {
    return new Promise((resolve) => {
      this.#until = [n, resolve];
      if (this.text.length >= n) resolve();
    });
  }
}

Deno.test({
  name: "startTls() goes on with a plain protocol whose read is under way [S5]",
  ignore,
  async fn() {
    const accepted = Promise.withResolvers<Recorder>();
    class Accepted extends Recorder {
      override connectionMade(transport: Transport) {
        super.connectionMade(transport);
        accepted.resolve(this);
      }
    }
    await using server = await createServer(() => new Accepted(), { hostname: "127.0.0.1", port: 0 });
    const { port } = server.addrs[0] as Deno.NetAddr;
    const { transport, protocol } = await createConnection(() => new Recorder(), { hostname: "localhost", port });
    const peer = await accepted.promise;
    transport.write("plain");
    await peer.received(5);
    const later = new Recorder();
    const [upgraded] = await Promise.all([
      startTls(transport, later, { caCerts: [theCerts().ca] }),
      startTls(peer.transport, peer, theCerts().server),
    ]);
    assertStrictEquals(upgraded.getProtocol(), later);
    upgraded.write(" secret");
    await peer.received(12);
    assertEquals(peer.text, "plain secret");
    peer.transport.write("answer");
    await later.received(6);
    upgraded.close();
    assertEquals(await peer.ended.promise, null);
    assertEquals(await later.ended.promise, null);
    assertEquals(protocol.text, "");
  },
});

Deno.test({
  name: "Server.abortClients() ends an upgrade that is being made [S5, V5]",
  ignore,
  async fn() {
    const began = Promise.withResolvers<void>();
    const failed = Promise.withResolvers<unknown>();
    const server = await startServer(async (_reader, writer) => {
      began.resolve();
      await writer.startTls(theCerts().server).catch(failed.resolve);
    }, { hostname: "127.0.0.1", port: 0 });
    const { port } = server.addrs[0] as Deno.NetAddr;
    const client = await openConnection({ port });
    await began.promise;
    server.close();
    server.abortClients();
    assert(await failed.promise instanceof Deno.errors.ConnectionReset);
    await server.waitClosed();
    client.writer.abort();
    await client.writer.waitClosed();
  },
});
