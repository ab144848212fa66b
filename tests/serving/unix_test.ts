/** The file of a Unix server: what is removed, what is left alone, and what is never touched [V8]. */
import { assert, assertEquals, assertFalse, assertRejects, assertStringIncludes } from "@std/assert";
import { createConnection, createUnixServer, openUnixConnection, Protocol, startUnixServer } from "../../mod.ts";
import { hasProgram, openDescriptors } from "../support/machine.ts";
import { EchoProtocol } from "../support/servers.ts";
import { runProgram, socketPath, tempDir } from "../support/programs.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

const names = (directory: string) => [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
const directoryOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
const factory = () => new EchoProtocol();

/** Leaves the file of a server that died. */
async function leaveStale(path: string): Promise<void> {
  const { stderr } = await runProgram(`
    Deno.listen({ transport: "unix", path: ${JSON.stringify(path)} });
    Deno.kill(Deno.pid, "SIGKILL");
  `);
  assertEquals(stderr, "");
  assert(Deno.lstatSync(path).isSocket);
}

async function assertEchoes(path: string): Promise<void> {
  await using connection = await openUnixConnection({ path });
  connection.writer.write("echo\n");
  assertEquals(text(await connection.reader.readline()), "echo\n");
}

Deno.test("a Unix server makes its file, and no other, and removes it on close [V8]", async () => {
  const path = socketPath();
  const server = await createUnixServer(factory, { path });
  assertEquals(server.addrs, [{ transport: "unix", path }]);
  assertEquals(names(directoryOf(path)), ["s"]);
  await assertEchoes(path);
  server.close();
  assertEquals(names(directoryOf(path)), []);
  await server.waitClosed();
  await assertRejects(() => openUnixConnection({ path }), Deno.errors.NotFound);
});

Deno.test("the file of a dead server is removed before a server binds [V8]", async () => {
  const path = socketPath();
  await leaveStale(path);
  await assertRejects(() => openUnixConnection({ path }), Deno.errors.ConnectionRefused);
  await using _server = await createUnixServer(factory, { path });
  await assertEchoes(path);
  assertEquals(names(directoryOf(path)), ["s"]);
});

Deno.test("of servers that find the same stale file at once one wins, and the others are AddrInUse [V8]", async () => {
  const path = socketPath();
  await leaveStale(path);
  const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => createUnixServer(factory, { path })));
  const servers = attempts.filter((attempt) => attempt.status === "fulfilled");
  const errors = attempts.filter((attempt) => attempt.status === "rejected");
  assertEquals(servers.length, 1);
  for (const { reason } of errors) assert(reason instanceof Deno.errors.AddrInUse, `${reason}`);
  await assertEchoes(path);
  await servers[0]!.value.shutdown();
  assertEquals(names(directoryOf(path)), []);
});

Deno.test("of processes that find the same stale file at once one wins [V8]", async () => {
  const path = socketPath();
  await leaveStale(path);
  const lost = tempDir();
  // Who won serves until both others have lost.
  const program = `
    import { startUnixServer } from "@tideline/net";
    try {
      const server = await startUnixServer(() => {}, { path: ${JSON.stringify(path)} });
      console.log("won");
      while ([...Deno.readDirSync("${lost}")].length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
      await server.shutdown({ grace: 0 });
    } catch (error) {
      console.log(error.name);
      Deno.writeTextFileSync("${lost}/" + Deno.pid, "");
    }
  `;
  const outcomes = await Promise.all([1, 2, 3].map(() => runProgram(program)));
  assertEquals(outcomes.map(({ stdout }) => stdout.trim()).sort(), ["AddrInUse", "AddrInUse", "won"]);
  assertEquals(names(directoryOf(path)), []);
});

Deno.test("a live server's file is AddrInUse, and the server goes on [V8]", async () => {
  const path = socketPath();
  await using _server = await createUnixServer(factory, { path });
  const before = openDescriptors();
  const error = await assertRejects(() => createUnixServer(factory, { path }), Deno.errors.AddrInUse);
  assertEquals(error.message, `Cannot listen on "${path}": a live server is there`);
  // The server has closed what it was asked by.
  await until(() => openDescriptors() <= before);
  assertEquals(names(directoryOf(path)), ["s"]);
  await assertEchoes(path);
});

