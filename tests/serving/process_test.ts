/** What keeps a process alive, what ends it, and what never does: each in a process of its own [V9, S3]. */
import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { runProgram, socketPath } from "../support/programs.ts";

/** A process that does not end by itself is killed after this, in milliseconds. */
const STAYS = 700;

async function ends(program: string, expected: string): Promise<void> {
  const { code, stdout, stderr, ms } = await runProgram(program);
  assertEquals(stderr, "");
  assertEquals(stdout, expected);
  assertEquals(code, 0);
  assertLess(ms, 10_000);
}

async function stays(program: string, expected = ""): Promise<void> {
  // One that has something to say first is given the time to.
  const { code, stdout, stderr } = await runProgram(program, { timeout: expected === "" ? STAYS : 3 * STAYS });
  assertEquals(stderr, "");
  assertEquals(stdout, expected);
  assertEquals(code, 137, "the process ended by itself");
}

const listen: Record<string, string> = {
  TCP: `createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 })`,
  Unix: `createUnixServer(() => new Protocol(), { path: PATH })`,
};

for (const [name, create] of Object.entries(listen)) {
  const program = (rest: string) => `
    import { createServer, createUnixServer, Protocol } from "@tideline/net";
    const PATH = ${JSON.stringify(socketPath())};
    const server = await ${create};
    ${rest}
  `;
  Deno.test(`${name}: a server keeps the process alive [V9]`, () => stays(program("")));
  Deno.test(`${name}: a server that is unref()ed does not [V9]`, () => ends(program("server.unref();"), ""));
  Deno.test(`${name}: one that is ref()ed again does [V9]`, () => stays(program("server.unref(); server.ref();")));
  Deno.test(`${name}: one that is closed does not [V9]`, () => ends(program("server.close();"), ""));
  Deno.test(`${name}: one that was disposed does not [V9]`, () =>
    ends(program("await server[Symbol.asyncDispose](); console.log(1);"), "1\n"));
}

Deno.test("a server at its cap keeps the process alive, though it accepts nothing [V9, V7]", () =>
  stays(
    `
    import { startServer } from "@tideline/net";
    // The handler neither reads nor ends, and so has nothing under way with the system.
    const server = await startServer(() => {
      console.log("full");
      return new Promise(() => {});
    }, { hostname: "127.0.0.1", port: 0, maxConnections: 1 });
    const conn = await Deno.connect({ port: server.addrs[0].port });
  `,
    "full\n",
  ));

Deno.test("a server at its cap that is unref()ed, before or then, does not [V9, V7]", async () => {
  for (const when of ["before", "then"]) {
    await ends(
      `
      import { startServer } from "@tideline/net";
      const full = Promise.withResolvers();
      const server = await startServer(() => {
        full.resolve();
        return new Promise(() => {});
      }, { hostname: "127.0.0.1", port: 0, maxConnections: 1 });
      if (${when === "before"}) server.unref();
      const conn = await Deno.connect({ port: server.addrs[0].port });
      await full.promise;
      if (${when === "then"}) setTimeout(() => server.unref(), 10);
      console.log("full");
    `,
      "full\n",
    );
  }
});

Deno.test("an idle protocol connection keeps the process alive; closed, it does not", async () => {
  const program = (rest: string) => `
    import { createConnection, Protocol } from "@tideline/net";
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { transport } = await createConnection(() => new Protocol(), { port: listener.addr.port });
    ${rest}
  `;
  await stays(program(""));
  await ends(program("transport.close();"), "");
  await ends(program("transport.abort();"), "");
});

Deno.test("a connect that was aborted, or refused, does not keep the process alive", () =>
  ends(
    `
    import { openConnection } from "@tideline/net";
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    await openConnection({ port }).catch((error) => console.log(error.name));
    const signal = AbortSignal.timeout(1);
    await openConnection({ hostname: "localhost", port, signal, family: 4 }).catch(() => console.log("either"));
  `,
    "ConnectionRefused\neither\n",
  ));

Deno.test("the timeouts of TLS do not keep the process alive after the connection", () =>
  ends(
    `
    import { openConnection, startServer } from "@tideline/net";
    import { selfSignedCertificate } from "${new URL(
      "../../src/testing/certificates/self_signed_certificate.ts",
      import.meta.url,
    )}";
    const { cert, key, caCert } = await selfSignedCertificate();
    const server = await startServer(async (reader, writer) => writer.write(await reader.readline()), {
      hostname: "127.0.0.1", port: 0, tls: { cert, key },
    });
    const { reader, writer } = await openConnection({
      hostname: "127.0.0.1", port: server.addrs[0].port, tls: { caCerts: [caCert] },
    });
    writer.write("x\\n");
    console.log((await reader.readline()).length);
    await writer.close();
    await server.shutdown();
  `,
    "2\n",
  ));

// A peer that resets the connection: a socket that is closed with bytes unread.
const broken = `
  import { openConnection, createConnection, Protocol, StreamReader, StreamWriter } from "@tideline/net";
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const { reader, writer } = await openConnection({ port: listener.addr.port });
  const peer = await accepted;
  listener.close();
  const reset = async () => {
    writer.write("x".repeat(10_000_000));
    await peer.read(new Uint8Array(1));
    peer.close();
  };
`;

