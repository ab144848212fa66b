// Texts of the corpus, spoilt, read in every way: however they are cut, the same comes out of them, nothing is lost or made
// up, and lines are what a decoder of the whole text makes of them.
import { assert, assertEquals } from "@std/assert";
import { type Decoder, IncompleteReadError, LimitOverrunError, StreamReader } from "../../mod.ts";
import { cases, corpus, cut, mutate, pick, run, type SeededRandom, show } from "./kit.ts";

type Step =
  | { op: "readline" | "text" | "readframe" | "readUint32" }
  | { op: "readuntil" | "skipuntil"; separators: string[] }
  | { op: "readexactly" | "peek"; n: number };

const NOTHING = new Uint8Array(0);
const SEPARATORS = ["\n", "\r\n", "\r\n\r\n", "\0", " ", ": ", "aaa", "ab", "\n\n", "--boundary", "\r\n--boundary--"];
const ENCODINGS = [
  "utf-8",
  "latin1",
  "windows-1251",
  "shift_jis",
  "euc-jp",
  "gbk",
  "gb18030",
  "big5",
  "euc-kr",
  "koi8-r",
];

function randomSteps(random: SeededRandom): Step[] {
  return Array.from({ length: random.integer(1, 12) }, (): Step => {
    switch (random.integer(0, 6)) {
      case 0:
        return { op: pick(random, ["readline", "readline", "text", "readUint32"] as const) };
      case 6:
        return { op: "readframe" };
      case 1:
      case 2: {
        const separators = Array.from({ length: random.integer(1, 3) }, () => pick(random, SEPARATORS));
        return { op: pick(random, ["readuntil", "readuntil", "skipuntil"] as const), separators };
      }
      case 3:
        return { op: "readexactly", n: random.size(100) };
      default:
        return { op: "peek", n: random.size(40) };
    }
  });
}

/** Feeds pieces, one in each turn, and takes the steps meanwhile; then reads all that is left. */
async function take(pieces: Uint8Array[], steps: Step[], limit: number): Promise<string[]> {
  const reader = new StreamReader({ limit });
  const feeding = (async () => {
    for (const piece of pieces) {
      reader.feedData(piece);
      await Promise.resolve();
    }
    reader.feedEof();
  })();
  const outcomes: string[] = [];
  for (const step of steps) {
    outcomes.push(`${step.op}: ${await outcomeOf(reader, step).catch(showError)}`);
  }
  await feeding;
  outcomes.push(`rest: ${show(await reader.read())}`);
  return outcomes;
}

async function outcomeOf(reader: StreamReader, step: Step): Promise<string> {
  switch (step.op) {
    case "readline":
      return show(await reader.readline());
    case "text":
      return await reader.readline({ encoding: "utf-8" });
    case "readUint32":
      return `${await reader.readUint32()}`;
    case "readframe": {
      const message = await reader.readframe(messages);
      return message === null ? "null" : show(message);
    }
    case "readuntil":
      return show(await reader.readuntil(step.separators));
    case "skipuntil":
      return `${await reader.skipuntil(step.separators)}`;
    case "readexactly":
      return show(await reader.readexactly(step.n));
    case "peek":
      return show(await reader.peek(Math.min(step.n, 2 * reader.limit)));
  }
}

/** Messages with their length in front, in two bytes that any text may be. */
const messages: Decoder<Uint8Array> = {
  decode(queue) {
    if (queue.length < 2) return undefined;
    const length = queue.getUint16(0) % 300;
    if (queue.length < 2 + length) return undefined;
    queue.drop(2);
    return queue.take(length);
  },
};

function showError(error: unknown): string {
  if (error instanceof IncompleteReadError) return `incomplete: ${show(error.partial)}`;
  if (error instanceof LimitOverrunError) return `overrun: ${error.consumed}`;
  throw error;
}

function* texts(count: number): Generator<{ name: string; random: SeededRandom; bytes: Uint8Array }> {
  const known = corpus("text-");
  let i = 0;
  for (const { name, random } of cases(count)) {
    const [file, bytes] = known[i % known.length]!;
    const isFirst = i++ < known.length;
    yield { name: `${name}, of ${file}`, random, bytes: isFirst ? bytes : mutate(random, bytes) };
  }
}

