import { assertEquals } from "@std/assert";
import { ByteBuffer } from "../../src/framing/mod.ts";
import { bytes, concat, pattern } from "../support/bytes.ts";

Deno.test("ByteBuffer puts bytes, text and integers in order, while it grows", () => {
  const buffer = new ByteBuffer();
  const expected: Uint8Array[] = [];
  for (let i = 0; i < 300; i++) {
    const view = new DataView(new ArrayBuffer(8));
    for (const littleEndian of [undefined, false, true]) {
      buffer.putUint16(0xfedc - i, littleEndian);
      view.setUint16(0, 0xfedc - i, littleEndian);
      expected.push(new Uint8Array(view.buffer.slice(0, 2)));
      buffer.putUint32(0xfedcba98 + i, littleEndian);
      view.setUint32(0, 0xfedcba98 + i, littleEndian);
      expected.push(new Uint8Array(view.buffer.slice(0, 4)));
      buffer.putBigUint64(0xfedcba9876543210n + BigInt(i), littleEndian);
      view.setBigUint64(0, 0xfedcba9876543210n + BigInt(i), littleEndian);
      expected.push(new Uint8Array(view.buffer.slice(0, 8)));
    }
    buffer.putUint8(i);
    expected.push(new Uint8Array([i]));
    buffer.put(pattern(i, i));
    expected.push(pattern(i, i));
    for (const text of ["", "ok\r\n", "grüezi", "🎉", "x".repeat(i), "ü".repeat(i)]) {
      buffer.putText(text);
      expected.push(bytes(text));
    }
  }
  assertEquals(buffer.length, concat(expected).length);
  assertEquals(buffer.view(7), concat(expected).subarray(7));
  assertEquals(buffer.take(), concat(expected));
  assertEquals([buffer.length, buffer.take()], [0, new Uint8Array(0)]);
});

Deno.test("ByteBuffer.truncate() drops the bytes from a position, and take() is a copy", () => {
  const buffer = new ByteBuffer();
  buffer.putText("hello");
  buffer.truncate(9);
  buffer.truncate(4);
  const taken = buffer.take();
  buffer.putText("other");
  assertEquals([taken, buffer.take()], [bytes("hell"), bytes("other")]);
  // A large block is dropped, and the next one begins anew.
  buffer.put(new Uint8Array(100_000));
  buffer.putBigUint64(1n);
  buffer.truncate(0);
  buffer.putBigUint64(2n);
  assertEquals(buffer.take(), new Uint8Array([0, 0, 0, 0, 0, 0, 0, 2]));
});