Deno.test("an ignored close() of a connection that was reset is no unhandled rejection [S3]", () =>
  ends(
    broken + `
    await reset();
    writer.close();
    await reader.read().catch(() => {});
    setTimeout(() => console.log("still here"), 100);
  `,
    "still here\n",
  ));

Deno.test("an ignored waitClosed(), and an ignored abort(), are no unhandled rejections [S3]", () =>
  ends(
    broken + `
    writer.waitClosed();
    await reset();
    writer.close();
    writer.abort();
    setTimeout(() => {
      writer.waitClosed();
      writer.close();
      setTimeout(() => console.log("still here"), 50);
    }, 50);
  `,
    "still here\n",
  ));

Deno.test("a drain() that waits, and is ignored, is no unhandled rejection [S2]", () =>
  ends(
    broken + `
    writer.write("x".repeat(10_000_000));
    writer.drain();
    await reset();
    setTimeout(() => console.log("still here"), 100);
  `,
    "still here\n",
  ));

Deno.test("a sendall() that is ignored is no unhandled rejection when the connection is lost", () =>
  ends(
    broken + `
    writer.sendall(new Uint8Array(10_000_000));
    await reset();
    setTimeout(() => console.log("still here"), 100);
  `,
    "still here\n",
  ));

Deno.test("errors of handlers and protocols never end the process: they are printed [S4, C6]", async () => {
  const { code, stdout, stderr } = await runProgram(`
    import { createServer, openConnection, Protocol, startServer } from "@tideline/net";
    const options = { hostname: "127.0.0.1", port: 0 };
    class Broken extends Protocol {
      async dataReceived() { throw new Error("oops 1"); }
    }
    const servers = [
      await createServer(() => new Broken(), options),
      await startServer(async () => { throw new Error("oops 2"); }, options),
      await startServer(() => { throw new Error("oops 3"); }, options),
      await createServer(() => { throw new Error("oops 4"); }, options),
    ];
    for (const server of servers) {
      const { reader, writer } = await openConnection({ port: server.addrs[0].port });
      writer.write("x");
      await reader.read().catch(() => {});
      await writer.close().catch(() => {});
      await server.shutdown();
    }
    console.log("still here");
  `);
  assertEquals(code, 0);
  assertEquals(stdout, "still here\n");
  for (const n of [1, 2, 3, 4]) assertStringIncludes(stderr, `oops ${n}`);
  assert(!stderr.includes("Uncaught"), stderr);
});

Deno.test("a program that reads its input to EOF and answers ends", () =>
  ends(
    `
    import { openConnection, startServer } from "@tideline/net";
    const server = await startServer(async (reader, writer) => {
      for await (const line of reader) writer.write(line);
    }, { hostname: "127.0.0.1", port: 0 });
    const { reader, writer } = await openConnection({ port: server.addrs[0].port });
    writer.write("a\\nb\\n");
    writer.writeEof();
    console.log((await reader.read()).length);
    await writer.close();
    server.close();
    await server.waitClosed();
  `,
    "4\n",
  ));

Deno.test("with the flag it needs, reusePort lets two servers share a port, plain and over TLS [V2]", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    import { createServer, Protocol } from "@tideline/net";
    import { selfSignedCertificate } from "${new URL(
      "../../src/testing/certificates/self_signed_certificate.ts",
      import.meta.url,
    )}";
    const { cert, key } = await selfSignedCertificate();
    for (const tls of [undefined, { cert, key }]) {
      const options = { hostname: "127.0.0.1", reusePort: true, backlog: 7, tls };
      const first = await createServer(() => new Protocol(), options);
      const { port } = first.addrs[0];
      const second = await createServer(() => new Protocol(), { ...options, port });
      console.log(second.addrs[0].port === port);
      await Promise.all([first.shutdown(), second.shutdown()]);
    }
  `,
    { permissions: ["-A", "--unstable-net"] },
  );
  assertEquals([code, stdout, stderr], [0, "true\ntrue\n", ""]);
});

Deno.test("no variable of the environment turns off the check of a certificate, by Deno or by node:tls", async () => {
  const { code, stdout, stderr } = await runProgram(
    `
    import { createServer, openConnection, Protocol } from "@tideline/net";
    import { selfSignedCertificate } from "${new URL(
      "../../src/testing/certificates/self_signed_certificate.ts",
      import.meta.url,
    )}";
    const { cert, key } = await selfSignedCertificate();
    const path = "${socketPath()}";
    const identity = { tls: { cert, key }, onError: () => {} };
    const byTcp = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0, ...identity });
    const { port } = byTcp.addrs[0];
    const ways = {
      "by Deno": () => openConnection({ hostname: "127.0.0.1", port, tls: { serverName: "localhost" } }),
      "by node:tls": async () => {
        const conn = await Deno.connect({ port });
        // So that Deno's own TLS does not know it.
        const disguised = { read: (p) => conn.read(p), write: (p) => conn.write(p), close: () => conn.close() };
        return await openConnection({ conn: disguised, tls: { serverName: "localhost", caCerts: [] } });
      },
    };
    for (const [way, connect] of Object.entries(ways)) {
      console.log(way, await connect().then(() => "accepted", (error) => error.name));
    }
    await byTcp.shutdown();
  `,
    { env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" } },
  );
  assertEquals([code, stdout, stderr], [0, "by Deno InvalidData\nby node:tls InvalidData\n", ""]);
});
