/** framed(): messages over connections of every kind. */
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type Codec,
  delimited,
  type Framed,
  framed,
  FramingError,
  headed,
  IncompleteReadError,
  jsonLines,
  lengthPrefixed,
  lines,
} from "../../src/framing/mod.ts";
import { connPair } from "../../src/conn/conn_pair.ts";
import { openConnection } from "../../src/streams/open_connection.ts";
import { StreamReader } from "../../src/streams/stream_reader.ts";
import { chunkers } from "../../src/testing/chunkers.ts";
import { bytes, pattern, text } from "../support/bytes.ts";
import { kinds } from "../support/servers.ts";
import { ticks } from "../support/waiting.ts";
import { cases, decodeByReader, decodePieces, measure, wireOf } from "../framing/codec_cases.ts";

/** Two ends in memory. */
async function pair<In, Out>(codec: Codec<In, Out>): Promise<[Framed<In, Out>, Framed<In, Out>]> {
  const [a, b] = connPair();
  return [framed(await openConnection({ conn: a }), codec), framed(await openConnection({ conn: b }), codec)];
}

/** A reader that is fed by hand, and a writer to nowhere. */
async function fed<In, Out>(codec: Codec<In, Out>): Promise<{ reader: StreamReader; messages: Framed<In, Out> }> {
  const [conn] = connPair();
  const reader = new StreamReader();
  const { writer } = await openConnection({ conn });
  return { reader, messages: framed({ reader, writer }, codec) };
}

for (const { name, make, messages, separator } of cases) {
  Deno.test(`readframe() and batches() of ${name} give the messages, however they are split [F1]`, async () => {
    const codec = make();
    const wire = wireOf(codec, messages);
    for (const { name, chunk } of chunkers({ separator, sizes: [2, 7], seeds: [1] })) {
      const pieces = chunk(wire);
      assertEquals(await decodeByReader(codec, pieces), { messages, error: null, left: "" }, name);
      const reader = new StreamReader();
      const connection = await fed(codec);
      const batched = framed({ reader, writer: connection.messages.writer }, codec);
      const feeding = (async () => {
        for (const piece of pieces) {
          reader.feedData(piece);
          await null;
        }
        reader.feedEof();
      })();
      assertEquals((await Array.fromAsync(batched.batches())).flat(), messages, name);
      await feeding;
      await connection.messages[Symbol.asyncDispose]();
    }
  });
}

for (const kind of kinds) {
  Deno.test(`Framed over ${kind.name}: what is sent by push, send and write arrives in order [F6]`, async () => {
    const codec = lengthPrefixed({ bytes: 4, limit: 1 << 20 });
    const received: number[] = [];
    await using server = await kind.startServer(async (reader, writer) => {
      const messages = framed({ reader, writer }, codec);
      for await (const batch of messages.batches()) {
        for (const message of batch) {
          assertEquals(message, pattern(message.length, message.length));
          received.push(message.length);
          messages.push(message);
        }
        await writer.drain();
      }
    });
    await using client = framed(await kind.openConnection(server), codec);
    const sizes = [0, 1, 1000, 70_000, 5, 300_000, 17];
    for (const [i, size] of sizes.entries()) {
      const message = pattern(size, size);
      if (i % 3 === 0) client.push(message);
      else if (i % 3 === 1) client.send(message);
      else {
        client.writer.write(new Uint8Array([size >>> 24, size >>> 16, size >>> 8, size]));
        client.writer.sendall(message);
      }
    }
    for (const size of sizes) assertEquals((await client.receive())?.length, size);
    assertEquals(received, sizes);
  });
}

Deno.test("Framed.receive() after a FramingError throws the same, as every call does, and the bytes stay [F3]", async () => {
  const { reader, messages } = await fed(lengthPrefixed({ bytes: 1, limit: 3 }));
  reader.feedData(new Uint8Array([1, 65, 9, 66, 67]));
  assertEquals(await messages.receive(), bytes("A"));
  const error = await assertRejects(() => messages.receive(), FramingError, "it exceeds the limit of 3 bytes");
  assertStrictEquals(await assertRejects(() => messages.receive()), error);
  assertStrictEquals(await assertRejects(() => messages.batches().next()), error);
  assertStrictEquals(await assertRejects(() => messages[Symbol.asyncIterator]().next()), error);
  assertStrictEquals(await assertRejects(() => messages.send(bytes("x"))), error);
  assertStrictEquals(assertThrows(() => messages.push(bytes("x"))), error);
  assertEquals(await reader.readexactly(3), new Uint8Array([9, 66, 67]));
  await messages[Symbol.asyncDispose]();
});