Deno.test("a live server too busy to accept is AddrInUse as well [V8]", async () => {
  const path = socketPath();
  const { stdout, stderr } = await runProgram(`
    import { createUnixServer, Protocol } from "@tideline/net";
    const path = ${JSON.stringify(path)};
    const listener = Deno.listen({ transport: "unix", path });
    const conns = [];
    // Until its queue is full.
    for (;;) {
      const conn = await Promise.race([
        Deno.connect({ transport: "unix", path }).catch((error) => error),
        new Promise((resolve) => setTimeout(resolve, 200)),
      ]);
      if (!(conn instanceof Object) || conn instanceof Error) break;
      conns.push(conn);
    }
    const result = await createUnixServer(() => new Protocol(), { path }).catch((error) => error);
    console.log(result.name, Deno.lstatSync(path).isSocket);
    Deno.exit();
  `);
  assertEquals(stderr, "");
  assertEquals(stdout, "AddrInUse true\n");
});

Deno.test("any other file is AddrInUse, and left alone [V8]", async () => {
  const directory = tempDir();
  const file = `${directory}/file`;
  Deno.writeTextFileSync(file, "precious");
  const link = `${directory}/link`;
  Deno.symlinkSync(file, link);
  const dangling = `${directory}/dangling`;
  Deno.symlinkSync(`${directory}/nothing`, dangling);
  const folder = `${directory}/folder`;
  Deno.mkdirSync(folder);
  const before = openDescriptors();
  for (const path of [file, link, dangling, folder]) {
    const error = await assertRejects(() => createUnixServer(factory, { path }), Deno.errors.AddrInUse);
    assertEquals(error.message, `Cannot listen on "${path}": there is a file that is no socket`);
  }
  assertEquals(names(directory), ["dangling", "file", "folder", "link"]);
  assertEquals(Deno.readTextFileSync(file), "precious");
  await until(() => openDescriptors() <= before);
});

Deno.test("a server unlinks its own file only, not one that replaced it [V8]", async () => {
  const path = socketPath();
  const first = await createUnixServer(factory, { path });
  Deno.removeSync(path);
  const second = await createUnixServer(factory, { path });
  await first.shutdown();
  await assertEchoes(path);
  await second.shutdown();
  assertEquals(names(directoryOf(path)), []);

  const third = await createUnixServer(factory, { path });
  Deno.removeSync(path);
  Deno.writeTextFileSync(path, "precious");
  await third.shutdown();
  assertEquals(Deno.readTextFileSync(path), "precious");
});

Deno.test("a server whose file, or directory, is gone closes all the same [V8]", async () => {
  const path = socketPath();
  const errors: Error[] = [];
  const server = await createUnixServer(factory, { path, onError: (error) => errors.push(error) });
  Deno.removeSync(path);
  await server.shutdown();
  const inside = `${tempDir()}/inside`;
  Deno.mkdirSync(inside);
  const other = await createUnixServer(factory, { path: `${inside}/s`, onError: (error) => errors.push(error) });
  Deno.removeSync(inside, { recursive: true });
  Deno.writeTextFileSync(inside, "");
  await other.shutdown();
  assertEquals(other.addrs, []);
  assertEquals(errors.length <= 1, true);
});

Deno.test("a directory that is not there is NotFound", async () => {
  const path = `${tempDir()}/nowhere/s`;
  const before = openDescriptors();
  const error = await assertRejects(() => createUnixServer(factory, { path }), Deno.errors.NotFound);
  assertStringIncludes(error.message, `Cannot listen on "${path}": `);
  await until(() => openDescriptors() <= before);
});

Deno.test("a path of the longest kind is served, with the shortest of names [V8]", async () => {
  const most = Deno.build.os === "linux" ? 107 : 103;
  const base = tempDir();
  const long = `${base}/${"d".repeat(most - base.length - 3)}`;
  Deno.mkdirSync(long);
  const path = `${long}/s`;
  assertEquals(path.length, most);
  const server = await createUnixServer(factory, { path });
  await assertEchoes(path);
  await server.shutdown();
  assertEquals(names(long), []);
});

Deno.test("relative paths are served where the process is [V8]", async () => {
  const directory = tempDir();
  const { stdout, stderr } = await runProgram(`
    import { openUnixConnection, startUnixServer } from "@tideline/net";
    Deno.chdir(${JSON.stringify(directory)});
    const server = await startUnixServer((_reader, writer) => void writer.write("hello\\n"), { path: "relative" });
    const { reader, writer } = await openUnixConnection({ path: "relative" });
    console.log((await reader.readline()).length, [...Deno.readDirSync(".")].map((entry) => entry.name).join());
    await writer.close();
    await server.shutdown({ grace: 0 });
    console.log([...Deno.readDirSync(".")].length);
  `);
  assertEquals(stderr, "");
  assertEquals(stdout, "6 relative\n0\n");
});

