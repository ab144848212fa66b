/** A read that waits: others are refused, and an abort loses no byte. */
import { assert, assertEquals } from "@std/assert";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { assertReason, cuttings, outcome, settle, text, watch } from "../../support/reader_outcomes.ts";
import { all } from "./kinds.ts";
import { bytes } from "../../support/bytes.ts";

for (const kind of all) {
  Deno.test(`StreamReader.${kind.name} is refused as Busy while another read waits, and takes nothing [R6]`, async () => {
    for (const first of all) {
      for (const bufferedBefore of [first.waitsWith, ""]) {
        const reader = new StreamReader();
        reader.feedData(bytes(bufferedBefore));
        const waiting = watch(first.start(reader));
        await settle();
        const message = `${first.name} waits`;
        assertEquals(waiting.outcome, first.waitsWith === bufferedBefore ? "pending" : waiting.outcome, message);
        const left = reader.buffered;
        const second = await outcome(Promise.race([kind.start(reader), settle().then(() => "waits too")]));
        if (!second.startsWith("Busy: ")) {
          // What is there satisfies it, so that it need not wait.
          assert(second !== "waits too", message);
          continue;
        }
        assertEquals(second, "Busy: Cannot read: another read is waiting on this reader", message);
        assertEquals(reader.buffered, left, `${message}: the second read has taken bytes`);
        assertEquals(waiting.outcome, "pending", message);
        if (first.waitsWith !== bufferedBefore) continue;
        reader.feedData(bytes(first.thenNeeds));
        if (first.name === "read()") reader.feedEof();
        await settle();
        assertEquals(waiting.outcome, first.result, message);
      }
    }
  });
}

Deno.test("StreamReader serves a second read that need not wait, while the first waits on [R6]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("abcdef"));
  const exactly = watch(reader.readexactly(8));
  assertEquals(text(await reader.read(2)), "ab");
  assertEquals(text(await reader.peek(2)), "cd");
  assertEquals(text(await reader.readuntil("d")), "cd");
  reader.feedData(bytes("012345"));
  await settle();
  assertEquals(exactly.outcome, '"ef012345"');
});

Deno.test("StreamReader's waiting search starts anew when a second read has taken bytes from under it [R6]", async () => {
  for (
    const wait of [
      (reader: StreamReader) => reader.readuntil("aab"),
      (reader: StreamReader) => reader.readuntil(["aab", "zz"]),
    ]
  ) {
    const reader = new StreamReader({ limit: 6 });
    reader.feedData(bytes("xxaa"));
    const read = watch(wait(reader));
    assertEquals(text(await reader.read(3)), "xxa");
    // "a" + "baab": the match ends with the fifth byte, and the limit counts from what is left.
    reader.feedData(bytes("baa"));
    await settle();
    assertEquals(read.outcome, "pending");
    reader.feedData(bytes("b"));
    await settle();
    assertEquals(read.outcome, '"abaab"');
  }
});

Deno.test("StreamReader.skipuntil() starts anew when a second read has taken the beginning of the separator [R6]", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("xxaa"));
  const skip = watch(reader.skipuntil("aab"));
  assertEquals(text(await reader.read(1)), "a");
  reader.feedData(bytes("baab"));
  await settle();
  assertEquals(skip.outcome, String(2 + "abaab".length));
});

