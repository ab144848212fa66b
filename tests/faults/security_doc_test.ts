/** What docs/SECURITY.md says is so: its limits are those of the code, its tests are there, and TLS has the versions it names. */
import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertRejects,
} from "@std/assert";
import {
  connPair,
  createServer,
  createUnixServer,
  openConnection,
  Protocol,
  type Server,
  StreamReader,
} from "../../mod.ts";
import { WaterMarks } from "../../src/transport/water_marks.ts";
import { certificate, certificateFiles, pathOf, portOf, tlsKinds } from "../support/servers.ts";
import { socketPath, tempDir } from "../support/programs.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";
import { disguise } from "../support/conns.ts";
import { startOpensslServer } from "../support/openssl_server.ts";
import { MemoryWatch, MiB } from "./kit.ts";
import { findProgram, skip } from "../support/machine.ts";

const doc = new URL("../../docs/SECURITY.md", import.meta.url);
const page = await Deno.readTextFile(doc);
const src = new URL("../../src/", import.meta.url);

/** The rows of the tables under a heading, as cells, without the head. */
function rowsUnder(heading: string): string[][] {
  const section = page.split(/^## /m).find((one) => one.startsWith(`${heading}\n`));
  assert(section !== undefined, `There is no section "${heading}"`);
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

const units: Record<string, number> = { KiB: 1024, MiB, bytes: 1, ms: 1, s: 1000 };

/** The quantities in a cell, in bytes, milliseconds, or as they are. */
function quantitiesIn(cell: string): number[] {
  const unit = /\b(KiB|MiB|bytes|ms|s)\b/.exec(cell)?.[1];
  return [...cell.matchAll(/(\d+)(?: (KiB|MiB|bytes|ms|s)\b)?/g)].map(([, n, own]) =>
    Number(n) * (own ?? unit ? units[(own ?? unit)!]! : 1)
  );
}

/** The files of the package, without the test kit: their paths below src/, and their text without comments. */
async function sources(folder = src): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const url = new URL(isDirectory ? `${name}/` : name, folder);
    if (name === "testing") continue;
    if (isDirectory) { for (const [path, code] of await sources(url)) found.set(`${name}/${path}`, code); }
    else found.set(name, (await Deno.readTextFile(url)).replaceAll(/\/\*[^]*?\*\/|(?<=^|\s)\/\/.*$/gm, ""));
  }
  return found;
}

const code = await sources();

/** The value of a constant as it is written in a file: a number, or several. */
async function constantOf(file: string, name: string): Promise<number[]> {
  const expression = new RegExp(`^(?:export )?const ${name} = ([^;]+);`, "m").exec(code.get(file) ?? "")?.[1];
  assert(expression !== undefined, `There is no constant ${name} in src/${file}`);
  const module = await import(`data:application/typescript,${encodeURIComponent(`export default ${expression};`)}`);
  return [module.default].flat();
}

/** The file below src/ and the name that a cell such as [server.ts](../src/server.ts) `DEFAULT_GRACE` tells. */
function placeIn(cell: string): { file: string; name: string } | null {
  const [, file, name] = /\]\(\.\.\/src\/([\w/]+\.ts)\) `(\w+)`$/.exec(cell) ?? [];
  return file === undefined ? null : { file, name: name! };
}

const settable = rowsUnder("Limits that you can set");
const fixed = rowsUnder("Limits that are fixed");

/** Defaults that are no constant: how to learn them. */
const learnt: Record<string, () => Promise<number> | number> = {
  "WaterMarks": () => new WaterMarks().limits.low,
  "tcpBacklog": async () => {
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["types"] }).output();
    return Number(/@default \{(\d+)\} \*\/\s+tcpBacklog/.exec(text(stdout))?.[1]);
  },
};

