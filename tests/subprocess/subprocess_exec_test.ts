import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import type { SubprocessProtocol } from "../../src/transport/protocols.ts";
import { subprocessExec, type SubprocessOptions } from "../../src/subprocess/subprocess_exec.ts";
import { Recorder } from "./kit.ts";
import { hasProgram, skip } from "../support/machine.ts";
import { reportsOf } from "../support/reports.ts";

const ignore = !await hasProgram("sh", "the tests of processes");
const noPython = !await hasProgram("python3", "a test of processes that are not waited for");

/** Starts a shell with a script. */
async function shell(script: string, options?: SubprocessOptions, recorder = new Recorder()): Promise<Recorder> {
  await subprocessExec(() => recorder, "sh", ["-c", script], options);
  return recorder;
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore, fn });
}

test("subprocessExec() tells of data, pipes and the exit, and of the loss last [C1, D2]", async () => {
  const { transport, protocol } = await subprocessExec(() => new Recorder(), "sh", [
    "-c",
    "cat; echo done >&2; exit 7",
  ]);
  assertStrictEquals(protocol.transport, transport);
  assertStrictEquals(transport.getProtocol(), protocol);
  assertInstanceOf(transport.getExtraInfo("subprocess"), Deno.ChildProcess);
  assertEquals(transport.getPid(), transport.getExtraInfo("subprocess")!.pid);
  assertEquals(transport.getExtraInfo("peername", null), null);
  assertEquals([transport.getReturncode(), transport.isClosing()], [null, false]);
  const stdin = transport.getPipeTransport(0)!;
  assertStrictEquals(stdin.getExtraInfo("pipe"), transport.getExtraInfo("subprocess")!.stdin);
  stdin.write("hello");
  stdin.close();
  assertEquals(await protocol.lost.promise, null);
  assertEquals([protocol.text(1), protocol.text(2)], ["hello", "done\n"]);
  assertEquals([transport.getReturncode(), transport.isClosing()], [7, true]);
  assertEquals(protocol.calls[0], "made");
  assertEquals(protocol.calls.at(-1), "lost null");
  assertEquals(protocol.calls.slice(1, -1).sort(), [
    "data 1",
    "data 2",
    "exited 7",
    "pipe 0 lost null",
    "pipe 1 lost null",
    "pipe 2 lost null",
  ]);
});

test("subprocessExec() makes no pipes where the options ask for none", async () => {
  const protocol = await shell("cat; echo unheard; exit 0", { stdin: "null", stdout: "null", stderr: "null" });
  const { transport } = protocol;
  assertEquals([0, 1, 2, 3, -1].map((fd) => transport.getPipeTransport(fd)), [null, null, null, null, null]);
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.calls, ["made", "exited 0", "lost null"]);
});

test("subprocessExec() takes undefined options for the defaults", async () => {
  // What JavaScript and looser compilers let pass.
  const options = { stdin: "null", stdout: undefined, cwd: undefined, env: undefined } as unknown as SubprocessOptions;
  const protocol = await shell("echo heard", options);
  await protocol.lost.promise;
  assertEquals(protocol.text(1), "heard\n");
});

test("subprocessExec() sets directory and environment", async () => {
  const cwd = await Deno.realPath(await Deno.makeTempDir());
  try {
    const url = new URL(`file://${cwd}/`);
    for (const where of [cwd, url]) {
      const protocol = await shell("pwd; echo $COLOUR; echo ${HOME-homeless}", {
        cwd: where,
        env: { COLOUR: "blue", PATH: Deno.env.get("PATH")! },
        clearEnv: true,
      });
      await protocol.lost.promise;
      assertEquals(protocol.text(1), `${cwd}\nblue\nhomeless\n`);
    }
    const protocol = await shell("echo $COLOUR; echo ${PATH:+path}", { env: { COLOUR: "blue" } });
    await protocol.lost.promise;
    assertEquals(protocol.text(1), "blue\npath\n");
  } finally {
    await Deno.remove(cwd);
  }
});

