import { assertEquals, assertInstanceOf, assertLess, assertRejects, assertStrictEquals } from "@std/assert";
import type { StreamReader } from "../../src/streams/stream_reader.ts";
import { subprocessExec } from "../../src/subprocess/subprocess_exec.ts";
import { createSubprocessExec, Process, SubprocessStreamProtocol } from "../../src/subprocess/process.ts";
import { assertSameBytes, pattern, text } from "../support/bytes.ts";
import { hasProgram } from "../support/machine.ts";
import { ticks, until } from "../support/waiting.ts";

const ignore = !await hasProgram("sh", "the tests of processes as streams");
const noPython = !await hasProgram("python3", "the tests of processes against python3");
const MIB = 1 << 20;
const inOut = { stdin: "piped", stdout: "piped" } as const;
const allPiped = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore, fn });
}

test("createSubprocessExec() gives streams where pipes are asked for, and inherits by default", async () => {
  const bare = await createSubprocessExec("sh", ["-c", "exit 3"]);
  assertEquals([bare.stdin, bare.stdout, bare.stderr], [null, null, null]);
  assertEquals(await bare.wait(), 3);
  const process = await createSubprocessExec("sh", ["-c", "cat; echo error >&2"], allPiped);
  assertEquals(process.returncode, null);
  assertEquals(process.pid > 0, true);
  process.stdin!.write("one\ntwo\n");
  await process.stdin!.drain();
  assertEquals(text(await process.stdout!.readline()), "one\n");
  process.stdin!.write("three");
  await process.stdin!.close();
  assertEquals(text(await process.stdout!.read()), "two\nthree");
  assertEquals(text(await process.stderr!.read()), "error\n");
  assertEquals(await process.wait(), 0);
  assertEquals(process.returncode, 0);
});

test("createSubprocessExec() inherits stdin, stdout and stderr", async () => {
  const { href } = new URL("../../src/subprocess/process.ts", import.meta.url);
  const script = `const { createSubprocessExec } = await import("${href}");
    const process = await createSubprocessExec("sh", ["-c", "cat; echo error >&2"]);
    Deno.exit(await process.wait());`;
  const parent = await createSubprocessExec(Deno.execPath(), ["eval", "--quiet", script], allPiped);
  const { stdout, stderr } = await parent.communicate("through two processes");
  assertEquals([text(stdout!), text(stderr!), parent.returncode], ["through two processes", "error\n", 0]);
});

test("createSubprocessExec() refuses a wrong limit and wrong options, before it starts anything", async () => {
  for (const limit of [0, -1, NaN]) {
    await assertRejects(() => createSubprocessExec("sh", ["-c", "exit 0"], { limit }), RangeError, `not ${limit}`);
  }
  const options = { ...inOut, bufsize: 0 } as typeof inOut;
  await assertRejects(() => createSubprocessExec("sh", [], options), TypeError, 'there is no option "bufsize"');
  await assertRejects(() => createSubprocessExec("/no/such/program", [], allPiped), Deno.errors.NotFound);
});

test("createSubprocessExec() hands the limit to the readers", async () => {
  const process = await createSubprocessExec("sh", ["-c", "echo 0123456789"], { ...inOut, limit: 5 });
  assertEquals(process.stdout!.limit, 5);
  await assertRejects(() => process.stdout!.readline(), Error, "limit of 5 bytes");
  assertEquals(text(await process.stdout!.read()), "0123456789\n");
  await process.wait();
});

test("Process.wait() gives the same to all who wait, and whenever [D3]", async () => {
  const process = await createSubprocessExec("sh", ["-c", "read x; exit 9"], { stdin: "piped" });
  const waits = [process.wait(), process.wait()];
  process.stdin!.close();
  assertEquals(await Promise.all(waits), [9, 9]);
  assertEquals(await process.wait(), 9);
});

test("Process.wait() does not wait for pipes, and what is in them is not lost [D3]", async () => {
  const script = "sleep 100 & echo $!; head -c 50000 /dev/zero; exit 6";
  const process = await createSubprocessExec("sh", ["-c", script], { stdout: "piped" });
  assertEquals(await process.wait(), 6);
  assertEquals(process.stdout!.atEof(), false);
  const pid = Number(text(await process.stdout!.readline()));
  assertEquals((await process.stdout!.readexactly(50_000)).every((byte) => byte === 0), true);
  Deno.kill(pid, "SIGKILL");
  assertEquals((await process.stdout!.read()).length, 0);
});

