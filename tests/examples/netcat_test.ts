// Netcat with itself at both ends, over every kind of connection; and with openssl.
import { assertEquals, assertMatch } from "@std/assert";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { acceptAndReset, Example, run } from "./kit.ts";
import { assertSameBytes, pattern } from "../support/bytes.ts";
import { hasProgram } from "../support/machine.ts";

const NAME = "netcat.ts";
const encoder = new TextEncoder();
const noOpenssl = !await hasProgram("openssl", "the test of netcat.ts against openssl");

/** The arguments of one that listens and of one that connects, once it is known where. */
interface Kind {
  listen: string[];
  connect(where: string): string[];
}

/** Runs `use` with each kind of connection, in a directory of its own. */
function testEach(name: string, use: (kind: Kind) => Promise<void>): void {
  for (const kindName of ["TCP", "TLS", "TLS with client certificates", "Unix"] as const) {
    Deno.test(`${NAME} over ${kindName} ${name}`, async () => {
      const dir = await Deno.makeTempDir();
      try {
        await use(await kindsIn(dir, kindName));
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
}

async function kindsIn(dir: string, name: string): Promise<Kind> {
  if (name === "TCP") return { listen: ["--listen", "0"], connect: (port) => [port] };
  if (name === "Unix") return { listen: ["--listen", "--unix", `${dir}/s`], connect: (path) => ["--unix", path] };
  await writeCertificates(dir);
  const server = ["--cert", `${dir}/cert.pem`, "--key", `${dir}/key.pem`];
  const ca = ["--ca", `${dir}/ca.pem`];
  const both = name !== "TLS";
  return {
    listen: ["--listen", "--tls", ...server, ...both ? ca : [], "localhost", "0"],
    connect: (port) => ["--tls", ...ca, ...both ? server : [], "localhost", port],
  };
}

async function writeCertificates(dir: string): Promise<void> {
  const { cert, key, caCert } = await selfSignedCertificate();
  for (const [file, text] of Object.entries({ cert, key, ca: caCert })) {
    await Deno.writeTextFile(`${dir}/${file}.pem`, text);
  }
}

async function start({ listen, connect }: Kind): Promise<{ near: Example; far: Example }> {
  const far = await Example.start(NAME, listen);
  const [, where] = await far.stderrMatch(/Serving on (?:port )?(.*)\n/);
  return { far, near: await Example.start(NAME, connect(where!)) };
}

testEach("sends stdin in both directions at once, whole, and ends", async (kind) => {
  const { near, far } = await start(kind);
  await using _near = near;
  await using _far = far;
  const [there, back] = [pattern(3_000_000), pattern(2_000_003).reverse()];
  const feed = async ({ stdin }: Example, data: Uint8Array) => {
    await stdin.write(data);
    await stdin.close();
  };
  await Promise.all([feed(near, there), feed(far, back)]);
  assertSameBytes(await far.bytes(), there);
  assertSameBytes(await near.bytes(), back);
  assertEquals((await near.outcome()).code, 0);
  assertEquals((await far.outcome()).code, 0);
});

testEach("ends each direction on its own", async (kind) => {
  for (const first of ["near", "far"] as const) {
    const { near, far } = await start(kind);
    await using _near = near;
    await using _far = far;
    const [one, other] = first === "near" ? [near, far] : [far, near];
    await one.stdin.write(encoder.encode("question"));
    await one.stdin.close();
    await other.stdoutMatch(/^question$/);
    await other.stdin.write(encoder.encode("ans"));
    await one.stdoutMatch(/^ans$/);
    await other.stdin.write(encoder.encode("wer"));
    await one.stdoutMatch(/^answer$/);
    await other.stdin.close();
    assertEquals((await one.outcome()).code, 0);
    assertEquals((await other.outcome()).code, 0);
  }
});

Deno.test({
  name: `${NAME} speaks TLS with openssl`,
  ignore: noOpenssl,
  fn: async () => {
    const dir = await Deno.makeTempDir();
    await writeCertificates(dir);
    const far = await Example.start(NAME, [
      ...["--listen", "--tls", "--cert", `${dir}/cert.pem`, "--key", `${dir}/key.pem`, "localhost", "0"],
    ]);
    await using _far = far;
    const [, port] = await far.stderrMatch(/Serving on port (\d+)\n/);
    const openssl = new Deno.Command("openssl", {
      args: ["s_client", "-quiet", "-verify_return_error", "-CAfile", `${dir}/ca.pem`, "-connect", `localhost:${port}`],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const stdin = openssl.stdin.getWriter();
    await stdin.write(encoder.encode("from openssl"));
    await far.stdoutMatch(/^from openssl$/);
    await far.stdin.write(encoder.encode("from netcat"));
    await far.stdin.close();
    const stdout = openssl.stdout.getReader();
    assertEquals(new TextDecoder().decode((await stdout.read()).value), "from netcat");
    await stdout.cancel();
    await stdin.close().catch(() => {});
    await openssl.status;
    await Deno.remove(dir, { recursive: true });
  },
});

Deno.test(`${NAME} fails when the port is closed, and without a port`, async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const refused = await run(NAME, [String(port)]);
  assertEquals(refused.code, 1);
  assertMatch(refused.stderr, /ConnectionRefused/);
  const usage = await run(NAME);
  assertEquals(usage.code, 2);
  assertMatch(usage.stderr, /^usage: /);
});

Deno.test(`${NAME} breaks off when the peer resets, even if stdin is open`, async () => {
  const { port, done } = await acceptAndReset();
  await using near = await Example.start(NAME, [String(port)]);
  await near.stdin.write(encoder.encode("hello"));
  await done;
  const { code, stderr } = await near.outcome();
  assertEquals(code, 1);
  assertMatch(stderr, /^Broken off: .*reset/i);
});