test("subprocessExec() passes arguments as they are, and takes the program as a URL", async () => {
  const args = ["-c", 'printf "%s|" "$@"', "sh", "", "a b", "*", "ü", '"'];
  const path = (await new Deno.Command("sh", { args: ["-c", "command -v sh"] }).output()).stdout;
  const program = new URL(`file://${new TextDecoder().decode(path).trim()}`);
  const { protocol } = await subprocessExec(() => new Recorder(), program, args);
  await protocol.lost.promise;
  assertEquals(protocol.text(1), '|a b|*|ü|"|');
});

test("subprocessExec() rejects with NotFound or PermissionDenied, and leaves nothing behind", async () => {
  const recorder = new Recorder();
  await assertRejects(() => subprocessExec(() => recorder, "/no/such/program", []), Deno.errors.NotFound, "/no/such");
  await assertRejects(() => shell("true", { cwd: "/no/such/directory" }, recorder), Deno.errors.NotFound, "/no/such");
  const script = await Deno.makeTempFile();
  await assertRejects(() => subprocessExec(() => recorder, script, []), Deno.errors.PermissionDenied, script);
  await Deno.remove(script);
  assertEquals(recorder.calls, []);
});

test("subprocessExec() refuses wrong arguments and options, before it does anything", async () => {
  let made = 0;
  const factory = () => (made++, new Recorder());
  const wrong: [unknown[], string][] = [
    [[undefined, "sh", []], "Cannot start a process: protocolFactory must be a function, not null"],
    [[factory, undefined, []], "Cannot start a process: program must be a non-empty string or a URL, not null"],
    [[factory, "", []], 'Cannot start a process: program must be a non-empty string or a URL, not ""'],
    [[factory, ["sh"], []], "Cannot start a process: program must be a non-empty string or a URL, not"],
    [[factory, "sh"], "Cannot start a process: args must be a list of strings, not null"],
    [[factory, "sh", "-c"], 'Cannot start a process: args must be a list of strings, not "-c"'],
    [[factory, "sh", ["-c", 1]], "Cannot start a process: args must be a list of strings, not"],
    [[factory, "sh", [], null], "options must be an object, not null"],
    [[factory, "sh", [], { shell: true }], 'Cannot start a process: there is no option "shell"'],
    [
      [factory, "sh", [], { stdin: "pipe" }],
      'Cannot start a process: stdin must be "piped", "inherit", "null" or an object',
    ],
    [[factory, "sh", [], { stdout: 1 }], 'Cannot start a process: stdout must be "piped", "inherit", "null"'],
    [[factory, "sh", [], { stderr: true }], 'Cannot start a process: stderr must be "piped", "inherit", "null"'],
    [[factory, "sh", [], { cwd: "" }], 'Cannot start a process: cwd must be a non-empty string or a URL, not ""'],
    [[factory, "sh", [], { env: ["A=1"] }], "Cannot start a process: env must be a record of strings, not an array"],
    [
      [factory, "sh", [], { env: { A: 1 } }],
      'Cannot start a process: env must have a string as value of "A", not a number',
    ],
    [[factory, "sh", [], { clearEnv: 1 }], "Cannot start a process: clearEnv must be a boolean, not 1"],
    [[factory, "sh", [], { signal: "SIGTERM" }], "Cannot start a process: signal must be an AbortSignal"],
  ];
  for (const [args, message] of wrong) {
    await assertRejects(() => subprocessExec(...args as Parameters<typeof subprocessExec>), TypeError, message);
  }
  assertEquals(made, 0);
  const noProtocol = () => ({ connectionMade() {} }) as unknown as SubprocessProtocol;
  await assertRejects(() => subprocessExec(noProtocol, "sh", []), TypeError, "it must have pipeDataReceived()");
});

for (const [signal, returncode] of [["SIGKILL", -9], ["SIGTERM", -15], ["SIGINT", -2], ["SIGUSR1", null]] as const) {
  test(`SubprocessTransport.getReturncode() is the negative number of ${signal} [D3]`, async () => {
    const protocol = await shell("exec sleep 100");
    protocol.transport.sendSignal(signal);
    await protocol.lost.promise;
    // Its number differs between systems.
    assertEquals(protocol.transport.getReturncode(), returncode ?? (Deno.build.os === "linux" ? -10 : -30));
  });
}

