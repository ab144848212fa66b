/**
 * Certificates for tests of TLS, made in a few milliseconds without a program or a file.
 *
 * rustls, which Deno uses, refuses a self-signed certificate of a server (`CaUsedAsEndEntity`). So there are always two: a
 * self-signed authority, which clients trust, and the certificate that it issues.
 *
 * @module
 */
import { bitString, der, integer, objectId, octetString, pem, sequence, set, time, utf8String, yes } from "./der.ts";

/** The contents of a certificate. */
export interface CertificateOptions {
  /** The DNS names and IP addresses that it is valid for. Default: "localhost", "127.0.0.1" and "::1". */
  hostnames?: readonly string[] | undefined;
  /** The common name of its subject. Default: the first of the host names. */
  commonName?: string | undefined;
  /** The beginning of its validity. Default: a day ago. */
  notBefore?: Date | undefined;
  /** The end of its validity. Default: in ten years. */
  notAfter?: Date | undefined;
}

/** A certificate and its private key, as `tls` options take them. */
export interface CertificateAndKey {
  /** The certificate, PEM. */
  cert: string;
  /** The private key (PKCS #8), PEM. */
  key: string;
}

/** A certificate and the authority that issued it. */
export interface SelfSignedCertificate extends CertificateAndKey {
  /** The certificate of the authority, PEM: what the other side trusts, as in `caCerts: [caCert]`. */
  caCert: string;
  /**
   * Issues another certificate of the same authority, for a client say.
   *
   * @param options The names and the validity of the certificate
   * @returns The certificate and its key
   */
  issue(options?: CertificateOptions): Promise<CertificateAndKey>;
}

/**
 * Makes a certificate (X.509 v3, ECDSA P-256) and the authority that issued it. It is valid for servers and for clients,
 * and meant for tests only.
 *
 * @param options The names and the validity of the certificate
 * @returns The certificate, its key, and the authority
 * @throws {TypeError} If there is no host name
 * @throws {RangeError} If `notAfter` is before `notBefore`
 *
 * @example A server and a client that trusts it
 * ```ts
 * import { openConnection, startServer, type StreamWriter } from "@tideline/net";
 * import { selfSignedCertificate } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const { cert, key, caCert } = await selfSignedCertificate();
 * const greet = async (_: unknown, writer: StreamWriter) => {
 *   writer.write("hello");
 *   await writer.drain();
 * };
 * await using server = await startServer(greet, { hostname: "127.0.0.1", port: 0, tls: { cert, key } });
 * const { port } = server;
 * await using connection = await openConnection({ hostname: "127.0.0.1", port, tls: { caCerts: [caCert] } });
 * assertEquals((await connection.reader.readexactly(5)).length, 5);
 * ```
 */
export async function selfSignedCertificate(options: CertificateOptions = {}): Promise<SelfSignedCertificate> {
  const authority = await newParty("Test authority");
  const issue = (issued: CertificateOptions = {}): Promise<CertificateAndKey> => issueLeaf(authority, issued);
  const leaf = await issue(options);
  const caCert = await sign(authority, authority, AUTHORITY_VALIDITY, [
    extension(OID.basicConstraints, "critical", sequence(yes())),
    extension(OID.keyUsage, "critical", bitString(Uint8Array.of(0b0000_0110), 1)),
    extension(OID.subjectKeyIdentifier, "optional", octetString(authority.keyId)),
  ]);
  return { ...leaf, caCert: pem("CERTIFICATE", caCert), issue };
}

const DAY = 86_400_000;

// Longer than that of any certificate, so that the authority is never the reason of a refusal.
const AUTHORITY_VALIDITY = { notBefore: new Date("1990-01-01"), notAfter: new Date("2200-01-01") };

const OID = {
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
};

interface Validity {
  notBefore: Date;
  notAfter: Date;
}

