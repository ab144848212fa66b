import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { ByteQueue } from "../../src/framing/byte_queue.ts";
import { SeededRandom } from "../../src/testing/seeded_random.ts";
import { text } from "../support/reader_outcomes.ts";
import { bytes } from "../support/bytes.ts";

Deno.test("ByteQueue is a queue of bytes, whatever is appended, taken and dropped, and never changes a view [M1]", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = new SeededRandom(seed);
    const buffer = new ByteQueue();
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
          // Adopted memory is written to neither by the test nor by the queue.
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

Deno.test("ByteQueue.indexOf() finds the first one in any range, near and far", () => {
  const length = 140;
  for (const offset of [0, 3]) {
    for (let at = 0; at < length; at++) {
      const buffer = new ByteQueue();
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

Deno.test("ByteQueue.indexOf() does not look at the room behind the bytes", () => {
  const buffer = new ByteQueue();
  buffer.append(bytes("a"));
  buffer.append(bytes("b"));
  assertEquals(buffer.indexOf(0, 0, buffer.length), -1);
});

Deno.test("ByteQueue.append() copies, also what a node Buffer holds, at any size", () => {
  for (const size of [1, 64, 65, 2048, 2049, 65536, 65537, 1 << 20]) {
    const data = Buffer.alloc(size, 1);
    const buffer = new ByteQueue();
    buffer.append(data);
    data.fill(2);
    const taken = buffer.take(size);
    assert(taken.every((byte) => byte === 1), `${size} bytes`);
    taken.fill(3);
    assertStrictEquals(taken.constructor, Uint8Array);
  }
});

Deno.test("ByteQueue.adopt() makes no copy where nothing lies before and all is taken at once", () => {
  const buffer = new ByteQueue();
  const first = bytes("first");
  buffer.adopt(first);
  assertStrictEquals(buffer.take(5).buffer, first.buffer);
  buffer.append(bytes("a"));
  buffer.adopt(first);
  assertEquals(text(buffer.take(6)), "afirst");
});

Deno.test("ByteQueue: what peek() and take() give may be detached, and harms nothing in the queue [M5]", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SeededRandom(seed);
    const queue = new ByteQueue();
    const largest = random.size(5000);
    let model: number[] = [];
    for (let step = 0; step < 60; step++) {
      const data = random.fill(new Uint8Array(random.integer(1, largest)));
      model.push(...data);
      if (random.next() < 0.3) queue.adopt(data);
      else queue.append(data);
      while (model.length > 0 && random.next() < 0.8) {
        const n = random.integer(1, random.next() < 0.5 ? Math.min(40, model.length) : model.length);
        const piece = random.next() < 0.3 ? queue.peek(n) : queue.take(n);
        assertEquals(Array.from(piece), model.slice(0, n), `seed ${seed}, step ${step}`);
        assert(piece.buffer.byteLength <= Math.max(2 * n, 8192), `${n} bytes in ${piece.buffer.byteLength}`);
        model = model.slice(model.length - queue.length);
        if (random.next() < 0.5) structuredClone(piece, { transfer: [piece.buffer] });
      }
    }
    assertEquals(Array.from(queue.take(queue.length)), model, `seed ${seed}`);
  }
});

Deno.test("ByteQueue hands out no memory that another queue uses, or used before [M5]", () => {
  const [mine, other] = [new ByteQueue(), new ByteQueue()];
  for (const size of [10, 1000, 1536, 16384, 65536, 262144, 300_000]) {
    const buffers = new Set<ArrayBufferLike>();
    for (let i = 0; i < 10; i++) {
      for (const queue of [mine, other]) {
        queue.append(new Uint8Array(size).fill(queue === mine ? 1 : 2));
        for (const n of [1, size - 1]) {
          const piece = queue.take(n);
          if (queue === mine) buffers.add(piece.buffer);
          else assert(!buffers.has(piece.buffer), `${n} of ${size} bytes share a buffer`);
          assert(!new Uint8Array(piece.buffer).includes(queue === mine ? 2 : 1), `${n} of ${size} bytes with others`);
        }
      }
    }
  }
});

Deno.test("ByteQueue gives each caller an empty array of its own: detaching one harms no other", () => {
  for (const filled of [false, true]) {
    const queue = new ByteQueue();
    if (filled) queue.append(bytes("abc"));
    for (const empty of [queue.take(0), queue.peek(0), queue.take(0), new ByteQueue().take(0)]) {
      assertEquals(empty.length, 0);
      structuredClone(empty, { transfer: [empty.buffer] });
    }
    assertEquals(text(queue.take(queue.length)), filled ? "abc" : "");
  }
});

Deno.test("ByteQueue lets go of its memory when it is empty", () => {
  const buffer = new ByteQueue();
  buffer.append(bytes("a".repeat(100_000)));
  const first = buffer.take(100_000);
  buffer.append(bytes("b".repeat(100_000)));
  assert(buffer.take(100_000).buffer !== first.buffer);
  assertEquals(first[0], 97);
});

Deno.test("ByteQueue refuses what it does not hold, and changes nothing", () => {
  const queue = new ByteQueue();
  queue.append(bytes("xabc"));
  queue.drop(1);
  for (const n of [4, -1, NaN, Infinity, -Infinity, 0.5]) {
    for (const call of [() => queue.take(n), () => queue.drop(n), () => queue.peek(n)]) {
      assertThrows(call, RangeError, `Cannot read ${n} bytes: there are 3 bytes in the queue`);
    }
  }
  for (const position of [3, -1, NaN, Infinity, 0.5]) assertThrows(() => queue.at(position), RangeError);
  for (const { read, size } of INTEGERS) {
    for (const position of [-1, NaN, 0.5, 4 - size, 3]) assertThrows(() => read(queue, position, false), RangeError);
  }
  assertEquals(text(queue.take(3)), "abc");
});

type Name = Exclude<
  {
    [K in keyof DataView & keyof ByteQueue]: DataView[K] extends (
      position: number,
      littleEndian?: boolean,
    ) => number | bigint ? K
      : never;
  }[keyof DataView & keyof ByteQueue],
  never
>;
const SIZES: Record<Name, number> = {
  getUint8: 1,
  getInt8: 1,
  getUint16: 2,
  getInt16: 2,
  getUint32: 4,
  getInt32: 4,
  getBigUint64: 8,
  getBigInt64: 8,
  getFloat32: 4,
  getFloat64: 8,
};
const INTEGERS = Object.entries(SIZES).map(([name, size]) => ({
  name,
  size,
  read: (from: ByteQueue | DataView, position: number, littleEndian: boolean) =>
    from[name as Name](position, littleEndian),
}));

Deno.test("ByteQueue reads numbers as a DataView does, at every position, in both orders", () => {
  const random = new SeededRandom(1);
  for (let i = 0; i < 200; i++) {
    const data = random.fill(new Uint8Array(32));
    // Extremes: all bits set, the sign bit alone.
    if (i % 4 === 0) data.fill(255, 0, 9);
    if (i % 4 === 1) data.fill(0, 0, 9).fill(128, 0, 1).fill(128, 7, 8);
    const queue = new ByteQueue();
    queue.append(new Uint8Array(3));
    queue.append(data);
    queue.drop(3);
    const view = new DataView(data.buffer);
    for (const { name, size, read } of INTEGERS) {
      for (let position = 0; position + size <= data.length; position++) {
        for (const littleEndian of [false, true]) {
          const actual = read(queue, position, littleEndian);
          const expected = read(view, position, littleEndian);
          if (!Object.is(actual, expected)) assertEquals(actual, expected, `${name}(${position}, ${littleEndian})`);
        }
      }
    }
  }
});

Deno.test("ByteQueue.indexOf() finds a sequence where a naive search does, in any range", () => {
  const random = new SeededRandom(2);
  const word = (least: number, most: number) =>
    Uint8Array.from({ length: random.integer(least, most) }, () => random.integer(97, 98));
  for (let i = 0; i < 5000; i++) {
    const data = word(0, 30);
    const queue = new ByteQueue();
    queue.append(word(1, 3));
    const before = queue.length;
    queue.append(data);
    queue.drop(before);
    const sequence = word(1, 5);
    const from = random.integer(0, data.length);
    const to = random.integer(from, data.length);
    let expected = -1;
    for (let at = from; at + sequence.length <= to && expected < 0; at++) {
      if (sequence.every((byte, k) => data[at + k] === byte)) expected = at;
    }
    assertEquals(queue.indexOf(sequence, from, to), expected, `${text(sequence)} in ${text(data)} ${from} ${to}`);
  }
});

Deno.test("ByteQueue.indexOf() looks through all bytes by default, and never beyond them", () => {
  const queue = new ByteQueue();
  queue.append(bytes("a"));
  queue.append(bytes("b\r\nc"));
  assertEquals(queue.indexOf(98), 1);
  assertEquals(queue.indexOf(bytes("\r\n")), 2);
  assertEquals(queue.indexOf(99, -5, 100), 4);
  assertEquals(queue.indexOf(0, 0, 100), -1);
  assertEquals(queue.indexOf(97, 1), -1);
  assertThrows(() => queue.indexOf(new Uint8Array(0)), TypeError, "empty");
});

Deno.test("ByteQueue.indexOf() looks for what an array holds now, though it remembers arrays", () => {
  const queue = new ByteQueue();
  queue.append(bytes("aabb"));
  const sequence = bytes("ab");
  assertEquals(queue.indexOf(sequence), 1);
  sequence.set(bytes("bb"));
  assertEquals(queue.indexOf(sequence), 2);
  assertEquals(queue.indexOf(sequence.subarray(1)), 2);
});

Deno.test("ByteQueue whose adopted memory was detached throws one typed error, and never gives wrong bytes", () => {
  const calls: Record<string, (queue: ByteQueue) => unknown> = {
    take: (queue) => queue.take(1),
    takeInto: (queue) => queue.takeInto(new Uint8Array(1)),
    drop: (queue) => queue.drop(1),
    peek: (queue) => queue.peek(2),
    at: (queue) => queue.at(0),
    append: (queue) => queue.append(bytes("x")),
    adopt: (queue) => queue.adopt(bytes("x")),
    "indexOf a byte": (queue) => queue.indexOf(10),
    "indexOf a sequence": (queue) => queue.indexOf(bytes("\r\n")),
    getUint8: (queue) => queue.getUint8(0),
    getUint32: (queue) => queue.getUint32(0),
    getBigUint64: (queue) => queue.getBigUint64(0),
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const length of [20, 1000]) {
      const queue = new ByteQueue();
      const adopted = new Uint8Array(length);
      queue.adopt(adopted);
      queue.drop(5);
      structuredClone(adopted, { transfer: [adopted.buffer] });
      for (let again = 0; again < 2; again++) {
        assertThrows(
          () => call(queue),
          TypeError,
          "Cannot read: the memory of bytes that were adopted was detached",
          name,
        );
      }
    }
  }
});

Deno.test("ByteQueue does not need memory whose bytes were all taken: it may be detached [M5]", () => {
  const queue = new ByteQueue();
  queue.append(bytes("abc"));
  const view = queue.take(3);
  structuredClone(view, { transfer: [view.buffer] });
  assertEquals(queue.indexOf(97), -1);
  queue.append(bytes("def"));
  assertEquals(text(queue.take(3)), "def");
});

Deno.test("ByteQueues share no memory with each other [M5]", () => {
  const buffers = new Set<ArrayBuffer>();
  for (let i = 0; i < 100; i++) {
    const queue = new ByteQueue();
    queue.append(bytes("a line\n"));
    buffers.add(queue.take(7).buffer);
  }
  assertEquals(buffers.size, 100);
});

Deno.test("ByteQueue.indexOf() finds the same whatever was looked for and not found before", () => {
  const targets = [1, 2, new Uint8Array([1, 2]), new Uint8Array([1, 1, 2]), new Uint8Array([2, 2, 2, 2])];
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SeededRandom(seed);
    const queue = new ByteQueue();
    let model: number[] = [];
    for (let step = 0; step < 60; step++) {
      if (random.integer(0, 2) === 0) {
        const data = Array.from({ length: random.integer(0, 4) }, () => random.integer(1, 2));
        queue.append(new Uint8Array(data));
        model.push(...data);
      } else if (random.integer(0, 5) === 0) {
        const n = random.integer(0, Math.min(3, model.length));
        queue.drop(n);
        model = model.slice(n);
      }
      const target = targets[random.integer(0, seed % targets.length)]!;
      const from = random.integer(0, 3) === 0 ? random.integer(0, model.length) : 0;
      const to = random.integer(0, 3) === 0 ? random.integer(0, model.length) : model.length;
      const sequence = typeof target === "number" ? [target] : [...target];
      let expected = -1;
      for (let i = from; i + sequence.length <= to && expected < 0; i++) {
        if (sequence.every((byte, k) => model[i + k] === byte)) expected = i;
      }
      assertEquals(queue.indexOf(target, from, to), expected, `seed ${seed}, step ${step}`);
    }
  }
});
