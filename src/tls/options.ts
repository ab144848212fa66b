/**
 * What users can set about TLS, and the checks that it makes sense before anything is changed.
 *
 * @module
 */
import { clip, describe, describeType, quote } from "../common/describe.ts";
import { noOption } from "../common/options.ts";
import { tlsName } from "./names.ts";

/** A certificate and its private key. */
export interface TlsIdentity {
  /** The certificate, and after it the ones between it and its authority, as PEM text. */
  cert: string;
  /** The private key of the certificate, as PEM text, not encrypted. */
  key: string;
}

/** What both sides of a TLS connection can set. */
export interface TlsCommonOptions {
  /** The application protocols spoken (RFC 7301), the preferred one first. Sides that have none in common fail. */
  alpnProtocols?: string[] | undefined;
  /** How long the handshake may take, in milliseconds. Default: 60000. */
  handshakeTimeout?: number | undefined;
  /**
   * How long closing may take, in milliseconds: sending what was written and close_notify, and waiting for the peer's,
   * together. Default: 30000.
   */
  shutdownTimeout?: number | undefined;
}

/**
 * TLS on the side that connects. As the `ssl` arguments of `asyncio.open_connection`; versions are TLS 1.2 (RFC 5246)
 * and 1.3 (RFC 8446).
 *
 * @example A private authority, and a name other than the one connected to
 * ```ts
 * import type { TlsClientOptions } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const tls: TlsClientOptions = { serverName: "db.internal", handshakeTimeout: 5000 };
 * assertEquals(tls.serverName, "db.internal");
 * ```
 */
export interface TlsClientOptions extends TlsCommonOptions {
  /**
   * The name or IP address that the server's certificate must be for, sent to it as well unless it is an address
   * (RFC 6066). An international name is sent and verified as A-labels; a final dot and the zone of an address are left
   * out. Default: the host connected to.
   */
  serverName?: string | undefined;
  /** Certificates of authorities to trust besides the system's, as PEM texts. */
  caCerts?: string[] | undefined;
  /**
   * The certificate to show to a server that asks for one, and after it the ones between it and its authority, as PEM
   * text. Such connections are slower, because Deno has no TLS of its own for them over an open connection.
   */
  cert?: string | undefined;
  /** The private key of `cert`, as PEM text, not encrypted. */
  key?: string | undefined;
  /** Accepts a certificate for any name. It must still be one of a trusted authority. */
  unsafelyDisableHostnameVerification?: boolean | undefined;
}

/**
 * TLS on the side that serves. As the `ssl` arguments of `asyncio.start_server`; versions are TLS 1.2 (RFC 5246) and
 * 1.3 (RFC 8446).
 *
 * The default engine is `node:tls`, over any conn. Deno's own is quicker with small messages, and has limits: see `engine`.
 *
 * @example Only clients with a certificate
 * ```ts
 * import type { TlsServerOptions } from "@tideline/net";
 *
 * const tls = (cert: string, key: string, ca: string): TlsServerOptions => ({
 *   cert,
 *   key,
 *   clientAuth: "require",
 *   caCerts: [ca],
 * });
 * tls("…", "…", "…");
 * ```
 */
export interface TlsServerOptions extends TlsIdentity, TlsCommonOptions {
  /**
   * Whether clients show a certificate: not asked for one; asked; or refused without one. One that is shown must be of
   * an authority in `caCerts`, else the client is refused. Default: `"none"`.
   */
  clientAuth?: "none" | "request" | "require" | undefined;
  /** Certificates of the authorities of clients, as PEM texts; only with `clientAuth`. */
  caCerts?: string[] | undefined;
  /**
   * Other certificates, by the server name that the client asks for (RFC 6066).
   *
   * An object has them by name, or by `*.` and a name for anything directly below it. A function gets the name in lower case
   * and answers with a certificate, or a promise of one, or undefined. Clients that ask for no name, or for one that is
   * unknown, get `cert`. What a function answers is remembered for the last 1000 names, until `server.setTls()`; what it
   * throws ends the handshake, and is reported to `onError`.
   */
  serverNames?:
    | Record<string, TlsIdentity>
    | ((name: string) => TlsIdentity | undefined | Promise<TlsIdentity | undefined>)
    | undefined;
  /**
   * Who does TLS. `"node"`, the default, is `node:tls` over the connection. `"deno"` is Deno's own listener: 1 KiB messages
   * take two thirds of the processor time. In exchange it has no TCP_NODELAY, so that an answer in two writes takes 40 ms
   * and messages of 100 KiB run at a tenth of the speed; descriptors of stalled handshakes and of aborted connections stay
   * until the peer leaves; it serves only TCP ports that the server listens on itself; and it refuses `clientAuth`,
   * `serverNames`, `noDelay: true`, `keepAlive: true` and `server.setTls()`.
   */
  engine?: "node" | "deno" | undefined;
}

