// STARTTLS with plain text injected by an attacker, on either side, at any moment, in any pieces (CVE-2011-0411): a side
// that upgrades never takes a byte of it for an encrypted one, and sends nothing in plain text afterwards.
import { assert, assertEquals } from "@std/assert";
import { type ConnLike, connPair, openConnection, type StreamConnection } from "../../mod.ts";
import { certificate } from "../support/servers.ts";
import { openDescriptors } from "../support/machine.ts";
import { until } from "../support/waiting.ts";
import { tcpPair } from "../support/conns.ts";
import { cases, corpus, isTyped, mutate, pick, randomBytes, run, type SeededRandom, show, watchErrors } from "./kit.ts";

const { cert, key, caCert } = certificate;
const encoder = new TextEncoder();
const hello = corpus("hello-rustls")[0]![1];
const answer = corpus("answer-native-rustls")[0]![1];

/** What is injected, and when. */
interface Injection {
  bytes: Uint8Array<ArrayBuffer>;
  /** How many turns of the event loop after the last plain byte; -1 for together with it. */
  turns: number;
}

function injectionOf(random: SeededRandom): Injection {
  const text = encoder.encode(
    pick(random, ["EVIL\n", "RCPT TO:<x>\r\n", "\n", "go\n", "STARTTLS\n", "x".repeat(5000)]),
  );
  const bytes = pick(random, [
    () => text,
    () => randomBytes(random, random.size(4000)),
    () => mutate(random, hello),
    () => mutate(random, answer),
    () => hello.slice(0, random.integer(1, hello.length - 1)),
    // An alert. A mere warning may be ignored.
    () => Uint8Array.of(21, 3, 3, 0, 2, random.integer(1, 2), random.integer(0, 120)),
  ])();
  return { bytes, turns: random.integer(-1, 4) };
}

/** Appends bytes to the first write, as an attacker does. */
function injecting(conn: ConnLike, { bytes, turns }: Injection): ConnLike {
  let isFirst = true;
  let injected = Promise.resolve();
  const send = async (all: Uint8Array) => {
    for (let rest = all; rest.length > 0;) rest = rest.subarray(await conn.write(rest));
  };
  return {
    read: (p) => conn.read(p),
    async write(p) {
      await injected;
      if (!isFirst) return await conn.write(p);
      isFirst = false;
      if (turns < 0) {
        await send(Uint8Array.from([...p, ...bytes]));
      } else {
        await send(p);
        injected = (async () => {
          for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, 0));
          await send(bytes);
        })().catch(() => {});
      }
      return p.length;
    },
    close: () => conn.close(),
    closeWrite: () => conn.closeWrite!(),
  };
}

/** Keeps what is written to a conn. */
function recording(conn: ConnLike, written: number[]): ConnLike {
  return {
    read: (p) => conn.read(p),
    async write(p) {
      const n = await conn.write(p);
      written.push(...p.subarray(0, n));
      return n;
    },
    close: () => conn.close(),
    closeWrite: () => conn.closeWrite!(),
  };
}

/** What one side came to: the lines that it took for encrypted, or why it gave up. */
type Outcome = string[] | Error;

async function serve({ reader, writer }: StreamConnection): Promise<Outcome> {
  try {
    await reader.readexactly("STARTTLS\n".length);
    writer.write("go\n");
    await writer.startTls({ cert, key, serverSide: true, handshakeTimeout: 150, shutdownTimeout: 150 });
    return await Array.fromAsync(reader.lines());
  } catch (error) {
    return error as Error;
  } finally {
    writer.close().catch(() => {});
  }
}

async function ask({ reader, writer }: StreamConnection): Promise<Outcome> {
  try {
    writer.write("STARTTLS\n");
    await reader.readexactly("go\n".length);
    await writer.startTls({ caCerts: [caCert], serverName: "localhost", handshakeTimeout: 150, shutdownTimeout: 150 });
    writer.write("good\n");
    writer.writeEof();
    return await Array.fromAsync(reader.lines());
  } catch (error) {
    return error as Error;
  } finally {
    writer.close().catch(() => {});
  }
}

for (const [where, makePair] of Object.entries({ memory: () => Promise.resolve(connPair()), TCP: tcpPair })) {
  Deno.test(`startTls() over ${where}: nothing that is injected into the plain text is taken for encrypted [S5]`, async () => {
    using _watch = watchErrors();
    const before = openDescriptors();
    for (const { name, random } of cases(where === "TCP" ? 80 : 160)) {
      const victim = pick(random, ["server", "client", "nobody"] as const);
      const injection = injectionOf(random);
      await run(
        `${name}, victim ${victim}, "${show(injection.bytes.subarray(0, 20))}" after ${injection.turns} turns`,
        async () => {
          const [a, b] = await makePair();
          const written: { client: number[]; server: number[] } = { client: [], server: [] };
          // Of Deno's own TLS what passes cannot be recorded: over memory it is that of node:tls.
          const near = victim === "server"
            ? injecting(a, injection)
            : where === "TCP"
            ? a
            : recording(a, written.client);
          const far = victim === "client" ? injecting(b, injection) : recording(b, written.server);
          const client = await openConnection({ conn: near, readAhead: random.next() < 0.5 });
          const server = await openConnection({ conn: far, readAhead: random.next() < 0.5 });
          const [asked, served] = await Promise.all([ask(client), serve(server)]);

          for (const outcome of [asked, served]) {
            if (outcome instanceof Error) assert(isTyped(outcome), outcome.stack);
            else assertEquals(outcome.filter((line) => line !== "good"), [], "an injected line was taken");
          }
          if (victim === "nobody") assertEquals([asked, served], [[], ["good"]]);
          const isWarning = injection.bytes[0] === 21 && injection.bytes[5] === 1;
          if (victim === "server") assert(isWarning || served instanceof Error, "the server took what was injected");
          if (victim === "client") assert(isWarning || asked instanceof Error, "the client took what was injected");
          assertIsTlsAfter("STARTTLS\n", written.client);
          assertIsTlsAfter("go\n", written.server);
          await Promise.allSettled([client.writer.waitClosed(), server.writer.waitClosed()]);
        },
      );
    }
    await until(() => openDescriptors() <= before);
  });
}

/** What was written is the plain text, and then nothing but whole records of TLS. */
function assertIsTlsAfter(plain: string, written: number[]): void {
  if (written.length === 0) return;
  assertEquals(String.fromCharCode(...written.slice(0, plain.length)), plain);
  for (let at = plain.length; at < written.length;) {
    const [type, major, , high, low] = written.slice(at, at + 5);
    assert(type! >= 20 && type! <= 23 && major === 3, `plain text was sent: ${written.slice(at, at + 50)}`);
    at += 5 + high! * 256 + low!;
    assert(at <= written.length, "a record was sent only in part");
  }
}