Deno.test("a relative path is made absolute when it is bound: a later chdir() leaves no file behind [V5, V8]", async () => {
  const [directory, other] = [tempDir(), tempDir()];
  const { stdout, stderr } = await runProgram(`
    import { openUnixConnection, startUnixServer } from "@tideline/net";
    const [directory, other] = ${JSON.stringify([directory, other])};
    Deno.chdir(directory);
    Deno.mkdirSync("inner");
    for (const path of ["s", "./s", "inner/s", "inner/../s"]) {
      Deno.chdir(directory);
      const server = await startUnixServer((_reader, writer) => void writer.close(), { path });
      Deno.chdir(other);
      Deno.mkdirSync("inner", { recursive: true });
      // A file at the same relative path is another file.
      Deno.writeTextFileSync(path, "precious");
      const [{ path: absolute }] = server.addrs;
      const { writer } = await openUnixConnection({ path: absolute });
      await writer.close();
      await server.shutdown({ grace: 0 });
      const left = await Deno.lstat(absolute).then(() => true, () => false);
      console.log(path, absolute.startsWith(directory + "/"), left, Deno.readTextFileSync(path));
    }
    console.log([...Deno.readDirSync(directory)].length, [...Deno.readDirSync(directory + "/inner")].length);
  `);
  assertEquals(stderr, "");
  const line = (path: string) => `${path} true false precious\n`;
  assertEquals(stdout, ["s", "./s", "inner/s", "inner/../s"].map(line).join("") + "1 0\n");
});

Deno.test("a relative path whose absolute one is too long for an address is served all the same [V8]", async () => {
  const deep = `${tempDir()}/${"d".repeat(80)}/${"e".repeat(80)}`;
  Deno.mkdirSync(deep, { recursive: true });
  const { stdout, stderr } = await runProgram(`
    import { openUnixConnection, startUnixServer } from "@tideline/net";
    Deno.chdir(${JSON.stringify(deep)});
    const server = await startUnixServer((_reader, writer) => void writer.close(), { path: "s" });
    const { writer } = await openUnixConnection({ path: "s" });
    await writer.close();
    console.log(await startUnixServer(() => {}, { path: "s" }).catch((error) => error.name));
    Deno.chdir("/");
    await server.shutdown({ grace: 0 });
  `);
  assertEquals(stderr, "");
  assertEquals(stdout, "AddrInUse\n");
  assertEquals(names(deep), []);
});

Deno.test("a path that ends in a slash, or is a directory, is refused at once [V8]", async () => {
  const directory = tempDir();
  await assertRejects(() => createUnixServer(factory, { path: `${directory}/` }), TypeError, 'must not end in "/"');
  await assertRejects(() => createUnixServer(factory, { path: "/" }), TypeError, 'must not end in "/"');
  for (const path of [directory, `${directory}/.`, `${directory}/..`, "."]) {
    await assertRejects(() => createUnixServer(factory, { path }), Deno.errors.AddrInUse, "a file that is no socket");
  }
  assertEquals(names(directory), []);
});

