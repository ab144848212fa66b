// TLS with certificates on both sides: a client is served only with a certificate of the right authority.
import { assertEquals, assertMatch } from "@std/assert";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { Example, run, runWell } from "./kit.ts";

const NAME = "mutual_tls_echo.ts";

/** Certificates in a directory of their own: of one authority the server's and Alice's, of another Mallory's. */
class Certificates implements AsyncDisposable {
  private constructor(readonly dir: string) {}

  static async make(): Promise<Certificates> {
    const dir = await Deno.makeTempDir();
    const { cert, key, caCert, issue } = await selfSignedCertificate();
    const alice = await issue({ hostnames: ["alice.example"], commonName: "Alice" });
    const mallory = await selfSignedCertificate({ hostnames: ["alice.example"], commonName: "Alice" });
    const files = {
      "ca.pem": caCert,
      "server.pem": cert,
      "server.key": key,
      "alice.pem": alice.cert,
      "alice.key": alice.key,
      "mallory.pem": mallory.cert,
      "mallory.key": mallory.key,
    };
    for (const [file, text] of Object.entries(files)) await Deno.writeTextFile(`${dir}/${file}`, text);
    return new Certificates(dir);
  }

  of(name: string): string[] {
    return [`${this.dir}/ca.pem`, `${this.dir}/${name}.pem`, `${this.dir}/${name}.key`];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test(`${NAME} serves a client with a certificate, and knows who it is [T3]`, async () => {
  await using certificates = await Certificates.make();
  await using server = await Example.start(NAME, ["serve", "0", ...certificates.of("server")]);
  const port = String(await server.port());
  assertEquals(await runWell(NAME, ["send", port, ...certificates.of("alice"), "Hello"]), "Received: Hello\n");
  await server.stdoutMatch(/^Connected: Alice$/m);
});

Deno.test(`${NAME} refuses a client with a certificate of another authority, or none, and goes on [T2, T3]`, async () => {
  await using certificates = await Certificates.make();
  await using server = await Example.start(NAME, ["serve", "0", ...certificates.of("server")]);
  const port = await server.port();

  const { stdout } = await run(NAME, ["send", String(port), ...certificates.of("mallory"), "Hello"]);
  assertMatch(stdout, /^(Received: \n)?$/);
  await server.stderrMatch(/^Refused: .*certificate is refused.*\n/);

  const caCert = await Deno.readTextFile(certificates.of("server")[0]!);
  using conn = await Deno.connectTls({ hostname: "localhost", port, caCerts: [caCert] });
  await conn.handshake().catch(() => {});
  const answer = await conn.read(new Uint8Array(1)).catch(() => null);
  assertEquals(answer, null);
  await server.stderrMatch(/^Refused: .*\nRefused: .*no certificate\n/);

  assertEquals(await runWell(NAME, ["send", String(port), ...certificates.of("alice"), "Hi"]), "Received: Hi\n");
});
