import { assertEquals, assertInstanceOf, assertMatch, assertThrows } from "@std/assert";
import {
  checkTlsClientOptions,
  checkTlsServerOptions,
  serverTlsMode,
  type TlsClientOptions,
  type TlsServerOptions,
} from "../../src/tls/choose.ts";
import { ignore, theCerts } from "../support/certificates.ts";

type Wrong = Record<string, [unknown, typeof TypeError | typeof RangeError, RegExp]>;

const garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/** What is wrong on either side. */
const wrong: Wrong = {
  handshakeTimeout: [0, RangeError, /"handshakeTimeout" must be more than 0 milliseconds, not 0$/],
  shutdownTimeout: [-1, RangeError, /"shutdownTimeout" must be more than 0 milliseconds, not -1$/],
  "handshakeTimeout ": [NaN, RangeError, /not NaN$/],
  "shutdownTimeout ": ["5", TypeError, /"shutdownTimeout" must be a number, not "5"$/],
  alpnProtocols: ["h2", TypeError, /"alpnProtocols" must be an array of strings, not a string$/],
  "alpnProtocols ": [[1], TypeError, /but has a number$/],
  "alpnProtocols  ": [["h2", ""], TypeError, /1 to 255 bytes$/],
  "alpnProtocols   ": [["é".repeat(128)], TypeError, /1 to 255 bytes$/],
  caCerts: ["text", TypeError, /"caCerts" must be an array of strings/],
  "caCerts ": [["text"], TypeError, /"caCerts" has a text that is not a PEM certificate$/],
  "caCerts  ": [[garbled], TypeError, /"caCerts" has a certificate that cannot be read: /],
  cert: ["", TypeError, /"cert" is empty$/],
  "cert ": ["text", TypeError, /"cert" and "key" are not a certificate and its private key: /],
  "cert  ": [garbled, TypeError, /"cert" and "key" are not a certificate and its private key: /],
  "cert   ": [new Uint8Array(1), TypeError, /"cert" must be a string, not a Uint8Array$/],
  key: ["text", TypeError, /"cert" and "key" are not a certificate and its private key: /],
  ciphers: ["all", TypeError, /there is no option "ciphers"/],
  "toString ": ["all", TypeError, /there is no option "toString"/],
};

const wrongClient: Wrong = {
  ...wrong,
  serverName: ["", TypeError, /"serverName" is empty$/],
  "serverName ": [1, TypeError, /"serverName" must be a string, not 1$/],
  unsafelyDisableHostnameVerification: ["yes", TypeError, /must be a boolean, not "yes"$/],
  clientAuth: ["none", TypeError, /there is no option "clientAuth"/],
};

const wrongServer: Wrong = {
  ...wrong,
  clientAuth: ["maybe", TypeError, /"clientAuth" must be "none", "request" or "require", not "maybe"$/],
  "clientAuth ": ["require", TypeError, /"clientAuth" "require" needs "caCerts"$/],
  serverName: ["localhost", TypeError, /there is no option "serverName"/],
  serverNames: ["localhost", TypeError, /"serverNames" must be an object or a function, not "localhost"$/],
  "serverNames ": [{ a: 1 }, TypeError, /the value of "serverNames" "a" must be a cert and a key$/],
  "serverNames  ": [{ a: { cert: "x" } }, TypeError, /"cert" and "key" of "serverNames" "a" are needed$/],
  "serverNames   ": [{ a: { cert: "x", key: "x" } }, TypeError, /"cert" and "key" of "serverNames" "a" are not/],
};

// The same name several times, told apart by spaces.
for (const [name, [value, type, message]] of Object.entries(wrongClient)) {
  Deno.test(
    { name: `checkTlsClientOptions() refuses ${name.trim()} ${JSON.stringify(value)} [V2, T1]`, ignore },
    () => {
      const options = { ...theCerts().alice, [name.trim()]: value } as TlsClientOptions;
      assertRefused(() => checkTlsClientOptions(options), type, message);
    },
  );
}

for (const [name, [value, type, message]] of Object.entries(wrongServer)) {
  Deno.test(
    { name: `checkTlsServerOptions() refuses ${name.trim()} ${JSON.stringify(value)} [V2, T1]`, ignore },
    () => {
      const options = { ...theCerts().server, [name.trim()]: value } as TlsServerOptions;
      assertRefused(() => checkTlsServerOptions(options), type, message);
    },
  );
}