Deno.test("Framed.receive() throws whatever a codec throws, again and again, also undefined [F3]", async () => {
  for (const thrown of [new RangeError("mine"), "text", undefined, null]) {
    let calls = 0;
    const { reader, messages } = await fed<string, string>({
      decode: () => {
        calls++;
        throw thrown;
      },
      encode: () => {},
    });
    reader.feedData(bytes("abc"));
    for (let i = 0; i < 3; i++) {
      const outcome = await messages.receive().then(() => "resolved", (error) => ({ error }));
      assertEquals(outcome, { error: thrown });
    }
    assertEquals(calls, 1);
    await messages[Symbol.asyncDispose]();
  }
});

Deno.test("Framed.batches() gives the messages before an error first [F1, F3]", async () => {
  const { reader, messages } = await fed(jsonLines());
  reader.feedData(bytes("1\n2\nthree\n4\n"));
  const batches = messages.batches();
  assertEquals(await batches.next(), { done: false, value: [1, 2] });
  await assertRejects(() => batches.next(), FramingError, "it is no JSON");
  assertEquals(text(await reader.read(100)), "three\n4\n");
  await messages[Symbol.asyncDispose]();
});

Deno.test("Framed.receive() at EOF inside a message is an IncompleteReadError, each time the same [F3, F4]", async () => {
  const { reader, messages } = await fed(lines());
  reader.feedData(bytes("one\ntw"));
  reader.feedEof();
  assertEquals(await messages.receive(), "one");
  const error = await assertRejects(() => messages.receive(), IncompleteReadError);
  assertEquals(text(error.partial), "tw");
  assertStrictEquals(await assertRejects(() => messages.receive()), error);
  await messages[Symbol.asyncDispose]();
});

Deno.test("Framed tells a message that is null from the end of the stream, in batches and iteration", async () => {
  for (const way of ["batches", "messages"]) {
    const { reader, messages } = await fed(jsonLines());
    reader.feedData(bytes("null\n1\nnull\n"));
    reader.feedEof();
    const all = way === "batches"
      ? (await Array.fromAsync(messages.batches())).flat()
      : await Array.fromAsync(messages);
    assertEquals(all, [null, 1, null]);
    assertEquals(await messages.receive(), null);
    await messages[Symbol.asyncDispose]();
  }
});

Deno.test("Framed.receive() that is aborted loses nothing, and the next one works [R7]", async () => {
  const { reader, messages } = await fed(lines());
  const wire = "hello\nworld\n";
  const received: string[] = [];
  for (const byte of wire) {
    const controller = new AbortController();
    const receiving = messages.receive({ signal: controller.signal });
    reader.feedData(bytes(byte));
    controller.abort(new Error("enough"));
    await receiving.then((line) => received.push(line!), (error) => assertEquals(error.message, "enough"));
    await assertRejects(() => messages.receive({ signal: AbortSignal.abort(new Error("before")) }), Error, "before");
  }
  assertEquals(received, ["hello", "world"]);
  await messages[Symbol.asyncDispose]();
});

Deno.test("Framed.receive(), batches() and send() take a timeout, and lose nothing by it [R7]", async () => {
  const [a, b] = await pair(lines({ limit: 1 << 20 }));
  a.writer.write("hel");
  await assertRejects(() => b.receive({ timeout: 5 }), Deno.errors.TimedOut);
  await assertRejects(() => b.batches({ timeout: 5 }).next(), Deno.errors.TimedOut);
  await assertRejects(() => a.send("lo" + "x".repeat(1 << 18), { timeout: 5 }), Deno.errors.TimedOut);
  assertEquals(await b.receive({ timeout: 10_000 }), "hello" + "x".repeat(1 << 18));
  await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()]);
});

Deno.test("Framed.push() of what cannot be encoded writes nothing, and later calls work [F3]", async () => {
  const [a, b] = await pair(lines({ limit: 5 }));
  a.push("one");
  assertThrows(() => a.push("too long"), FramingError);
  await assertRejects(() => a.send("a\nb"), FramingError);
  a.push("two");
  assertEquals([await b.receive(), await b.receive()], ["one", "two"]);
  await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()]);
});

Deno.test("Framed.push() inside an encoder does not disturb the message that is being encoded", async () => {
  const [other, otherPeer] = await pair(lines());
  const [a, b] = await pair<string, string>({
    decode: (queue) => lines().decode(queue),
    encode(message, out) {
      out.putText(message.slice(0, 1));
      other.push(`about ${message}`);
      out.putText(`${message.slice(1)}\n`);
    },
  });
  a.push("hello");
  assertEquals([await b.receive(), await otherPeer.receive()], ["hello", "about hello"]);
  await Promise.all([a, b, other, otherPeer].map((one) => one[Symbol.asyncDispose]()));
});

