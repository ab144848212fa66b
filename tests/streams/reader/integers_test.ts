/** Integers of 1, 2, 4 and 8 bytes. */
import { assertEquals, assertRejects } from "@std/assert";
import { IncompleteReadError } from "../../../src/common/errors.ts";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { SeededRandom } from "../../../src/testing/seeded_random.ts";
import { cuttings, text } from "../../support/reader_outcomes.ts";

Deno.test("StreamReader.readUint8() … readBigUint64() read what a DataView reads, in both orders, however it came", async () => {
  const random = new SeededRandom(1);
  for (let i = 0; i < 50; i++) {
    const data = random.fill(new Uint8Array(15));
    if (i === 0) data.fill(255);
    const view = new DataView(data.buffer);
    for (const littleEndian of [undefined, false, true]) {
      const expected = [
        view.getUint8(0),
        view.getUint16(1, littleEndian),
        view.getUint32(3, littleEndian),
        view.getBigUint64(7, littleEndian),
      ];
      for (const { name, pieces } of cuttings(data, [i])) {
        const reader = new StreamReader({ limit: 1 });
        const read = (async () => [
          await reader.readUint8(),
          await reader.readUint16(littleEndian),
          await reader.readUint32(littleEndian),
          await reader.readBigUint64(littleEndian),
        ])();
        for (const piece of pieces) {
          reader.feedData(piece);
          await null;
        }
        assertEquals(await read, expected, name);
        assertEquals(reader.buffered, 0);
      }
    }
  }
});

Deno.test("StreamReader.readUint16() … refuse an order that is no boolean, such as the options in its place, and take nothing", async () => {
  const reader = new StreamReader();
  reader.feedData(new Uint8Array(8).fill(97));
  for (const order of [{}, { signal: new AbortController().signal }, null, 1, "little"] as never[]) {
    const message = "Cannot read an integer: littleEndian must be a boolean, not ";
    await assertRejects(() => reader.readUint16(order), TypeError, message);
    await assertRejects(() => reader.readUint32(order), TypeError, message);
    await assertRejects(() => reader.readBigUint64(order), TypeError, message);
  }
  assertEquals(reader.buffered, 8);
});

Deno.test("StreamReader.readUint16() … at the end of the stream are as readexactly() [R3]", async () => {
  const calls: [size: number, call: (reader: StreamReader) => Promise<unknown>][] = [
    [1, (reader) => reader.readUint8()],
    [2, (reader) => reader.readUint16()],
    [4, (reader) => reader.readUint32()],
    [8, (reader) => reader.readBigUint64()],
  ];
  for (const [size, call] of calls) {
    const reader = new StreamReader();
    reader.feedData(new Uint8Array(size - 1).fill(97));
    reader.feedEof();
    const error = await assertRejects(() => call(reader), IncompleteReadError);
    assertEquals([text(error.partial), error.expected], ["a".repeat(size - 1), size]);
    assertEquals(reader.atEof(), true);
  }
});
