import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { connPair } from "../../src/conn/conn_pair.ts";
import type { ConnLike } from "../../src/conn/conn.ts";
import {
  listenTlsNative,
  type SecureConn,
  tlsAcceptConn,
  tlsAcceptNative,
  type TlsClientOptions,
  tlsConnectConn,
  type TlsServerOptions,
} from "../../src/tls/choose.ts";
import { ignore, theCerts } from "../support/certificates.ts";
import { attempt, failureOf, secure, ways } from "../support/tls_ways.ts";
import { bytes } from "../support/bytes.ts";
import { disguise, readAll, tcpPair, writeAll } from "../support/conns.ts";

/** What a client must refuse: its options, the server's, and what the message tells. */
const refused: Record<string, () => [TlsClientOptions, Partial<TlsServerOptions>, RegExp]> = {
  "another name": () => [{ serverName: "example.org" }, {}, /example\.org/],
  "another address": () => [{ serverName: "127.0.0.2" }, {}, /127\.0\.0\.2/],
  "a name that only the common name has": () => [{}, theCerts().commonName, /localhost|DNS name/],
  "a wildcard's parent": () => [{ serverName: "wild.example" }, theCerts().other, /wild\.example/],
  "an authority it does not know": () => [{}, theCerts().stranger, /UnknownIssuer|verify/i],
  "a server that signed its own": () => [{}, theCerts().selfSigned, /UnknownIssuer|self.signed|verify/i],
  // node:tls has one reason for all that its verifier finds.
  "a certificate that has expired": () => [{}, theCerts().expired, /expired|verify/i],
};

/** What a client must accept. */
const accepted: Record<string, () => [TlsClientOptions, Partial<TlsServerOptions>]> = {
  "an IPv4 address": () => [{ serverName: "127.0.0.1" }, {}],
  "an IPv6 address": () => [{ serverName: "::1" }, {}],
  "an IPv6 address in brackets": () => [{ serverName: "[::1]" }, {}],
  "a name with a final dot": () => [{ serverName: "localhost." }, {}],
  "a name in capitals": () => [{ serverName: "LocalHost" }, {}],
  "a wildcard": () => [{ serverName: "a.wild.example" }, theCerts().other],
  "a certificate that is itself trusted": () => [{ caCerts: [theCerts().selfSigned.cert] }, theCerts().selfSigned],
  "another name when told not to look": () => [
    { serverName: "example.org", unsafelyDisableHostnameVerification: true },
    {},
  ],
};

