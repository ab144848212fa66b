import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { connectReadPipe, connectWritePipe } from "../../src/transport/pipes.ts";
import { BaseProtocol, Protocol } from "../../src/transport/protocols.ts";
import { StreamReaderProtocol } from "../../src/streams/stream_reader_protocol.ts";
import { StreamReader } from "../../src/streams/stream_reader.ts";
import { StreamWriter } from "../../src/streams/stream_writer.ts";
import type { BaseTransport, ReadTransport, Transport } from "../../src/transport/types.ts";
import { bytes } from "../support/bytes.ts";
import { hasProgram } from "../support/machine.ts";
import { reportsOf } from "../support/reports.ts";

const hasSh = await hasProgram("sh", "the tests of pipes to other processes");

/** Notes what it is called with. */
class Recorder extends Protocol {
  readonly calls: string[] = [];
  readonly lost = Promise.withResolvers<Error | null>();
  transport!: BaseTransport;
  constructor(readonly onCall: (name: string, protocol: Recorder) => unknown = () => {}) {
    super();
  }
  #call(name: string, detail = ""): unknown {
    this.calls.push(name + detail);
    return this.onCall(name, this);
  }
  override connectionMade(transport: BaseTransport) {
    this.transport = transport;
    this.#call("made");
  }
  override dataReceived(data: Uint8Array) {
    this.#call("data", ` ${new TextDecoder().decode(data)}`);
  }
  override eofReceived(): boolean {
    this.#call("eof");
    return true;
  }
  override pauseWriting() {
    this.#call("pause");
  }
  override resumeWriting() {
    this.#call("resume");
  }
  override connectionLost(error: Error | null) {
    this.#call("lost", ` ${error?.name ?? null}`);
    this.lost.resolve(error);
  }
}

/** Streams that are joined in memory and hold one chunk at most. */
function memoryPipe(): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream(undefined, { highWaterMark: 1 }, { highWaterMark: 0 });
}

/** A file with a content, gone with its test. */
async function withFile(content: string, test: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, content);
    await test(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("connectReadPipe() reads a stream to its end, then closes whatever eofReceived() answers [C1]", async () => {
  const { readable, writable } = memoryPipe();
  const { transport, protocol } = await connectReadPipe(() => new Recorder(), readable);
  assertStrictEquals(protocol.transport, transport);
  assertStrictEquals(transport.getProtocol(), protocol);
  const writer = writable.getWriter();
  await writer.write(bytes("hello"));
  await writer.close();
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.calls, ["made", "data hello", "eof", "lost null"]);
  assertEquals(transport.isClosing(), true);
});

Deno.test("connectReadPipe() reads a file, and closes it", async () => {
  await withFile("one\ntwo\n", async (path) => {
    const file = await Deno.open(path);
    const { transport, protocol } = await connectReadPipe(() => new Recorder(), file);
    assertStrictEquals(transport.getExtraInfo("pipe"), file);
    assertEquals(transport.getExtraInfo("peername"), undefined);
    assertEquals(await protocol.lost.promise, null);
    assertEquals(protocol.calls, ["made", "data one\ntwo\n", "eof", "lost null"]);
  });
});

Deno.test("connectReadPipe() feeds a StreamReader", async () => {
  await withFile("one\ntwo\nthree", async (path) => {
    const reader = new StreamReader();
    await connectReadPipe(() => new StreamReaderProtocol(reader), await Deno.open(path));
    assertEquals(await Array.fromAsync(reader.lines()), ["one", "two", "three"]);
    assertEquals(reader.atEof(), true);
  });
});

