// One port for TLS and plain text.
import { assertEquals } from "@std/assert";
import { openConnection, type StreamConnection } from "../../mod.ts";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { Example } from "./kit.ts";

const NAME = "tls_or_plain.ts";

async function echo({ reader, writer }: StreamConnection): Promise<string> {
  writer.write("Hello\n");
  const line = new TextDecoder().decode(await reader.readline());
  await writer.close();
  return line;
}

Deno.test(`${NAME} serves TLS and plain text on one port, at the same time [S5]`, async () => {
  const { cert, key, caCert } = await selfSignedCertificate();
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/cert.pem`, cert);
    await Deno.writeTextFile(`${dir}/key.pem`, key);
    await using server = await Example.start(NAME, ["0", `${dir}/cert.pem`, `${dir}/key.pem`]);
    const port = await server.port();
    const plain = () => openConnection({ hostname: "127.0.0.1", port });
    const secure = () => openConnection({ hostname: "127.0.0.1", port, tls: { caCerts: [caCert] } });
    await using waiting = await plain();
    assertEquals(await echo(await secure()), "TLSv1.3: Hello\n");
    assertEquals(await echo(await plain()), "plain text: Hello\n");
    assertEquals(await echo(await secure()), "TLSv1.3: Hello\n");
    assertEquals(await echo(waiting), "plain text: Hello\n");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