Deno.test(
  { name: "checkTlsClientOptions() refuses a cert without its key, and a key without its cert", ignore },
  () => {
    const { alice, stranger } = theCerts();
    assertRefused(() => checkTlsClientOptions({ cert: alice.cert }), TypeError, /"cert" needs a "key"$/);
    assertRefused(() => checkTlsClientOptions({ key: alice.key }), TypeError, /"key" needs a "cert"$/);
    assertRefused(() => checkTlsClientOptions({ ...alice, key: stranger.key }), TypeError, /KeyMismatch/);
  },
);

Deno.test({
  name: "checkTlsServerOptions() refuses missing certificates, keys of others, and caCerts for nothing",
  ignore,
}, () => {
  const { ca, server, alice } = theCerts();
  const check = (options: unknown) => () => checkTlsServerOptions(options as TlsServerOptions);
  assertRefused(check({}), TypeError, /"cert" and "key" are needed$/);
  assertRefused(check({ cert: server.cert }), TypeError, /"cert" and "key" are needed$/);
  assertRefused(check({ ...server, key: alice.key }), TypeError, /KeyMismatch/);
  assertRefused(check({ ...server, caCerts: [ca] }), TypeError, /"caCerts" needs "clientAuth"$/);
  assertRefused(check(undefined), TypeError, /they must be an object, not undefined$/);
  assertRefused(check(true), TypeError, /they must be an object, not true$/);
});

Deno.test({ name: "checkTlsClientOptions() and checkTlsServerOptions() accept all that there is", ignore }, () => {
  const { ca, server, alice, other } = theCerts();
  const common = { alpnProtocols: ["h2", "http/1.1"], handshakeTimeout: 1, shutdownTimeout: Infinity, caCerts: [ca] };
  checkTlsClientOptions({});
  checkTlsClientOptions({ ...common, ...alice, serverName: "x", unsafelyDisableHostnameVerification: false });
  checkTlsClientOptions({ cert: undefined, key: undefined, caCerts: undefined } as unknown as TlsClientOptions);
  checkTlsServerOptions(server);
  checkTlsServerOptions({ ...common, ...server, clientAuth: "request", serverNames: { "other.example": other } });
  checkTlsServerOptions({ ...server, clientAuth: "none" });
});

Deno.test("serverTlsMode() is native only by engine deno, which has no socket options [T4, V1, V2]", () => {
  const identity = { cert: "", key: "" };
  assertEquals(serverTlsMode(identity), "node");
  assertEquals(serverTlsMode({ ...identity, engine: "node" }, { noDelay: true, keepAlive: true }), "node");
  const deno = { ...identity, engine: "deno" } as const;
  assertEquals(serverTlsMode(deno), "native");
  assertEquals(serverTlsMode({ ...deno, clientAuth: "none", alpnProtocols: ["h2"] }, { noDelay: false }), "native");
  for (const name of ["noDelay", "keepAlive"]) {
    assertThrows(
      () => serverTlsMode(deno, { [name]: true }),
      TypeError,
      `Cannot serve: the option "${name}" does not go together with engine "deno"`,
    );
  }
});

Deno.test({ name: "engine deno refuses what it cannot do [T4, V2]", ignore }, () => {
  const { ca, server, other } = theCerts();
  const check = (options: Partial<TlsServerOptions>, over?: string) => () =>
    checkTlsServerOptions({ ...server, engine: "deno", ...options }, over);
  check({})();
  assertRefused(check({ clientAuth: "request", caCerts: [ca] }), TypeError, /does not go together with engine "deno"$/);
  assertRefused(check({ serverNames: { x: other } }), TypeError, /does not go together with engine "deno"$/);
  assertRefused(check({}, "a Unix socket"), TypeError, /engine "deno" cannot speak TLS over a Unix socket$/);
});

function assertRefused(check: () => void, type: typeof TypeError | typeof RangeError, message: RegExp) {
  const error = assertThrows(check, type, "Cannot use the TLS options: ");
  assertInstanceOf(error, type);
  assertMatch(error.message, message);
}
