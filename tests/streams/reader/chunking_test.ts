/** Reads depend on the bytes alone, not on how they were cut. */
import { assert, assertEquals } from "@std/assert";
import { StreamReader } from "../../../src/streams/stream_reader.ts";
import { cuttings, outcome, settle, show, watch } from "../../support/reader_outcomes.ts";
import { kinds, LIMITS, samples, takers } from "./kinds.ts";
import { bytes } from "../../support/bytes.ts";

for (const kind of kinds) {
  Deno.test(`StreamReader.${kind.name} depends on the bytes alone, not on how they came [R2, R3, R4, R5, R11, R12]`, async () => {
    for (const sample of samples) {
      const data = bytes(sample);
      for (const limit of LIMITS) {
        if (kind.name === "peek(4)" && limit < 2) continue;
        const [expected, consumed] = kind.expect(data, limit);
        for (const { name, pieces } of cuttings(data)) {
          for (const options of [undefined, { signal: new AbortController().signal }]) {
            const message = `${show(data)}, limit ${limit}, ${name}`;
            const before = new StreamReader({ limit });
            pieces.forEach((piece) => before.feedData(piece));
            before.feedEof();
            assertEquals(await outcome(kind.start(before, options)), expected, `${message}, fed before`);
            assertEquals(before.buffered, data.length - consumed, `${message}, fed before`);
            assertEquals(show(await before.read()), show(data.subarray(consumed)), `${message}, fed before`);
            assert(before.atEof());

            const after = new StreamReader({ limit });
            const read = watch(kind.start(after, options));
            for (const piece of pieces) {
              after.feedData(piece);
              piece.fill(0);
              if (sample.length < 10) await null;
            }
            after.feedEof();
            await settle();
            assertEquals(read.outcome, expected, `${message}, fed after`);
            assertEquals(show(await after.read()), show(data.subarray(consumed)), `${message}, fed after`);
            // Filled with zeros above, to prove the copy.
            let at = 0;
            for (const piece of pieces) piece.set(data.subarray(at, at += piece.length));
          }
        }
      }
    }
  });
}

for (const kind of takers) {
  Deno.test(`StreamReader.${kind.name} takes what is there, at least a byte, and nothing only at the end [R2]`, async () => {
    for (const sample of samples) {
      const data = bytes(sample);
      for (const { name, pieces } of cuttings(data)) {
        for (const options of [undefined, { signal: new AbortController().signal }]) {
          const message = `${show(data)}, ${name}`;
          const before = new StreamReader({ limit: 2 });
          pieces.forEach((piece) => before.feedData(piece));
          before.feedEof();
          assertEquals(await outcome(kind.start(before, options)), kind.expect(data, 2)[0], message);
          const after = new StreamReader({ limit: 2 });
          const read = watch(kind.start(after, options));
          await settle();
          assertEquals(read.outcome, "pending", message);
          pieces.forEach((piece) => after.feedData(piece));
          after.feedEof();
          await settle();
          assertEquals(read.outcome, kind.expect(pieces[0] ?? data, 2)[0], message);
          const taken = kind.expect(pieces[0] ?? data, 2)[1];
          assertEquals(show(await after.read()), show(data.subarray(taken)), message);
        }
      }
    }
  });
}