Deno.test("connectReadPipe() issues no read if paused in connectionMade() [C3]", async () => {
  let pulls = 0;
  const readable = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(bytes(`${++pulls}`));
      if (pulls === 2) controller.close();
    },
  }, { highWaterMark: 0 });
  const pause = (name: string, { transport }: Recorder) => {
    if (name !== "eof") (transport as ReadTransport).pauseReading();
  };
  const { transport, protocol } = await connectReadPipe(() => new Recorder(pause), readable);
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals([pulls, transport.isReading()], [0, false]);
  transport.resumeReading();
  await new Promise((resolve) => setTimeout(resolve));
  // Paused again inside dataReceived(): one read at a time.
  assertEquals([pulls, protocol.calls.at(-1)], [1, "data 1"]);
  transport.resumeReading();
  await new Promise((resolve) => setTimeout(resolve));
  transport.resumeReading();
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.calls, ["made", "data 1", "data 2", "eof", "lost null"]);
});

Deno.test("connectReadPipe() loses the connection with the error of its stream", async () => {
  const { readable, writable } = memoryPipe();
  const { protocol } = await connectReadPipe(() => new Recorder(), readable);
  const error = new Error("the disk is on fire");
  await writable.abort(error);
  assertStrictEquals(await protocol.lost.promise, error);
  assertEquals(protocol.calls, ["made", "lost Error"]);
});

Deno.test("ReadTransport.close() of a pipe cancels its stream", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  const readable = new ReadableStream<Uint8Array>({ cancel: (reason) => cancelled.resolve(reason) });
  const { transport, protocol } = await connectReadPipe(() => new Recorder(), readable);
  transport.close();
  transport.close();
  assertEquals(await protocol.lost.promise, null);
  assertInstanceOf(await cancelled.promise, Deno.errors.BrokenPipe);
  assertEquals(protocol.calls, ["made", "lost null"]);
});

Deno.test("connectReadPipe() and connectWritePipe() refuse what is no pipe, before they do anything", async () => {
  const { readable, writable } = memoryPipe();
  let made = 0;
  const factory = () => (made++, new Recorder());
  for (const pipe of [undefined, null, 1, "stdin", {}, writable, { readable: 1 }] as never[]) {
    await assertRejects(() => connectReadPipe(factory, pipe), TypeError, "Cannot connect a read pipe: pipe must be a");
  }
  for (const pipe of [undefined, null, 1, "stdout", {}, readable, { writable: 1 }] as never[]) {
    await assertRejects(
      () => connectWritePipe(factory, pipe),
      TypeError,
      "Cannot connect a write pipe: pipe must be a",
    );
  }
  for (const noFactory of [undefined, new Recorder()] as never[]) {
    await assertRejects(() => connectReadPipe(noFactory, readable), TypeError, "protocolFactory must be a function");
    await assertRejects(() => connectWritePipe(noFactory, writable), TypeError, "protocolFactory must be a function");
  }
  assertEquals([made, readable.locked, writable.locked], [0, false, false]);
});

Deno.test("connectReadPipe() and connectWritePipe() leave the pipe alone if the factory throws", async () => {
  const { readable, writable } = memoryPipe();
  const factory = () => {
    throw new Error("no protocol today");
  };
  await assertRejects(() => connectReadPipe(factory, readable), Error, "no protocol today");
  await assertRejects(() => connectWritePipe(factory, writable), Error, "no protocol today");
  assertEquals([readable.locked, writable.locked], [false, false]);
});

Deno.test("connectReadPipe() and connectWritePipe() refuse a locked stream", async () => {
  const { readable, writable } = memoryPipe();
  const [reader, writer] = [readable.getReader(), writable.getWriter()];
  await assertRejects(() => connectReadPipe(() => new Recorder(), readable), TypeError, "locked");
  await assertRejects(() => connectWritePipe(() => new Recorder(), writable), TypeError, "locked");
  reader.releaseLock();
  writer.releaseLock();
});

Deno.test("connectReadPipe() and connectWritePipe() reject with what connectionMade() throws, and close [C2, C6]", async () => {
  for (const direction of ["read", "write"]) {
    const error = new Error("not this one");
    const { readable, writable } = memoryPipe();
    const recorder = new Recorder((name) => {
      if (name === "made") throw error;
    });
    const reports = await reportsOf(async () => {
      const connecting = direction === "read"
        ? connectReadPipe(() => recorder, readable)
        : connectWritePipe(() => recorder, writable);
      assertStrictEquals(await assertRejects(() => connecting), error);
      assertStrictEquals(await recorder.lost.promise, error);
    });
    assertEquals(recorder.calls, ["made", "lost Error"]);
    assertEquals(reports.length, 1);
    assertStrictEquals(reports[0]!.error, error);
    assertStrictEquals(reports[0]!.protocol, recorder);
    if (direction === "read") await writable.getWriter().closed.catch(() => {});
    else assertEquals((await readable.getReader().read()).done, true);
  }
});

