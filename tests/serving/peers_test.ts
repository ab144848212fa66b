/** Other people's ends: asyncio and openssl, as clients of our servers and as servers of our clients. */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  createConnection,
  createServer,
  openConnection,
  openUnixConnection,
  type StreamConnection,
  type TcpConnectOptions,
} from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import {
  certificate,
  certificateFiles,
  EchoProtocol,
  type Kind,
  pathOf,
  plainKinds,
  portOf,
  tlsKinds,
} from "../support/servers.ts";
import { findProgram } from "../support/machine.ts";
import { pattern, text } from "../support/bytes.ts";
import { socketPath } from "../support/programs.ts";
import { until } from "../support/waiting.ts";

const python = await findProgram("python3");
const openssl = await findProgram("openssl");
const files = await certificateFiles();
const script = new URL("./peers.py", import.meta.url).pathname;
const MiB = 1 << 20;
const kinds = [...plainKinds, ...tlsKinds];

/** Runs a program to its end. */
async function run(program: string, args: string[], input = ""): Promise<{ code: number; out: string; error: string }> {
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  return { code, out: text(stdout), error: text(stderr) };
}

/** Begins a program that serves until its input ends. */
async function begin(program: string, args: string[]): Promise<AsyncDisposable & { line(): Promise<string> }> {
  const child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  return await Promise.resolve({
    async line() {
      while (!rest.includes("\n")) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`Cannot read a line of ${program}: it has ended after "${rest}"`);
        rest += value;
      }
      const [first, ...others] = rest.split("\n");
      rest = others.join("\n");
      return first!;
    },
    async [Symbol.asyncDispose]() {
      await child.stdin.close().catch(() => {});
      await reader.cancel();
      await child.status;
    },
  });
}

const addressOf = (kind: Kind, server: Parameters<Kind["openConnection"]>[0]): string[] => {
  if (kind.name === "Unix") return [pathOf(server), "unix"];
  return [(server.addrs[0] as Deno.NetAddr).hostname, `${portOf(server)}`];
};

for (const kind of kinds) {
  for (const mode of ["lines", "bulk"]) {
    Deno.test({
      name: `${kind.name}: a client of asyncio talks ${mode} to a protocol`,
      ignore: python === null,
      async fn() {
        const made: RecordingProtocol[] = [];
        await using server = await kind.createServer(() => {
          const protocol = new EchoProtocol();
          made.push(protocol);
          return protocol;
        });
        const ca = kind.tls ? [files.ca] : [];
        const { code, out, error } = await run(python!, [script, "client", ...addressOf(kind, server), mode, ...ca]);
        assertEquals([code, out, error], [0, "ok\n", ""]);
        const { error: lost } = await made[0]!.waitFor("connectionLost");
        assertEquals(lost, null);
        made[0]!.assertOrder();
      },
    });
  }

  Deno.test({
    name: `${kind.name}: a client of asyncio talks to a handler of streams`,
    ignore: python === null,
    async fn() {
      await using server = await kind.startServer(async (reader, writer) => {
        for await (const line of reader) {
          writer.write(line);
          await writer.drain();
        }
      });
      const ca = kind.tls ? [files.ca] : [];
      const { code, out, error } = await run(python!, [script, "client", ...addressOf(kind, server), "lines", ...ca]);
      assertEquals([code, out, error], [0, "ok\n", ""]);
      await until(() => server.connections === 0);
    },
  });
}

/** Sends 1 MiB, half-closes, and gets all of it back. */
async function transfer({ reader, writer }: StreamConnection): Promise<void> {
  const message = pattern(MiB);
  writer.write(message);
  writer.writeEof();
  const received = await reader.readexactly(MiB);
  assert(received.every((byte, i) => byte === message[i]));
  await writer.close();
}

for (const hostname of ["127.0.0.1", "::1"]) {
  Deno.test({
    name: `a client of ours talks to a server of asyncio on ${hostname}, half-closing`,
    ignore: python === null || !plainKinds.some(({ name }) => name === (hostname === "::1" ? "IPv6" : "IPv4")),
    async fn() {
      await using server = await begin(python!, [script, "server", hostname]);
      const port = Number(await server.line());
      for (let i = 0; i < 3; i++) {
        const connection = await openConnection({ hostname, port });
        await transfer(connection);
        assert(connection.reader.atEof() || (await connection.reader.read()).length === 0);
        assertEquals(await server.line(), `${MiB}`);
      }
    },
  });
}

Deno.test({
  name: "a client of ours talks to a Unix server of asyncio, half-closing",
  ignore: python === null,
  async fn() {
    await using server = await begin(python!, [script, "server", socketPath()]);
    await transfer(await openUnixConnection({ path: await server.line() }));
    assertEquals(await server.line(), `${MiB}`);
  },
});

