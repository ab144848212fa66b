import { assertEquals, assertInstanceOf, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import type { ConnLike } from "../../src/conn/conn.ts";
import {
  listenTlsNative,
  tlsAcceptConn,
  tlsAcceptNative,
  tlsConnectConn,
  type TlsServerOptions,
} from "../../src/tls/choose.ts";
import { ignore, theCerts } from "../support/certificates.ts";
import { clientWays } from "../support/tls_ways.ts";
import { startOpensslServer } from "../support/openssl_server.ts";
import { bytes, pattern } from "../support/bytes.ts";
import { disguise, readAll, writeAll } from "../support/conns.ts";

for (const version of ["-tls1_2", "-tls1_3"]) {
  for (const way of clientWays) {
    Deno.test({ name: `tlsConnectConn() talks to openssl s_server ${version}, by ${way} TLS`, ignore }, async () => {
      // Sends each line back in reverse.
      await using server = await opensslServer([version, "-rev"]);
      const { conn, info } = await connect(server.port, way);
      assertEquals(info.alpnProtocol, null);
      assertEquals(info.protocol, way === "node" ? version.replace("-tls1_", "TLSv1.") : undefined);
      await writeAll(conn, bytes("olleh\nesrever\n"));
      const reply = new Uint8Array(100);
      let length = 0;
      while (length < 14) length += (await conn.read(reply.subarray(length)))!;
      assertEquals(reply.subarray(0, length), bytes("hello\nreverse\n"));
      await conn.closeWrite!();
      assertEquals(await readAll(conn), new Uint8Array(0));
      conn.close();
    });

    Deno.test(
      { name: `tlsConnectConn() resumes no session by other options, ${version}, by ${way} TLS`, ignore },
      async () => {
        await using server = await opensslServer([version, "-rev"]);
        for (const isTrusted of [false, false, true, true, false]) {
          const connecting = connect(server.port, way, isTrusted ? {} : { caCerts: [theCerts().stranger.cert] });
          if (!isTrusted) {
            await assertRejects(() => connecting, Deno.errors.InvalidData);
            continue;
          }
          const { conn } = await connecting;
          // The answer comes behind the session.
          await writeAll(conn, bytes("x\n"));
          assertEquals(await conn.read(new Uint8Array(10)), 2);
          conn.close();
        }
      },
    );
  }

  for (const mode of ["native", "node"] as const) {
    Deno.test({ name: `A server by ${mode} TLS talks to openssl s_client ${version}`, ignore }, async () => {
      const { output } = await serveOpenssl(mode, theCerts().server, [version, "-quiet", "-ign_eof"], async (conn) => {
        const p = new Uint8Array(100);
        assertEquals(p.slice(0, (await conn.read(p))!), bytes("hello\n"));
        await writeAll(conn, pattern(100_000).map((byte) => 97 + byte % 26));
        await conn.closeWrite!();
      }, "hello\n");
      assertEquals(output.length, 100_000);
    });
  }

  Deno.test(
    { name: `tlsAcceptConn() knows a client of openssl by its certificate, ${version} [T3]`, ignore },
    async () => {
      const { ca, server, alice } = theCerts();
      const options: TlsServerOptions = { ...server, clientAuth: "require", caCerts: [ca] };
      await using files = await pemFiles({ alice: alice.cert + alice.key });
      const args = [version, "-quiet", "-cert", files.alice, "-key", files.alice];
      const { accepted } = await serveOpenssl("node", options, args, (conn) => conn.closeWrite!());
      assertInstanceOf(accepted.peerCertificate, Object);
      assertEquals(accepted.peerCertificate?.subject, { O: "Tideline", CN: "alice" });
    },
  );

  // Deno keeps the sessions of all servers of a process in one place.
  Deno.test(
    { name: `tlsAcceptConn() resumes its own sessions, not another server's, ${version} [T3]`, ignore },
    async () => {
      const { ca, server, alice, stranger, unknown } = theCerts();
      await using files = await pemFiles({ alice: alice.cert + alice.key, stranger: stranger.cert + stranger.key });
      const session = `${files.dir}/session`;
      const strict: TlsServerOptions = { ...server, clientAuth: "require", caCerts: [ca] };
      const others: [TlsServerOptions, string[]][] = [
        [{ ...server }, []],
        [{ ...server, clientAuth: "request", caCerts: [ca] }, []],
        [{ ...server, clientAuth: "require", caCerts: [unknown] }, ["-cert", files.stranger, "-key", files.stranger]],
      ];
      const greet = async (conn: ConnLike) => {
        await writeAll(conn, bytes("hello"));
        await conn.closeWrite!();
      };
      for (
        const [options, args] of [[strict, ["-cert", files.alice, "-key", files.alice]], ...others] as typeof others
      ) {
        await serveOpenssl("node", options, [version, ...args, "-sess_out", session], greet);
        const resuming = serveOpenssl("node", strict, [version, "-sess_in", session], greet);
        if (options === strict) {
          const { output, accepted } = await resuming;
          assertMatch(output, /^Reused, /m);
          assertEquals(accepted.peerCertificate?.subject, { O: "Tideline", CN: "alice" });
        } else {
          const error = await assertRejects(() => resuming, Deno.errors.InvalidData);
          assertMatch(error.message, /sent no certificate$|session is another server's$/);
        }
      }
    },
  );
}

Deno.test(
  { name: "tlsAcceptConn() gives openssl s_client the certificate of the name it asks for", ignore },
  async () => {
    const { server, other } = theCerts();
    const options = { ...server, serverNames: { "other.example": other } };
    for (const [name, subject] of [["other.example", "other.example"], ["localhost", "localhost"]]) {
      const { output } = await serveOpenssl("node", options, ["-servername", name!], (conn) => conn.closeWrite!());
      assertStringIncludes(output, `subject=CN = ${subject}`);
    }
  },
);

async function connect(port: number, way: "native" | "node", options = {}) {
  const conn = await Deno.connect({ port });
  conn.setNoDelay(true);
  const { ca } = theCerts();
  return await tlsConnectConn(way === "native" ? conn : disguise(conn), {
    serverName: "localhost",
    caCerts: [ca],
    ...options,
  });
}

/** Serves one openssl s_client that runs until the end of the connection, and gives all that it printed. */
async function serveOpenssl(
  mode: "native" | "node",
  options: TlsServerOptions,
  args: string[],
  serve: (conn: ConnLike) => Promise<void>,
  input = "",
) {
  using listener = mode === "native"
    ? listenTlsNative({ hostname: "127.0.0.1", port: 0 }, options)
    : Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = new Deno.Command("openssl", {
    args: ["s_client", "-connect", `127.0.0.1:${listener.addr.port}`, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = client.stdin.getWriter();
  await writer.write(bytes(input));
  const printed = client.output();
  try {
    const conn = await listener.accept();
    const { conn: secureConn, info } =
      await (mode === "native" ? tlsAcceptNative(conn as Deno.TlsConn, options) : tlsAcceptConn(conn, options));
    await serve(secureConn);
    // A client that resets instead of ending has got everything by then.
    await readAll(secureConn).catch((error) => assertInstanceOf(error, Deno.errors.ConnectionReset));
    secureConn.close();
    return { output: new TextDecoder().decode((await printed).stdout), accepted: info };
  } finally {
    await printed;
    await writer.close().catch(() => {});
  }
}

async function opensslServer(args: string[]): Promise<AsyncDisposable & { port: number }> {
  const { server } = theCerts();
  const files = await pemFiles({ server: server.cert + server.key });
  const running = await startOpensslServer(["-cert", files.server, "-key", files.server, ...args]);
  return {
    port: running.port,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await files[Symbol.asyncDispose]();
    },
  };
}

async function pemFiles<T extends string>(
  files: Record<T, string>,
): Promise<Record<T, string> & { dir: string } & AsyncDisposable> {
  const dir = await Deno.makeTempDir();
  const paths = {} as Record<T, string>;
  for (const [name, text] of Object.entries(files) as [T, string][]) {
    paths[name] = `${dir}/${name}.pem`;
    await Deno.writeTextFile(paths[name], text);
  }
  return { ...paths, dir, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}
