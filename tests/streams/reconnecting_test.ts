/** reconnecting() [V11]: back-off, addresses, abort at every point, no leak; against real servers that are killed and restarted. */
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  connPair,
  reconnecting,
  type ReconnectOptions,
  type Server,
  startServer,
  type StreamConnection,
  type StreamReader,
  type StreamWriter,
} from "../../mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { FakeTime } from "../support/fake_time.ts";
import { liveBytes } from "../support/heap.ts";
import { findProgram, openDescriptors, skip } from "../support/machine.ts";
import { certificate, plainKinds, portOf } from "../support/servers.ts";
import { tempDir } from "../support/programs.ts";
import { until } from "../support/waiting.ts";

const late = new TextEncoder().encode("late\n");
const refused = () => Promise.reject(new Deno.errors.ConnectionRefused("refused"));

/** Replaces `Deno.connect` until the block ends. */
function connectBy(connect: (options: Deno.ConnectOptions & { signal?: AbortSignal }) => Promise<unknown>): Disposable {
  const real = Deno.connect;
  Object.assign(Deno, { connect });
  return { [Symbol.dispose]: () => void Object.assign(Deno, { connect: real }) };
}

/** A port on which nothing listens. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("reconnecting(): the first try at once, then 50 ms doubled up to 5000, without jitter [V11]", async () => {
  using time = new FakeTime();
  const begun = time.now;
  const tries: number[] = [];
  using _connect = connectBy(() => {
    tries.push(time.now - begun);
    return refused();
  });
  const stop = new AbortController();
  const next = reconnecting({ port: 7, backoff: { jitter: 0 }, signal: stop.signal }).next();
  await time.advance(30_000);
  assertEquals(tries[0], 0);
  const waits = tries.slice(1).map((at, i) => at - tries[i]!);
  [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000].forEach((wait, i) => {
    assertGreaterOrEqual(waits[i]!, wait);
    assertLessOrEqual(waits[i]!, wait * (1 + 1 / 64) + 2);
  });
  stop.abort();
  assertEquals(await next, { done: true, value: undefined });
  await turns(2);
  assertEquals(time.timers, 0);
});

Deno.test("reconnecting(): full jitter spreads each wait from 0 to the whole [V11]", async () => {
  using time = new FakeTime();
  const stop = new AbortController();
  let last = time.now;
  const waits: number[] = [];
  using _connect = connectBy(() => {
    waits.push(time.now - last);
    last = time.now;
    return refused();
  });
  const options = { port: 7, backoff: { initial: 1000, max: 1000 }, signal: stop.signal };
  const next = reconnecting(options).next();
  await time.advance(300_000);
  stop.abort();
  await next;
  const sorted = waits.slice(1).sort((x, y) => x - y);
  assertGreater(sorted.length, 300);
  assertLess(sorted[Math.floor(sorted.length * 0.1)]!, 250);
  assertGreater(sorted[Math.floor(sorted.length * 0.9)]!, 750);
  assertLessOrEqual(sorted.at(-1)!, 1000 * (1 + 1 / 64) + 2);
});

Deno.test("reconnecting(): a server that accepts and closes at once is no hot loop; a life of resetAfter resets the wait [V11]", async () => {
  using time = new FakeTime();
  const begun = time.now;
  const tries: number[] = [];
  using _connect = connectBy(() => {
    tries.push(time.now - begun);
    const [near, far] = connPair();
    far.close();
    return Promise.resolve(near);
  });
  const waits: number[] = [];
  const looping = (async () => {
    for await (const { reader } of reconnecting({ port: 7, backoff: { jitter: 0 } })) {
      waits.push(tries.at(-1)! - (tries.at(-2) ?? 0));
      assertEquals(await reader.read(), new Uint8Array(0));
      if (tries.length === 6) await new Promise((resolve) => setTimeout(resolve, 5000));
      if (tries.length === 8) break;
    }
  })();
  await time.advance(30_000);
  await looping;
  // The sixth lived: the wait after it is the first again.
  [0, 50, 100, 200, 400, 800, 5000 + 50, 100].forEach((wait, i) => {
    assertGreaterOrEqual(waits[i]!, wait);
    assertLessOrEqual(waits[i]!, wait * (1 + 1 / 64) + 3);
  });
});

Deno.test("reconnecting(): onError gets each failure, also where it throws itself; each address is tried in order [V11]", async () => {
  const good = await startServer((_reader, writer) => void writer.close(), { hostname: "127.0.0.1", port: 0 });
  const bad = freePort();
  const errors: Error[] = [];
  let asked = 0;
  const options: ReconnectOptions = {
    addresses: () => {
      asked++;
      if (asked === 1) throw new Error("no registry");
      if (asked === 2) return [];
      return [{ hostname: "127.0.0.1", port: bad }, { hostname: "127.0.0.1", port: portOf(good) }];
    },
    backoff: { initial: 1 },
    onError: (error) => void errors.push(error),
  };
  for await (const connection of reconnecting(options)) {
    assertEquals((connection.writer.getExtraInfo("peername") as Deno.NetAddr).port, portOf(good));
    break;
  }
  assertEquals(asked, 3);
  assertEquals(errors.map(({ message }) => message).slice(0, 2), [
    "no registry",
    "Cannot reconnect: addresses() found none",
  ]);
  assert(errors[2] instanceof Deno.errors.ConnectionRefused);
  assertEquals(errors.length, 3);
  await good.shutdown();
});

Deno.test("reconnecting(): timeout bounds each address, and the function that finds them [V11, V10]", async () => {
  using time = new FakeTime();
  const hanging: string[] = [];
  using _connect = connectBy(({ hostname, signal }: { hostname?: string; signal?: AbortSignal }) => {
    hanging.push(hostname!);
    return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  });
  const stop = new AbortController();
  const errors: Error[] = [];
  let asked = 0;
  const next = reconnecting({
    addresses: () =>
      ++asked === 1 ? new Promise(() => {}) : [{ hostname: "192.0.2.1", port: 7 }, { hostname: "192.0.2.2", port: 7 }],
    timeout: 1000,
    backoff: { initial: 1 },
    signal: stop.signal,
    onError: (error) => void errors.push(error),
  }).next();
  await time.advance(3200);
  assertEquals(hanging.slice(0, 2), ["192.0.2.1", "192.0.2.2"]);
  assertGreaterOrEqual(errors.length, 3);
  for (const error of errors) assert(error instanceof Deno.errors.TimedOut, String(error));
  stop.abort();
  assertEquals((await next).done, true);
  await turns(3);
});

Deno.test("reconnecting(): leaving the body closes its connection, however it is left [V11]", async () => {
  for (const kind of plainKinds) {
    await using server = await kind.startServer(async (reader) => void await reader.read());
    const where = kind.name === "Unix"
      ? { path: (server.addrs[0] as Deno.UnixAddr).path }
      : { hostname: kind.name === "IPv6" ? "::1" : "127.0.0.1", port: portOf(server) };
    const seen: StreamConnection[] = [];
    const fault = new Error("of the body");
    const run = async (leave: "break" | "throw" | "return") => {
      for await (const connection of reconnecting({ ...where, backoff: { initial: 1 } } as ReconnectOptions)) {
        seen.push(connection);
        if (seen.length % 2 === 1) continue;
        if (leave === "break") break;
        if (leave === "throw") throw fault;
        return;
      }
    };
    await run("break");
    assertEquals(await run("throw").catch((error) => error), fault);
    await run("return");
    assertEquals(seen.length, 6);
    for (const { writer } of seen) assert(writer.isClosing());
    await until(() => server.connections === 0);
  }
});

Deno.test("reconnecting(): an abort ends it at every point: before, while it looks for addresses, connects, or waits [V11]", async () => {
  const port = freePort();
  const before = reconnecting({ port, signal: AbortSignal.abort() });
  assertEquals(await before.next(), { done: true, value: undefined });
  const errors: Error[] = [];
  const onError = (error: Error) => void errors.push(error);

  const looking = new AbortController();
  const addresses = () => new Promise<never>(() => {});
  const first = reconnecting({ addresses, signal: looking.signal, onError }).next();
  await turns(1);
  looking.abort();
  assertEquals((await first).done, true);

  {
    using _connect = connectBy(({ signal }) =>
      new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)))
    );
    const connecting = new AbortController();
    const second = reconnecting({ port, signal: connecting.signal, onError }).next();
    await turns(1);
    connecting.abort();
    assertEquals((await second).done, true);
    await turns(2);
  }
  assertEquals(errors, []);

  const waiting = new AbortController();
  const third = reconnecting({
    port,
    signal: waiting.signal,
    backoff: { initial: 60_000, max: 60_000, jitter: 0 },
    onError: (error) => {
      assert(error instanceof Deno.errors.ConnectionRefused);
      setTimeout(() => waiting.abort(), 5);
    },
  }).next();
  assertEquals((await third).done, true);

  // In the body: it ends at the next turn, and the connection is closed.
  await using server = await startServer(async (reader) => void await reader.read(), {
    hostname: "127.0.0.1",
    port: 0,
  });
  const inside = new AbortController();
  let rounds = 0;
  for await (const _ of reconnecting({ port: portOf(server), signal: inside.signal })) {
    rounds++;
    inside.abort();
  }
  assertEquals(rounds, 1);
  await until(() => server.connections === 0);
});

Deno.test("reconnecting() throws at once what trying again does not mend [V11, V2]", async () => {
  const any = (value: unknown) => value as never;
  const [conn, far] = connPair();
  assertThrows(() => reconnecting(any(undefined)), TypeError);
  assertThrows(() => reconnecting(any({})), TypeError, "there is neither a port nor a conn nor a path");
  assertThrows(() => reconnecting({ conn }), TypeError, "a conn can be used once only");
  assertThrows(() => reconnecting(any({ port: 1, addresses: () => [] })), TypeError, "port does not go together");
  assertThrows(() => reconnecting(any({ addresses: [] })), TypeError, "addresses must be a function");
  assertThrows(() => reconnecting(any({ port: 1, backof: {} })), TypeError, 'no option "backof"');
  assertThrows(() => reconnecting({ port: 1, limit: 0 }), RangeError, "limit");
  for (const backoff of [{ initial: -1 }, { factor: 0.5 }, { jitter: 2 }, { max: NaN }, { resetAfter: -1 }]) {
    assertThrows(() => reconnecting({ port: 1, backoff }), RangeError, Object.keys(backoff)[0]);
  }
  assertThrows(() => reconnecting({ port: 1, backoff: any({ initial: "1" }) }), TypeError, "initial must be a number");
  const never = () => {
    throw new Error("unreachable");
  };
  for (const found of [null, "text", {}]) {
    const next = () => reconnecting({ addresses: () => any(found), onError: never }).next();
    await assertRejects(next, TypeError, "addresses() must return a list");
  }
  const wrong = () => reconnecting({ addresses: () => [any({ hostname: 1, port: 1 })], onError: never }).next();
  await assertRejects(wrong, TypeError, "hostname must be");
  using _connect = connectBy(() => Promise.reject(new Deno.errors.NotCapable("no net")));
  await assertRejects(() => reconnecting({ port: 1, onError: never }).next(), Deno.errors.NotCapable);
  for (const one of [conn, far]) one.close();
});

for (const tls of [false, true]) {
  Deno.test(`reconnecting(): a port that opens late is found${tls ? ", with TLS" : ""} [V11]`, async () => {
    const port = freePort();
    const { cert, key, caCert } = certificate;
    const opened = Promise.withResolvers<Server>();
    let failures = 0;
    const options: ReconnectOptions = {
      port,
      tls: tls ? { caCerts: [caCert] } : undefined,
      backoff: { initial: 5, max: 20 },
      onError(error) {
        assert(error instanceof Deno.errors.ConnectionRefused, String(error));
        if (++failures !== 3) return;
        const handler = async (_reader: StreamReader, writer: StreamWriter) => await writer.sendall(late);
        opened.resolve(startServer(handler, { hostname: "127.0.0.1", port, tls: tls ? { cert, key } : undefined }));
      },
    };
    for await (const { reader } of reconnecting(options)) {
      assertEquals(await reader.readline(), late);
      break;
    }
    assertGreaterOrEqual(failures, 3);
    await (await opened.promise).shutdown();
  });
}

Deno.test("reconnecting(): a thousand tries leave no descriptor, no timer and no memory [V11]", async () => {
  let clients = 0;
  await using server = await startServer((_reader, writer) => {
    clients++;
    writer.close();
  }, { hostname: "127.0.0.1", port: 0 });
  const [good, bad] = [portOf(server), freePort()];
  let failures = 0;
  const run = async (n: number) => {
    let tries = 0;
    const options: ReconnectOptions = {
      addresses: () => [{ hostname: "127.0.0.1", port: tries++ % 2 === 0 ? bad : good }],
      backoff: { initial: 0 },
      signal: new AbortController().signal,
      onError: () => failures++,
    };
    for await (const { reader } of reconnecting(options)) {
      await reader.read().catch(() => {});
      if (tries >= n) break;
    }
    await until(() => server.connections === 0);
  };
  await run(200);
  const [bytes, descriptors] = [await liveBytes(), openDescriptors()];
  await run(1000);
  assertGreaterOrEqual(failures, 600);
  assertGreaterOrEqual(clients, 600);
  assertLessOrEqual(openDescriptors(), descriptors + 2);
  // One connection is some 10 kB.
  assertLess(await liveBytes() - bytes, 1_000_000);
});

/** A real server that is started, killed and started again. */
interface RealServer {
  name: string;
  /** Starts it; resolves when it was started, which may be before it answers. */
  start(port: number): Promise<Deno.ChildProcess>;
  /** A round trip; rejects if the connection is lost. */
  ask(connection: StreamConnection): Promise<void>;
}