test("Process.stdout holds all that the process wrote before it exited, however late it is read", async () => {
  const process = await createSubprocessExec("sh", ["-c", "head -c 60000 /dev/zero; echo end >&2"], allPiped);
  await process.wait();
  assertEquals((await process.stdout!.read()).length, 60_000);
  assertEquals(text(await process.stderr!.read()), "end\n");
});

test("Process.stdout need not be read: nothing is left open when the process has ended", async () => {
  class Watched extends SubprocessStreamProtocol {
    readonly lost = Promise.withResolvers<Error | null>();
    override connectionLost(error: Error | null) {
      this.lost.resolve(error);
    }
  }
  const endless = "while :; do echo y; done";
  for (const script of ["echo hello; echo error >&2", "head -c 60000 /dev/zero; cat", endless]) {
    const { transport, protocol } = await subprocessExec(() => new Watched({ limit: 10 }), "sh", ["-c", script]);
    if (script === endless) {
      assertEquals(text(await protocol.stdout.readline()), "y\n");
      transport.kill();
    }
    transport.getPipeTransport(0)!.close();
    assertEquals(await protocol.lost.promise, null);
    if (script !== endless) assertEquals(protocol.stdout.buffered > 0, true);
  }
});

test("Process.stdout is read on demand: a process that writes on has to wait [M4, R10]", async () => {
  const factory = () => new SubprocessStreamProtocol();
  const { transport, protocol } = await subprocessExec(factory, "sh", [
    "-c",
    "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done",
  ]);
  const pipe = transport.getPipeTransport(1)!;
  assertEquals(pipe.isReading(), false);
  for (const n of [1, 300_000]) {
    const read = protocol.stdout.readexactly(n);
    assertEquals(pipe.isReading(), n > protocol.stdout.buffered);
    assertEquals((await read).length, n);
    assertEquals(pipe.isReading(), false);
    assertLess(protocol.stdout.buffered, 65_537);
  }
  transport.close();
  assertEquals(await protocol.exited, -9);
});

test("Process.stdout reads ahead in bounds where another process writes on after the exit [M4]", async () => {
  const script =
    "(while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done) & echo $! >&2";
  const process = await createSubprocessExec("sh", ["-c", script], allPiped);
  assertEquals(await process.wait(), 0);
  const pid = Number(text(await process.stderr!.readline()));
  await until(() => process.stdout!.buffered >= MIB);
  await ticks(50);
  assertLess(process.stdout!.buffered, MIB + 65_537);
  Deno.kill(pid, "SIGKILL");
  await process.stdout!.read();
});

test("Process.stdin.drain() waits for a process that never reads, in bounded memory [S2, W2, M4]", async () => {
  const process = await createSubprocessExec("sleep", ["100"], { stdin: "piped" });
  const stdin = process.stdin!;
  const block = new Uint8Array(65_536);
  let written = 0;
  const writing = (async () => {
    for (;;) {
      stdin.write(block);
      written += block.length;
      await stdin.drain();
    }
  })();
  writing.catch(() => {});
  for (let before = -1; before < written;) {
    before = written;
    await ticks(50);
  }
  // The most a pipe holds, the mark, and what went beyond it.
  assertLess(written, MIB + 65_536 + 2 * block.length);
  assertLess(stdin.transport.getWriteBufferSize(), 65_536 + block.length + 1);
  process.kill();
  await assertRejects(() => writing, Deno.errors.BrokenPipe);
  await assertRejects(() => stdin.waitClosed(), Deno.errors.BrokenPipe);
  assertEquals(await process.wait(), -9);
});

test("Process.stdin fails with drain() when the process is gone, not before [S2]", async () => {
  const process = await createSubprocessExec("sh", ["-c", "exit 0"], { stdin: "piped" });
  await process.wait();
  assertEquals(process.stdin!.isClosing(), true);
  process.stdin!.write("too late");
  await assertRejects(() => process.stdin!.drain(), Deno.errors.ConnectionReset);
  await process.stdin!.waitClosed();
});

test("Process.sendSignal(), terminate() and kill() end a process, and do nothing later [D3]", async () => {
  const ends: [(process: Process) => void, number][] = [
    [(process) => process.sendSignal("SIGINT"), -2],
    [(process) => process.terminate(), -15],
    [(process) => process.kill(), -9],
  ];
  for (const [end, returncode] of ends) {
    const process = await createSubprocessExec("sleep", ["100"]);
    end(process);
    assertEquals(await process.wait(), returncode);
    end(process);
    assertEquals(process.returncode, returncode);
  }
});

