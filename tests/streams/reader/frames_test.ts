/** readframe(): a message at a time, by a decoder. */
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { IncompleteReadError } from "../../../src/common/errors.ts";
import type { Decoder } from "../../../src/framing/codec.ts";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import {
  assertReason,
  cuttings,
  outcome,
  RecordingTransport,
  settle,
  text,
  watch,
} from "../../support/reader_outcomes.ts";
import { KeepingDecoder, shortMessages } from "./kinds.ts";
import { bytes } from "../../support/bytes.ts";

const MESSAGES = "aX" + "`" + "bXY" + "gseven77";
const DECODED = ["X", "", "XY", "seven77"];

for (const [name, make] of [["stateless", () => shortMessages], ["keeping", () => new KeepingDecoder()]] as const) {
  Deno.test(`StreamReader.readframe() gives every message, however it came, then null, by a ${name} decoder [F1]`, async () => {
    for (const { name, pieces } of cuttings(bytes(MESSAGES))) {
      const decoder = make();
      const reader = new StreamReader({ limit: 1 });
      const messages: (string | null)[] = [];
      const reading = (async () => {
        for (let i = 0; i <= DECODED.length; i++) {
          const message = await reader.readframe(decoder);
          messages.push(message === null ? null : text(message));
        }
      })();
      for (const piece of pieces) {
        reader.feedData(piece);
        await null;
      }
      reader.feedEof();
      await reading;
      assertEquals(messages, [...DECODED, null], name);
    }
  });

  Deno.test(`StreamReader.readframe() that is aborted loses no byte, by a ${name} decoder [R7]`, async () => {
    for (let cut = 0; cut < MESSAGES.length; cut++) {
      const decoder = make();
      const reader = new StreamReader();
      reader.feedData(bytes(MESSAGES.slice(0, cut)));
      const messages: string[] = [];
      for (let i = 0; i < 20; i++) {
        const controller = new AbortController();
        const read = reader.readframe(decoder, { signal: controller.signal });
        const watched = watch(read);
        await settle();
        if (watched.outcome === "pending") {
          controller.abort(new Error("enough"));
          await assertReason(read, controller.signal);
          break;
        }
        messages.push(text((await read)!));
      }
      reader.feedData(bytes(MESSAGES.slice(cut)));
      reader.feedEof();
      for (let message = await reader.readframe(decoder); message !== null; message = await reader.readframe(decoder)) {
        messages.push(text(message));
      }
      assertEquals(messages, DECODED, `aborted after ${cut} bytes`);
    }
  });
}

Deno.test("StreamReader.readframe() inside a message at EOF is an IncompleteReadError, then null [F4]", async () => {
  for (const { name, pieces } of cuttings(bytes("aXdabc"))) {
    const reader = new StreamReader();
    pieces.forEach((piece) => reader.feedData(piece));
    reader.feedEof();
    assertEquals(text((await reader.readframe(shortMessages))!), "X", name);
    const error = await assertRejects(
      () => reader.readframe(shortMessages),
      IncompleteReadError,
      "Cannot read a message: the stream ended after 4 bytes",
    );
    assertEquals([text(error.partial), error.expected], ["dabc", null]);
    assertEquals(await reader.readframe(shortMessages), null);
  }
});

Deno.test("StreamReader.readframe() asks the decoder for a last message at the end of the stream [F4]", async () => {
  const reader = new StreamReader();
  const decoder = new KeepingDecoder();
  reader.feedData(bytes("dabc"));
  const last = watch(reader.readframe(decoder).then((message) => text(message!)));
  await settle();
  assertEquals(last.outcome, "pending");
  reader.feedEof();
  await settle();
  assertEquals(last.outcome, "abc");
  assertEquals(await reader.readframe(decoder), null);
});

Deno.test("StreamReader.readframe() whose decoder throws gives that error again and again, and the bytes stay [F3]", async () => {
  for (const where of ["decode", "decodeEof"] as const) {
    const broken = new Error("no message");
    const decoder: Decoder<never> = {
      decode: () => {
        if (where === "decode") throw broken;
        return undefined;
      },
      decodeEof: () => {
        throw broken;
      },
    };
    const reader = new StreamReader();
    const waiting = where === "decode" ? reader.readframe(decoder).catch((error) => error) : null;
    reader.feedData(bytes("bytes"));
    if (where === "decodeEof") reader.feedEof();
    if (waiting !== null) assertStrictEquals(await waiting, broken);
    for (let i = 0; i < 2; i++) assertStrictEquals(await reader.readframe(decoder).catch((error) => error), broken);
    assertEquals(text(await reader.read(100)), "bytes");
  }
});

Deno.test("StreamReader.readframe() delivers whole messages before the reader's exception, which it throws inside one [R8]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("aXdab"));
  reader.setException(new Error("lost"));
  assertEquals(text((await reader.readframe(shortMessages))!), "X");
  const decoder = new KeepingDecoder();
  for (let i = 0; i < 2; i++) assertEquals(await outcome(reader.readframe(decoder)), "Error: lost");
  assertEquals(text(await reader.read(10)), "ab");
});

Deno.test("StreamReader.readframe() takes no byte beyond the message: decoders and other reads can follow each other", async () => {
  const reader = new StreamReader();
  const line: Decoder<string> = {
    decode(queue) {
      const end = queue.indexOf(10) + 1;
      return end === 0 ? undefined : text(queue.take(end));
    },
  };
  reader.feedData(bytes("HELLO\ncabd\r\nbody" + "aX"));
  assertEquals(await reader.readframe(line), "HELLO\n");
  assertEquals(text((await reader.readframe(shortMessages))!), "abd");
  assertEquals(text(await reader.readline()), "\r\n");
  assertEquals(text(await reader.readexactly(4)), "body");
  assertEquals(text((await reader.readframe(shortMessages))!), "X");
});

Deno.test("StreamReader.readframe() is not bound by the limit, and not starved by the pause [R10, R11]", async () => {
  const reader = new StreamReader({ limit: 2 });
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  const large: Decoder<number> = { decode: (queue) => queue.length < 100 ? undefined : queue.take(100).length };
  reader.feedData(bytes("x".repeat(50)));
  assertEquals(transport.isReading(), false);
  const read = reader.readframe(large);
  assertEquals(transport.isReading(), true);
  for (let i = 0; i < 5; i++) reader.feedData(bytes("x".repeat(10)));
  assertEquals(await read, 100);
  // A decoder that takes bytes without a message makes room, too.
  reader.feedData(bytes("x".repeat(20)));
  assertEquals(transport.isReading(), false);
  assertEquals(reader.tryframe({ decode: (queue) => void queue.drop(queue.length) }), undefined);
  assertEquals(transport.isReading(), true);
});
