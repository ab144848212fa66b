/** write() of text: encoded right into the queue, exactly as TextEncoder does, in at most twice the time of the bytes [W3]. */
import { assert, assertEquals, assertLess } from "@std/assert";
import { type ConnLike, createConnection, Protocol, type Transport } from "../../mod.ts";
import { SeededRandom } from "../../src/testing/mod.ts";
import { assertSameBytes, concat } from "../support/bytes.ts";
import { ManualConn, turn } from "./manual_conn.ts";

const encoder = new TextEncoder();

async function over(): Promise<{ conn: ManualConn; transport: Transport }> {
  const conn = new ManualConn();
  return { conn, transport: (await createConnection(() => new Protocol(), { conn })).transport };
}

async function takeAll(conn: ManualConn): Promise<void> {
  await turn();
  while (conn.writes.length > 0) await conn.take(Math.min(conn.writes[0]!.p.length, 50_000));
}

const alphabets: Record<string, string[]> = {
  ascii: ["a", "Z", "0", " ", "\n", "\0", "\x7f"],
  "two bytes": ["é", "ß", "\x80", "\u07ff", "a"],
  "three bytes": ["€", "語", "\u0800", "\uffff", "\ufeff", "a"],
  astral: ["😀", "𝒳", "\u{10ffff}", "a"],
  "lone surrogates": ["\ud800", "\udfff", "\udbff", "a", "😀"],
};

for (const [name, alphabet] of Object.entries(alphabets)) {
  Deno.test(`text is written as TextEncoder encodes it, and its size is exact: ${name} [W3]`, async () => {
    const random = new SeededRandom(7);
    const { conn, transport } = await over();
    // Lengths about every limit: of the loop for short text, of the blocks, and of a chunk.
    const lengths = [0, 1, 2, 47, 48, 49, 100, 511, 512, 513, 5461, 5462, 16384, 21845, 21846, 87381, 87382, 262145];
    const expected: Uint8Array[] = [];
    for (const length of lengths) {
      let text = "";
      while (text.length < length) text += alphabet[random.integer(0, alphabet.length - 1)];
      const bytes = encoder.encode(text);
      const before = transport.getWriteBufferSize();
      transport.write(text);
      assertEquals(transport.getWriteBufferSize() - before, bytes.length, `${length}`);
      // Behind bytes, and before them, and several together.
      transport.write(new Uint8Array([1, 2, 3]));
      transport.writelines([text.slice(0, 5), new Uint8Array([4]), text.slice(-5)]);
      expected.push(bytes, new Uint8Array([1, 2, 3]), encoder.encode(text.slice(0, 5)), new Uint8Array([4]));
      expected.push(encoder.encode(text.slice(-5)));
      await takeAll(conn);
      assertEquals(transport.getWriteBufferSize(), 0);
    }
    assertSameBytes(Uint8Array.from(conn.taken), concat(expected));
    transport.abort();
  });
}

Deno.test("text that is split between two writes at a surrogate pair is encoded apart, as by TextEncoder [W3]", async () => {
  const { conn, transport } = await over();
  transport.write("a\ud83d");
  transport.write("\ude00b");
  await takeAll(conn);
  assertSameBytes(Uint8Array.from(conn.taken), encoder.encode("a\ufffd\ufffdb"));
  transport.abort();
});

Deno.test("many short texts leave in one call, and text and bytes in order [W3, W4]", async () => {
  const { conn, transport } = await over();
  let expected = "";
  for (let i = 0; i < 3000; i++) {
    const piece = i % 3 === 0 ? `é${i}` : `${i}`;
    transport.write(i % 2 === 0 ? piece : encoder.encode(piece));
    expected += piece;
  }
  await takeAll(conn);
  assertEquals(conn.writeCount, 1);
  assertSameBytes(Uint8Array.from(conn.taken), encoder.encode(expected));
  transport.abort();
});

/** A conn that takes everything at once. */
class Sink implements ConnLike {
  read(): Promise<null> {
    return new Promise(() => {});
  }
  write(p: Uint8Array): Promise<number> {
    return Promise.resolve(p.length);
  }
  close(): void {}
}

Deno.test("a short text costs at most twice the time of its bytes [SPEC 10]", async () => {
  const { transport } = await createConnection(() => new Protocol(), { conn: new Sink() });
  const bytes = encoder.encode("+OK\r\n");
  const WRITES = 2000;
  const time = async (data: Uint8Array | string) => {
    const begun = performance.now();
    for (let i = 0; i < WRITES; i++) transport.write(data);
    const took = performance.now() - begun;
    await turn();
    assertEquals(transport.getWriteBufferSize(), 0);
    return took;
  };
  const ratios: number[] = [];
  for (let i = 0; i < 400; i++) {
    const ofBytes = await time(bytes), ofText = await time("+OK\r\n");
    if (i >= 100) ratios.push(ofText / ofBytes);
  }
  const median = ratios.sort((a, b) => a - b)[ratios.length >> 1]!;
  assert(median > 0);
  assertLess(median, 2);
  transport.abort();
});
