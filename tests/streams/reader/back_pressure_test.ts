/** When a reader pauses and resumes its transport. */
import { assert, assertEquals } from "@std/assert";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { assertReason, RecordingTransport, settle, text, watch } from "../../support/reader_outcomes.ts";
import { kinds, takers } from "./kinds.ts";
import { bytes } from "../../support/bytes.ts";

Deno.test("StreamReader pauses its transport above 2 × limit, and resumes it at the limit [R10]", async () => {
  const reader = new StreamReader({ limit: 4 });
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  reader.feedData(bytes("12345678"));
  assertEquals(transport.calls, []);
  reader.feedData(bytes("9"));
  assertEquals(transport.calls, ["pause"]);
  reader.feedData(bytes("0"));
  assertEquals(transport.calls, ["pause"]);
  await reader.read(5);
  assertEquals([reader.buffered, ...transport.calls], [5, "pause"]);
  await reader.read(1);
  assertEquals([reader.buffered, ...transport.calls], [4, "pause", "resume"]);
  await reader.read(1);
  assertEquals(transport.calls, ["pause", "resume"]);
  reader.feedData(bytes("123456"));
  assertEquals(transport.calls, ["pause", "resume", "pause"]);
});

for (const kind of [...kinds.filter(({ waitsWith }) => waitsWith.length > 2), ...takers]) {
  Deno.test(`StreamReader.${kind.name} resumes a paused transport when it must wait [R10]`, async () => {
    const limit = kind.name === "peek(4)" ? 2 : 1;
    const reader = new StreamReader({ limit });
    const transport = new RecordingTransport();
    reader.setTransport(transport);
    reader.feedData(bytes("xxxxxxxxx"));
    assertEquals(transport.calls, ["pause"]);
    await reader.read(9);
    assertEquals(transport.calls, ["pause", "resume"]);
    const controller = new AbortController();
    const waiting = watch(kind.start(reader, { signal: controller.signal }));
    reader.feedData(bytes("x".repeat(2 * limit - 1)));
    assertEquals(transport.isReading(), true);
    controller.abort();
    await settle();
    assert(waiting.outcome !== "pending");
  });
}

Deno.test("StreamReader.readexactly() of more than 2 × limit is not starved by the pause [R10, R11]", async () => {
  const reader = new StreamReader({ limit: 2 });
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  reader.feedData(bytes("12345"));
  assertEquals(transport.isReading(), false);
  const read = reader.readexactly(20);
  assertEquals(transport.isReading(), true);
  for (let i = 0; i < 4; i++) {
    reader.feedData(bytes("12345"));
    if (i < 2) assertEquals(transport.isReading(), true);
  }
  assertEquals((await read).length, 20);
  // 5 bytes are left.
  assertEquals(transport.isReading(), false);
});

Deno.test("StreamReader pauses once an aborted read leaves too much behind, with the next bytes [R7, R10]", async () => {
  const reader = new StreamReader({ limit: 2 });
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  const controller = new AbortController();
  const read = assertReason(reader.readexactly(20, { signal: controller.signal }), controller.signal);
  reader.feedData(bytes("1234567"));
  controller.abort();
  await read;
  reader.feedData(bytes("8"));
  assertEquals(transport.calls, ["pause"]);
  assertEquals(text(await reader.read(20)), "12345678");
  assertEquals(transport.calls, ["pause", "resume"]);
});

Deno.test("StreamReader that was fed before it has a transport pauses it at once [R10]", () => {
  const reader = new StreamReader({ limit: 2 });
  reader.feedData(bytes("12345"));
  const transport = new RecordingTransport();
  reader.setTransport(transport);
  assertEquals(transport.calls, ["pause"]);
});

Deno.test("StreamReader.skipuntil() drops any number of bytes in bounded memory [R10, R12]", async () => {
  for (const separator of ["\n", "--boundary--", ["\r\n", "\n"]]) {
    const reader = new StreamReader({ limit: 16 });
    const transport = new RecordingTransport();
    reader.setTransport(transport);
    const skip = reader.skipuntil(separator);
    const piece = bytes("--bound-".repeat(128));
    for (let i = 0; i < 1000; i++) {
      reader.feedData(piece);
      assert(reader.buffered < 12, `${reader.buffered} bytes are kept`);
      assert(transport.isReading());
    }
    reader.feedData(bytes("--boundary--\r\nrest"));
    const skipped = await skip;
    assertEquals(skipped + reader.buffered, 1000 * piece.length + 18);
  }
});

Deno.test("StreamReader.skipuntil() resumes what was paused, and sees what is fed at once by that [R10, R12]", async () => {
  const reader = new StreamReader({ limit: 2 });
  const pending = ["yyyy\n", "rest"];
  class Eager extends RecordingTransport {
    override resumeReading(): void {
      super.resumeReading();
      const next = pending.shift();
      if (next !== undefined) reader.feedData(bytes(next));
    }
  }
  reader.setTransport(new Eager());
  reader.feedData(bytes("xxxxxx"));
  assertEquals(await reader.skipuntil(), 11);
});