const clients: Record<string, Partial<TcpConnectOptions>> = {
  "Deno's TLS": { tls: { caCerts: [certificate.caCert], serverName: "localhost" } },
  "node:tls": { tls: { caCerts: [certificate.caCert], serverName: "localhost", ...await certificate.issue() } },
};

for (const [way, options] of Object.entries(clients)) {
  Deno.test({
    name: `a client of ours, by ${way}, talks to a TLS server of asyncio`,
    ignore: python === null,
    async fn() {
      await using server = await begin(python!, [script, "server", "127.0.0.1", files.cert, files.key]);
      const port = Number(await server.line());
      const { reader, writer } = await openConnection({ hostname: "127.0.0.1", port, ...options });
      const message = pattern(MiB);
      const sending = writer.sendall(message);
      const received = await reader.readexactly(MiB);
      await sending;
      assert(received.every((byte, i) => byte === message[i]));
      await writer.close();
      assertEquals(await server.line(), `${MiB}`);
    },
  });

  for (const version of ["-tls1_2", "-tls1_3"]) {
    Deno.test({
      name: `a client of ours, by ${way}, talks to openssl s_server ${version}, and closes in order`,
      ignore: openssl === null,
      async fn() {
        const args = [
          "s_server",
          "-accept",
          "0",
          "-naccept",
          "1",
          "-rev",
          version,
          "-cert",
          files.cert,
          "-key",
          files.key,
        ];
        await using server = await begin(openssl!, args);
        let port = 0;
        while (port === 0) port = Number(/^ACCEPT .*:(\d+)$/.exec(await server.line())?.[1] ?? 0);
        const { transport, protocol } = await createConnection(() => new RecordingProtocol(), {
          hostname: "127.0.0.1",
          port,
          ...options,
        });
        transport.write("olleh\n");
        assertEquals(text(await protocol.waitForBytes(6)), "hello\n");
        transport.close();
        assertEquals((await protocol.waitFor("connectionLost")).error, null);
      },
    });
  }
}

for (const kind of tlsKinds) {
  for (const version of ["-tls1_2", "-tls1_3"]) {
    Deno.test({
      name: `${kind.name}: openssl s_client ${version} talks to a server, and each side closes in order`,
      ignore: openssl === null,
      async fn() {
        const made: RecordingProtocol[] = [];
        const errors: Error[] = [];
        await using server = await kind.createServer(() => {
          const protocol = new EchoProtocol();
          made.push(protocol);
          return protocol;
        }, { onError: (error) => errors.push(error) });
        const connect = ["-connect", `127.0.0.1:${portOf(server)}`, "-CAfile", files.ca, "-verify_return_error"];
        // The client closes: its input ends.
        const first = await begin(openssl!, ["s_client", ...connect, version, "-quiet", "-no_ign_eof"]);
        await until(() => made.length === 1);
        made[0]!.transport.write("hello\n");
        assertEquals(await first.line(), "hello");
        await first[Symbol.asyncDispose]();
        assertEquals((await made[0]!.waitFor("connectionLost")).error, null);
        // The server closes.
        const closing = run(openssl!, ["s_client", ...connect, version, "-quiet", "-ign_eof"]);
        await until(() => made.length === 2);
        made[1]!.transport.write("x".repeat(100_000) + "\n");
        made[1]!.transport.close();
        const { code, out } = await closing;
        assertEquals([code, out.length], [0, 100_001]);
        assertEquals((await made[1]!.waitFor("connectionLost")).error, null);
        assertEquals(errors, []);
      },
    });
  }

  Deno.test({
    name: `${kind.name}: an openssl s_client that does not trust the server is reported, and reaches no protocol [T2]`,
    ignore: openssl === null,
    async fn() {
      const errors: Error[] = [];
      let made = 0;
      await using server = await kind.createServer(() => {
        made++;
        return new EchoProtocol();
      }, { onError: (error) => errors.push(error) });
      const args = [
        "s_client",
        "-connect",
        `127.0.0.1:${portOf(server)}`,
        "-tls1_2",
        "-verify_return_error",
        "-CAfile",
      ];
      const { code } = await run(openssl!, [...args, files.cert]);
      assert(code !== 0);
      await until(() => errors.length === 1);
      assertInstanceOf(errors[0], Error);
      assertEquals([made, server.connections], [0, 0]);
    },
  });
}

Deno.test({
  name: "a server of ours takes a hundred clients of asyncio at a time",
  ignore: python === null,
  async fn() {
    await using server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1", port: 0 });
    const program = `
import asyncio, sys
async def one(i):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    writer.write(b"%d\\n" % i)
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line) == i
async def main():
    print(all(await asyncio.gather(*map(one, range(100)))))
asyncio.run(main())
`;
    const { out, error } = await run(python!, ["-c", program, `${portOf(server)}`]);
    assertEquals([out, error], ["True\n", ""]);
    await until(() => server.connections === 0);
  },
});