Deno.test("connectWritePipe() writes a file for a protocol that knows nothing of reading", async () => {
  class Plain extends BaseProtocol {
    readonly lost = Promise.withResolvers<Error | null>();
    override connectionLost(error: Error | null) {
      this.lost.resolve(error);
    }
  }
  await withFile("", async (path) => {
    const file = await Deno.open(path, { write: true });
    const { transport, protocol } = await connectWritePipe(() => new Plain(), file);
    assertStrictEquals(transport.getExtraInfo("pipe"), file);
    assertStrictEquals(transport.getProtocol(), protocol);
    transport.write("one\n");
    transport.writelines(["two\n", bytes("three\n")]);
    await transport.sendall(bytes("four\n"));
    transport.write("five\n");
    transport.close();
    assertEquals(transport.isClosing(), true);
    assertEquals(await protocol.lost.promise, null);
    assertEquals(await Deno.readTextFile(path), "one\ntwo\nthree\nfour\nfive\n");
  });
});

Deno.test("connectWritePipe() closes after writeEof(), and never calls eofReceived() [C1, W9]", async () => {
  const { readable, writable } = memoryPipe();
  const { transport, protocol } = await connectWritePipe(() => new Recorder(), writable);
  assertEquals(transport.canWriteEof(), true);
  transport.write("last words");
  transport.writeEof();
  assertThrows(() => transport.write("more"), Error, "writeEof() was called before");
  assertEquals(await new Response(readable as ReadableStream<Uint8Array<ArrayBuffer>>).text(), "last words");
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.calls, ["made", "lost null"]);
});

Deno.test("connectWritePipe() pauses and resumes its protocol, and drain() waits [W2, S2]", async () => {
  const { readable, writable } = memoryPipe();
  const { transport, protocol } = await connectWritePipe(() => new Recorder(), writable);
  const sent = new Uint8Array(300_000).map((_, i) => i % 251);
  transport.write(sent);
  assertEquals(protocol.calls, ["made", "pause"]);
  transport.close();
  const received = await new Response(readable as ReadableStream<Uint8Array<ArrayBuffer>>).bytes();
  assertEquals(received.length === sent.length && received.every((byte, i) => byte === sent[i]), true);
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.calls, ["made", "pause", "resume", "lost null"]);

  const pipe = memoryPipe();
  const streams = await connectWritePipe(() => new StreamReaderProtocol(new StreamReader()), pipe.writable);
  const writer = new StreamWriter(streams.transport as Transport, streams.protocol, null);
  writer.write(sent);
  const reason = new Error("waited in vain");
  const waiting = new AbortController();
  const drained = writer.drain({ signal: waiting.signal });
  waiting.abort(reason);
  assertStrictEquals(await assertRejects(() => drained), reason);
  const reading = new Response(pipe.readable as ReadableStream<Uint8Array<ArrayBuffer>>).bytes();
  await writer.drain();
  await writer.close();
  assertEquals((await reading).length, sent.length);
});

Deno.test("connectWritePipe() loses the connection when the reader goes away, also between writes", async () => {
  for (const makeProtocol of [() => new Recorder(), () => new StreamReaderProtocol(new StreamReader())]) {
    const { readable, writable } = memoryPipe();
    const { transport, protocol } = await connectWritePipe<Recorder | StreamReaderProtocol>(makeProtocol, writable);
    await readable.cancel(new Deno.errors.BrokenPipe("nobody reads"));
    const lost = protocol instanceof Recorder ? protocol.lost.promise : assertRejects(() => protocol.waitClosed());
    assertInstanceOf(await lost, Deno.errors.BrokenPipe);
    assertEquals(transport.isClosing(), true);
  }
});