test("SubprocessTransport.getReturncode() takes no code for a signal [D3]", async () => {
  const protocol = await shell("exit 137");
  await protocol.lost.promise;
  assertEquals(protocol.transport.getReturncode(), 137);
});

Deno.test({
  name: "SubprocessTransport.getReturncode() knows signals that Deno has no name for [D3]",
  ignore,
  // Deno never lets go of a process that such a signal ended.
  sanitizeResources: false,
  async fn() {
    if (Deno.build.os !== "linux") return skip("real-time signals", "only Linux is known to have 34");
    const protocol = await shell("kill -34 $$");
    await protocol.lost.promise;
    assertEquals(protocol.calls.filter((call) => call.startsWith("exited")), ["exited -34"]);
  },
});

test("SubprocessTransport.terminate() and kill() send their signals", async () => {
  const polite = await shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done");
  await polite.until(({ calls }) => calls.includes("data 1"));
  polite.transport.terminate();
  await polite.lost.promise;
  assertEquals(polite.transport.getReturncode(), 5);
  const stubborn = await shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
  await stubborn.until(({ calls }) => calls.includes("data 1"));
  stubborn.transport.terminate();
  stubborn.transport.kill();
  await stubborn.lost.promise;
  assertEquals(stubborn.transport.getReturncode(), -9);
});

test("SubprocessTransport.sendSignal() does nothing after the exit, told or not, and refuses what is none [D3]", async () => {
  const protocol = await shell("read x; exit 3");
  const { transport } = protocol;
  assertThrows(() => transport.sendSignal("SIGNOTHING" as Deno.Signal), TypeError, "SIGNOTHING");
  transport.getPipeTransport(0)!.close();
  // Signals before the exit, between the exit and its callback, and afterwards.
  while (transport.getReturncode() === null) {
    transport.sendSignal("SIGCONT");
    await new Promise((resolve) => setTimeout(resolve));
  }
  await protocol.lost.promise;
  transport.sendSignal("SIGTERM");
  transport.terminate();
  transport.kill();
  transport.close();
  assertEquals(transport.getReturncode(), 3);
  assertEquals(protocol.calls.at(-1), "lost null");
});

test("SubprocessTransport.sendSignal() does nothing when Deno knows of the exit first [D3]", async () => {
  const protocol = await shell("exit 3");
  const { transport } = protocol;
  const seen = await transport.getExtraInfo("subprocess")!.status.then(() => {
    transport.kill();
    return transport.getReturncode();
  });
  assertEquals(seen, null);
  await protocol.lost.promise;
  assertEquals(transport.getReturncode(), 3);
});

Deno.test({
  name: "subprocessExec() tells of 255 where SIGCHLD is ignored, and no signal fails [D3]",
  ignore: noPython,
  async fn() {
    // Python has Deno start with SIGCHLD ignored, so that the system forgets processes as they end.
    const start =
      "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])";
    const script = `
      const { subprocessExec } = await import("${new URL("../../src/subprocess/subprocess_exec.ts", import.meta.url)}");
      const { SubprocessStreamProtocol } = await import("${new URL(
      "../../src/subprocess/process.ts",
      import.meta.url,
    )}");
      const { transport, protocol } = await subprocessExec(() => new SubprocessStreamProtocol(), "true", []);
      // Blocks until the process is gone, in one turn, so that no callback runs.
      for (let gone = false; !gone;) try { Deno.kill(transport.getPid(), "SIGCONT"); } catch { gone = true; }
      transport.terminate();
      console.log(await protocol.exited);`;
    const args = ["-c", start, Deno.execPath(), "eval", "--quiet", script];
    const { stdout } = await new Deno.Command("python3", { args, stderr: "inherit" }).output();
    assertEquals(new TextDecoder().decode(stdout), "255\n");
  },
});