for (const [name, way] of Object.entries(ways)) {
  for (const [what, make] of Object.entries(refused)) {
    Deno.test({ name: `TLS ${name}: the client refuses ${what}`, ignore }, async () => {
      const [clientOptions, serverOptions, why] = make();
      const { client, server } = await attempt(way, clientOptions, serverOptions);
      const error = failureOf(client);
      assertInstanceOf(error, Deno.errors.InvalidData);
      assertStringIncludes(error.message, "Cannot complete the TLS handshake: ");
      assert(why.test(error.message), error.message);
      assertInstanceOf(error.cause, Error);
      // The server learns why only from Deno's own TLS.
      const other = failureOf(server);
      assert(other instanceof Deno.errors.InvalidData || other instanceof Deno.errors.ConnectionReset, `${other}`);
    });
  }

  for (const [what, make] of Object.entries(accepted)) {
    Deno.test({ name: `TLS ${name}: the client accepts ${what}`, ignore }, async () => {
      const [clientOptions, serverOptions] = make();
      const { client, server } = await secure(way, clientOptions, serverOptions);
      await writeAll(server.conn, bytes("hello"));
      assertEquals(await client.conn.read(new Uint8Array(10)), 5);
      const isVerified = !clientOptions.unsafelyDisableHostnameVerification;
      assertEquals(client.info.serverName !== undefined, isVerified);
      client.conn.close();
      server.conn.close();
    });
  }

  Deno.test(
    { name: `TLS ${name}: an authority is asked for even when the name is not looked at`, ignore },
    async () => {
      const options = { unsafelyDisableHostnameVerification: true };
      const { client, server } = await attempt(way, options, theCerts().stranger);
      assertInstanceOf(failureOf(client), Deno.errors.InvalidData);
      assertInstanceOf(failureOf(server), Error);
    },
  );

  Deno.test({ name: `TLS ${name}: a server that was accepted once is looked at again`, ignore }, async () => {
    await assertAccepted(way, {});
    // The session could be resumed, were it not for these.
    for (const options of [{ caCerts: [theCerts().stranger.cert] }, { serverName: "127.0.0.2" }]) {
      const { client, server } = await attempt(way, options);
      assertInstanceOf(failureOf(client), Deno.errors.InvalidData);
      assertInstanceOf(failureOf(server), Error);
    }
  });

  Deno.test({ name: `TLS ${name}: sides without a common protocol fail`, ignore }, async () => {
    const { client, server } = await attempt(way, { alpnProtocols: ["a"] }, { alpnProtocols: ["b"] });
    const [error, other] = [failureOf(client), failureOf(server)];
    assertInstanceOf(other, Deno.errors.InvalidData);
    assert(error instanceof Deno.errors.InvalidData || error instanceof Deno.errors.ConnectionReset, `${error}`);
  });

  Deno.test(
    { name: `TLS ${name}: a server gets an error for garbage, and for a client that leaves`, ignore },
    async () => {
      const { server: identity } = theCerts();
      for (
        const [play, type] of [
          [(conn: ConnLike) => writeAll(conn, bytes("GET / HTTP/1.1\r\n\r\n")), Deno.errors.InvalidData],
          [(conn: ConnLike) => conn.closeWrite!(), Deno.errors.ConnectionReset],
          [
            (conn: ConnLike) => writeAll(conn, bytes("\x16\x03\x01")).then(() => conn.closeWrite!()),
            Deno.errors.ConnectionReset,
          ],
        ] as const
      ) {
        const ends = await way(identity);
        const accepting = ends.accept(identity);
        await Promise.all([
          assertRejects(() => accepting, type, "Cannot complete the TLS handshake: "),
          play(ends.client),
        ]);
        ends.client.close();
      }
    },
  );

  Deno.test(
    { name: `TLS ${name}: a client gets an error for garbage, and for a server that leaves`, ignore },
    async () => {
      for (
        const [play, type] of [
          [(conn: ConnLike) => writeAll(conn, bytes("220 mail ready\r\n")), Deno.errors.InvalidData],
          [(conn: ConnLike) => conn.closeWrite!(), Deno.errors.ConnectionReset],
          [(conn: ConnLike) => Promise.resolve(conn.close()), Deno.errors.ConnectionReset],
        ] as const
      ) {
        const [client, server] = await plain(name);
        const connecting = tlsConnectConn(client, { serverName: "localhost" });
        const failing = assertRejects(() => connecting, type, "Cannot complete the TLS handshake: ");
        await server.read(new Uint8Array(10));
        await Promise.all([failing, play(server)]);
        try {
          server.close();
        } catch (error) {
          assertInstanceOf(error, Deno.errors.BadResource);
        }
      }
    },
  );

  Deno.test({ name: `TLS ${name}: a handshake that stalls is TimedOut on either side [T1, T2]`, ignore }, async () => {
    const options = { ...theCerts().server, handshakeTimeout: 30 };
    const ends = await way(options);
    const text = "Cannot complete the TLS handshake: it took more than 30 milliseconds";
    await assertRejects(() => ends.accept(options), Deno.errors.TimedOut, text);
    ends.client.close();

    const [client, server] = await plain(name);
    const connecting = tlsConnectConn(client, { serverName: "localhost", handshakeTimeout: 30 });
    await assertRejects(() => connecting, Deno.errors.TimedOut, text);
    server.close();
  });

  Deno.test({ name: `TLS ${name}: a signal ends the handshake, at any stage [V3]`, ignore }, async () => {
    const options = theCerts().server;
    const reason = new Error("enough");
    for (const stage of ["before", "at once", "while it waits"]) {
      const controller = new AbortController();
      if (stage === "before") controller.abort(reason);
      const ends = await way(options);
      const accepting = assertAborted(ends.accept(options, controller.signal));
      const [client, server] = await plain(name);
      const connecting = assertAborted(
        tlsConnectConn(client, { serverName: "localhost" }, { signal: controller.signal }),
      );
      // Its greeting, so that the handshake has begun.
      if (stage === "while it waits") await server.read(new Uint8Array(10));
      controller.abort(reason);
      await Promise.all([accepting, connecting]);
      ends.client.close();
      server.close();
    }

    async function assertAborted(handshake: Promise<SecureConn>) {
      assertEquals(await handshake.then(() => undefined, (error) => error), reason);
    }
  });
}

