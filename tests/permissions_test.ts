// The permissions that the README names for each feature: with them it works, and without any one of them it does not.
import { assertEquals, assertMatch } from "@std/assert";

const root = new URL("../", import.meta.url);
const dir = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
const path = `${dir}/socket`;

/** A feature: what it needs, and a script that uses it. */
interface Feature {
  name: string;
  flags: string[];
  script: string;
}

const roundTrip = `
  writer.write("x\\n");
  if ((await reader.readline()).length !== 2) throw new Error("there is no echo");
  await writer.close();
`;

const features: Feature[] = [
  {
    name: "TCP",
    flags: ["--allow-net=127.0.0.1"],
    script: `
      import { openConnection, startServer } from "@tideline/net";
      const echo = async (reader, writer) => writer.write(await reader.readline());
      await using server = await startServer(echo, { hostname: "127.0.0.1", port: 0 });
      const { reader, writer } = await openConnection({ hostname: "127.0.0.1", port: server.addrs[0].port });
      ${roundTrip}`,
  },
  {
    name: "TLS with an authority of one's own, from the start and by startTls()",
    flags: ["--allow-net=localhost"],
    script: `
      import { openConnection, startServer } from "@tideline/net";
      import { selfSignedCertificate } from "./src/testing/mod.ts";
      const { cert, key, caCert } = await selfSignedCertificate();
      const client = { caCerts: [caCert] };
      const echo = async (reader, writer) => writer.write(await reader.readline());
      const upgradeAndEcho = async (reader, writer) => {
        await writer.startTls({ cert, key });
        await echo(reader, writer);
      };
      for (const later of [false, true]) {
        const address = { hostname: "localhost", port: 0 };
        await using server = await (later
          ? startServer(upgradeAndEcho, address)
          : startServer(echo, { ...address, tls: { cert, key } }));
        const to = { hostname: "localhost", port: server.addrs[0].port };
        const { reader, writer } = await openConnection(later ? to : { ...to, tls: client });
        if (later) await writer.startTls({ ...client, serverName: "localhost" });
        ${roundTrip}
      }`,
  },
  {
    name: "a client certificate together with caCerts",
    flags: ["--allow-net=localhost", "--allow-sys"],
    script: `
      import { openConnection, startServer } from "@tideline/net";
      import { selfSignedCertificate } from "./src/testing/mod.ts";
      const { cert, key, caCert } = await selfSignedCertificate();
      const echo = async (reader, writer) => writer.write(await reader.readline());
      const tls = { cert, key, clientAuth: "require", caCerts: [caCert] };
      await using server = await startServer(echo, { hostname: "localhost", port: 0, tls, onError() {} });
      const { reader, writer } = await openConnection({
        hostname: "localhost",
        port: server.addrs[0].port,
        tls: { cert, key, caCerts: [caCert] },
      });
      ${roundTrip}`,
  },
  {
    name: "serving on a Unix socket",
    flags: ["--allow-net", `--allow-read=${dir}`, `--allow-write=${dir}`],
    script: `
      import { startUnixServer } from "@tideline/net";
      await using server = await startUnixServer(() => {}, { path: "${path}" });`,
  },
  {
    name: "connecting to a Unix socket",
    flags: [`--allow-net=unix:${path}-2`, `--allow-read=${path}-2`, `--allow-write=${path}-2`],
    script: `
      import { openUnixConnection } from "@tideline/net";
      await using connection = await openUnixConnection({ path: "${path}-2" });`,
  },
  {
    name: "sendfile() of a path",
    flags: [`--allow-read=${dir}`],
    script: `
      import { connPair, openConnection } from "@tideline/net";
      const [a, b] = connPair();
      await using connection = await openConnection({ conn: a });
      await connection.writer.sendfile("${dir}/file");
      b.close();`,
  },
  {
    name: "files as stdin, stdout or stderr of a subprocess",
    flags: ["--allow-run", `--allow-read=${dir}`, `--allow-write=${dir}`],
    script: `
      import { createSubprocessExec } from "@tideline/net";
      const options = { stdin: { path: "${dir}/file" }, stdout: { path: "${dir}/copy" }, stderr: "stdout" };
      const process = await createSubprocessExec("cat", [], options);
      await process.wait();`,
  },
  {
    name: "subprocesses",
    flags: ["--allow-run"],
    script: `
      import { createSubprocessExec } from "@tideline/net";
      await (await createSubprocessExec("deno", ["--version"], { stdout: "null" })).wait();`,
  },
];

async function run({ script }: Feature, flags: string[]): Promise<{ success: boolean; stderr: string }> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...flags, "-"],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const stdin = process.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(script));
  await stdin.close();
  const { success, stderr } = await process.output();
  return { success, stderr: new TextDecoder().decode(stderr) };
}

for (const feature of features) {
  Deno.test(`${feature.name} needs ${feature.flags.map((flag) => flag.split("=")[0]).join(", ")}, and no more`, async () => {
    await Deno.writeTextFile(`${dir}/file`, "content");
    using listener = Deno.listen({ transport: "unix", path: `${path}-2` });
    const accepting = listener.accept().then((conn) => conn.close(), () => {});
    assertEquals(await run(feature, feature.flags), { success: true, stderr: "" });
    for (const missing of feature.flags) {
      const { success, stderr } = await run(feature, feature.flags.filter((flag) => flag !== missing));
      assertEquals({ missing, success }, { missing, success: false });
      assertMatch(stderr, /NotCapable/);
    }
    listener.close();
    await accepting;
  });
}
