/** The timeout of calls that wait [R7]: for the whole call, TimedOut, no byte lost, the next read works. */
import { assert, assertEquals, assertGreaterOrEqual, assertLess, assertRejects, assertThrows } from "@std/assert";
import {
  connPair,
  createSubprocessExec,
  type Decoder,
  openConnection,
  startServer,
  StreamReader,
  type StreamWriter,
  type WaitOptions,
} from "../../mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { FakeTime } from "../support/fake_time.ts";
import { liveBytes } from "../support/heap.ts";
import { kinds } from "../support/servers.ts";

const encoder = new TextEncoder();
const MUCH = 64 << 20;

/** Messages of three bytes. */
const threes: Decoder<string> = {
  decode: (bytes) => bytes.length < 3 ? undefined : new TextDecoder().decode(bytes.take(3)),
};

interface WaitingRead {
  name: string;
  doing: string;
  call: (reader: StreamReader, options: WaitOptions) => Promise<unknown>;
  /** What is fed before the time is over, and what after it. */
  fed: [string, string];
  result: unknown;
}

const line = encoder.encode("abc\n");
const reads: WaitingRead[] = [
  { name: "read(n)", doing: "read", call: (r, o) => r.read(9, o), fed: ["", "abc\n"], result: line },
  { name: "readline()", doing: "read a line", call: (r, o) => r.readline(o), fed: ["ab", "c\n"], result: line },
  {
    name: "readline({ encoding })",
    doing: "read a line",
    call: (r, o) => r.readline({ ...o, encoding: "utf-8" }),
    fed: ["ab", "c\n"],
    result: "abc\n",
  },
  {
    name: "readexactly()",
    doing: "read exactly",
    call: (r, o) => r.readexactly(4, o),
    fed: ["abc", "\n"],
    result: line,
  },
  {
    name: "readuntil()",
    doing: "read until a separator",
    call: (r, o) => r.readuntil("c\n", o),
    fed: ["abc", "\n"],
    result: line,
  },
  {
    name: "readinto()",
    doing: "read",
    call: async (r, o) => {
      const p = new Uint8Array(9);
      return p.subarray(0, await r.readinto(p, o) ?? 0);
    },
    fed: ["", "abc\n"],
    result: line,
  },
  { name: "peek()", doing: "peek", call: (r, o) => r.peek(4, o), fed: ["abc", "\n"], result: line },
  {
    name: "skipuntil()",
    doing: "skip until a separator",
    call: (r, o) => r.skipuntil("\n", o),
    fed: ["", "abc\n"],
    result: 4,
  },
  { name: "readUint8()", doing: "read an integer", call: (r, o) => r.readUint8(o), fed: ["", "a"], result: 97 },
  {
    name: "readUint16()",
    doing: "read an integer",
    call: (r, o) => r.readUint16(false, o),
    fed: ["a", "b"],
    result: 0x6162,
  },
  {
    name: "readUint32()",
    doing: "read an integer",
    call: (r, o) => r.readUint32(true, o),
    fed: ["abc", "d"],
    result: 0x64636261,
  },
  {
    name: "readBigUint64()",
    doing: "read an integer",
    call: (r, o) => r.readBigUint64(false, o),
    fed: ["\0\0\0\0\0\0", "\0a"],
    result: 97n,
  },
  {
    name: "readframe()",
    doing: "read a message",
    call: (r, o) => r.readframe(threes, o),
    fed: ["ab", "c"],
    result: "abc",
  },
  { name: "lines()", doing: "read a line", call: nextLine, fed: ["ab", "c\n"], result: "abc" },
];

async function nextLine(reader: StreamReader, options: WaitOptions): Promise<unknown> {
  return (await reader.lines(options).next()).value;
}

