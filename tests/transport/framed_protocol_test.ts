/** FramedProtocol: messages by callbacks. */
import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import {
  type Codec,
  delimited,
  framed,
  FramedProtocol,
  FramingError,
  IncompleteReadError,
  lengthPrefixed,
  lines,
} from "../../src/framing/mod.ts";
import { connPair } from "../../src/conn/conn_pair.ts";
import { createConnection } from "../../src/serving/create_connection.ts";
import { openConnection } from "../../src/streams/open_connection.ts";
import { chunkers } from "../../src/testing/chunkers.ts";
import { RecordingBufferedProtocol, RecordingProtocol } from "../../src/testing/recording_protocol.ts";
import { startTls } from "../../src/tls/start_tls.ts";
import type { Transport } from "../../src/transport/types.ts";
import { bytes, concat, pattern, text } from "../support/bytes.ts";
import { writeAll } from "../support/conns.ts";
import { reportsOf } from "../support/reports.ts";
import { kinds } from "../support/servers.ts";
import { ticks, until } from "../support/waiting.ts";
import { cases, wireOf } from "../framing/codec_cases.ts";

/** Records messages; what is to be done at one of them is given. */
class Recording<In = string> extends FramedProtocol<In> {
  readonly messages: In[] = [];
  readonly lost = Promise.withResolvers<Error | null>();
  onMessage: (message: In) => unknown = () => {};

  override messageReceived(message: In): unknown {
    this.messages.push(message);
    return this.onMessage(message);
  }

  override connectionLost(error: Error | null): void {
    this.lost.resolve(error);
  }
}

/** A protocol over one end of a connection in memory, and the other end. */
async function connected<P extends Recording<never> | Recording<string> | Recording<unknown>>(protocol: P) {
  const [conn, peer] = connPair();
  const { transport } = await createConnection(() => protocol, { conn });
  return { peer, transport: transport as Transport };
}

for (const { name, make, messages, separator } of cases) {
  Deno.test(`FramedProtocol with ${name} is handed the messages, however they are split [F1]`, () => {
    const wire = wireOf(make(), messages);
    for (const { name, chunk } of chunkers({ separator, sizes: [2, 7], seeds: [1] })) {
      const protocol = new Recording<unknown>(make());
      for (const piece of chunk(wire)) protocol.dataReceived(new Uint8Array(piece));
      assertEquals(protocol.messages, messages, name);
      protocol.eofReceived();
    }
  });
}

for (const kind of kinds) {
  Deno.test(`FramedProtocol over ${kind.name} echoes messages in order with other writes [F6]`, async () => {
    const codec = lengthPrefixed({ bytes: 4, limit: 1 << 20 });
    await using server = await kind.createServer(() => {
      const protocol = new Recording(codec as Codec<Uint8Array>);
      protocol.onMessage = (message) => {
        if (protocol.messages.length % 2 === 0) return protocol.send(message);
        protocol.transport.write(new Uint8Array([0, message.length >> 16, message.length >> 8, message.length]));
        protocol.transport.write(message);
      };
      return protocol;
    });
    await using client = framed(await kind.openConnection(server), codec);
    const sizes = [0, 1, 1000, 70_000, 5, 300_000, 17];
    for (const size of sizes) client.push(pattern(size, size));
    for (const size of sizes) assertEquals(await client.receive(), pattern(size, size));
  });
}

Deno.test("FramedProtocol is handed all messages that are complete in one call of dataReceived()", () => {
  const protocol = new Recording(lines());
  protocol.dataReceived(bytes("one\ntwo\nthree\nfo"));
  assertEquals(protocol.messages, ["one", "two", "three"]);
  protocol.dataReceived(bytes("ur\n"));
  assertEquals(protocol.messages, ["one", "two", "three", "four"]);
});

