/** Files as stdin, stdout and stderr of a process, stderr into stdout, and bounded output. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  createSubprocessExec,
  LimitOverrunError,
  subprocessExec,
  type SubprocessOptions,
  type SubprocessStreamOptions,
} from "../../mod.ts";
import { openDescriptors } from "../support/machine.ts";
import { tempDir } from "../support/programs.ts";
import { Recorder } from "./kit.ts";

const ignore = Deno.build.os === "windows";
const BOTH = "echo one; echo two >&2; echo three";

async function sh(script: string, options: SubprocessStreamOptions) {
  const process = await createSubprocessExec("sh", ["-c", script], options);
  const output = await process.communicate();
  const text = (bytes: Uint8Array | null) => bytes && new TextDecoder().decode(bytes);
  return { code: await process.wait(), stdout: text(output.stdout), stderr: text(output.stderr), process };
}

Deno.test({
  name: "stdin, stdout and stderr of a process can be files, by path or by URL; they are closed here",
  ignore,
  async fn() {
    const dir = tempDir();
    await Deno.writeTextFile(`${dir}/in`, "pear\napple\n");
    await Deno.writeTextFile(`${dir}/out`, "what is there is removed");
    // What Deno opens once.
    await sh("true", { stdin: { path: `${dir}/in` } });
    const before = openDescriptors();
    const { code, stdout, stderr, process } = await sh("sort; echo wrong >&2", {
      stdin: { path: `${dir}/in` },
      stdout: { path: new URL(`file://${dir}/out`) },
      stderr: { path: `${dir}/err` },
    });
    assertEquals([code, stdout, stderr], [0, null, null]);
    assertEquals([process.stdin, process.stdout, process.stderr], [null, null, null]);
    assertEquals(await Deno.readTextFile(`${dir}/out`), "apple\npear\n");
    assertEquals(await Deno.readTextFile(`${dir}/err`), "wrong\n");
    await process[Symbol.asyncDispose]();
    assertEquals(openDescriptors(), before);
  },
});

Deno.test({
  name: "a file is appended to if asked, and large output does not pass through this process",
  ignore,
  async fn() {
    const path = `${tempDir()}/log`;
    for (const word of ["one", "two"]) await sh(`echo ${word}`, { stdout: { path, append: true } });
    assertEquals(await Deno.readTextFile(path), "one\ntwo\n");
    await sh("head -c 3000000 /dev/zero", { stdout: { path } });
    assertEquals((await Deno.stat(path)).size, 3_000_000);
  },
});

Deno.test({
  name: 'stderr: "stdout" goes to the same file, in the order in which it is written',
  ignore,
  async fn() {
    const path = `${tempDir()}/log`;
    const { process } = await sh(BOTH, { stdout: { path }, stderr: "stdout" });
    assertEquals(process.stderr, null);
    assertEquals(await Deno.readTextFile(path), "one\ntwo\nthree\n");
  },
});

Deno.test({
  name: 'stderr: "stdout" goes to the same pipe: all of it is read as stdout, each stream in its own order',
  ignore,
  async fn() {
    const { stdout, stderr } = await sh(BOTH, { stdout: "piped", stderr: "stdout" });
    assertEquals(stderr, null);
    assertEquals(stdout!.split("\n").sort(), ["", "one", "three", "two"]);
    assert(stdout!.indexOf("one") < stdout!.indexOf("three"));
    const large = "head -c 500000 /dev/zero & head -c 500000 /dev/zero >&2; wait";
    assertEquals((await sh(large, { stdout: "piped", stderr: "stdout" })).stdout!.length, 1_000_000);
    assertEquals((await sh(BOTH, { stdout: "null", stderr: "stdout" })).stdout, null);
  },
});

Deno.test({
  name: 'stderr: "stdout" of an inherited stdout is the stdout of this process',
  ignore,
  async fn() {
    const mod = import.meta.resolve("../../mod.ts");
    const program = `import { createSubprocessExec } from ${JSON.stringify(mod)};
      const process = await createSubprocessExec("sh", ["-c", ${JSON.stringify(BOTH)}], { stderr: "stdout" });
      await process.wait();`;
    const path = `${tempDir()}/program.ts`;
    await Deno.writeTextFile(path, program);
    const args = ["run", "--no-check", "--no-config", "-A", path];
    const process = await createSubprocessExec(Deno.execPath(), args, { stdout: "piped", stderr: "piped" });
    const { stdout } = await process.communicate();
    assertEquals(new TextDecoder().decode(stdout!), "one\ntwo\nthree\n");
  },
});

Deno.test({
  name: 'stderr: "stdout": a protocol gets both as fd 1, one end of them, and one transport to pause [D2]',
  ignore,
  async fn() {
    const { transport, protocol } = await subprocessExec(() => new Recorder(), "sh", ["-c", BOTH], {
      stderr: "stdout",
    });
    const output = transport.getPipeTransport(1)!;
    assertEquals(transport.getPipeTransport(2), null);
    assert(output.isReading());
    output.pauseReading();
    assert(!output.isReading());
    await protocol.exited.promise;
    assertEquals(protocol.text(1), "");
    output.resumeReading();
    assertEquals(await protocol.lost.promise, null);
    assertEquals(protocol.text(1).split("\n").sort(), ["", "one", "three", "two"]);
    assertEquals(protocol.calls.filter((call) => call === "pipe 1 lost null").length, 1);
    assertEquals(protocol.calls.filter((call) => call.startsWith("pipe 2")), []);
    assertEquals(transport.stats().bytesRead, 14);
    assertEquals(output.stats().bytesRead, 14);
    assert(output.isClosing());
  },
});

Deno.test({
  name: "a file that cannot be opened rejects as the system says, starts nothing and leaves nothing open",
  ignore,
  async fn() {
    const dir = tempDir();
    await assertRejects(() => sh("true", { stdin: { path: `${dir}/none` } }), Deno.errors.NotFound, "Cannot open");
    const before = openDescriptors();
    const missing = { stdout: { path: `${dir}/made` }, stderr: { path: `${dir}/no/file` } };
    await assertRejects(() => sh(`touch ${dir}/started`, missing), Deno.errors.NotFound, "/no/file");
    await assertRejects(
      () => createSubprocessExec("/no/program", [], { stdout: { path: `${dir}/made` } }),
      Deno.errors.NotFound,
    );
    await assertRejects(() => Deno.stat(`${dir}/started`), Deno.errors.NotFound);
    assertEquals(openDescriptors(), before);
  },
});

Deno.test("stdin, stdout and stderr are checked [V2]", async () => {
  const cases: [options: unknown, message: string][] = [
    [{ stdin: "pipe" }, 'stdin must be "piped", "inherit", "null" or an object with a path, not "pipe"'],
    [{ stdin: "stdout" }, "stdin must be"],
    [{ stdout: "stdout" }, "stdout must be"],
    [{ stdout: 1 }, "stdout must be"],
    [{ stdout: {} }, "stdout must have a path"],
    [{ stdout: { path: "" } }, "path must be a non-empty string or a URL"],
    [{ stdin: { path: "x", append: true } }, 'there is no option "append"'],
    [{ stderr: { path: "x", append: 1 } }, "append must be a boolean"],
    [{ stderr: "stdin" }, '"null", "stdout" or an object with a path'],
  ];
  for (const [options, message] of cases) {
    await assertRejects(() => createSubprocessExec("true", [], options as SubprocessOptions), TypeError, message);
  }
});

for (const name of ["stdout", "stderr"] as const) {
  Deno.test({
    name: `communicate({ limit }) takes output of that size, and rejects beyond it without losing any: ${name}`,
    ignore,
    async fn() {
      const redirection = name === "stderr" ? ">&2" : "";
      const start = (size: number) =>
        createSubprocessExec("sh", ["-c", `head -c ${size} /dev/zero ${redirection}`], {
          [name]: "piped",
          limit: 1024,
        });
      for (const limit of [1, 5000, 1_000_000]) {
        const fits = await start(limit);
        assertEquals((await fits.communicate(undefined, { limit }))[name]!.length, limit);
        const beyond = await start(limit + 1);
        const error = await assertRejects(() => beyond.communicate(undefined, { limit }), LimitOverrunError);
        assertEquals(error.message, `Cannot communicate: the process wrote more than ${limit} bytes to ${name}`);
        assertEquals((await beyond[name]!.read()).length, limit + 1);
        assertEquals(await beyond.wait(), 0);
      }
    },
  });
}

Deno.test({
  name: "communicate({ limit }) ends while the process goes on for ever, in bounded memory, and frees the readers",
  ignore,
  async fn() {
    await using process = await createSubprocessExec("sh", ["-c", "cat /dev/zero"], {
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    await assertRejects(
      () => process.communicate(undefined, { limit: 100_000 }),
      LimitOverrunError,
      "100000 bytes to stdout",
    );
    assert(
      process.stdout!.buffered > 100_000 && process.stdout!.buffered < 1_000_000,
      String(process.stdout!.buffered),
    );
    assertEquals(process.returncode, null);
    assertEquals((await process.stdout!.readexactly(10)).length, 10);
    await assertRejects(() => process.stderr!.read(1, { timeout: 1 }), Deno.errors.TimedOut);
  },
});

Deno.test("communicate() checks its limit [V2]", async () => {
  await using process = await createSubprocessExec("true", []);
  assertInstanceOf(await process.communicate("", { limit: 0 }).catch((error) => error), RangeError);
  assertInstanceOf(await process.communicate("", { limit: "1" } as never).catch((error) => error), TypeError);
});