/** A subject or issuer: a name and a pair of keys. */
interface Party {
  name: Uint8Array;
  keys: CryptoKeyPair;
  /** The public key as SubjectPublicKeyInfo. */
  publicKey: Uint8Array;
  keyId: Uint8Array;
}

async function newParty(commonName: string): Promise<Party> {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const point = await crypto.subtle.exportKey("raw", keys.publicKey);
  return {
    name: sequence(set(sequence(objectId(OID.commonName), utf8String(commonName)))),
    keys,
    publicKey,
    keyId: new Uint8Array(await crypto.subtle.digest("SHA-1", point)),
  };
}

async function issueLeaf(authority: Party, options: CertificateOptions): Promise<CertificateAndKey> {
  const { hostnames = ["localhost", "127.0.0.1", "::1"], commonName = hostnames[0] } = options;
  const { notBefore = new Date(Date.now() - DAY), notAfter = new Date(Date.now() + 3650 * DAY) } = options;
  if (commonName === undefined || hostnames.length === 0) {
    throw new TypeError("Cannot make a certificate: there is no host name");
  }
  if (notAfter < notBefore) {
    throw new RangeError(
      `Cannot make a certificate: notAfter "${notAfter.toISOString()}" is before notBefore "${notBefore.toISOString()}"`,
    );
  }
  const leaf = await newParty(commonName);
  const cert = await sign(leaf, authority, { notBefore, notAfter }, [
    extension(OID.basicConstraints, "critical", sequence()),
    extension(OID.keyUsage, "critical", bitString(Uint8Array.of(0b1000_0000), 7)),
    extension(OID.extendedKeyUsage, "optional", sequence(objectId(OID.serverAuth), objectId(OID.clientAuth))),
    extension(OID.subjectAltName, "optional", sequence(...hostnames.map(generalName))),
    extension(OID.subjectKeyIdentifier, "optional", octetString(leaf.keyId)),
    extension(OID.authorityKeyIdentifier, "optional", sequence(der(0x80, authority.keyId))),
  ]);
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", leaf.keys.privateKey));
  return { cert: pem("CERTIFICATE", cert), key: pem("PRIVATE KEY", key) };
}

/** Makes the certificate itself (RFC 5280, 4.1). */
async function sign(
  subject: Party,
  issuer: Party,
  { notBefore, notAfter }: Validity,
  extensions: Uint8Array[],
): Promise<Uint8Array> {
  const algorithm = sequence(objectId(OID.ecdsaWithSha256));
  const serial = crypto.getRandomValues(new Uint8Array(16));
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const content = sequence(
    der(0xa0, integer(Uint8Array.of(2))), // version 3
    integer(serial),
    algorithm,
    issuer.name,
    sequence(time(notBefore), time(notAfter)),
    subject.name,
    subject.publicKey,
    der(0xa3, sequence(...extensions)),
  );
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, issuer.keys.privateKey, content);
  const [r, s] = [new Uint8Array(signature, 0, 32), new Uint8Array(signature, 32)];
  return sequence(content, algorithm, bitString(sequence(integer(r), integer(s))));
}

function extension(oid: string, need: "critical" | "optional", value: Uint8Array): Uint8Array {
  return sequence(objectId(oid), ...(need === "critical" ? [yes()] : []), octetString(value));
}

/** Writes a name of SubjectAltName: iPAddress [7] or dNSName [2]. */
function generalName(hostname: string): Uint8Array {
  const ip = ipBytes(hostname);
  return ip === null ? der(0x82, new TextEncoder().encode(hostname)) : der(0x87, ip);
}

/** Returns the bytes of an IP address, or `null` for other text. */
function ipBytes(text: string): Uint8Array | null {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(text)) return Uint8Array.from(text.split("."), Number);
  if (!text.includes(":")) return null;
  // The URL parser accepts every notation, and returns hexadecimal groups with "::" for zeros.
  const [left = "", right] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const head = groups(left);
  const tail = groups(right ?? "");
  const all = [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function groups(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => parseInt(group, 16));
}