/** How long a handshake may take unless set, in milliseconds. */
export const DEFAULT_HANDSHAKE_TIMEOUT = 60000;

/** How long closing may take unless set, in milliseconds. */
export const DEFAULT_SHUTDOWN_TIMEOUT = 30000;

/**
 * Checks the options of a client, all that can be checked without a connection.
 *
 * @param options The options
 * @throws {TypeError} If an option is unknown, of the wrong type, or not PEM; or the key is not the certificate's
 * @throws {RangeError} If a timeout is not positive
 */
export function checkTlsClientOptions(options: TlsClientOptions): void {
  check(options, clientChecks);
  if ((options.cert === undefined) !== (options.key === undefined)) {
    fail(options.cert === undefined ? '"key" needs a "cert"' : '"cert" needs a "key"');
  }
  if (options.cert !== undefined) checkPair(options as TlsIdentity, "");
}

/**
 * Checks the options of a server, all that can be checked without a connection.
 *
 * @param options The options
 * @param over What the server speaks TLS over, if that is not a TCP port that it listens on itself
 * @throws {TypeError} If an option is missing, unknown, of the wrong type, or not PEM; or a key is not its
 * certificate's; or `caCerts` and `clientAuth` do not go together
 * @throws {RangeError} If a timeout is not positive
 */
export function checkTlsServerOptions(options: TlsServerOptions, over?: string): void {
  check(options, serverChecks);
  checkPair(options, "");
  if (options.engine === "deno") checkForDeno(options, over);
  const asks = (options.clientAuth ?? "none") !== "none";
  if (asks && !options.caCerts?.length) fail(`"clientAuth" "${options.clientAuth}" needs "caCerts"`);
  if (!asks && options.caCerts !== undefined) fail('"caCerts" needs "clientAuth"');
}

function checkForDeno({ clientAuth = "none", serverNames }: TlsServerOptions, over: string | undefined): void {
  if (clientAuth !== "none") fail(`"clientAuth" "${clientAuth}" does not go together with engine "deno"`);
  if (serverNames !== undefined) fail('"serverNames" does not go together with engine "deno"');
  if (over !== undefined) fail(`engine "deno" cannot speak TLS over ${over}`);
}

type Checks = Record<string, (value: unknown, name: string) => void>;

const commonChecks: Checks = {
  alpnProtocols: (value, name) =>
    checkList(value, name, (protocol) => {
      const { length } = new TextEncoder().encode(protocol);
      if (length < 1 || length > 255) fail(`"${name}" has ${quote(protocol)}, which is not of 1 to 255 bytes`);
    }),
  handshakeTimeout: checkTimeout,
  shutdownTimeout: checkTimeout,
  // Here every certificate is parsed, so that a bad one is not met by the first connection only.
  caCerts: (value, name) =>
    checkList(value, name, (caCert) => {
      if (!caCert.includes("-----BEGIN CERTIFICATE-----")) fail(`"${name}" has a text that is not a PEM certificate`);
      parse({ caCerts: [caCert] }, `"${name}" has a certificate that cannot be read`);
    }),
};

