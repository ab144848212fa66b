// docs/TLS.md tells what a client sees that is refused, and what onError gets: as openssl s_client sees it.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startServer, type TlsServerOptions } from "../../mod.ts";
import { ignore, theCerts } from "../support/certificates.ts";
import { text } from "../support/bytes.ts";

interface Scene {
  options?: () => Partial<TlsServerOptions>;
  /** Arguments of openssl s_client. */
  args?: (files: Record<"stranger" | "expired", string>) => string[];
  /** Or bytes sent instead, and whether the client then goes away. */
  raw?: string;
  leaves?: boolean;
}

const required = (): Partial<TlsServerOptions> => ({ clientAuth: "require", caCerts: [theCerts().ca] });
const fails = (): never => {
  throw new Error("the disk is gone");
};

const scenes: Record<string, Scene> = {
  "no common application protocol": { options: () => ({ alpnProtocols: ["b"] }), args: () => ["-alpn", "a"] },
  "no application protocol, with `serverNames`": {
    options: () => ({ alpnProtocols: ["b"], serverNames: {} }),
    args: () => ["-alpn", "a"],
  },
  "no version in common: TLS 1.1": { args: () => ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"] },
  "no cipher suite in common": { args: () => ["-tls1_2", "-cipher", "AES128-SHA"] },
  "no group in common": { args: () => ["-tls1_3", "-groups", "X448"] },
  "no certificate where one is required, TLS 1.3": { options: required, args: () => ["-tls1_3"] },
  "no certificate where one is required, TLS 1.2": { options: required, args: () => ["-tls1_2"] },
  "a certificate of an unknown authority, TLS 1.3": {
    options: required,
    args: ({ stranger }) => ["-tls1_3", "-cert", stranger, "-key", stranger],
  },
  "a certificate of an unknown authority, TLS 1.2": {
    options: required,
    args: ({ stranger }) => ["-tls1_2", "-cert", stranger, "-key", stranger],
  },
  "a certificate that has expired": { options: required, args: ({ expired }) => ["-cert", expired, "-key", expired] },
  "`serverNames()` throws": { options: () => ({ serverNames: fails }), args: () => ["-servername", "x.example"] },
  "no TLS: an HTTP request": { raw: "GET / HTTP/1.1\r\n\r\n" },
  "no TLS, with `serverNames`": { options: () => ({ serverNames: {} }), raw: "GET / HTTP/1.1\r\n\r\n" },
  "nothing, for `handshakeTimeout`": { options: () => ({ handshakeTimeout: 100 }), raw: "" },
  "the client goes away": { raw: "", leaves: true },
};

const table = await rows();

for (const [reason, engines, sees, told] of table) {
  for (const engine of engines === "both" ? ["node", "deno"] as const : [engines as "node" | "deno"]) {
    Deno.test({ name: `docs/TLS.md: ${reason}, by ${engine} [T2, T4]`, ignore }, async () => {
      const scene = scenes[reason!];
      assert(scene !== undefined, `There is no test for "${reason}"`);
      const { promise, resolve } = Promise.withResolvers<Error>();
      const tls = { ...theCerts().server, ...scene.options?.(), engine };
      const server = await startServer((_reader, writer) => void writer.close(), {
        hostname: "127.0.0.1",
        port: 0,
        tls,
        onError: resolve,
      });
      const { port } = server.addrs[0] as Deno.NetAddr;
      const seen = scene.args === undefined ? await raw(port, scene, promise) : await openssl(port, scene);
      assertEquals(seen, sees!.replaceAll("`", ""));
      const error = await promise;
      const [type, message] = told!.replaceAll("`", "").split(/: (.*)/s);
      assertEquals(error.constructor, Deno.errors[type as keyof typeof Deno.errors]);
      assertStringIncludes(error.message, `Cannot complete the TLS handshake: ${message}`);
      await server.shutdown({ grace: 0 });
    });
  }
}

Deno.test("docs/TLS.md has a row for every refusal that is tested", () => {
  assertEquals(new Set(table.map(([reason]) => reason!)), new Set(Object.keys(scenes)));
});

/** The rows of the table of refusals. */
async function rows(): Promise<string[][]> {
  const page = await Deno.readTextFile(new URL("../../docs/TLS.md", import.meta.url));
  const section = page.slice(page.indexOf("## When a client is refused"), page.indexOf("## Certificates that change"));
  const lines = section.split("\n").filter((line) => line.startsWith("|")).slice(2);
  return lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

/** What openssl says. */
async function openssl(port: number, { args }: Scene): Promise<string> {
  const dir = await Deno.makeTempDir();
  try {
    const files = { stranger: `${dir}/stranger.pem`, expired: `${dir}/expired.pem` };
    const { stranger, expiredClient } = theCerts();
    await Deno.writeTextFile(files.stranger, stranger.cert + stranger.key);
    await Deno.writeTextFile(files.expired, expiredClient.cert + expiredClient.key);
    const { stderr } = await new Deno.Command("openssl", {
      args: ["s_client", "-connect", `127.0.0.1:${port}`, "-ign_eof", ...args!(files)],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    const printed = text(stderr);
    const alert = /alert ([a-z ]+):/.exec(printed)?.[1];
    if (alert !== undefined) return alert;
    return /unexpected eof|errno=0|errno=104/.test(printed) ? "the end of the connection" : printed;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** What a client reads that does not speak TLS. */
async function raw(port: number, { raw, leaves }: Scene, told: Promise<Error>): Promise<string> {
  using conn = await Deno.connect({ port });
  if (raw) await conn.write(new TextEncoder().encode(raw));
  if (leaves) {
    await conn.closeWrite();
    return "";
  }
  const record = new Uint8Array(100);
  const reading = conn.read(record).catch(() => null);
  await told;
  const nothing = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => nothing.resolve(undefined), 200);
  const n = await Promise.race([reading, nothing.promise]);
  clearTimeout(timer);
  if (n === undefined) return "nothing";
  if (n === null) return "the end of the connection";
  const alert = record[0] === 21 ? alerts[record[6]!] : undefined;
  return alert ?? record.subarray(0, n).toHex();
}

/** Of RFC 8446, section 6. */
const alerts: Record<number, string> = { 10: "unexpected message", 40: "handshake failure", 50: "decode error" };
