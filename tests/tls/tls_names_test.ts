import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { checkTlsClientOptions, checkTlsServerOptions, type TlsIdentity } from "../../src/tls/choose.ts";
import { tlsName } from "../../src/tls/names.ts";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { ignore, theCerts } from "../support/certificates.ts";
import { attempt, failureOf, secure, ways } from "../support/tls_ways.ts";

const names: [host: string, name: string][] = [
  ["localhost", "localhost"],
  ["LocalHost", "localhost"],
  ["localhost.", "localhost"],
  ["_service.example", "_service.example"],
  ["bücher.test", "xn--bcher-kva.test"],
  ["BÜCHER.test.", "xn--bcher-kva.test"],
  ["xn--bcher-kva.test", "xn--bcher-kva.test"],
  ["日本語。jp", "xn--wgv71a119e.jp"],
  ["127.0.0.1", "127.0.0.1"],
  ["::1", "::1"],
  ["[::1]", "::1"],
  ["::1%1", "::1"],
  ["FE80::1%eth0", "fe80::1"],
  ["[fe80::1%25eth0]", "fe80::1"],
];

for (const [host, name] of names) {
  Deno.test(`tlsName() makes ${name} of ${host} [T5]`, () => assertEquals(tlsName(host), name));
}

const wrong = [
  "",
  ".",
  "a..b",
  "-a.b",
  "a-.b",
  "a b",
  "a/b",
  "a:80",
  "ü:80",
  "ü/x",
  "ü%2e.test",
  "u@ü.test",
  "127.1",
  "1.2.3",
  "a.123",
  "300.0.0.1",
  "127.0.0.1.",
  `${"x".repeat(64)}.test`,
  "x.".repeat(127) + "xx",
];

for (const host of wrong) {
  Deno.test(`tlsName() refuses ${JSON.stringify(host.slice(0, 20))} [T5]`, () => {
    const error = assertThrows(() => tlsName(host), TypeError, "is neither a host name nor an IP address");
    assert(error.message.length < 150);
  });
}

Deno.test(
  { name: "a serverName, and a key of serverNames, that is no name is refused at once [T5, V2]", ignore },
  () => {
    const { server, other } = theCerts();
    const message = "is neither a host name nor an IP address";
    assertThrows(() => checkTlsClientOptions({ serverName: "a b" }), TypeError, `"serverName" "a b" ${message}`);
    assertThrows(() => checkTlsServerOptions({ ...server, serverNames: { "a b": other } }), TypeError, message);
    assertThrows(() => checkTlsServerOptions({ ...server, serverNames: { "*.*": other } }), TypeError, message);
    checkTlsServerOptions({ ...server, serverNames: { "bücher.test": other, "*.wild.example": other } });
  },
);

const { cert, key, caCert } = await selfSignedCertificate({ hostnames: ["xn--bcher-kva.test", "fe80::1"] });

for (const [way, make] of Object.entries(ways)) {
  Deno.test({ name: `TLS ${way}: an international name is sent and verified as A-labels [T5]`, ignore }, async () => {
    for (const serverName of ["bücher.test", "BÜCHER.test.", "xn--bcher-kva.test"]) {
      const { client, server } = await secure(make, { serverName, caCerts: [caCert] }, { cert, key });
      assertEquals(client.info.serverName, "xn--bcher-kva.test");
      if (!way.includes("to native")) assertEquals(server.info.serverName, "xn--bcher-kva.test");
      client.conn.close();
      server.conn.close();
    }
    const { client, server } = await attempt(make, { serverName: "bucher.test", caCerts: [caCert] }, { cert, key });
    assertInstanceOf(failureOf(client), Deno.errors.InvalidData);
    failureOf(server);
  });

  Deno.test(
    { name: `TLS ${way}: the zone of an address is not verified, and nothing is sent for it [T5]`, ignore },
    async () => {
      const { client, server } = await secure(make, { serverName: "fe80::1%eth0", caCerts: [caCert] }, { cert, key });
      assertEquals([client.info.serverName, server.info.serverName], ["fe80::1", undefined]);
      client.conn.close();
      server.conn.close();
    },
  );

  if (way.includes("to native")) continue;
  Deno.test({ name: `TLS ${way}: serverNames know international names [T5]`, ignore }, async () => {
    const identity: TlsIdentity = { cert, key };
    for (const known of ["bücher.test", "Bücher.TEST", "xn--bcher-kva.test"]) {
      const serverNames = { [known]: identity };
      const { client, server } = await secure(make, { serverName: "bücher.test", caCerts: [caCert] }, { serverNames });
      client.conn.close();
      server.conn.close();
    }
  });
}