Deno.test("docs/SECURITY.md has the defaults of the code, and the code has no limit that it does not name", async () => {
  const named = new Set<string>();
  let compared = 0;
  for (
    const [cells, limit, where] of [
      ...settable.map((row) => [row, row[1], row[4]]),
      ...fixed.map((row) => [row, row[1], row[3]]),
    ] as const
  ) {
    const place = placeIn(where as string);
    const name = place?.name ?? /^Deno `(\w+)`$/.exec(where as string)?.[1];
    assert(name !== undefined, `There is no place in the row ${cells}`);
    if (place !== null) {
      named.add(`${place.file} ${name}`);
      assertMatch(code.get(place.file) ?? "", new RegExp(`\\b${name}\\b`), `src/${place.file} has no ${name}`);
    }
    if (limit === "none") continue;
    const actual = learnt[name] !== undefined ? [await learnt[name]()] : await constantOf(place!.file, name);
    assertEquals(quantitiesIn(limit as string), actual, `${cells}`);
    compared++;
  }
  assertGreater(compared, 30);

  const unnamed: string[] = [];
  for (const [file, source] of code) {
    for (const [, name, value] of source.matchAll(/^(?:export )?const ([A-Z_]+) = ([^;]+);/gm)) {
      const isLimit = /^(DEFAULT|MOST|MAX|LARGEST|LONGEST|KEPT|RESERVE)(_|$)|_(RETRY|FLUSH|SIZES?)$/.test(name!);
      // What is made of other constants is no limit of its own.
      if (isLimit && !/[A-Z]/.test(value!) && !named.has(`${file} ${name}`)) unnamed.push(`${file} ${name}`);
    }
  }
  assertEquals(unnamed, []);
});

Deno.test("docs/SECURITY.md has the defaults that objects tell", async () => {
  assertEquals(quantitiesIn(settable[0]![1]!), [new StreamReader().limit]);
  const { transport } = (await openConnection({ conn: connPair()[0] })).writer;
  const { high, low } = transport.getWriteBufferLimits();
  transport.abort();
  await using server = await createServer(() => new Protocol(), { port: 0 });
  assertEquals((server.addrs[0] as Deno.NetAddr).hostname, "0.0.0.0");
  const marks = settable.filter(([what]) => what!.startsWith("the write buffer")).flatMap(([, limit]) =>
    quantitiesIn(limit!)
  );
  assertEquals(marks, [high, low]);
});

Deno.test("docs/SECURITY.md names tests that are there, and links only to what is there", async () => {
  const missing: string[] = [];
  let held = 0;
  for (const [, path, name] of page.matchAll(/\]\((\.\.\/tests\/[^)]+)\) "(.+)" +\|$/gm)) {
    held++;
    const file = await Deno.readTextFile(new URL(path!, doc)).catch(() => "");
    if (!file.includes(name!)) missing.push(`${name}: ${path}`);
  }
  for (const [, path] of page.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
    if (await Deno.stat(new URL(path!, doc)).catch(() => null) === null) missing.push(path!);
  }
  assertEquals(missing, []);
  assertGreater(held, 40);
  for (const row of settable) {
    assertMatch(row.at(-1)!, /^\[\w+\.ts\]\(.+\) ".+"$/, `There is no test in the row ${row}`);
  }
});

