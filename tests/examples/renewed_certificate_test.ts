// A certificate that is renewed while the server runs.
import { assertEquals, assertRejects } from "@std/assert";
import { openConnection } from "../../mod.ts";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { Example } from "./kit.ts";

const NAME = "renewed_certificate.ts";

Deno.test(`${NAME} serves new clients with the renewed certificate, and goes on with the others`, async () => {
  const dir = await Deno.makeTempDir();
  const write = async ({ cert, key }: { cert: string; key: string }) => {
    await Deno.writeTextFile(`${dir}/fullchain.pem`, cert);
    await Deno.writeTextFile(`${dir}/privkey.pem`, key);
  };
  try {
    const [old, renewed] = await Promise.all([selfSignedCertificate(), selfSignedCertificate()]);
    await write(old);
    await using server = await Example.start(NAME, ["0", dir]);
    const port = await server.port();
    const connect = (caCert: string) => openConnection({ hostname: "127.0.0.1", port, tls: { caCerts: [caCert] } });
    await using before = await connect(old.caCert);

    await write(renewed);
    await server.stdoutMatch(/^Certificate renewed$/m);
    // The key may have been written when the certificate alone was seen: the last change counts.
    let after = await connect(renewed.caCert).catch(() => null);
    while (after === null) after = await connect(renewed.caCert).catch(() => null);
    await using _renewed = after;
    await assertRejects(() => connect(old.caCert), Deno.errors.InvalidData);
    for (const { reader, writer } of [before, after]) {
      writer.write("Hello\n");
      assertEquals(new TextDecoder().decode(await reader.readline()), "Hello\n");
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
