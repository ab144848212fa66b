/** Whose memory is whose. */
import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { text } from "../../support/reader_outcomes.ts";
import { bytes } from "../../support/bytes.ts";

Deno.test("StreamReader.readinto() fills the start of the memory, and nothing else [M3]", async () => {
  const reader = new StreamReader();
  const memory = new Uint8Array(4).fill(7);
  const waiting = reader.readinto(memory);
  reader.feedData(bytes("ab"));
  assertEquals(await waiting, 2);
  assertEquals(text(memory), "ab\x07\x07");
  reader.feedData(bytes("cdefgh"));
  assertEquals(await reader.readinto(memory), 4);
  assertEquals(text(memory), "cdef");
  const part = Buffer.alloc(10, "-").subarray(2, 4);
  assertEquals(await reader.readinto(part), 2);
  assertEquals(new TextDecoder().decode(part.buffer).includes("--gh----"), true);
  reader.feedEof();
  assertEquals(await reader.readinto(memory), null);
  assertEquals(text(memory), "cdef");
});

Deno.test("StreamReader never writes again to bytes that it handed out [M1]", async () => {
  const reader = new StreamReader({ limit: 64 });
  const kept: { view: Uint8Array; copy: Uint8Array }[] = [];
  let fed = 0;
  let seen = 0;
  const keep = (view: Uint8Array, consumed = view.length) => {
    for (let i = 0; i < view.length; i++) assertEquals(view[i], (seen + i) % 251);
    seen += consumed;
    kept.push({ view, copy: view.slice() });
  };
  for (let i = 0; i < 400; i++) {
    const piece = Uint8Array.from({ length: 1 + (i * 7) % 90 }, () => fed++ % 251);
    reader.feedData(piece);
    piece.fill(255);
    keep(await reader.peek(Math.min(30, reader.buffered)), 0);
    keep(await reader.read(1 + i % 40));
    if (reader.buffered > 20) keep(await reader.readexactly(20));
    if (i % 50 === 49) keep(await reader.read(reader.buffered));
  }
  for (const { view, copy } of kept) assertEquals(view, copy);
});
