/** What keeps the process alive: a transport, unless unref()ed; not the wait for the peer's end after a close [V9, W7]. */
import { assertEquals, assertLess } from "@std/assert";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { connPair, createConnection, createDatagramEndpoint, DatagramProtocol, Protocol } from "../../mod.ts";
import { runProgram, socketPath } from "../support/programs.ts";

const { cert, key, caCert } = await selfSignedCertificate();

/** A listener that accepts and then says nothing, until the tests are done with it. */
function silentListener(listener: Deno.Listener): AsyncDisposable {
  const conns: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) conns.push(conn);
  })();
  return {
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting.catch(() => {});
      for (const conn of conns) conn.close();
    },
  };
}

const kinds: [string, () => [Deno.Listener, string]][] = [
  ["TCP", () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    return [listener, `hostname: "127.0.0.1", port: ${listener.addr.port}`];
  }],
  ...(Deno.build.os === "windows" ? [] : [["Unix", () => {
    const path = socketPath();
    return [Deno.listen({ transport: "unix", path }), `path: ${JSON.stringify(path)}`];
  }] as [string, () => [Deno.Listener, string]]]),
];

for (const [kind, listen] of kinds) {
  for (const how of ["unref", "ref after unref", "unref while a read waits"] as const) {
    Deno.test(`a transport keeps the process alive or not, as ref() and unref() say: ${kind}, ${how} [V9]`, async () => {
      const [listener, target] = listen();
      await using _silent = silentListener(listener);
      const outcome = await runProgram(`
        import { createConnection, openConnection, Protocol } from "@tideline/net";
        const kept = setTimeout(() => {}, 60000);
        const { reader, writer } = await openConnection({ ${target} });
        const { transport } = writer;
        ${how === "unref while a read waits" ? "void reader.read(1).catch(() => {}); await null;" : ""}
        transport.unref();
        ${
        how === "ref after unref"
          ? "transport.ref(); setTimeout(() => { console.log('alive'); transport.abort(); }, 300).unref?.();"
          : ""
      }
        clearTimeout(kept);
        if (${how === "ref after unref"}) void reader.read(1).catch(() => {});
        addEventListener("unload", () => console.log("ended"));
      `);
      const expected = how === "ref after unref" ? "alive\nended" : "ended";
      assertEquals([outcome.code, outcome.stdout.trim()], [0, expected], outcome.stderr);
    });
  }
}

/** Serves TLS, and never ends its side. */
const SILENT_TLS = `
  import { createServer, Protocol } from "@tideline/net";
  class Silent extends Protocol { eofReceived() { return true; } }
  const server = await createServer(() => new Silent(), {
    hostname: "127.0.0.1", port: 0, tls: ${JSON.stringify({ cert, key })},
  });
  server.unref();
`;

for (const by of ["a protocol", "streams"] as const) {
  Deno.test(`once all is flushed, waiting for the peer's end does not keep the process alive: TLS, by ${by} [W7]`, async () => {
    // The server is a process of its own, which ends with its stdin.
    const server = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        "--no-check",
        `${SILENT_TLS.replaceAll("@tideline/net", import.meta.resolve("../../mod.ts"))}
        console.log(server.port); for await (const _ of Deno.stdin.readable);  Deno.exit();`,
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const lines = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const port = Number((await lines.read()).value);
    const outcome = await runProgram(
      `
      import { createConnection, openConnection, Protocol } from "@tideline/net";
      const options = { hostname: "127.0.0.1", port: ${port}, tls: { serverName: "localhost", caCerts: ${
        JSON.stringify([caCert])
      } } };
      ${
        by === "streams"
          ? `const { writer } = await openConnection(options); writer.write("bye"); writer.close();`
          : `const { transport } = await createConnection(() => new Protocol(), options); transport.write("bye"); transport.close();`
      }
    `,
      { timeout: 25_000 },
    );
    assertEquals(outcome.code, 0, outcome.stderr);
    // Far below the 30 s that the wait for the peer may take.
    assertLess(outcome.ms, 20_000);
    await lines.cancel();
    await server.stdin.close();
    await server.status;
  });
}

Deno.test("who awaits close() gets its end although the peer is slow to end its side: the process lives on [W7]", async () => {
  const outcome = await runProgram(`
    ${SILENT_TLS}
    import { openConnection } from "@tideline/net";
    const tls = { serverName: "localhost", caCerts: ${JSON.stringify([caCert])}, shutdownTimeout: 3000 };
    const { writer } = await openConnection({ hostname: "127.0.0.1", port: server.port, tls });
    for (const transport of server.transports?.() ?? []) transport.unref();
    await writer.close();
    console.log("closed");
    Deno.exit(0);
  `);
  assertEquals([outcome.code, outcome.stdout.trim()], [0, "closed"], outcome.stderr);
});

Deno.test("ref() and unref() do no harm in any state, nor where they have no effect [V9]", async () => {
  const [conn, peer] = connPair();
  const { transport } = await createConnection(() => new Protocol(), { conn });
  const datagrams = await createDatagramEndpoint(() => new DatagramProtocol(), {
    localAddr: { hostname: "127.0.0.1", port: 0 },
  });
  for (const one of [transport, datagrams.transport]) {
    for (const state of ["open", "lost"]) {
      if (state === "lost") {
        one.abort();
        await new Promise((resolve) => setTimeout(resolve));
      }
      one.unref();
      one.unref();
      one.ref();
      one.ref();
    }
  }
  peer.close();
});