for (const { name, doing, call, fed, result } of reads) {
  Deno.test(`${name} rejects with TimedOut when its time is over, loses no byte, and the next read works [R7]`, async () => {
    using time = new FakeTime();
    const reader = new StreamReader();
    const late = call(reader, { timeout: 100 });
    await time.advance(99);
    reader.feedData(encoder.encode(fed[0]));
    const rejected = assertRejects(() => late, Deno.errors.TimedOut, `Cannot ${doing}: 100 ms are over`);
    await time.advance(1);
    await rejected;
    const next = call(reader, { timeout: 100 });
    await time.advance(50);
    reader.feedData(encoder.encode(fed[1]));
    assertEquals(await next, result);
    await turns(1);
    assertEquals(time.timers, 0);
  });

  Deno.test(`${name} refuses a timeout that is none, before anything is taken [R7]`, async () => {
    const reader = new StreamReader();
    reader.feedData(encoder.encode(fed[0] + fed[1]));
    for (const timeout of [-1, NaN, -Infinity]) {
      await assertRejects(
        () => promiseOf(() => call(reader, { timeout })),
        RangeError,
        "timeout must be at least 0 ms",
      );
    }
    for (const timeout of ["1", null, {}, 1n]) {
      const call1 = () => promiseOf(() => call(reader, { timeout: timeout as never }));
      await assertRejects(call1, TypeError, "timeout must be a number");
    }
    assertEquals(await call(reader, { timeout: undefined }), result);
  });
}

/** A call whose exceptions are rejections. */
async function promiseOf(call: () => Promise<unknown>): Promise<unknown> {
  return await call();
}

Deno.test("a read that is satisfied at once touches no timer, nor does one without a limit [R7]", async () => {
  using time = new FakeTime();
  for (const { call, fed, result } of reads) {
    const reader = new StreamReader();
    reader.feedData(encoder.encode(fed[0] + fed[1]));
    assertEquals(await call(reader, { timeout: 5 }), result);
    const other = new StreamReader();
    const waiting = call(other, { timeout: Infinity });
    other.feedData(encoder.encode(fed[0] + fed[1]));
    assertEquals(await waiting, result);
  }
  const [a, b] = connPair();
  await using near = await openConnection({ conn: a });
  near.writer.write("x");
  await near.writer.drain({ timeout: 5 });
  assertEquals(time.timersSet, 0);
  b.close();
});

Deno.test("at timeout 0 a read gets what is there, and else waits for no more than a turn [R7]", async () => {
  const reader = new StreamReader();
  reader.feedData(line);
  assertEquals(await reader.readline({ timeout: 0 }), line);
  await assertRejects(() => reader.readline({ timeout: 0 }), Deno.errors.TimedOut, "0 ms are over");
});

Deno.test("a timeout beside a signal: whichever comes first ends the read [R7]", async () => {
  using time = new FakeTime();
  const reader = new StreamReader();
  const stop = new AbortController();
  const first = assertRejects(() => reader.readline({ signal: stop.signal, timeout: 10 }), Deno.errors.TimedOut);
  await time.advance(11);
  await first;
  const second = assertRejects(() => reader.readline({ signal: stop.signal, timeout: 10 }), DOMException);
  stop.abort();
  await second;
  await time.advance(20);
  reader.feedData(line);
  assertEquals(await reader.readline(), line);
  assertEquals(time.timers, 0);
});

Deno.test("100,000 reads that wait with a timeout set a few timers, and leave no timer, no listener and no memory [R7]", async () => {
  using time = new FakeTime();
  const reader = new StreamReader();
  const round = async (n: number) => {
    for (let i = 0; i < n; i++) {
      const read = reader.readline({ timeout: 60_000 });
      reader.feedData(line);
      await read;
    }
  };
  await round(10_000);
  const before = await liveBytes();
  const set = time.timersSet;
  await round(100_000);
  assertLess(time.timersSet - set, 10);
  // Eight bytes for each would be 800 kB.
  assertLess(await liveBytes() - before, 400_000);
  assertEquals(time.timers, 0);
});

Deno.test("the stack of TimedOut names the function that waits [R7]", async () => {
  const reader = new StreamReader();
  async function theOneThatWaits(): Promise<void> {
    await reader.readline({ timeout: 1 });
  }
  const error = await assertRejects(theOneThatWaits, Deno.errors.TimedOut);
  assert(error.stack!.includes("theOneThatWaits"), error.stack);
});