Deno.test({
  name: "tlsAcceptConn() and tlsConnectConn() over node:tls release the conn of a failed handshake [T2]",
  ignore,
}, async () => {
  const options = { ...theCerts().server, handshakeTimeout: 10 };
  for (const make of [tcpPair, () => Promise.resolve(connPair())]) {
    const [client, server] = await make();
    await assertRejects(() => tlsAcceptConn(server, options), Deno.errors.TimedOut);
    assertEquals(await readAll(client), new Uint8Array(0));
    await assertRejects(() => server.read(new Uint8Array(1)), Deno.errors.BadResource);
    client.close();

    const [near, far] = await make();
    const connecting = tlsConnectConn(disguise(near), { serverName: "localhost", handshakeTimeout: 10 });
    await assertRejects(() => connecting, Deno.errors.TimedOut);
    assert((await readAll(far)).length > 0);
    await assertRejects(() => near.read(new Uint8Array(1)), Deno.errors.BadResource);
    far.close();
  }
});

Deno.test({ name: "tlsAcceptNative(): a client that stalls does not delay another [T2]", ignore }, async () => {
  const options = theCerts().server;
  using listener = listenTlsNative({ hostname: "127.0.0.1", port: 0 }, options);
  const [silent, stalled] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  const stalling = tlsAcceptNative(stalled, {}).catch((error) => error);
  const [conn, accepted] = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  const [client, server] = await Promise.all([
    tlsConnectConn(conn, { serverName: "localhost", caCerts: [theCerts().ca] }),
    tlsAcceptNative(accepted, {}),
  ]);
  silent.close();
  assertInstanceOf(await stalling, Deno.errors.ConnectionReset);
  client.conn.close();
  server.conn.close();
});

Deno.test({ name: "tlsConnectConn() without a name to verify fails, and closes the conn", ignore }, async () => {
  const [a, b] = connPair();
  await assertRejects(() => tlsConnectConn(a, {}), TypeError, 'there is no "serverName"');
  assertEquals(await b.read(new Uint8Array(1)), null);
  b.close();
});

Deno.test({ name: "tlsConnectConn() needs no name when told not to look at it", ignore }, async () => {
  const [a, b] = connPair();
  const { ca, server: identity } = theCerts();
  const [client, server] = await Promise.all([
    tlsConnectConn(a, { unsafelyDisableHostnameVerification: true, caCerts: [ca] }),
    tlsAcceptConn(b, identity),
  ]);
  assertEquals([client.info.serverName, server.info.serverName], [undefined, undefined]);
  client.conn.close();
  server.conn.close();
});

Deno.test({ name: "tlsConnectConn() verifies serverName rather than hostname", ignore }, async () => {
  for (
    const [options, isRight] of [[{ hostname: "localhost" }, true], [
      { hostname: "localhost", serverName: "x" },
      false,
    ]] as const
  ) {
    const { client, server } = await attempt(ways["native to native over TCP"]!, {
      serverName: undefined!,
      ...options,
    });
    assertEquals(failureOf(client) === undefined, isRight);
    assertEquals(failureOf(server) === undefined, isRight);
  }
});

async function assertAccepted(way: (typeof ways)[string], options: TlsClientOptions) {
  const { client, server } = await secure(way, options);
  await writeAll(server.conn, bytes("hello"));
  assertEquals(await client.conn.read(new Uint8Array(10)), 5);
  client.conn.close();
  server.conn.close();
}

/** A pair of conns of the kind that a way is over, without a listener that speaks TLS. */
async function plain(way: string): Promise<[ConnLike, ConnLike]> {
  if (way.endsWith("memory")) return connPair();
  const [client, server] = await tcpPair();
  return [way.startsWith("native") ? client : disguise(client), server];
}