Deno.test("docs/SECURITY.md names all of Deno and of Node that is used, and nothing else is", () => {
  const all = [...code.values()].join("\n");
  const section = page.split(/^## /m).find((one) => one.startsWith("What it never does\n"))!;
  const named = new Set([...section.matchAll(/`(Deno\.\w+|node:[\w/]+)`/g)].map(([, name]) => name));
  const isType = (name: string) => !(name in Deno) && /^[A-Z]/.test(name);
  const used = new Set([
    ...[...all.matchAll(/\bDeno\.(\w+)/g)].map(([, name]) => name!).filter((name) => !isType(name)).map((name) =>
      `Deno.${name}`
    ),
    ...[...all.matchAll(/"(node:[\w/]+)"/g)].map(([, name]) => name!),
  ]);
  // Types alone: they are gone at run time.
  for (const type of ["Deno.FsFile", "Deno.ChildProcess"]) used.delete(type);
  assertEquals([...used].sort(), [...named].sort());
  assertEquals(/\beval\b|\bnew Function\b|\bnew Worker\b|\bfetch\(|\bprocess\.|globalThis\b/.exec(all)?.[0], undefined);
  // Only the permission for a local address is asked for.
  const asks = [...code].filter(([, source]) => /permissions\.(?!querySync\b)\w+/.test(source)).map(([file]) => file);
  assertEquals(asks, ["serving/dial.ts"]);
  assertEquals([...new Set(all.matchAll(/console\.(\w+)/g).map(([, name]) => name))], ["error"]);
});

Deno.test("a size that is announced and not sent costs nothing [R11, M4]", async () => {
  const [conn, peer] = connPair();
  const { reader, writer } = await openConnection({ conn });
  const memory = new MemoryWatch();
  const giveUp = new AbortController();
  const reading = reader.readexactly(2 ** 45, { signal: giveUp.signal });
  await peer.write(new Uint8Array(1000));
  await until(() => reader.buffered === 1000);
  giveUp.abort();
  await assertRejects(() => reading, DOMException, "abort");
  assertLess(memory.growth, 64 * MiB);
  writer.abort();
  peer.close();
});

Deno.test({
  name: "a Unix socket has the mode that the umask leaves, from the start [V8]",
  ignore: Deno.build.os === "windows",
  async fn() {
    for (const [mask, mode] of [[0o022, 0o755], [0o077, 0o700], [0, 0o777]] as const) {
      const before = Deno.umask(mask);
      let server: Server;
      try {
        server = await createUnixServer(() => new Protocol(), { path: socketPath() });
      } finally {
        Deno.umask(before);
      }
      assertEquals(Deno.lstatSync(pathOf(server)).mode! & 0o7777, mode);
      await server.shutdown({ grace: 0 });
    }
  },
});

Deno.test("the example of docs/SECURITY.md ends clients that are slow in any way, and no other", async () => {
  const patience = 1000;
  const example = /```ts\n([^]+?)```/.exec(page)![1]!
    .replace("PATIENCE = 30_000", `PATIENCE = ${patience}`)
    .replace("console.warn(error.message)", "errors.push(error)")
    .replace('"@tideline/net"', `"${new URL("../../mod.ts", import.meta.url)}"`);
  const path = `${tempDir()}/example.ts`;
  await Deno.writeTextFile(path, `export const errors: Error[] = [];\n${example}`);
  const { server, errors } = await import(`file://${path}`) as { server: Server; errors: Error[] };
  await using _ended = server;
  const port = portOf(server);

  await using good = await openConnection({ port });
  using stalls = await Deno.connect({ port });
  using drips = await Deno.connect({ port });
  using neverReads = await Deno.connect({ port });
  await stalls.write(new TextEncoder().encode("half a li"));
  const line = new TextEncoder().encode(`${"x".repeat(60_000)}\n`);
  const flooding = (async () => {
    for (;;) for (let rest = line; rest.length > 0;) rest = rest.subarray(await neverReads.write(rest));
  })();
  let refused: Error | undefined;
  flooding.catch((error) => refused = error);
  // A byte now and then does not help, a line does.
  let echoed = 0;
  const deadline = performance.now() + 20 * patience;
  // The last to end is the one that does not read: its flush has the time as well.
  while (errors.length < 3 || refused === undefined || server.connections > 1) {
    assertLess(performance.now(), deadline, "Slow clients are still served");
    await drips.write(line.subarray(0, 1)).catch(() => {});
    good.writer.write("hello\n");
    assertEquals(text(await good.reader.readline()), "hello\n");
    echoed++;
  }
  for (const error of errors) assertInstanceOf(error, Deno.errors.TimedOut);
  assertGreater(echoed, 10);
  assertEquals(server.connections, 1);
  await good.writer.close();
  await until(() => server.connections === 0);
  assertEquals(errors.length, 3);
});

// The versions of TLS, against OpenSSL at its most permissive.

const openssl = await findProgram("openssl");
const anyCipher = ["-cipher", "ALL@SECLEVEL=0"];
const versions = { "-tls1": "TLS 1.0", "-tls1_1": "TLS 1.1", "-tls1_2": "TLS 1.2", "-tls1_3": "TLS 1.3" } as const;
const accepted = (version: string) => version === "-tls1_2" || version === "-tls1_3";

/** Runs openssl s_client, with nothing to send; tells what it printed. */
async function opensslClient(port: number, version: string, ...more: string[]): Promise<string> {
  const args = ["s_client", "-connect", `127.0.0.1:${port}`, version, ...anyCipher, ...more];
  const { stdout } = await new Deno.Command(openssl!, { args, stdin: "null", stderr: "null" }).output();
  return text(stdout);
}

/** Starts openssl s_server, which sends each line back in reverse. */
async function opensslServer(version: string): Promise<AsyncDisposable & { port: number }> {
  const { cert, key } = await certificateFiles();
  return await startOpensslServer(["-cert", cert, "-key", key, version, ...anyCipher, "-rev"], openssl!);
}

/** Whether openssl speaks a version at all, with itself: only then is a refusal ours. */
async function isSpoken(version: string): Promise<boolean> {
  if (openssl === null) return false;
  try {
    await using server = await opensslServer(version);
    if (/^New, .*Cipher is (?!\(NONE\))/m.test(await opensslClient(server.port, version))) return true;
  } catch {
    // It does not know the option.
  }
  skip(`the tests of ${version}`, "this openssl does not speak it");
  return false;
}

for (const kind of tlsKinds) {
  Deno.test(`${kind.name}: a hello of TLS 1.2 in all but its version is refused`, async () => {
    const hello = await Deno.readFile(new URL("../fuzz/corpus/hello-openssl-tls12", import.meta.url));
    const errors: Error[] = [];
    await using server = await kind.createServer(() => new Protocol(), { onError: (error) => errors.push(error) });
    const send = async (minor: number): Promise<Deno.TcpConn> => {
      const spoilt = hello.slice();
      spoilt[10] = minor;
      const conn = await Deno.connect({ port: portOf(server) });
      await conn.write(spoilt);
      return conn;
    };
    for (const minor of [0, 1, 2]) {
      const conn = await send(minor);
      await until(() => errors.length === minor + 1);
      assertInstanceOf(errors[minor], Deno.errors.InvalidData);
      conn.close();
    }
    // The very same is answered where the version is right: by a record of a handshake, not of an alert.
    using conn = await send(3);
    const answer = new Uint8Array(5);
    await conn.read(answer);
    assertEquals([...answer.subarray(0, 3)], [22, 3, 3]);
    assertEquals(errors.length, 3);
  });
}

Deno.test("docs/SECURITY.md tells which versions of TLS are accepted", () => {
  const expected = Object.entries(versions).map(([version, name]) => [
    name,
    ...Array<string>(4).fill(accepted(version) ? "accepted" : "refused"),
  ]);
  assertEquals(rowsUnder("TLS versions"), expected);
});

for (const version of Object.keys(versions)) {
  const outcome = accepted(version) ? "accepted" : "refused";
  const ignore = !await isSpoken(version);

  for (const kind of tlsKinds) {
    Deno.test({ name: `${kind.name}: ${version} of openssl s_client is ${outcome}`, ignore }, async () => {
      const errors: Error[] = [];
      await using server = await kind.startServer(async (_reader, writer) => {
        writer.write("served\n");
        await writer.close();
      }, { onError: (error) => errors.push(error) });
      const printed = await opensslClient(portOf(server), version, "-ign_eof");
      assertEquals(printed.includes("served"), accepted(version), printed);
      if (accepted(version)) {
        assertMatch(printed, new RegExp(`^New, ${versions[version as "-tls1_2"].replace("TLS ", "TLSv")}`, "m"));
      } else await until(() => errors.length === 1);
      for (const error of errors) assertInstanceOf(error, Deno.errors.InvalidData);
    });
  }

  Deno.test({ name: `${version} of openssl s_server is ${outcome} by Deno and by node:tls`, ignore }, async () => {
    await using server = await opensslServer(version);
    for (const wrap of [(conn: Deno.TcpConn) => conn, disguise]) {
      const conn = wrap(await Deno.connect({ port: server.port }));
      const tls = { serverName: "localhost", caCerts: [certificate.caCert] };
      const connecting = openConnection({ conn, tls });
      if (!accepted(version)) {
        await assertRejects(() => connecting, Deno.errors.InvalidData, "Cannot complete the TLS handshake");
        continue;
      }
      await using connection = await connecting;
      connection.writer.write("abc\n");
      assertEquals(text(await connection.reader.readline()), "cba\n");
    }
  });
}