Deno.test({
  name: "connectWritePipe() loses the connection with BrokenPipe when a process stops reading",
  ignore: !hasSh,
  async fn() {
    const child = new Deno.Command("sh", {
      args: ["-c", "exec 0<&-; echo; exec sleep 100"],
      stdin: "piped",
      stdout: "piped",
    })
      .spawn();
    const said = child.stdout.getReader();
    const { transport, protocol } = await connectWritePipe(() => new Recorder(), child.stdin);
    await said.read();
    transport.write("anybody there?");
    assertInstanceOf(await protocol.lost.promise, Deno.errors.BrokenPipe);
    assertEquals(protocol.calls, ["made", "lost BrokenPipe"]);
    child.kill("SIGKILL");
    await said.cancel();
    await child.status;
  },
});

Deno.test("WriteTransport.abort() of a pipe drops what was not sent [W8]", async () => {
  const { readable, writable } = memoryPipe();
  const { transport, protocol } = await connectWritePipe(() => new Recorder(), writable);
  transport.write(new Uint8Array(300_000));
  transport.abort();
  assertEquals(transport.getWriteBufferSize(), 0);
  assertEquals(protocol.calls.includes("lost null"), false);
  assertEquals(await protocol.lost.promise, null);
  await assertRejects(() => readable.getReader().read());
});

Deno.test("WriteTransport.setProtocol() of a pipe switches to any kind of protocol [C8]", async () => {
  const { writable } = memoryPipe();
  const { transport, protocol } = await connectWritePipe(() => new BaseProtocol(), writable);
  const next = new Recorder();
  transport.setProtocol(next);
  assertStrictEquals(transport.getProtocol(), next);
  assertThrows(() => transport.setProtocol({} as BaseProtocol), TypeError, "it must have connectionMade()");
  assertThrows(
    () => transport.setProtocol(undefined as unknown as BaseProtocol),
    TypeError,
    "Cannot use undefined as a protocol",
  );
  assertStrictEquals(transport.getProtocol(), next);
  transport.close();
  assertEquals(await next.lost.promise, null);
  assertInstanceOf(protocol, BaseProtocol);
});

Deno.test("connectWritePipe() reports a pauseWriting() that throws, or rejects, and goes on [C6]", async () => {
  for (
    const fail of [() => {
      throw new Error("no pause");
    }, () => Promise.reject(new Error("no pause"))]
  ) {
    const { readable, writable } = memoryPipe();
    class Failing extends BaseProtocol {
      readonly lost = Promise.withResolvers<Error | null>();
      override pauseWriting() {
        return fail() as unknown as void;
      }
      override connectionLost(error: Error | null) {
        this.lost.resolve(error);
      }
    }
    let failing!: Failing;
    const reports = await reportsOf(async () => {
      const { transport, protocol } = await connectWritePipe(() => new Failing(), writable);
      failing = protocol;
      transport.write(new Uint8Array(100_000));
      transport.close();
      assertEquals((await new Response(readable as ReadableStream<Uint8Array<ArrayBuffer>>).bytes()).length, 100_000);
      assertEquals(await protocol.lost.promise, null);
    });
    assertEquals(reports.map(({ message, error }) => [message, error.message]), [
      ["pauseWriting() failed", "no pause"],
    ]);
    assertStrictEquals(reports[0]!.protocol, failing);
  }
});

Deno.test("connectReadPipe() and connectWritePipe() serve Deno.stdin and Deno.stdout", async () => {
  const peer = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", new URL("stdio_peer.ts", import.meta.url).href],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const stdin = peer.stdin.getWriter();
  const text = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join("");
  const sent = stdin.write(bytes(text)).then(() => stdin.close());
  const answer = await new Response(peer.stdout).text();
  await sent;
  assertEquals(answer.length, text.length);
  assertEquals(answer === text.toUpperCase(), true);
  assertEquals((await peer.status).code, 0);
});
