/** What holds for every codec: F1, F2 and the identity of encoding and decoding. */
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ByteBuffer, ByteQueue, FramingError } from "../../src/framing/mod.ts";
import { chunkers } from "../../src/testing/chunkers.ts";
import { SeededRandom } from "../../src/testing/seeded_random.ts";
import { bytes } from "../support/bytes.ts";
import { cases, decodePieces, wireOf } from "./codec_cases.ts";

for (const { name, make, messages, ofSize, separator, capacity = Infinity } of cases) {
  Deno.test(`${name} decodes what it encodes, however it is split [F1]`, () => {
    const codec = make();
    const wire = wireOf(codec, [...messages, ...messages.toReversed()]);
    for (const { name, chunk } of chunkers({ separator, sizes: [2, 3, 7, 64] })) {
      const decoded = decodePieces(codec, chunk(wire));
      assertEquals(decoded, { messages: [...messages, ...messages.toReversed()], error: null, left: "" }, name);
    }
  });

  Deno.test(`${name} serves several connections at a time [F1]`, () => {
    const codec = make();
    const wire = wireOf(codec, messages);
    const queues = Array.from({ length: 3 }, () => ({ queue: new ByteQueue(), decoded: [] as unknown[] }));
    for (let i = 0; i < wire.length; i++) {
      for (const { queue, decoded } of queues) {
        queue.append(wire.subarray(i, i + 1));
        for (let message; (message = codec.decode(queue)) !== undefined;) decoded.push(message);
      }
    }
    for (const { decoded } of queues) assertEquals(decoded, messages);
  });

  Deno.test(`${name} decodes and refuses the same of any bytes, however they are split [F1]`, () => {
    const interesting = bytes('0123456789:, \r\n\0{}"hello\xff');
    for (let seed = 1; seed <= 60; seed++) {
      const random = new SeededRandom(seed);
      const codec = make(40);
      // What is valid, damaged in a few places, or bytes that mean something to some codec.
      const valid = wireOf(codec, messages.filter((message) => isWithin(message)));
      const wire = seed % 2 === 0 ? valid : random.fill(new Uint8Array(random.size(200)));
      for (let i = random.integer(0, 4); i > 0 && wire.length > 0; i--) {
        wire[random.integer(0, wire.length - 1)] = interesting[random.integer(0, interesting.length - 1)]!;
      }
      const whole = decodePieces(codec, [wire]);
      for (const { name, chunk } of chunkers({ separator, sizes: [2, 7], seeds: [seed] })) {
        assertEquals(decodePieces(codec, chunk(wire)), whole, `seed ${seed}, ${name}`);
      }
      if (whole.error !== null) assertEquals(typeof whole.error.consumed, "number", `seed ${seed}`);
    }
  });

  Deno.test(`${name} takes no byte beyond a message`, () => {
    const codec = make();
    for (const message of messages) {
      const wire = wireOf(codec, [message]);
      const queue = new ByteQueue();
      queue.append(wire);
      queue.append(bytes("5:next"));
      assertEquals(codec.decode(queue), message);
      assertEquals(queue.length, 6);
      assertEquals(queue.taken, wire.length);
    }
  });

  if (ofSize !== undefined) {
    Deno.test(`${name} takes messages up to its limit, and refuses longer ones, in both directions [F2]`, () => {
      for (const limit of [100, 65536]) {
        const codec = limit === 65536 ? make() : make(limit);
        const out = new ByteBuffer();
        assertThrows(() => codec.encode(ofSize(limit + 1), out), FramingError, `limit of ${limit} bytes`);
        if (limit >= capacity) continue;
        const longest = ofSize(limit);
        const decoded = decodePieces(codec, [wireOf(codec, [longest])]);
        assertEquals(decoded, { messages: [longest], error: null, left: "" });
        const wire = wireOf(make(1 << 20), [ofSize(limit + 1)]);
        for (const pieces of [[wire], [...wire].map((byte) => new Uint8Array([byte]))]) {
          const { messages, error } = decodePieces(codec, pieces);
          assertEquals(messages, []);
          assert(error?.message.includes(`limit of ${limit} bytes`), error?.message);
        }
      }
    });
  }

  Deno.test(`${name} refuses messages of another type`, () => {
    const codec = make();
    for (const message of [undefined, 5, () => {}]) {
      if (name === "jsonLines()" && message === 5) continue;
      const error = assertThrows(() => codec.encode(message, new ByteBuffer()));
      assertInstanceOf(error, Error);
    }
  });
}

function isWithin(message: unknown): boolean {
  if (message instanceof Uint8Array) return message.length <= 40;
  if (typeof message === "string") return bytes(message).length <= 38;
  if (typeof message === "object" && message !== null && "body" in message) {
    return (message.body as Uint8Array).length <= 20;
  }
  return true;
}
