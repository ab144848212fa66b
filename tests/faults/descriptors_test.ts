/** A process that runs out of descriptors: the server reports it, lives, and serves again [V6]. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { openConnection } from "../../mod.ts";
import { certificate } from "../support/servers.ts";
import { Program } from "./kit.ts";
import { findProgram } from "../support/machine.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

const ignore = await findProgram("sh") === null;

/** Of which Deno has some thirty for itself. */
const DESCRIPTORS = 64;
const CLIENTS = 100;

/** Deno opens some descriptors when they are first needed, and dies where it cannot: so all of it is used once before. */
const PRELUDE = `
  import { openConnection, startServer } from "@tideline/net";
  const LOCAL = { hostname: "127.0.0.1", port: 0 };
  const ended = Array.fromAsync(Deno.stdin.readable);
  const tell = (line) => console.log(line);
  async function warmUp(server, tls) {
    const client = await openConnection({ port: server.addrs[0].port, ...tls && { tls } });
    client.writer.write("warm\\n");
    await client.reader.readline();
    await client.writer.close();
    while (server.connections > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
`;

const { cert, key, caCert } = certificate;
const kinds = { "TCP": "{}", "TLS": "{ tls }", "TLS by Deno": '{ tls: { ...tls, engine: "deno" } }' };

for (const [kind, options] of Object.entries(kinds)) {
  Deno.test(
    { name: `${kind}: a server out of descriptors tells onError, lives, and serves again [V6]`, ignore },
    async () => {
      const trusting = kind === "TCP" ? {} : { tls: { caCerts: [caCert] } };
      await using program = new Program(
        PRELUDE + `
      const tls = { cert: ${JSON.stringify(cert)}, key: ${JSON.stringify(key)} };
      const told = new Set();
      const server = await startServer(async (reader, writer) => writer.write(await reader.readline()), {
        ...LOCAL,
        ...${options},
        onError(error, { message }) {
          const line = message + ": " + error.message;
          if (message.includes("accept") && !told.has(line)) tell(line);
          told.add(line);
        },
      });
      await warmUp(server, ${kind === "TCP" ? "undefined" : `{ caCerts: [${JSON.stringify(caCert)}] }`});
      tell(server.addrs[0].port);
      await ended;
      tell(server.isServing());
      await server.shutdown({ grace: 0 });
    `,
        { descriptors: DESCRIPTORS },
      );
      const port = Number(await program.next());
      const clients: Deno.Conn[] = [];
      for (let i = 0; i < CLIENTS; i++) clients.push(await Deno.connect({ port }));
      const told = await program.next();
      assertStringIncludes(told, "Cannot accept connections for a while: ");
      assertStringIncludes(told, "Too many open files");
      for (const client of clients) client.close();

      await using good = await openConnection({ port, ...trusting });
      good.writer.write("served again\n");
      assertEquals(text(await good.reader.readline()), "served again\n");
      const ending = program.end();
      assertEquals(await program.next(), "true");
      assertEquals(await ending, 0);
    },
  );
}

Deno.test(
  { name: "a server out of descriptors without onError has it printed, lives, and serves again [V6]", ignore },
  async () => {
    await using program = new Program(
      PRELUDE + `
    const server = await startServer(async (reader, writer) => writer.write(await reader.readline()), LOCAL);
    await warmUp(server);
    tell(server.addrs[0].port);
    await ended;
    await server.shutdown({ grace: 0 });
  `,
      { descriptors: DESCRIPTORS },
    );
    const port = Number(await program.next());
    const clients: Deno.Conn[] = [];
    for (let i = 0; i < CLIENTS; i++) clients.push(await Deno.connect({ port }));
    assertStringIncludes(await program.next(), "Cannot accept connections for a while: Error: Too many open files");
    for (const client of clients) client.close();
    await using good = await openConnection({ port });
    good.writer.write("served again\n");
    assertEquals(text(await good.reader.readline()), "served again\n");
    assertEquals(await program.end(), 0);
  },
);

Deno.test(
  { name: "a client out of descriptors: each connect rejects, and later ones work [V3]", ignore },
  async () => {
    const accepted: Deno.Conn[] = [];
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepting = (async () => {
      for await (const conn of listener) accepted.push(conn);
    })();
    await using program = new Program(
      PRELUDE + `
    const server = await startServer(async (reader, writer) => writer.write(await reader.readline()), LOCAL);
    await warmUp(server);
    await server.shutdown();
    const connections = [];
    const port = ${listener.addr.port};
    let error;
    while (!error) await openConnection({ port }).then((one) => connections.push(one), (thrown) => error = thrown);
    for (let i = 0; i < 10; i++) await openConnection({ port }).then(() => tell("connected"), () => {});
    // The open ones go on.
    for (const { writer } of connections) {
      writer.write("x");
      await writer.drain();
    }
    for (const { writer } of connections) await writer.close();
    // The system has a descriptor back in the turn after.
    await new Promise((resolve) => setTimeout(resolve));
    await openConnection({ port }).then(({ writer }) => writer.close());
    tell(error.message);
  `,
      { descriptors: DESCRIPTORS },
    );
    const message = await program.next();
    assertStringIncludes(message, `Cannot connect to "127.0.0.1`);
    assertStringIncludes(message, "Too many open files");
    assertEquals(await program.end(), 0);
    listener.close();
    await accepting;
    await until(() => accepted.length > 10);
    for (const conn of accepted) conn.close();
  },
);