Deno.test("StreamReader makes the same of the same bytes, however they are cut [R4, R5, R12]", async () => {
  for (const { name, random, bytes } of texts(1500)) {
    const steps = randomSteps(random);
    const limit = pick(random, [1, 2, 7, 20, 64, 300, 65536]);
    await run(name, async () => {
      const expected = await take([bytes], steps, limit);
      for (const pieces of [cut(random, bytes), cut(random, bytes, 3)]) {
        assertEquals(await take(pieces, steps, limit), expected, `limit ${limit}: ${JSON.stringify(steps)}`);
      }
    });
  }
});

Deno.test("StreamReader loses no byte and makes up none, in whatever ways it is read [R2, R3, R5, R12]", async () => {
  for (const { name, random, bytes } of texts(500)) {
    await run(name, async () => {
      const reader = new StreamReader({ limit: pick(random, [1, 5, 50, 1000]) });
      const feeding = (async () => {
        for (const piece of cut(random, bytes)) {
          reader.feedData(piece);
          await Promise.resolve();
        }
        reader.feedEof();
      })();
      let position = 0;
      const check = (taken: Uint8Array) => {
        assertEquals(show(taken), show(bytes.subarray(position, position + taken.length)));
        position += taken.length;
      };
      while (position < bytes.length) {
        const separators = Array.from({ length: random.integer(1, 3) }, () => pick(random, SEPARATORS));
        const memory = new Uint8Array(random.size(50));
        try {
          switch (random.integer(0, 10)) {
            case 0:
              check(await reader.read(random.size(50)));
              break;
            case 1:
              check(await reader.readline());
              break;
            case 2:
              check(await reader.readuntil(separators));
              break;
            case 3:
              check(await reader.readexactly(random.size(50)));
              break;
            case 4:
              check(memory.subarray(0, await reader.readinto(memory) ?? 0));
              break;
            case 5: {
              const seen = await reader.peek(random.integer(0, 2 * reader.limit));
              assertEquals(show(seen), show(bytes.subarray(position, position + seen.length)));
              break;
            }
            case 6:
              position += await reader.skipuntil(separators);
              break;
            case 7:
              check(reader.tryread(random.size(50)) ?? NOTHING);
              await null;
              break;
            case 8:
              check(reader.tryreadline() ?? NOTHING);
              check(reader.tryreaduntil(separators) ?? NOTHING);
              await null;
              break;
            case 9:
              check(reader.tryreadexactly(random.size(50)) ?? NOTHING);
              await null;
              break;
            case 10: {
              const { buffered } = reader;
              const message = reader.tryframe(messages);
              if (message !== undefined) {
                position += 2;
                check(message);
              } else assertEquals(reader.buffered, buffered);
              await null;
              break;
            }
          }
        } catch (error) {
          if (error instanceof IncompleteReadError) check(error.partial);
          else if (error instanceof LimitOverrunError) check(await reader.readexactly(1));
          else throw error;
        }
      }
      await feeding;
      assertEquals(position, bytes.length);
      assert(reader.atEof());
    });
  }
});

Deno.test("StreamReader.lines() decodes as a decoder of the whole text does, in every encoding that keeps ASCII", async () => {
  for (const { name, random, bytes } of texts(1000)) {
    const encoding = pick(random, ENCODINGS);
    await run(`${name}, ${encoding}`, async () => {
      const reader = new StreamReader({ limit: 1e6 });
      for (const piece of cut(random, bytes)) reader.feedData(piece);
      reader.feedEof();
      const expected = new TextDecoder(encoding).decode(bytes).split("\n").map((line, i, all) =>
        i < all.length - 1 ? line.replace(/\r$/, "") : line
      );
      // Nothing after the last "\n" is no line; a byte order mark alone is one, though empty.
      if (bytes.length === 0 || bytes.at(-1) === 10) expected.pop();
      assertEquals(await Array.fromAsync(reader.lines({ encoding })), expected);
    });
  }
});