Deno.test("FramedProtocol that is paused inside messageReceived() is handed nothing until resumed [C5]", async () => {
  const protocol = new Recording(lines());
  const { peer, transport } = await connected(protocol);
  protocol.onMessage = () => transport.pauseReading();
  const all = Array.from({ length: 20 }, (_, i) => `line ${i}`);
  await writeAll(peer, bytes(all.join("\n") + "\n"));
  await peer.closeWrite!();
  for (let n = 1; n <= all.length; n++) {
    await until(() => protocol.messages.length === n);
    await ticks(2);
    assertEquals(protocol.messages.length, n);
    transport.resumeReading();
    // Not inside the call.
    assertEquals(protocol.messages.length, n);
  }
  assertEquals(protocol.messages, all);
  assertEquals(await protocol.lost.promise, null);
  peer.close();
});

Deno.test("FramedProtocol that pauses at every message copies no more for many messages [C5]", async () => {
  const work = async (n: number) => {
    const protocol = new Recording<Uint8Array>(lengthPrefixed({ bytes: 2 }) as Codec<Uint8Array>);
    let returned = 0;
    const transport = {
      isReading: () => false,
      getProtocol: () => protocol,
      giveBack: (data: Uint8Array<ArrayBuffer>) => {
        buffers.add(data.buffer);
        returned++;
        queueMicrotask(() => protocol.dataReceived(data));
      },
    };
    const buffers = new Set<ArrayBuffer>();
    protocol.connectionMade(transport as unknown as Transport);
    protocol.dataReceived(concat(Array.from({ length: n }, () => new Uint8Array([0, 3, 1, 2, 3]))));
    await until(() => protocol.messages.length === n);
    assertEquals(returned, n - 1);
    return buffers.size;
  };
  // The last message is a copy: it is half of its block.
  assertEquals([await work(10), await work(1000)], [2, 2]);
});

Deno.test("FramedProtocol.close() inside messageReceived() ends the messages [W7]", async () => {
  const protocol = new Recording(lines());
  const { peer, transport } = await connected(protocol);
  protocol.onMessage = () => transport.close();
  await writeAll(peer, bytes("one\ntwo\n"));
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.messages, ["one"]);
  peer.close();
});

for (const Next of [RecordingProtocol, RecordingBufferedProtocol]) {
  Deno.test(`FramedProtocol passes the bytes that it has not used to a ${Next.name} that is set [C8]`, async () => {
    for (const paused of [false, true]) {
      const protocol = new Recording(lines());
      const { peer, transport } = await connected(protocol);
      const next = new Next();
      protocol.onMessage = () => {
        next.connectionMade(transport);
        if (paused) transport.pauseReading();
        transport.setProtocol(next);
      };
      await writeAll(peer, bytes("switch\nraw\nbytes"));
      if (paused) {
        await ticks(3);
        assertEquals(next.received.length, 0);
        transport.resumeReading();
      }
      await until(() => next.received.length === 9);
      assertEquals(text(next.received), "raw\nbytes");
      assertEquals(protocol.messages, ["switch"]);
      transport.abort();
      peer.close();
      await until(() => next.names.includes("connectionLost"));
    }
  });
}

Deno.test("FramedProtocol goes on by another codec in the middle of what has come [F1]", async () => {
  const protocol = new Recording<unknown>(lines() as Codec<unknown>);
  const { peer, transport } = await connected(protocol);
  protocol.onMessage = (message) => {
    if (message === "DATA") protocol.codec = delimited("\n.\n") as Codec<unknown>;
    else protocol.codec = lines() as Codec<unknown>;
  };
  await writeAll(peer, bytes("DATA\none\ntwo\n.\nQUIT\n"));
  await until(() => protocol.messages.length === 3);
  assertEquals(protocol.messages, ["DATA", bytes("one\ntwo"), "QUIT"]);
  transport.close();
  peer.close();
  await protocol.lost.promise;
});

Deno.test("FramedProtocol: what its codec or messageReceived() throws ends the connection and is reported [C6, F3]", async () => {
  const mine = new Error("mine");
  for (
    const [wire, onMessage, expected] of [
      ["too long a line\nnext\n", () => {}, FramingError],
      ["one\nnext\n", () => {
        throw mine;
      }, Error],
      ["one\nnext\n", () => Promise.reject(mine), Error],
    ] as const
  ) {
    const protocol = new Recording(lines({ limit: 5 }));
    const reports = await reportsOf(async () => {
      const { peer } = await connected(protocol);
      protocol.onMessage = onMessage;
      await writeAll(peer, bytes(wire));
      assertInstanceOf(await protocol.lost.promise, expected);
      peer.close();
    });
    assertEquals(reports.length > 0, true);
    assertStrictEquals(reports[0]!.error, await protocol.lost.promise);
    if (expected === FramingError) assertEquals(protocol.messages, []);
  }
});

