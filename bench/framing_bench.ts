/**
 * The cost of each codec, over memory: many messages decoded from one block, and encoded into one buffer.
 *
 * @module
 */
import {
  ByteBuffer,
  ByteQueue,
  type Codec,
  delimited,
  fixed,
  headed,
  jsonLines,
  lengthPrefixed,
  lines,
  netstrings,
  octetCounted,
} from "../src/framing/mod.ts";

const MESSAGES = 1000;
const body = new Uint8Array(16).fill(120);
const header = new Uint8Array([0, 16]);

// The first is the baseline: no search and no text.
bench("fixed(16)", fixed(16), body);
bench("lengthPrefixed({ bytes: 4 })", lengthPrefixed({ bytes: 4 }), body);
bench('lengthPrefixed({ bytes: "varint" })', lengthPrefixed({ bytes: "varint" }), body);
bench("lengthPrefixed({ bytes: 4, offset: 1 })", lengthPrefixed({ bytes: 4, offset: 1 }), body);
bench('delimited("\\n")', delimited("\n"), body);
bench('delimited("\\r\\n")', delimited("\r\n"), body);
bench('delimited(["\\r\\n", "\\n"])', delimited(["\r\n", "\n"]), body);
bench("lines()", lines(), "x".repeat(16));
bench('lines({ ending: "\\r\\n" })', lines({ ending: "\r\n" }), "x".repeat(16));
bench("lines(), not ASCII", lines(), "ü".repeat(8));
bench("jsonLines()", jsonLines(), { id: 1234567 });
bench("netstrings()", netstrings(), body);
bench("octetCounted()", octetCounted(), body);
bench("headed()", headed((bytes) => bytes.length < 2 ? undefined : { header: 2, body: bytes.getUint16(0) }), {
  header,
  body,
});

function bench<In, Out>(name: string, codec: Codec<In, Out>, message: Out): void {
  const baseline = name === "fixed(16)";
  const out = new ByteBuffer();
  for (let i = 0; i < MESSAGES; i++) codec.encode(message, out);
  const wire = out.take();
  Deno.bench({
    name: `${name}, ${MESSAGES} messages`,
    group: "decode",
    baseline,
    fn() {
      const queue = new ByteQueue();
      queue.append(wire);
      while (codec.decode(queue) !== undefined) { /* counted by the clock */ }
    },
  });
  Deno.bench({
    name: `${name}, ${MESSAGES} messages`,
    group: "encode",
    baseline,
    fn() {
      for (let i = 0; i < MESSAGES; i++) codec.encode(message, out);
      out.truncate(0);
    },
  });
}