for (const kind of all) {
  Deno.test(`StreamReader.${kind.name} is aborted at once, loses no byte, and the next read works [R7]`, async () => {
    for (const reason of [new Error("enough"), "a string", undefined]) {
      const reader = new StreamReader();
      const data = kind.name.startsWith("skipuntil") ? "" : kind.waitsWith;
      reader.feedData(bytes(data));
      const controller = new AbortController();
      const rejected = assertReason(kind.start(reader, { signal: controller.signal }), controller.signal);
      await settle();
      controller.abort(reason);
      await rejected;
      assertEquals(reader.buffered, data.length);
      const next = watch(kind.start(reader));
      reader.feedData(bytes(kind.waitsWith.slice(data.length) + kind.thenNeeds));
      if (kind.name === "read()") reader.feedEof();
      await settle();
      assertEquals(next.outcome, kind.result);
    }
  });

  Deno.test(`StreamReader.${kind.name} with an aborted signal rejects before anything is consumed [R7]`, async () => {
    for (const ended of [false, true]) {
      for (const data of ["", "line\naabcd\r\n\r\nbcdefghija" + "x".repeat(50)]) {
        const reader = new StreamReader();
        reader.feedData(bytes(data));
        if (ended) reader.feedEof();
        const signal = AbortSignal.abort(new Error("before"));
        await assertReason(kind.start(reader, { signal }), signal);
        assertEquals(reader.buffered, data.length);
        // No read waits now.
        const next = watch(reader.read(1));
        reader.atEof() || data !== "" || reader.feedData(bytes("x"));
        await settle();
        assert(next.outcome !== "pending");
      }
    }
  });

  Deno.test(`StreamReader.${kind.name} is done with its signal when it is over [R7]`, async () => {
    let listeners = 0;
    class CountingSignal extends EventTarget {}
    const controller = new AbortController();
    const { signal } = controller;
    signal.addEventListener = (...args: unknown[]) => {
      listeners++;
      CountingSignal.prototype.addEventListener.apply(signal, args as never);
    };
    signal.removeEventListener = (...args: unknown[]) => {
      listeners--;
      CountingSignal.prototype.removeEventListener.apply(signal, args as never);
    };
    for (const end of ["data", "error"]) {
      const reader = new StreamReader();
      reader.feedData(bytes(kind.waitsWith));
      const read = watch(kind.start(reader, { signal }));
      assertEquals(listeners, 1);
      if (end === "error") reader.setException(new Error("lost"));
      else reader.feedData(bytes(kind.thenNeeds));
      if (kind.name === "read()") reader.feedEof();
      await settle();
      assert(read.outcome !== "pending");
      assertEquals(listeners, 0);
      // Too late to matter.
      const { outcome } = read;
      if (end === "error") controller.abort();
      await settle();
      assertEquals(read.outcome, outcome);
    }
  });
}

Deno.test("StreamReader.read() until the end keeps everything when it is aborted again and again [R7]", async () => {
  const reader = new StreamReader({ limit: 4 });
  let fed = "";
  for (let i = 0; i < 20; i++) {
    const controller = new AbortController();
    const { signal } = controller;
    const rejected = assertReason(reader.read(-1, { signal }), signal);
    reader.feedData(bytes(`piece ${i},`));
    fed += `piece ${i},`;
    await settle();
    controller.abort();
    await rejected;
  }
  reader.feedEof();
  assertEquals(text(await reader.read()), fed);
});

Deno.test("StreamReader.skipuntil() that is aborted does not tear the separator [R7]", async () => {
  for (const { name, pieces } of cuttings(bytes("xx\r\r"))) {
    const reader = new StreamReader();
    const controller = new AbortController();
    const { signal } = controller;
    const rejected = assertReason(reader.skipuntil("\r\n", { signal }), signal);
    pieces.forEach((piece) => reader.feedData(piece));
    controller.abort();
    await rejected;
    assertEquals(text(await reader.peek(1)), "\r", name);
    assertEquals(reader.buffered, 1, name);
    reader.feedData(bytes("\nrest"));
    assertEquals(await reader.skipuntil("\r\n"), 2, name);
    assertEquals(text(await reader.read(9)), "rest", name);
  }
});

Deno.test("StreamReader gives a result that is there, also if the signal aborts before it is looked at [R7]", async () => {
  const reader = new StreamReader();
  const controller = new AbortController();
  const read = reader.read(3, { signal: controller.signal });
  reader.feedData(bytes("abc"));
  controller.abort();
  assertEquals(text(await read), "abc");
});