Deno.test("FramedProtocol at EOF inside a message is lost with an IncompleteReadError [F4]", async () => {
  const protocol = new Recording(lines());
  const reports = await reportsOf(async () => {
    const { peer } = await connected(protocol);
    await writeAll(peer, bytes("one\ntw"));
    peer.close();
    const error = await protocol.lost.promise;
    assertInstanceOf(error, IncompleteReadError);
    assertEquals(text(error.partial), "tw");
  });
  assertEquals(reports.length, 1);
  assertEquals(protocol.messages, ["one"]);
});

Deno.test("FramedProtocol is handed a last message that its codec has at EOF", async () => {
  const codec: Codec<string> = {
    decode: (queue) => lines().decode(queue),
    decodeEof: (queue) => queue.length > 0 ? text(queue.take(queue.length)) : undefined,
    encode: () => {},
  };
  const protocol = new Recording(codec);
  const { peer } = await connected(protocol);
  await writeAll(peer, bytes("one\ntw"));
  peer.close();
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.messages, ["one", "tw"]);
});

Deno.test("FramedProtocol: startTls() refuses plain bytes after the message that asked for it [S5]", async () => {
  const protocol = new Recording(lines());
  const { peer, transport } = await connected(protocol);
  const started = Promise.withResolvers<unknown>();
  protocol.onMessage = () => {
    startTls(transport, protocol, { serverName: "localhost" }).catch(started.resolve);
  };
  await writeAll(peer, bytes("STARTTLS\nMAIL FROM:<injected@example.com>\n"));
  assertInstanceOf(await started.promise, Deno.errors.InvalidData);
  await protocol.lost.promise;
  assertEquals(protocol.messages, ["STARTTLS"]);
  peer.close();
});

Deno.test("FramedProtocol ends with a codec that takes no bytes for its messages", () => {
  const protocol = new Recording<string>({ decode: () => "again", encode: () => {} });
  protocol.dataReceived(bytes("x"));
  assertEquals(protocol.messages, ["again"]);
});

Deno.test("FramedProtocol tells no transport before connectionMade()", () => {
  const protocol = new Recording(lines());
  assertThrows(() => protocol.send("x"), Error, "connectionMade() was not called");
});

Deno.test("Transport.giveBack() delivers bytes before those that follow, and drops them on a closing transport", async () => {
  const [conn, peer] = connPair();
  const seen: string[] = [];
  class Once extends RecordingProtocol {
    override dataReceived(data: Uint8Array<ArrayBuffer>): void {
      seen.push(text(data));
      if (seen.length === 1) {
        this.transport.giveBack!(data.subarray(1));
      } else if (data.length === 1) {
        this.transport.close();
        this.transport.giveBack!(data);
      }
    }
  }
  const protocol = new Once();
  await createConnection(() => protocol, { conn });
  await writeAll(peer, bytes("abc"));
  await until(() => seen.length === 2);
  await writeAll(peer, bytes("d"));
  await until(() => protocol.names.includes("connectionLost"));
  assertEquals(seen, ["abc", "bc", "d"]);
  peer.close();
});

Deno.test("FramedProtocol and streams talk by one codec object", async () => {
  const codec = lines();
  const [conn, peer] = connPair();
  const protocol = new Recording(codec);
  protocol.onMessage = (line) => protocol.send(line.toUpperCase());
  await createConnection(() => protocol, { conn });
  const client = framed(await openConnection({ conn: peer }), codec);
  for (const line of ["one", "two"]) {
    await client.send(line);
    assertEquals(await client.receive(), line.toUpperCase());
  }
  await client[Symbol.asyncDispose]();
  assertEquals(await protocol.lost.promise, null);
});