for (const kind of kinds) {
  Deno.test(`over ${kind.name} a read, drain() and waitClosed() time out, and nothing is lost [R7, S2]`, async () => {
    const go = Promise.withResolvers<void>();
    await using server = await kind.startServer(async (reader, writer) => {
      await go.promise;
      writer.write("late\n");
      for (let left = MUCH; left > 0;) left -= (await reader.read(65536)).length;
      writer.write("all\n");
    });
    const { reader, writer } = await kind.openConnection(server);
    const begun = performance.now();
    await assertRejects(() => reader.readline({ timeout: 30 }), Deno.errors.TimedOut);
    assertGreaterOrEqual(performance.now() - begun, 29);
    writer.write(new Uint8Array(MUCH));
    await assertRejects(() => writer.drain({ timeout: 20 }), Deno.errors.TimedOut, "Cannot drain: 20 ms are over");
    await assertRejects(() => writer.waitClosed({ timeout: 20 }), Deno.errors.TimedOut, "Cannot wait for the end");
    go.resolve();
    assertEquals(await reader.readline({ encoding: "utf-8" }), "late\n");
    assertEquals(await reader.readline({ encoding: "utf-8", timeout: 60_000 }), "all\n");
    await writer.close();
  });

  Deno.test(`over ${kind.name} sendall() and sendfile() that time out abort the connection [R7, M3]`, async () => {
    const held = Promise.withResolvers<void>();
    await using server = await kind.startServer(() => held.promise);
    const file = await Deno.makeTempFile();
    await Deno.truncate(file, MUCH);
    using opened = await Deno.open(file);
    const calls = [
      (writer: StreamWriter) => writer.sendall(new Uint8Array(MUCH), { timeout: 30 }),
      (writer: StreamWriter) => writer.sendfile(opened, { timeout: 30 }),
    ];
    for (const call of calls) {
      const { writer } = await kind.openConnection(server);
      await assertRejects(() => call(writer), Deno.errors.TimedOut, "30 ms are over");
      assert(writer.isClosing());
      await writer.waitClosed({ timeout: 60_000 });
      // Whether awaited or not.
      const ignored = await kind.openConnection(server);
      const sent = call(ignored.writer);
      await ignored.writer.waitClosed({ timeout: 60_000 });
      await turns(1);
      await sent.catch(() => {});
    }
    await Deno.remove(file);
    server.abortClients();
    held.resolve();
  });
}