test("SubprocessTransport.close() kills the process and closes its pipes, at once and once [D3, C4]", async () => {
  const protocol = await shell("trap '' TERM; cat; exec sleep 100");
  const { transport } = protocol;
  transport.getPipeTransport(0)!.write(new Uint8Array(1_000_000));
  transport.close();
  transport.close();
  assertEquals(transport.isClosing(), true);
  for (const fd of [0, 1, 2]) assertEquals(transport.getPipeTransport(fd)!.isClosing(), true);
  assertEquals(await protocol.lost.promise, null);
  assertEquals(transport.getReturncode(), -9);
  assertEquals(protocol.calls.filter((call) => !call.startsWith("data")).sort(), [
    "exited -9",
    "lost null",
    "made",
    "pause",
    "pipe 0 lost null",
    "pipe 1 lost null",
    "pipe 2 lost null",
  ]);
  transport.close();
});

test("SubprocessTransport.close() in connectionMade() ends it all the same [C1]", async () => {
  const close = (name: string, { transport }: Recorder) => {
    if (name === "made") transport.close();
  };
  const protocol = await shell("cat", {}, new Recorder(close));
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.calls.length, 6);
});

test("SubprocessTransport.getPipeTransport() gives pipes that can be paused in connectionMade() [C3]", async () => {
  const pause = (name: string, { transport }: Recorder) => {
    if (name === "made") transport.getPipeTransport(1)!.pauseReading();
  };
  const protocol = await shell("echo out; echo err >&2", {}, new Recorder(pause));
  await protocol.until(({ calls }) => calls.includes("pipe 2 lost null") && calls.includes("exited 0"));
  assertEquals([protocol.text(1), protocol.text(2)], ["", "err\n"]);
  assertEquals(protocol.transport.getPipeTransport(1)!.isReading(), false);
  protocol.transport.getPipeTransport(1)!.resumeReading();
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.text(1), "out\n");
});

test("subprocessExec() pauses and resumes writing to stdin [W2]", async () => {
  const protocol = await shell("cat >/dev/null");
  const stdin = protocol.transport.getPipeTransport(0)!;
  stdin.write(new Uint8Array(1_000_000));
  assertEquals(protocol.calls, ["made", "pause"]);
  stdin.close();
  await protocol.lost.promise;
  assertEquals(protocol.calls.slice(0, 3), ["made", "pause", "resume"]);
});

test("subprocessExec() tells with BrokenPipe of a stdin that was not read to the end", async () => {
  const protocol = await shell("exit 0");
  protocol.transport.getPipeTransport(0)!.write(new Uint8Array(1_000_000));
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.calls.includes("pipe 0 lost BrokenPipe"), true);
});

test("subprocessExec() closes an idle stdin when the process exits, so that it all ends [D2]", async () => {
  const protocol = await shell("exit 0");
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.calls.includes("pipe 0 lost null"), true);
});

test("subprocessExec() tells of an exit before the end of a pipe that another process holds [D2]", async () => {
  const protocol = await shell("sleep 100 & echo $!; exit 4");
  await protocol.until(({ calls }) => calls.includes("exited 4") && calls.includes("data 1"));
  const early = protocol.calls.filter((call) => call.startsWith("pipe 1") || call.startsWith("lost"));
  Deno.kill(Number(protocol.text(1)), "SIGKILL");
  assertEquals(await protocol.lost.promise, null);
  assertEquals(early, []);
  assertEquals(protocol.calls.at(-1), "lost null");
});

test("subprocessExec() closes the pipes that another process holds, by close() after the exit", async () => {
  const protocol = await shell("sleep 100 & echo $!; exit 4");
  await protocol.until(({ calls }) => calls.includes("exited 4") && calls.includes("data 1"));
  protocol.transport.close();
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.transport.getReturncode(), 4);
  Deno.kill(Number(protocol.text(1)), "SIGKILL");
});

