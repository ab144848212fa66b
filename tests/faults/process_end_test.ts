/**
 * What keeps a process alive, and what does not, with connections open: nothing by mistake, nothing too early. Servers and
 * connections of protocols are in tests/serving/process_test.ts.
 */
import { assertEquals } from "@std/assert";
import { certificate } from "../support/servers.ts";
import { Program } from "./kit.ts";

/** A process that is still there after this, in milliseconds, when it has nothing more to do, will stay. */
const STAYS = 300;
/** A process that ends by itself has ended by then. */
const ENDS = 20_000;

const { cert, key, caCert } = certificate;

function program(rest: string): string {
  return `
    import { createServer, openConnection, Protocol, startServer } from "@tideline/net";
    const LOCAL = { hostname: "127.0.0.1", port: 0 };
    const tls = { cert: ${JSON.stringify(cert)}, key: ${JSON.stringify(key)} };
    const trusting = { tls: { caCerts: [${JSON.stringify(caCert)}] } };
    // A peer that accepts, and does nothing more.
    const listener = Deno.listen(LOCAL);
    const accepted = listener.accept().catch(() => {});
    const silent = async (options = {}) => {
      const connection = await openConnection({ port: listener.addr.port, ...options });
      globalThis.peer = await accepted;
      listener.close();
      return connection;
    };
    const never = new Promise(() => {});
    ${rest}
    console.log("at the end");
  `;
}

async function plays(rest: string, expected: string[], within: number): Promise<number | null> {
  await using running = new Program(program(rest));
  for (const line of [...expected, "at the end"]) assertEquals(await running.next(), line);
  return await running.status(within);
}

async function stays(rest: string, expected: string[] = []): Promise<void> {
  assertEquals(await plays(rest, expected, STAYS), null, "the process ended by itself");
}

async function ends(rest: string, expected: string[] = []): Promise<void> {
  assertEquals(await plays(rest, expected, ENDS), 0);
}

Deno.test("a read that waits keeps the process alive", () =>
  stays(`
    const { reader } = await silent();
    reader.readline();
  `));

Deno.test("a drain() that waits keeps the process alive", () =>
  stays(`
    const { writer } = await silent();
    writer.write(new Uint8Array(64 << 20));
    writer.drain();
  `));

Deno.test("a close() that still has to send keeps the process alive", () =>
  stays(`
    const { writer } = await silent();
    writer.write(new Uint8Array(64 << 20));
    writer.close();
  `));

Deno.test("a connection with readAhead keeps the process alive; closed, it does not", async () => {
  await stays("await silent({ readAhead: true });");
  await ends("const { writer } = await silent({ readAhead: true }); await writer.close();");
});

Deno.test("a connection on demand on which no read waits does not keep the process alive", () =>
  ends("await silent();"));

Deno.test("a read whose signal aborted does not end the process early, nor keep it once the connection is closed", () =>
  ends(`
    const { reader, writer } = await silent();
    await reader.readline({ signal: AbortSignal.timeout(10) }).catch(() => {});
    writer.close();
  `));

Deno.test("a TLS handshake under way keeps the process alive; aborted, it does not", async () => {
  await stays("listener.close(); const l = Deno.listen(LOCAL); openConnection({ port: l.addr.port, ...trusting });");
  await ends(`
    listener.close();
    const silentListener = Deno.listen(LOCAL);
    const { port } = silentListener.addr;
    const signal = AbortSignal.timeout(50);
    await openConnection({ port, ...trusting, signal }).catch(() => {});
    silentListener.close();
  `);
});

const servers = { TCP: "{}", TLS: "{ tls }", "TLS by Deno": '{ tls: { ...tls, engine: "deno" } }' };

for (const [name, options] of Object.entries(servers)) {
  const client = name === "TCP" ? "{}" : "trusting";
  const serving = `
    listener.close();
    const server = await startServer(async (reader, writer) => {
      for await (const line of reader) writer.write(line);
    }, { ...LOCAL, ...${options} });
    const { reader, writer } = await openConnection({ port: server.addrs[0].port, ...${client} });
    writer.write("x\\n");
    console.log((await reader.readline()).length);
  `;
  const expected = ["2"];

  Deno.test(`${name}: with everything closed the process ends`, () =>
    ends(serving + "await writer.close(); await server.shutdown();", expected));

  Deno.test(`${name}: with everything aborted the process ends`, () =>
    ends(serving + "writer.abort(); server.abortClients(); server.close();", expected));

  if (name === "TLS by Deno") {
    Deno.test(`${name}: a server that is unref()ed keeps the process alive all the same: a limit of the platform`, () =>
      stays(serving + "server.unref(); await writer.close();", expected));
  } else {Deno.test(`${name}: a server that is unref()ed lets the process end when its connections have`, () =>
      ends(serving + "server.unref(); await writer.close();", expected));}

  Deno.test(`${name}: a server that is closed keeps the process alive while a handler waits for its client`, () =>
    stays(serving + "server.close();", expected));

  Deno.test(`${name}: shutdown() ends the process with handlers that wait for their client`, () =>
    ends(serving + "await server.shutdown({ grace: 10 });", expected));
}
