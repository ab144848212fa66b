/** The hysteresis of a write buffer [W1, W2]. */
import { assertEquals, assertThrows } from "@std/assert";
import { connPair, createConnection, Protocol } from "../../mod.ts";
import { WaterMarks } from "../../src/transport/water_marks.ts";

Deno.test("WaterMarks default to 65536 and a quarter of it [W1]", () => {
  const marks = new WaterMarks();
  assertEquals(marks.limits, { high: 65536, low: 16384 });
  marks.set({ high: 10, low: 1 });
  marks.set();
  assertEquals(marks.limits, { high: 65536, low: 16384 });
});

Deno.test("WaterMarks.set() takes each mark alone, or both [W1]", () => {
  const cases: [limits: { high?: number; low?: number }, high: number, low: number][] = [
    [{ high: 400 }, 400, 100],
    [{ high: 403 }, 403, 100],
    [{ high: 3 }, 3, 0],
    [{ high: 0 }, 0, 0],
    [{ low: 100 }, 400, 100],
    [{ low: 0 }, 0, 0],
    [{ high: 60, low: 60 }, 60, 60],
    [{ high: 1, low: 0 }, 1, 0],
    [{ high: Infinity }, Infinity, Infinity],
    [{ high: Infinity, low: 5 }, Infinity, 5],
  ];
  for (const [limits, high, low] of cases) {
    const marks = new WaterMarks();
    marks.set(limits);
    assertEquals(marks.limits, { high, low });
  }
});

Deno.test("WaterMarks.set() refuses all but high ≥ low ≥ 0, and changes nothing then [W1]", () => {
  const marks = new WaterMarks();
  for (
    const limits of [
      { high: 1, low: 2 },
      { high: -1 },
      { low: -1 },
      { high: 10, low: -1 },
      { high: NaN },
      { low: NaN },
      { high: 10, low: NaN },
    ]
  ) {
    assertThrows(() => marks.set(limits), RangeError, "Cannot set the write buffer limits");
    assertEquals(marks.limits, { high: 65536, low: 16384 });
  }
});

Deno.test("WaterMarks pause above high and resume at low, strictly in turn [W2]", () => {
  const marks = new WaterMarks();
  marks.set({ high: 100, low: 20 });
  const answers = [0, 100, 101, 500, 101, 100, 50, 21, 20, 0, 100, 101, 20, 0].map((size) => marks.update(size));
  assertEquals(answers, [
    null,
    null,
    "pause",
    null,
    null,
    null,
    null,
    null,
    "resume",
    null,
    null,
    "pause",
    "resume",
    null,
  ]);
});

Deno.test("WaterMarks of 0 pause at the first byte and resume at the last [W2]", () => {
  const marks = new WaterMarks();
  marks.set({ high: 0 });
  assertEquals([0, 1, 1, 0, 0, 7].map((size) => marks.update(size)), [null, "pause", null, "resume", null, "pause"]);
});

Deno.test("setWriteBufferLimits() pauses or resumes at once, where the new marks say so [W2]", async () => {
  const [a, b] = connPair({ capacity: 10 });
  const calls: string[] = [];
  class Watcher extends Protocol {
    override pauseWriting(): void {
      calls.push("pause");
    }
    override resumeWriting(): void {
      calls.push("resume");
    }
    override connectionLost(): void {
      calls.push("lost");
    }
  }
  const { transport } = await createConnection(() => new Watcher(), { conn: a });
  transport.write(new Uint8Array(1000));
  assertEquals(calls, []);
  transport.setWriteBufferLimits({ high: 500 });
  assertEquals(calls, ["pause"]);
  transport.setWriteBufferLimits({ high: 5000 });
  assertEquals(calls, ["pause", "resume"]);
  assertThrows(() => transport.setWriteBufferLimits({ high: 1, low: 2 }), RangeError);
  assertEquals(transport.getWriteBufferLimits(), { high: 5000, low: 1250 });
  transport.setWriteBufferLimits({ high: 0 });
  assertEquals(calls, ["pause", "resume", "pause"]);
  transport.abort();
  await new Promise((resolve) => setTimeout(resolve));
  // Nothing comes after connectionLost, whatever the marks say [C1].
  transport.setWriteBufferLimits({ high: 9 });
  transport.setWriteBufferLimits();
  assertEquals(calls, ["pause", "resume", "pause", "lost"]);
  b.close();
});
