// Spoilt handshakes: hellos and answers of other implementations, mutated, cut and broken off. None succeeds, every error
// has a class, nothing stays open, and the next honest peer is served.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ConnLike, connPair, openConnection, type Server } from "../../mod.ts";
import { tlsAcceptConn } from "../../src/tls/choose.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { certificate, portOf, tlsKinds } from "../support/servers.ts";
import { cases, corpus, cut, isTyped, mutate, pick, randomBytes, run, type SeededRandom, watchErrors } from "./kit.ts";
import { openDescriptors } from "../support/machine.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";
import { disguise } from "../support/conns.ts";

const { cert, key, caCert } = certificate;
const hellos = corpus("hello-");
const answers = corpus("answer-");

/** The first cases are the corpus as it is, the others are made of it. */
function* spoilt(
  known: typeof hellos,
  count: number,
): Generator<{ name: string; random: SeededRandom; bytes: Uint8Array }> {
  let i = 0;
  for (const { name, random } of cases(count)) {
    const [file, bytes] = known[i % known.length]!;
    const isFirst = i++ < known.length;
    const spoilt = random.next() < 0.05 ? randomBytes(random, random.size(20_000)) : mutate(random, bytes);
    yield { name: `${name}, of ${file}`, random, bytes: isFirst ? bytes : spoilt };
  }
}

/** Sends pieces, and then leaves in one way or another, at the latest when the other side has. */
async function misbehave(conn: Deno.TcpConn, random: SeededRandom, bytes: Uint8Array): Promise<void> {
  try {
    for (const piece of random.next() < 0.3 ? cut(random, bytes) : [bytes]) await conn.write(piece);
    const manner = pick(random, ["leave", "end", "listen"] as const);
    if (manner === "end") await conn.closeWrite();
    if (manner === "listen") {
      // Short, because a side that got half a record waits for the other half.
      const timer = setTimeout(() => conn.close(), 20);
      await conn.read(new Uint8Array(10)).finally(() => clearTimeout(timer));
    }
  } catch {
    // The other side was faster, or the time is over.
  }
  closeQuietly(conn);
}

for (const kind of tlsKinds) {
  Deno.test(`${kind.name}: a server refuses every spoilt hello, and goes on serving [T2]`, async () => {
    using watch = watchErrors();
    const { onError } = watch;
    let made = 0;
    const factory = () => {
      made++;
      return new RecordingProtocol();
    };
    const server: Server = await kind.createServer(factory, { onError });
    const before = openDescriptors();
    for (const { name, random, bytes } of spoilt(hellos, 150)) {
      const reports = watch.errors.length;
      await run(name, async () => {
        await misbehave(await Deno.connect({ port: portOf(server) }), random, bytes);
        await until(() => watch.errors.length > reports);
        const error = watch.errors.at(-1);
        assert(error instanceof Deno.errors.InvalidData || error instanceof Deno.errors.ConnectionReset, `${error}`);
      });
    }
    assertEquals(made, 0);
    const { transport, protocol } = await kind.createConnection(() => new RecordingProtocol(), server);
    transport.close();
    await protocol.waitFor("connectionLost");
    await until(() => openDescriptors() <= before);
    await server.shutdown({ grace: 1000 });
  });
}

Deno.test("a client lets no server pass with a spoilt answer, by Deno's own TLS and by node:tls [T2]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const before = openDescriptors();
  for (const { name, random, bytes } of spoilt([...answers, ...hellos], 100)) {
    await run(name, async () => {
      const tls = { caCerts: [caCert], serverName: "localhost" };
      const answering = listener.accept().then(async (conn) => {
        await conn.read(new Uint8Array(1000)).catch(() => {});
        await misbehave(conn as Deno.TcpConn, random, bytes);
      });
      const byNode = random.next() < 0.5;
      const connecting = byNode
        ? Deno.connect({ port: listener.addr.port }).then((conn) => openConnection({ conn: disguise(conn), tls }))
        : openConnection({ port: listener.addr.port, tls });
      const error = await assertRejects(() => connecting);
      assert(isTyped(error) && !(error instanceof TypeError), `${error}`);
      await answering;
    });
  }
  await until(() => openDescriptors() <= before);
});

Deno.test("a handshake takes what was read before, however much that is, and refuses it spoilt [S5]", async () => {
  const hello = hellos.find(([name]) => name === "hello-rustls")![1];
  for (const { name, random } of cases(60)) {
    await run(name, async () => {
      const [client, server] = connPair();
      const connecting = openConnection({ conn: client, tls: { caCerts: [caCert], serverName: "localhost" } });
      connecting.catch(() => {});
      const prefix = new Uint8Array(random.integer(0, hello.length));
      let n = 0;
      while (n < prefix.length) n += await server.read(prefix.subarray(n)) ?? 0;
      // But for the version of the record, which counts for nothing (RFC 8446, 5.1).
      const isSpoilt = n > 3 && random.next() < 0.5;
      if (isSpoilt) prefix[random.integer(3, n - 1)]! ^= 1 << random.integer(0, 7);
      try {
        const { conn } = await tlsAcceptConn(server, { cert, key, handshakeTimeout: 100 }, { prefix });
        const { writer } = await connecting;
        writer.write("hello");
        const memory = new Uint8Array(10);
        assertEquals(text(memory.subarray(0, await conn.read(memory) ?? 0)), "hello");
        conn.close();
        writer.abort();
        assert(!isSpoilt, "a spoilt hello was taken");
      } catch (error) {
        if (!isSpoilt) throw error;
        assert(isTyped(error), `${error}`);
        await assertRejects(() => connecting);
      }
    });
  }
});

function closeQuietly(conn: ConnLike): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