Deno.test("Framed.push() is done with the memory of the message when it returns [M2]", async () => {
  const [a, b] = await pair(lengthPrefixed({ bytes: 2 }));
  const memory = bytes("first");
  a.push(memory);
  memory.set(bytes("other"));
  a.push(memory);
  assertEquals([text((await b.receive())!), text((await b.receive())!)], ["first", "other"]);
  await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()]);
});

Deno.test("Framed.codec may be changed between two messages: SMTP goes from lines to DATA and back [F1]", async () => {
  const wire = bytes("MAIL\r\nDATA\r\nline one\r\n..two\r\n.\r\nQUIT\r\n");
  const commands = lines({ ending: "\r\n" }) as Codec<unknown>;
  const body = delimited("\r\n.\r\n") as Codec<unknown>;
  for (const { name, chunk } of chunkers({ separator: "\r\n" })) {
    const { reader, messages } = await fed(commands);
    const seen: unknown[] = [];
    const serving = (async () => {
      for await (const message of messages) {
        seen.push(message instanceof Uint8Array ? text(message) : message);
        messages.codec = message === "DATA" ? body : commands;
      }
    })();
    for (const piece of chunk(wire)) {
      reader.feedData(piece);
      await null;
    }
    reader.feedEof();
    await serving;
    assertEquals(seen, ["MAIL", "DATA", "line one\r\n..two", "QUIT"], name);
    await messages[Symbol.asyncDispose]();
  }
});

Deno.test("Framed takes no byte beyond a message: HTTP's CONNECT goes on as a tunnel of plain bytes [F1]", async () => {
  const { reader, messages } = await fed(headed(measure));
  reader.feedData(bytes("CONNECT example.com:443\r\nlength: 0\r\n\r\n\x16\x03\x01tunnel"));
  const request = await messages.receive();
  assert(text(request!.header).startsWith("CONNECT "));
  assertEquals(await reader.readexactly(9), bytes("\x16\x03\x01tunnel"));
  await messages[Symbol.asyncDispose]();
});

Deno.test("Framed: a codec changed while a receive() waits decodes what that brings", async () => {
  const { reader, messages } = await fed(lines() as Codec<unknown>);
  const receiving = messages.receive();
  messages.codec = lengthPrefixed({ bytes: 1 }) as Codec<unknown>;
  reader.feedData(new Uint8Array([2, 10, 10]));
  assertEquals(await receiving, new Uint8Array([10, 10]));
  await messages[Symbol.asyncDispose]();
});

Deno.test("Framed.batches() ends with a codec that takes no bytes for its messages", async () => {
  const { reader, messages } = await fed<string, string>({ decode: () => "again", encode: () => {} });
  reader.feedData(bytes("x"));
  const { value } = await messages.batches().next();
  assertEquals(value, ["again", "again"]);
  await messages[Symbol.asyncDispose]();
});

Deno.test("Framed: a break out of its iterations leaves what follows in the reader", async () => {
  const { reader, messages } = await fed(lines());
  reader.feedData(bytes("one\ntwo\nthree\n"));
  for await (const line of messages) {
    assertEquals(line, "one");
    break;
  }
  assertEquals(await messages.receive(), "two");
  assertEquals(text(await reader.readline()), "three\n");
  await messages[Symbol.asyncDispose]();
});

Deno.test("Framed.send() waits for the peer, and rejects when the connection is lost, ignored or not [S2, S3]", async () => {
  const [a, b] = await pair(lengthPrefixed({ bytes: 4, limit: 1 << 24 }));
  let sent = false;
  const sending = a.send(new Uint8Array(1 << 23)).then(() => sent = true);
  await ticks(3);
  assertEquals(sent, false);
  b.writer.abort();
  await assertRejects(() => sending);
  a.send(new Uint8Array(1));
  await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()]);
});

Deno.test("framed() refuses what is no connection or no codec", () => {
  const connection = { reader: new StreamReader(), writer: { write() {} } } as never;
  assertThrows(() => framed({} as never, lines()), TypeError, "it must have a reader and a writer");
  assertThrows(() => framed(connection, {} as never), TypeError, "the codec must have decode() and encode()");
});

Deno.test("decodePieces() and readframe() refuse the same bytes [F1]", async () => {
  for (const { name, make, separator } of cases) {
    const codec = make(40);
    const wire = bytes("7:refused, by ; most \r\n\xff\xff codecs");
    for (const { chunk } of chunkers({ separator, sizes: [2], seeds: [] })) {
      const { messages, error } = await decodeByReader(codec, chunk(wire));
      const direct = decodePieces(codec, [wire]);
      assertEquals({ messages, error }, { messages: direct.messages, error: direct.error }, name);
    }
  }
});
