import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { ByteBuffer } from "../../src/streams/byte_buffer.ts";
import { SeededRandom } from "../../src/testing/seeded_random.ts";
import { bytes, text } from "./kit.ts";

Deno.test("ByteBuffer is a queue of bytes, whatever is appended, taken and dropped, and never changes a view [M1]", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed);
    const buffer = new ByteBuffer();
    let model: number[] = [];
    let taken = 0;
    const views: { view: Uint8Array; copy: Uint8Array }[] = [];
    const largest = random.size(300);
    for (let step = 0; step < 100; step++) {
      const n = random.integer(0, model.length);
      const message = `seed ${seed}, step ${step}`;
      switch (random.integer(0, 6)) {
        case 0: {
          const view = buffer.take(n);
          assertEquals(Array.from(view), model.splice(0, n), message);
          views.push({ view, copy: view.slice() });
          taken += n;
          break;
        }
        case 1: {
          const memory = new Uint8Array(random.integer(0, 20)).fill(255);
          const expected = [...model.splice(0, memory.length)];
          assertEquals(buffer.takeInto(memory), expected.length, message);
          assertEquals(
            Array.from(memory),
            [...expected, ...Array(memory.length - expected.length).fill(255)],
            message,
          );
          taken += expected.length;
          break;
        }
        case 2:
          buffer.drop(n);
          model = model.slice(n);
          taken += n;
          break;
        case 3: {
          // What is adopted is nobody else's to write to, and not the buffer's either.
          const view = random.fill(new Uint8Array(random.integer(0, largest)));
          buffer.adopt(view);
          model.push(...view);
          views.push({ view, copy: view.slice() });
          break;
        }
        default: {
          const data = random.fill(new Uint8Array(random.integer(0, largest)));
          buffer.append(data);
          model.push(...data);
          data.fill(0);
        }
      }
      assertEquals(buffer.length, model.length, message);
      assertEquals(buffer.taken, taken, message);
      assertEquals(
        Array.from(buffer.peek(n > model.length ? 0 : n)),
        model.slice(0, n > model.length ? 0 : n),
        message,
      );
      if (model.length > 0) {
        const at = random.integer(0, model.length - 1);
        assertEquals(buffer.at(at), model[at], message);
        const from = random.integer(0, model.length);
        const to = random.integer(from, model.length);
        const found = model.slice(from, to).indexOf(model[at]!);
        assertEquals(buffer.indexOf(model[at]!, from, to), found < 0 ? -1 : from + found, message);
      }
    }
    for (const { view, copy } of views) assertEquals(view, copy, `seed ${seed}: a view has changed`);
  }
});

Deno.test("ByteBuffer.indexOf() finds the first one in any range, near and far", () => {
  const length = 140;
  for (const offset of [0, 3]) {
    for (let at = 0; at < length; at++) {
      const buffer = new ByteBuffer();
      buffer.append(new Uint8Array(offset + length));
      const data = new Uint8Array(length);
      data[at] = 7;
      if (at + 1 < length) data[at + 1] = 7;
      buffer.drop(offset + length);
      buffer.append(bytes("!".repeat(offset)));
      buffer.append(data);
      buffer.drop(offset);
      for (const from of [0, 1, 63, 64, 65, at - 1, at, at + 1, at + 2]) {
        for (const to of [at, at + 1, at + 2, 64, 65, length]) {
          if (from < 0 || from > to || to > length) continue;
          const found = data.subarray(from, to).indexOf(7);
          assertEquals(buffer.indexOf(7, from, to), found < 0 ? -1 : from + found, `${offset} ${at} ${from} ${to}`);
        }
      }
    }
  }
});

Deno.test("ByteBuffer.indexOf() does not look at the room behind the bytes", () => {
  const buffer = new ByteBuffer();
  buffer.append(bytes("a"));
  buffer.append(bytes("b"));
  assertEquals(buffer.indexOf(0, 0, buffer.length), -1);
});

Deno.test("ByteBuffer.append() copies, also what a node Buffer holds, at any size", () => {
  for (const size of [1, 2048, 2049, 65536, 65537, 1 << 20]) {
    const data = Buffer.alloc(size, 1);
    const buffer = new ByteBuffer();
    buffer.append(data);
    data.fill(2);
    const peeked = buffer.peek(1);
    const taken = buffer.take(size);
    assert(taken.every((byte) => byte === 1), `${size} bytes`);
    taken.fill(3);
    assertEquals(peeked[0], 1, `${size} bytes`);
    assertStrictEquals(taken.constructor, Uint8Array);
  }
});

Deno.test("ByteBuffer.adopt() makes no copy where nothing lies before", () => {
  const buffer = new ByteBuffer();
  const first = bytes("first");
  buffer.adopt(first);
  assertStrictEquals(buffer.take(5), first);
  buffer.append(bytes("a"));
  buffer.adopt(first);
  assertEquals(text(buffer.take(6)), "afirst");
});

Deno.test("ByteBuffer.peek() gives a copy that is the caller's own", () => {
  const buffer = new ByteBuffer();
  buffer.append(bytes("abc"));
  buffer.peek(3).fill(0);
  assertEquals(text(buffer.take(3)), "abc");
});

Deno.test("ByteBuffer lets go of its memory when it is empty", () => {
  const buffer = new ByteBuffer();
  buffer.append(bytes("a".repeat(100_000)));
  const first = buffer.take(100_000);
  buffer.append(bytes("b".repeat(100_000)));
  assert(buffer.take(100_000).buffer !== first.buffer);
  assertEquals(first[0], 97);
});
