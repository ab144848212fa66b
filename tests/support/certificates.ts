/**
 * Certificates for the tests of TLS, made by the `openssl` program once per test file. Without it those tests are
 * skipped, and say so.
 */
import type { TlsIdentity } from "../../src/tls/choose.ts";
import { skip } from "./machine.ts";

/** The certificates that the tests use. All but `selfSigned` and `stranger` are by the authority `ca`. */
export interface Certs {
  /** The authority. */
  ca: string;
  /** For localhost, 127.0.0.1 and ::1. */
  server: TlsIdentity;
  /** For other.example and *.wild.example. */
  other: TlsIdentity;
  /** For localhost, but until 2021. */
  expired: TlsIdentity;
  /** For localhost, in its common name only. */
  commonName: TlsIdentity;
  /** The client Alice. */
  alice: TlsIdentity;
  /** The client Bob, until 2021. */
  expiredClient: TlsIdentity;
  /** For localhost, self-signed. */
  selfSigned: TlsIdentity;
  /** An authority that no side trusts. */
  unknown: string;
  /** A client by that. */
  stranger: TlsIdentity;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** The certificates, or `null` without the `openssl` program. */
export const certs: Certs | null = await make();

/** Whether the tests of this file must be skipped. */
export const ignore: boolean = certs === null;

/** The certificates, for tests that are not skipped. */
export function theCerts(): Certs {
  if (certs === null) throw new Error("Cannot run this test: there are no certificates");
  return certs;
}

async function make(): Promise<Certs | null> {
  const dir = await Deno.makeTempDir();
  try {
    await openssl(dir, ["version"]);
  } catch {
    skip("the tests of TLS", "there is no openssl here to make certificates");
    await Deno.remove(dir, { recursive: true });
    return null;
  }
  try {
    const ca = await authority(dir, "ca", "Test CA");
    const unknown = await authority(dir, "unknown", "Unknown CA");
    const local = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1";
    const past = ["-startdate", "20200101000000Z", "-enddate", "20210101000000Z"];
    return {
      ca,
      unknown,
      server: await issue(dir, "server", "/CN=localhost", local),
      other: await issue(dir, "other", "/CN=other.example", "subjectAltName=DNS:other.example,DNS:*.wild.example"),
      expired: await issue(dir, "expired", "/CN=localhost", local, past),
      commonName: await issue(dir, "commonName", "/CN=localhost", "keyUsage=digitalSignature"),
      alice: await issue(dir, "alice", "/O=Tideline/CN=alice", "subjectAltName=DNS:alice.example"),
      expiredClient: await issue(dir, "bob", "/CN=bob", "subjectAltName=DNS:bob.example", past),
      selfSigned: await selfSigned(dir, "self", "localhost", ["basicConstraints=CA:FALSE", local]),
      stranger: await issue(dir, "stranger", "/CN=stranger", "subjectAltName=DNS:stranger.example", [], "unknown"),
    };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function authority(dir: string, file: string, name: string): Promise<string> {
  await Deno.writeTextFile(`${dir}/${file}.index`, "");
  await Deno.writeTextFile(
    `${dir}/${file}.cnf`,
    `[ca]
default_ca=it
[it]
database=${dir}/${file}.index
new_certs_dir=${dir}
rand_serial=yes
unique_subject=no
default_md=sha256
default_days=30
policy=any
[any]
commonName=supplied
organizationName=optional
`,
  );
  const isAuthority = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
  return (await selfSigned(dir, file, name, isAuthority)).cert;
}

async function selfSigned(dir: string, file: string, name: string, extensions: string[]): Promise<TlsIdentity> {
  const config = ["[req]", "distinguished_name=dn", "x509_extensions=ext", "[dn]", "[ext]", ...extensions, ""];
  await Deno.writeTextFile(`${dir}/${file}.req`, config.join("\n"));
  const names = ["-keyout", `${file}.key`, "-out", `${file}.pem`, "-subj", `/CN=${name}`, "-config", `${file}.req`];
  await openssl(dir, ["req", "-x509", ...NEW_KEY, ...names, "-days", "30"]);
  return await read(dir, file);
}

async function issue(
  dir: string,
  file: string,
  subject: string,
  extension: string,
  dates: string[] = [],
  by = "ca",
): Promise<TlsIdentity> {
  await Deno.writeTextFile(`${dir}/${file}.ext`, `basicConstraints=CA:FALSE\n${extension}\n`);
  await openssl(dir, ["req", ...NEW_KEY, "-keyout", `${file}.key`, "-out", `${file}.csr`, "-subj", subject]);
  const signer = ["-config", `${by}.cnf`, "-cert", `${by}.pem`, "-keyfile", `${by}.key`];
  const files = ["-in", `${file}.csr`, "-out", `${file}.pem`, "-extfile", `${file}.ext`];
  await openssl(dir, ["ca", "-batch", "-notext", ...signer, ...files, ...dates]);
  return await read(dir, file);
}

async function read(dir: string, file: string): Promise<TlsIdentity> {
  return { cert: await Deno.readTextFile(`${dir}/${file}.pem`), key: await Deno.readTextFile(`${dir}/${file}.key`) };
}

async function openssl(cwd: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd, stdin: "null" }).output();
  if (!success) throw new Error(`Cannot run openssl ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}