test("createSubprocessExec() takes a signal: SIGTERM if it aborts, and nothing started if it has", async () => {
  const controller = new AbortController();
  const process = await createSubprocessExec("sleep", ["100"], { ...allPiped, signal: controller.signal });
  const communicated = process.communicate();
  controller.abort();
  assertEquals(await communicated, { stdout: new Uint8Array(0), stderr: new Uint8Array(0) });
  assertEquals(await process.wait(), -15);
  const reason = new Error("changed my mind");
  const late = createSubprocessExec("sleep", ["100"], { signal: AbortSignal.abort(reason) });
  assertStrictEquals(await assertRejects(() => late), reason);
});

test("Process passes 100 MiB through cat both ways at once, in bounded memory [M4, W3]", async () => {
  const process = await createSubprocessExec("cat", [], inOut);
  const { stdin, stdout } = process as { stdin: NonNullable<Process["stdin"]>; stdout: StreamReader };
  const block = pattern(100_000);
  const total = 100 * MIB;
  const base = Deno.memoryUsage().rss;
  let rss = base, buffered = 0, unsent = 0;
  const sending = (async () => {
    for (let left = total; left > 0; left -= block.length) {
      stdin.write(block.subarray(0, Math.min(left, block.length)));
      unsent = Math.max(unsent, stdin.transport.getWriteBufferSize());
      await stdin.drain();
    }
    await stdin.close();
  })();
  let received = 0;
  for (;;) {
    const bytes = await stdout.read(100_000);
    if (bytes.length === 0) break;
    for (let i = 0; i < bytes.length; i += 997) {
      assertEquals(bytes[i], block[(received + i) % block.length]);
    }
    received += bytes.length;
    buffered = Math.max(buffered, stdout.buffered);
    rss = Math.max(rss, Deno.memoryUsage().rss);
  }
  await sending;
  assertEquals([received, await process.wait()], [total, 0]);
  assertLess(unsent, 65_536 + 2 * block.length);
  assertLess(buffered, 2 * 65_536 + 65_536);
  assertLess(rss - base, 64 * MIB);
});

test("Process.communicate() sends 10 MiB and gets them back", async () => {
  const process = await createSubprocessExec("cat", [], inOut);
  const sent = pattern(10 * MIB);
  const { stdout, stderr } = await process.communicate(sent);
  assertSameBytes(stdout!, sent);
  assertEquals([stderr, process.returncode], [null, 0]);
});

test("Process.communicate() reads stdout and stderr at once, megabytes of each", async () => {
  const script = "head -c 3000000 /dev/zero >&2; head -c 5000000 /dev/zero; head -c 3000000 /dev/zero >&2; cat";
  const process = await createSubprocessExec("sh", ["-c", script], allPiped);
  const { stdout, stderr } = await process.communicate("end");
  assertEquals([stdout!.length, stderr!.length, text(stdout!.subarray(-3))], [5_000_003, 6_000_000, "end"]);
});

test("Process.communicate() takes text as UTF-8, and no input as its end", async () => {
  const process = await createSubprocessExec("cat", [], inOut);
  assertEquals(text((await process.communicate("héllo €")).stdout!), "héllo €");
  const silent = await createSubprocessExec("cat", [], inOut);
  assertEquals((await silent.communicate()).stdout!.length, 0);
  const empty = await createSubprocessExec("cat", [], inOut);
  assertEquals((await empty.communicate("")).stdout!.length, 0);
  const noPipes = await createSubprocessExec("sh", ["-c", "exit 2"]);
  assertEquals(await noPipes.communicate(), { stdout: null, stderr: null });
  assertEquals(noPipes.returncode, 2);
});

test("Process.communicate() ignores a stdin that is closed early, or not read at all [D3]", async () => {
  for (const script of ["exit 5", "exec 0<&-; echo closed; exit 5", "read line; echo closed; exit 5"]) {
    const process = await createSubprocessExec("sh", ["-c", script], allPiped);
    const { stdout } = await process.communicate(new Uint8Array(10 * MIB).fill(10));
    assertEquals([text(stdout!), process.returncode], [script === "exit 5" ? "" : "closed\n", 5]);
  }
});

test("Process.communicate() gives what came before a signal ended the process", async () => {
  const process = await createSubprocessExec("sh", ["-c", "echo so far; kill -9 $$"], allPiped);
  const { stdout } = await process.communicate(new Uint8Array(MIB));
  assertEquals([text(stdout!), process.returncode], ["so far\n", -9]);
});

test("Process.communicate() gives what was read from the readers before no second time", async () => {
  const process = await createSubprocessExec("sh", ["-c", "echo one; cat"], inOut);
  assertEquals(text(await process.stdout!.readline()), "one\n");
  assertEquals(text((await process.communicate("two\n")).stdout!), "two\n");
  assertEquals((await process.communicate()).stdout!.length, 0);
});

