import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import type { TlsClientOptions, TlsServerOptions } from "../../src/tls/choose.ts";
import { ignore, theCerts } from "../support/certificates.ts";
import { attempt, failureOf, secure, ways } from "../support/tls_ways.ts";
import { bytes } from "../support/bytes.ts";
import { writeAll } from "../support/conns.ts";

/** The ways that can ask for a client's certificate. */
const asking = Object.entries(ways).filter(([name]) => name.includes("to node"));

function asks(clientAuth: "request" | "require"): Partial<TlsServerOptions> {
  return { clientAuth, caCerts: [theCerts().ca] };
}

for (const [name, way] of asking) {
  for (const clientAuth of ["request", "require"] as const) {
    Deno.test({ name: `TLS ${name}: clientAuth "${clientAuth}" tells who the client is [T3]`, ignore }, async () => {
      const { client, server } = await secure(way, theCerts().alice, asks(clientAuth));
      const { subject, subjectAltName } = server.info.peerCertificate!;
      assertEquals([subject, subjectAltName], [{ O: "Tideline", CN: "alice" }, "DNS:alice.example"]);
      await writeAll(server.conn, bytes("hello"));
      assertEquals(await client.conn.read(new Uint8Array(10)), 5);
      client.conn.close();
      server.conn.close();
    });

    const bad: Record<string, () => TlsClientOptions> = {
      "of an unknown authority": () => theCerts().stranger,
      "that it signed itself": () => theCerts().selfSigned,
      "that has expired": () => theCerts().expiredClient,
    };
    for (const [what, make] of Object.entries(bad)) {
      Deno.test(
        { name: `TLS ${name}: clientAuth "${clientAuth}" refuses a certificate ${what} [T3]`, ignore },
        async () => {
          await assertRefused(way, make(), asks(clientAuth), /refused|certificate/);
        },
      );
    }
  }

  Deno.test(
    { name: `TLS ${name}: clientAuth "require" refuses a client without a certificate [T3]`, ignore },
    async () => {
      await assertRefused(way, {}, asks("require"), /no certificate/);
    },
  );

  Deno.test({ name: `TLS ${name}: clientAuth "request" accepts a client without a certificate`, ignore }, async () => {
    const { client, server } = await secure(way, {}, asks("request"));
    assertEquals(server.info.peerCertificate, null);
    client.conn.close();
    server.conn.close();
  });

  Deno.test({ name: `TLS ${name}: serverNames choose the certificate by the name asked for`, ignore }, async () => {
    const { other } = theCerts();
    const serverNames = { "Other.example": other, "*.wild.example": other };
    for (
      const [asked, isGood] of [
        ["other.example", true],
        ["a.wild.example", true],
        ["a.b.wild.example", false],
        ["wild.example", false],
        ["localhost", true],
        ["127.0.0.1", true],
      ] as const
    ) {
      const { client, server } = await attempt(way, { serverName: asked }, { serverNames });
      const error = failureOf(client);
      assertEquals(error === undefined, isGood, `${asked}: ${error}`);
      if (server.status === "fulfilled") {
        assertEquals(server.value.info.serverName, asked === "127.0.0.1" ? undefined : asked);
      }
      failureOf(server);
    }
  });

  Deno.test({ name: `TLS ${name}: serverNames go with clientAuth and alpnProtocols`, ignore }, async () => {
    const { other, alice } = theCerts();
    const options = { serverNames: { "other.example": other }, alpnProtocols: ["x"], ...asks("require") };
    const client = { serverName: "other.example", alpnProtocols: ["x"] };
    const good = await secure(way, { ...client, ...alice }, options);
    assertEquals(good.server.info.alpnProtocol, "x");
    assertEquals(good.server.info.peerCertificate?.subject.CN, "alice");
    good.client.conn.close();
    good.server.conn.close();
    await assertRefused(way, { ...client, ...theCerts().stranger }, options, /refused|certificate/);
  });
}

/** The server refuses; the client's first read fails, because in TLS 1.3 its handshake is complete before. */
async function assertRefused(
  way: (typeof ways)[string],
  clientOptions: TlsClientOptions,
  serverOptions: Partial<TlsServerOptions>,
  why: RegExp,
) {
  const { client, server } = await attempt(way, clientOptions, serverOptions);
  const error = failureOf(server);
  assertInstanceOf(error, Deno.errors.InvalidData);
  assert(why.test(error.message), error.message);
  if (client.status === "rejected") return;
  const { conn } = client.value;
  await assertRejects(() => conn.read(new Uint8Array(10)), Error);
  conn.close();
}