Deno.test("sendfile() that times out while its file is being opened closes that file later [R7]", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const path = `${await Deno.makeTempDir()}/pipe`;
  assert((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
  const [a, b] = connPair();
  const { writer } = await openConnection({ conn: a });
  // A pipe is open when somebody has opened its other end.
  await assertRejects(() => writer.sendfile(path, { timeout: 20 }), Deno.errors.TimedOut, "Cannot send a file");
  using other = await Deno.open(path, { write: true });
  // Its reader closes it after one read.
  const writing = async () => {
    for (;;) await other.write(line);
  };
  await assertRejects(writing, Deno.errors.BrokenPipe);
  await writer.waitClosed();
  b.close();
});

Deno.test("startTls() that times out loses the connection, with TimedOut for who reads [R7, S5]", async () => {
  const [a, b] = connPair();
  const { reader, writer } = await openConnection({ conn: a });
  const calls = { serverName: "localhost", timeout: 30 };
  await assertRejects(() => writer.startTls(calls), Deno.errors.TimedOut, "Cannot start TLS: 30 ms are over");
  await assertRejects(() => reader.read(), Deno.errors.TimedOut);
  await assertRejects(() => writer.waitClosed(), Deno.errors.TimedOut);
  b.close();
});

Deno.test("startTls() takes a signal: at its abort the connection is lost [R7, S5]", async () => {
  const [a, b] = connPair();
  const { reader, writer } = await openConnection({ conn: a });
  const reason = new Error("enough");
  const stop = new AbortController();
  const started = writer.startTls({ serverName: "localhost", signal: stop.signal });
  stop.abort(reason);
  assertEquals(await started.catch((error) => error), reason);
  assertEquals(await reader.read().catch((error) => error), reason);
  b.close();
});

Deno.test("server.waitClosed() and shutdown() time out while the end goes on [R7, V5]", async () => {
  const held = Promise.withResolvers<void>();
  const server = await startServer(() => held.promise, { hostname: "127.0.0.1", port: 0 });
  const client = await openConnection({ port: server.port });
  client.writer.write("x");
  while (server.connections === 0) await turns(1);
  await assertRejects(() => server.waitClosed({ timeout: 10 }), Deno.errors.TimedOut, "Cannot wait for the end");
  const stop = AbortSignal.abort("enough");
  assertEquals(await server.waitClosed({ signal: stop }).catch((reason) => reason), "enough");
  await assertRejects(() => server.shutdown({ timeout: 10 }), Deno.errors.TimedOut, "Cannot shut down: 10 ms are over");
  assertEquals(server.isServing(), false);
  held.resolve();
  await server.waitClosed({ timeout: 60_000 });
  await client.writer.close();
});

Deno.test("Process.wait() and communicate() time out; the process goes on, and its output stays [R7, D3]", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const process = await createSubprocessExec("sh", ["-c", "printf early; cat; printf late"], {
    stdin: "piped",
    stdout: "piped",
  });
  await assertRejects(() => process.wait({ timeout: 20 }), Deno.errors.TimedOut, "Cannot wait for the process");
  const { stdin } = process;
  stdin!.write("in");
  const stop = new AbortController();
  const asked = process.stdout!.peek(7);
  assertEquals(new TextDecoder().decode(await asked), "earlyin");
  const waiting = process.wait({ signal: stop.signal });
  stop.abort("enough");
  assertEquals(await waiting.catch((reason) => reason), "enough");
  stdin!.close();
  assertEquals(new TextDecoder().decode(await process.stdout!.read()), "earlyinlate");
  assertEquals(await process.wait({ timeout: 60_000 }), 0);

  const sleeper = await createSubprocessExec("sh", ["-c", "printf early; exec sleep 60"], { stdout: "piped" });
  await sleeper.stdout!.peek(5);
  await assertRejects(
    () => sleeper.communicate(undefined, { timeout: 30 }),
    Deno.errors.TimedOut,
    "Cannot communicate",
  );
  assertEquals(sleeper.returncode, null);
  sleeper.kill();
  const { stdout } = await sleeper.communicate();
  assertEquals(new TextDecoder().decode(stdout!), "early");
});

Deno.test("every call that waits refuses wrong limits, and changes nothing [R7, V2]", async () => {
  const [a, b] = connPair();
  const { writer } = await openConnection({ conn: a });
  await using server = await startServer((_reader, writer) => void writer.close(), { hostname: "127.0.0.1", port: 0 });
  const calls: Record<string, (options: never) => Promise<unknown>> = {
    drain: (options) => writer.drain(options),
    sendall: (options) => writer.sendall(line, options),
    sendfile: (options) => writer.sendfile("no file", options),
    waitClosed: (options) => writer.waitClosed(options),
    startTls: (options) => writer.startTls(options),
    serverWaitClosed: (options) => server.waitClosed(options),
    shutdown: (options) => server.shutdown(options),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const timeout of [-1, NaN]) {
      await assertRejects(() => call({ timeout } as never), RangeError, "timeout must", name);
    }
    await assertRejects(() => call({ timeout: "1" } as never), TypeError, "timeout must be a number", name);
    await assertRejects(() => call({ signal: 1 } as never), TypeError, "signal must be an AbortSignal", name);
    const reason = new Error("before");
    assertEquals(await call({ signal: AbortSignal.abort(reason) } as never).catch((error) => error), reason, name);
  }
  assertEquals(writer.isClosing(), false);
  assert(server.isServing());
  assertThrows(() => new StreamReader().lines({ timeout: -1 }), RangeError);
  await writer.close();
  b.close();
});