test("Process.communicate() refuses input of a wrong type, and input that nothing takes", async () => {
  const process = await createSubprocessExec("cat", [], { stdin: "null", stdout: "piped" });
  await assertRejects(() => process.communicate("lost"), TypeError, "there is input, but stdin is not a pipe");
  await assertRejects(() => process.communicate(5 as unknown as string), TypeError, "or a string, not a number");
  assertEquals((await process.communicate()).stdout!.length, 0);
});

test("Process.stdin sends a file, and ends with writeEof() [W9]", async () => {
  const path = await Deno.makeTempFile();
  const content = pattern(300_000);
  await Deno.writeFile(path, content);
  const process = await createSubprocessExec("cat", [], inOut);
  const received = process.stdout!.read();
  assertEquals(await process.stdin!.sendfile(path), content.length);
  process.stdin!.writeEof();
  assertSameBytes(await received, content);
  assertEquals(await process.wait(), 0);
  await Deno.remove(path);
});

test("Process.stdout and stdin are Web Streams, too", async () => {
  const process = await createSubprocessExec("cat", [], inOut);
  const upper = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => controller.enqueue(chunk.map((byte) => byte - 32)),
  });
  const source = ReadableStream.from([new TextEncoder().encode("hel"), new TextEncoder().encode("lo")]);
  const sent = source.pipeTo(process.stdin!.writable);
  const text = await new Response(
    process.stdout!.readable.pipeThrough(upper) as ReadableStream<Uint8Array<ArrayBuffer>>,
  ).text();
  await sent;
  assertEquals([text, await process.wait()], ["HELLO", 0]);
});

test("SubprocessStreamProtocol makes a Process of what subprocessExec() gives", async () => {
  const factory = () => new SubprocessStreamProtocol();
  const { transport, protocol } = await subprocessExec(factory, "cat", [], { stderr: "null" });
  const process = new Process(transport, protocol);
  assertStrictEquals(process.stdout, protocol.stdout);
  assertEquals(process.stderr, null);
  const read = process.stdout!.readline();
  transport.close();
  assertEquals((await read).length, 0);
  assertEquals(await process.wait(), -9);
  await process.stdin!.waitClosed();
  assertInstanceOf(transport.getExtraInfo("subprocess"), Deno.ChildProcess);
});

Deno.test({
  name: "createSubprocessExec() drives an interactive python3",
  ignore: noPython,
  async fn() {
    const python = await createSubprocessExec("python3", ["-i", "-q", "-u"], allPiped);
    const errors = python.stderr!.read();
    for (const [question, answer] of [["6 * 7", "42"], ["'ab' * 3", "'ababab'"], ["sum(range(10))", "45"]]) {
      python.stdin!.write(`${question}\n`);
      assertEquals(text(await python.stdout!.readline()), `${answer}\n`);
    }
    python.stdin!.write("import sys; print('bye', file=sys.stderr); sys.exit(11)\n");
    assertEquals(await python.wait(), 11);
    assertEquals(text(await errors).includes("bye"), true);
  },
});

test("Process is AsyncDisposable: it is killed, and nothing of it is left", async () => {
  let left: Process;
  {
    await using process = await createSubprocessExec("sh", ["-c", "cat; cat"], allPiped);
    left = process;
    process.stdin!.write("one\n");
    assertEquals(text(await process.stdout!.readline()), "one\n");
    assertEquals(process.returncode, null);
  }
  assertEquals(left.returncode, -9);
  assertEquals(await left.wait(), -9);
  assertEquals((await left.stdout!.read()).length, 0);
  // Again it does nothing.
  await left[Symbol.asyncDispose]();
});

test("Process is AsyncDisposable: one that has exited keeps its exit code", async () => {
  await using process = await createSubprocessExec("sh", ["-c", "exit 3"], allPiped);
  assertEquals(await process.wait(), 3);
  await process[Symbol.asyncDispose]();
  assertEquals(process.returncode, 3);
});

test("Process is AsyncDisposable: a child of it that holds its pipes delays nothing", async () => {
  let child: number;
  {
    await using process = await createSubprocessExec("sh", ["-c", "sleep 1000 & echo $!; wait"], inOut);
    child = Number(text(await process.stdout!.readline()));
  }
  Deno.kill(child, "SIGKILL");
});

test("Process is AsyncDisposable: it is killed as well when the block throws", async () => {
  let left: Process | null = null;
  await assertRejects(
    async () => {
      await using process = left = await createSubprocessExec("cat", [], allPiped);
      process.stdin!.write("unread");
      throw new Error("of the block");
    },
    Error,
    "of the block",
  );
  assertEquals(left!.returncode, -9);
});