test("subprocessExec() sends SIGTERM when its signal aborts, and tells of the exit as of any", async () => {
  const controller = new AbortController();
  const protocol = await shell("exec sleep 100", { signal: controller.signal });
  controller.abort();
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.transport.getReturncode(), -15);
  // After the exit an abort does nothing.
  const later = new AbortController();
  const other = await shell("exit 0", { signal: later.signal });
  await other.lost.promise;
  later.abort();
  assertEquals(other.transport.getReturncode(), 0);
});

test("subprocessExec() starts nothing if its signal has aborted", async () => {
  const reason = new Error("changed my mind");
  const recorder = new Recorder();
  const refused = shell("true", { signal: AbortSignal.abort(reason) }, recorder);
  assertStrictEquals(await assertRejects(() => refused), reason);
  assertEquals(recorder.calls, []);
});

test("subprocessExec() rejects with what connectionMade() throws, after it killed the process [C2, C6]", async () => {
  const error = new Error("not this one");
  const protocol = new Recorder((name) => {
    if (name === "made") throw error;
  });
  const reports = await reportsOf(async () => {
    assertStrictEquals(await assertRejects(() => shell("exec sleep 100", {}, protocol)), error);
  });
  assertEquals(protocol.transport.getReturncode(), -9);
  assertEquals(protocol.calls.at(-1), "lost Error");
  assertEquals(reports.length, 1);
  assertStrictEquals(reports[0]!.protocol, protocol);
  assertStrictEquals(reports[0]!.transport, protocol.transport);
});

for (const name of ["data 1", "pipe 1 lost null", "exited -9"]) {
  for (const how of ["throws", "rejects"]) {
    test(`subprocessExec() reports and ends it all when the callback of "${name}" ${how} [C6]`, async () => {
      const error = new Error("cannot bear it");
      const protocol = new Recorder((called) => {
        if (called !== name) return;
        if (how === "rejects") return Promise.reject(error);
        throw error;
      });
      const reports = await reportsOf(async () => {
        await shell("echo; exec sleep 100 >&-", {}, protocol);
        if (name === "exited -9") protocol.transport.kill();
        await protocol.lost.promise;
      });
      assertEquals(protocol.transport.getReturncode(), -9);
      assertEquals(reports.length, 1);
      assertStrictEquals(reports[0]!.error, error);
      assertEquals(protocol.calls.at(-1), "lost Error");
      assertStrictEquals(await protocol.lost.promise, error);
    });
  }
}

test("subprocessExec() only reports a pauseWriting(), resumeWriting() or connectionLost() that throws [C6]", async () => {
  const protocol = new Recorder((name) => {
    if (["pause", "resume", "lost null"].includes(name)) throw name;
  });
  const reports = await reportsOf(async () => {
    await shell("cat >/dev/null", {}, protocol);
    const stdin = protocol.transport.getPipeTransport(0)!;
    stdin.write(new Uint8Array(1_000_000));
    stdin.close();
    await protocol.lost.promise;
  });
  assertEquals(protocol.calls.at(-1), "lost null");
  assertEquals(reports.map(({ error }) => error.message), [
    'Cannot finish pauseWriting(): it threw "pause"',
    'Cannot finish resumeWriting(): it threw "resume"',
    'Cannot finish connectionLost(): it threw "lost null"',
  ]);
});

test("SubprocessTransport.setProtocol() switches at any time [C8]", async () => {
  const first = await shell("read x; echo to the second");
  const second = new Recorder();
  second.transport = first.transport;
  assertThrows(() => first.transport.setProtocol({} as SubprocessProtocol), TypeError, "as a protocol: it must have");
  first.transport.setProtocol(second);
  assertStrictEquals(first.transport.getProtocol(), second);
  first.transport.getPipeTransport(0)!.write("go\n");
  assertEquals(await second.lost.promise, null);
  assertEquals(first.calls, ["made"]);
  assertEquals(second.text(1), "to the second\n");
});

Deno.test("subprocessExec() says what cannot be started", async () => {
  await assertRejects(
    () => subprocessExec(() => new Recorder(), "no-such-program", []),
    Deno.errors.NotFound,
    'Cannot start "no-such-program": ',
  );
});