function quietly(program: string, args: string[], options: Deno.CommandOptions = {}): Deno.Command {
  return new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null", ...options });
}

async function realServers(): Promise<RealServer[]> {
  const servers: RealServer[] = [];
  const redis = await findProgram("redis-server", "reconnecting() against redis-server");
  if (redis !== null) {
    servers.push({
      name: "redis-server",
      start: (port) =>
        Promise.resolve(
          quietly(redis, ["--port", `${port}`, "--save", "", "--appendonly", "no", "--dir", "/tmp"]).spawn(),
        ),
      async ask({ reader, writer }) {
        writer.write("PING\r\n");
        const answer = await reader.readline({ encoding: "utf-8", timeout: 10_000 });
        // It may still load, and say so.
        if (answer !== "+PONG\r\n") throw new Error(answer);
      },
    });
  }
  const bin = await postgresFolder();
  if (bin !== null) {
    const [initdb, postgres] = [`${bin}/initdb`, `${bin}/postgres`];
    // It refuses to run as root.
    const user = Deno.uid() === 0 ? await userOf("postgres") : {};
    if (user === null) skip("reconnecting() against postgres", "there is no user postgres");
    else {
      const home = tempDir();
      if (user.uid !== undefined) await Deno.chown(home, user.uid, user.gid!);
      const data = `${home}/data`;
      servers.push({
        name: "postgres",
        async start(port) {
          const made = await Deno.stat(data).catch(() => null);
          if (made === null) {
            const args = ["-D", data, "-A", "trust", "-U", "postgres", "--no-sync"];
            const { success } = await quietly(initdb, args, { ...user, cwd: home }).output();
            assert(success, "initdb failed");
          }
          const args = ["-D", data, "-p", `${port}`, "-h", "127.0.0.1", "-k", home, "-F"];
          return quietly(postgres, args, { ...user, cwd: home }).spawn();
        },
        async ask({ reader, writer }) {
          const parameters = new TextEncoder().encode("user\0postgres\0\0");
          const startup = new Uint8Array(8 + parameters.length);
          const view = new DataView(startup.buffer);
          view.setUint32(0, startup.length);
          view.setUint32(4, 196608);
          startup.set(parameters, 8);
          writer.write(startup);
          // Until it is ready for a query.
          for (let type = ""; type !== "Z";) {
            type = String.fromCharCode(await reader.readUint8({ timeout: 10_000 }));
            const body = await reader.readexactly(await reader.readUint32() - 4);
            // While it starts it refuses.
            if (type === "E") throw new Error(new TextDecoder().decode(body));
          }
        },
      });
    }
  }
  return servers;
}

