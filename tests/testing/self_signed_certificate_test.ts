import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { X509Certificate } from "node:crypto";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { skip } from "../support/machine.ts";

const hostnames = ["localhost", "*.example.org", "127.0.0.1", "::1", "2001:db8::10:0:1"];

/** Both ends of Deno's own TLS. */
async function handshake(
  hostname: string,
  { cert, key, caCert }: { cert: string; key: string; caCert: string },
): Promise<void> {
  using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
  const accepted = listener.accept();
  const connecting = Deno.connect({ port: listener.addr.port })
    .then((conn) => Deno.startTls(conn, { hostname, caCerts: [caCert] }));
  const [server, client] = await Promise.all([accepted, connecting]);
  const done = await Promise.allSettled([client.handshake(), server.handshake()]);
  client.close();
  server.close();
  for (const result of done) if (result.status === "rejected") throw result.reason;
}

Deno.test("selfSignedCertificate() is accepted by Deno's TLS for each of its names, and no other", async () => {
  const made = await selfSignedCertificate({ hostnames });
  for (const hostname of ["localhost", "a.example.org", "127.0.0.1"]) await handshake(hostname, made);
  await assertRejects(() => handshake("example.com", made), Deno.errors.InvalidData);
  const stranger = await selfSignedCertificate();
  await assertRejects(() => handshake("localhost", { ...made, caCert: stranger.caCert }), Deno.errors.InvalidData);
});

Deno.test("selfSignedCertificate() is refused out of its time", async () => {
  const day = 86_400_000;
  const past = { notBefore: new Date(Date.now() - 3 * day), notAfter: new Date(Date.now() - day) };
  const future = { notBefore: new Date(Date.now() + day), notAfter: new Date("2061-05-06T07:08:09Z") };
  for (const when of [past, future]) {
    const made = await selfSignedCertificate(when);
    const { validFromDate, validToDate } = new X509Certificate(made.cert);
    assertEquals(validFromDate.getTime(), Math.floor(when.notBefore.getTime() / 1000) * 1000);
    assertEquals(validToDate.getTime(), Math.floor(when.notAfter.getTime() / 1000) * 1000);
    await assertRejects(() => handshake("localhost", made), Deno.errors.InvalidData);
  }
});

Deno.test("selfSignedCertificate() serves node:tls, and issues certificates for its clients", async () => {
  const made = await selfSignedCertificate();
  const client = await made.issue({ hostnames: ["alice.example"], commonName: "Alice Ångström" });
  const { cert, key, caCert: ca } = made;
  const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "secureConnection");
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port, servername: "localhost", ca, cert: client.cert, key: client.key });
  const [peer] = await accepted;
  assertEquals(peer.authorized, true);
  assertEquals(peer.getPeerCertificate().subject.CN, "Alice Ångström");
  const ended = Promise.all([once(peer, "close"), once(socket, "close"), once(server, "close")]);
  socket.destroy();
  peer.destroy();
  server.close();
  await ended;
});

Deno.test("selfSignedCertificate() makes what OpenSSL calls valid, strictly", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { cert, caCert, key, issue } = await selfSignedCertificate({ hostnames });
    await Deno.writeTextFile(`${dir}/ca.pem`, caCert);
    await Deno.writeTextFile(`${dir}/cert.pem`, cert);
    await Deno.writeTextFile(`${dir}/key.pem`, key);
    await Deno.writeTextFile(`${dir}/client.pem`, (await issue()).cert);
    const openssl = async (...args: string[]): Promise<string> => {
      const { success, stdout, stderr } = await new Deno.Command("openssl", { args, cwd: dir }).output();
      const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assert(success, text);
      return text;
    };
    await openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", "ca.pem", "cert.pem");
    await openssl("verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", "client.pem");
    await openssl("pkey", "-in", "key.pem", "-check", "-noout");
    const text = await openssl("x509", "-in", "cert.pem", "-noout", "-text");
    assertStringIncludes(text, "DNS:localhost, DNS:*.example.org, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
    assertStringIncludes(text, "IP Address:2001:DB8:0:0:0:10:0:1");
    assertMatch(text, /Version: 3/);
    assertStringIncludes(await openssl("x509", "-in", "ca.pem", "-noout", "-text"), "CA:TRUE");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    skip("the verification of certificates", "there is no openssl here");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("selfSignedCertificate() refuses an empty list of names, and an empty validity", async () => {
  await assertRejects(() => selfSignedCertificate({ hostnames: [] }), TypeError, "there is no host name");
  const [notBefore, notAfter] = [new Date("2030-01-02"), new Date("2030-01-01")];
  await assertRejects(() => selfSignedCertificate({ notBefore, notAfter }), RangeError, "2030-01-01T00:00:00.000Z");
});