if (await hasProgram("python3", "the test of a socket that is bound and does not listen")) {
  Deno.test("a socket that is bound but does not listen yet is no stale one [V8]", async () => {
    const path = socketPath();
    // Bound by its absolute path, by a relative one, and by way of a symbolic link.
    const link = `${tempDir()}/link`;
    Deno.symlinkSync(directoryOf(path), link);
    for (const bound of [path, `${link}/s`, "s"]) {
      const child = new Deno.Command("python3", {
        args: ["-c", BIND_AND_WAIT, bound],
        cwd: directoryOf(path),
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const output = child.stdout.getReader();
      await output.read();
      const error = await assertRejects(() => createUnixServer(factory, { path }), Deno.errors.AddrInUse);
      assertEquals(error.message, `Cannot listen on "${path}": a socket is bound there that does not listen yet`);
      assert(Deno.lstatSync(path).isSocket);
      // When its process has ended it is stale.
      child.kill("SIGKILL");
      await child.status;
      await output.cancel();
      await child.stdin.close().catch(() => {});
      await using _server = await createUnixServer(factory, { path });
      await assertEchoes(path);
    }
  });

  Deno.test("a server that begins to listen soon after it was bound is a live one, without any permission for /proc [V8]", async () => {
    const path = socketPath();
    const { stdout, stderr } = await runProgram(
      `
      import { createUnixServer, Protocol } from "@tideline/net";
      const path = ${JSON.stringify(path)};
      const child = new Deno.Command("python3", {
        args: ["-c", ${JSON.stringify(BIND_AND_LISTEN)}, path],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const output = child.stdout.getReader();
      await output.read();
      const creating = createUnixServer(() => new Protocol(), { path });
      await child.stdin.getWriter().write(new Uint8Array(1));
      console.log(await creating.catch((error) => error.message));
      child.kill("SIGKILL");
      Deno.exit();
    `,
      { permissions: ["--allow-read", "--allow-write", "--allow-net", "--allow-run"] },
    );
    assertEquals(stderr, "");
    assertEquals(stdout, `Cannot listen on "${path}": a live server is there\n`);
  });
}

const BIND_AND_WAIT = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
print("bound", flush=True)
sys.stdin.read()
`;

const BIND_AND_LISTEN = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
print("bound", flush=True)
sys.stdin.read(1)
s.listen()
sys.stdin.read()
`;

Deno.test("a Unix server at a stale path leaves a file alone that replaces the stale one meanwhile [V8]", async () => {
  const path = socketPath();
  await leaveStale(path);
  const creating = createUnixServer(factory, { path });
  // While the server asks whether the socket is stale.
  await until(() => names(directoryOf(path)).length === 2);
  Deno.removeSync(path);
  Deno.writeTextFileSync(path, "precious");
  await assertRejects(() => creating, Deno.errors.AddrInUse, "a file that is no socket");
  assertEquals(names(directoryOf(path)), ["s"]);
  assertEquals(Deno.readTextFileSync(path), "precious");
});

if (Deno.build.os === "linux") {
  Deno.test("a name in the abstract namespace is served and connected to, and has no file [V8]", async () => {
    const path = `\0tideline-${crypto.randomUUID()}`;
    const server = await createUnixServer(factory, { path });
    assertEquals(server.addrs, [{ transport: "unix", path }]);
    await assertEchoes(path);
    const { transport } = await createConnection(() => new Protocol(), { path });
    transport.close();
    const error = await assertRejects(() => createUnixServer(factory, { path }), Deno.errors.AddrInUse);
    assertStringIncludes(error.message, `Cannot listen on ${JSON.stringify(path)}: `);
    await server.shutdown();
    await assertRejects(() => openUnixConnection({ path }), Deno.errors.ConnectionRefused, JSON.stringify(path));
    await using _again = await createUnixServer(factory, { path });
    await assertEchoes(path);
  });

  Deno.test("an abstract name of the longest kind is served [V8]", async () => {
    const path = `\0${crypto.randomUUID()}${"n".repeat(71)}`;
    assertEquals(path.length, 108);
    await using _server = await createUnixServer(factory, { path });
    await assertEchoes(path);
  });
} else {
  Deno.test("a name in the abstract namespace is NotSupported where there is none [V8]", async () => {
    for (const open of [() => createUnixServer(factory, { path: "\0x" }), () => openUnixConnection({ path: "\0x" })]) {
      await assertRejects<Error>(open, Deno.errors.NotSupported, "there is no abstract namespace");
    }
  });
}

Deno.test("a signal that aborts while a Unix server is bound leaves no file [V5, V8]", async () => {
  const path = socketPath();
  const before = openDescriptors();
  for (let hops = 0; hops < 12; hops++) {
    const controller = new AbortController();
    const reason = new Error("no server today");
    const starting = startUnixServer(() => {}, { path, signal: controller.signal });
    for (let i = 0; i < hops; i++) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    const result = await starting.then(
      (server) => server.waitClosed().then(() => "served and closed"),
      (error) => error,
    );
    assert(result === reason || result === "served and closed", `${result}`);
    assertEquals(names(directoryOf(path)), []);
  }
  await until(() => openDescriptors() <= before);
});

Deno.test("a Unix server that is not serving yet has its file already, and removes it too [V4, V8]", async () => {
  const path = socketPath();
  const server = await createUnixServer(() => new Protocol(), { path, startServing: false });
  assertEquals(names(directoryOf(path)), ["s"]);
  assertFalse(server.isServing());
  await server.shutdown();
  assertEquals(names(directoryOf(path)), []);
});