const clientChecks: Checks = {
  ...commonChecks,
  serverName: checkName,
  cert: checkText,
  key: checkText,
  unsafelyDisableHostnameVerification: (value, name) => checkType(value, name, "boolean"),
};

const serverChecks: Checks = {
  ...commonChecks,
  cert: checkText,
  key: checkText,
  clientAuth: (value, name) => {
    if (value !== "none" && value !== "request" && value !== "require") {
      fail(`"${name}" must be "none", "request" or "require", not ${describe(value)}`);
    }
  },
  engine: (value, name) => {
    if (value !== "node" && value !== "deno") fail(`"${name}" must be "node" or "deno", not ${describe(value)}`);
  },
  serverNames: (value, name) => {
    if (typeof value === "function") return;
    if (typeof value !== "object" || value === null) {
      fail(`"${name}" must be an object or a function, not ${describe(value)}`);
    }
    for (const [serverName, identity] of Object.entries(value as object)) {
      checkName(serverName.replace(/^\*\./, ""), name);
      checkIdentity(identity, ` of "${name}" ${quote(serverName)}`);
    }
  },
};

const identityChecks: Checks = { cert: checkText, key: checkText };

/** Options set to undefined count as not set. */
function check(options: object, checks: Checks): void {
  if (typeof options !== "object" || options === null) fail(`they must be an object, not ${describe(options)}`);
  for (const [name, value] of Object.entries(options)) {
    const checkValue = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (checkValue === undefined) fail(noOption(name, Object.keys(checks)));
    if (value !== undefined) checkValue(value, name);
  }
}

function checkType(value: unknown, name: string, type: "string" | "boolean" | "number"): void {
  const actual = typeof value;
  if (actual !== type) {
    fail(`"${name}" must be a ${type}, not ${isSecret(name) ? describeType(value) : describe(value)}`);
  }
}

function isSecret(name: string): boolean {
  return name === "key" || name === "cert";
}

function checkText(value: unknown, name: string): void {
  checkType(value, name, "string");
  if (value === "") fail(`"${name}" is empty`);
}

function checkList(value: unknown, name: string, checkItem: (item: string) => void): void {
  if (!Array.isArray(value)) fail(`"${name}" must be an array of strings, not ${describeType(value)}`);
  for (const item of value) {
    if (typeof item !== "string") fail(`"${name}" must be an array of strings, but has ${describeType(item)}`);
    checkItem(item);
  }
}

function checkTimeout(value: unknown, name: string): void {
  checkType(value, name, "number");
  // Written so that NaN is refused as well.
  if (!((value as number) > 0)) {
    throw new RangeError(
      `Cannot use the TLS options: "${name}" must be more than 0 milliseconds, not ${describe(value)}`,
    );
  }
}

/**
 * Checks a certificate and its key.
 *
 * @param identity What the user passed
 * @param where Where it is, for the message; begins with a space
 * @throws {TypeError} If it is anything else
 */
export function checkIdentity(identity: TlsIdentity, where: string): void {
  if (typeof identity !== "object" || identity === null) fail(`the value${where} must be a cert and a key`);
  check(identity, identityChecks);
  checkPair(identity, where);
}

function checkPair({ cert, key }: TlsIdentity, where: string): void {
  if (cert === undefined || key === undefined) fail(`"cert" and "key"${where} are needed`);
  parse({ cert, key }, `"cert" and "key"${where} are not a certificate and its private key`);
}

function checkName(value: unknown, name: string): void {
  checkText(value, name);
  try {
    tlsName(value as string);
  } catch (error) {
    fail(`"${name}" ${(error as Error).message}`, error);
  }
}

// The one thing in Deno that reads certificates without a socket, and without a permission.
function parse(options: Deno.CreateHttpClientOptions | (Deno.CreateHttpClientOptions & TlsIdentity), why: string) {
  try {
    Deno.createHttpClient(options).close();
  } catch (cause) {
    fail(`${why}: ${clip((cause as Error).message)}`, cause);
  }
}

function fail(why: string, cause?: unknown): never {
  throw new TypeError(`Cannot use the TLS options: ${why}`, { cause });
}