/** Debian has the programs of each version of postgres in a folder of its own, and this one for all in the path. */
async function postgresFolder(): Promise<string | null> {
  if (await findProgram("pg_ctlcluster", "reconnecting() against postgres") === null) return null;
  for (const { name } of Deno.readDirSync("/usr/lib/postgresql")) return `/usr/lib/postgresql/${name}/bin`;
  return null;
}

async function userOf(name: string): Promise<{ uid?: number; gid?: number } | null> {
  const line = (await Deno.readTextFile("/etc/passwd").catch(() => "")).split("\n").find((one) =>
    one.startsWith(`${name}:`)
  );
  if (line === undefined) return null;
  const [, , uid, gid] = line.split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

for (const { name, start, ask } of await realServers()) {
  Deno.test(`reconnecting() outlives ${name} that is killed and started again, twice [V11]`, async () => {
    const port = freePort();
    let process = await start(port);
    const errors: Error[] = [];
    const lost: unknown[] = [];
    let rounds = 0;
    try {
      const options: ReconnectOptions = {
        port,
        timeout: 10_000,
        backoff: { initial: 20, max: 200 },
        signal: AbortSignal.timeout(120_000),
        onError: (error) => void errors.push(error),
      };
      for await (const connection of reconnecting(options)) {
        try {
          await ask(connection);
          if (++rounds === 3) break;
          process.kill("SIGKILL");
          // The end of the connection is seen by the read, as an end or a reset.
          await connection.reader.read();
          await process.status;
          const seen = errors.length;
          setTimeout(async () => {
            // Not before a try has failed.
            await until(() => errors.length > seen);
            process = await start(port);
          }, 0);
        } catch (error) {
          lost.push(error);
        }
      }
      assertEquals(rounds, 3);
      assert(errors.some((error) => error instanceof Deno.errors.ConnectionRefused));
    } finally {
      process.kill("SIGKILL");
      await process.status;
    }
  });
}

Deno.test("an idle connection of a pool is good as long as nothing was received, by one expression [R10]", async () => {
  const isGood = ({ reader, writer }: StreamConnection) =>
    reader.buffered === 0 && !reader.atEof() && !writer.isClosing();
  for (const kind of plainKinds) {
    const peers: StreamConnection[] = [];
    await using server = await kind.startServer((reader, writer) => {
      peers.push({ reader, writer, [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose]() });
    });
    const ends: Record<string, (peer: StreamConnection) => void> = {
      "a last word and FIN": ({ writer }) => {
        writer.write("-ERR going down\r\n");
        writer.close();
      },
      "a FIN": ({ writer }) => void writer.close(),
      "a half-close": ({ writer }) => writer.writeEof(),
      "a reset, by bytes that it has not read": ({ writer }) => writer.abort(),
    };
    for (const [name, end] of Object.entries(ends)) {
      const connection = await kind.openConnection(server, { readAhead: true });
      await until(() => peers.length === 1);
      assert(isGood(connection), name);
      if (name.startsWith("a reset")) connection.writer.write("unread");
      await turns(3);
      assert(isGood(connection), name);
      end(peers[0]!);
      await until(() => !isGood(connection));
      await connection.writer.close().catch(() => {});
      await peers.pop()!.writer.close().catch(() => {});
    }
  }
});
