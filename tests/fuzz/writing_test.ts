/** Random sequences of everything that sends, awaited or not: what arrives is what was sent, in order, whole [W3, M2, M3]. */
import { assertEquals } from "@std/assert";
import { openConnection } from "../../mod.ts";
import { faultyConn, SeededRandom } from "../../src/testing/mod.ts";
import { kinds } from "../support/conn_kinds.ts";
import { assertSameBytes, concat } from "../support/bytes.ts";

const random = new SeededRandom(Number(Deno.env.get("SEED") ?? 314159));
const path = await Deno.makeTempFile();
const content = random.fill(new Uint8Array(700_000));
await Deno.writeFile(path, content);
globalThis.addEventListener("unload", () => Deno.removeSync(path));

const sizes = [0, 1, 5, 100, 2000, 20_000, 70_000, 300_000];

for (const kind of kinds) {
  for (const faulty of [false, true]) {
    Deno.test(`${kind.name}${faulty ? ", short and late" : ""}: random sequences of sends arrive in order, whole [W3]`, async () => {
      for (let round = 0; round < (faulty ? 4 : 8); round++) {
        const [a, b] = await kind.pair();
        const conn = faulty ? faultyConn(a, { seed: random.integer(0, 1 << 30), shortWrites: true, delayTurns: 2 }) : a;
        const { writer } = await openConnection({ conn });
        const expected: Uint8Array[] = [];
        const promises: Promise<unknown>[] = [];
        const results: unknown[] = [];
        const received = (async () => {
          const pieces: Uint8Array[] = [];
          const p = new Uint8Array(65536);
          for (let n; (n = await b.read(p)) !== null;) pieces.push(p.slice(0, n));
          return concat(pieces);
        })();
        const piece = () => random.fill(new Uint8Array(sizes[random.integer(0, sizes.length - 1)]!));
        for (let i = random.integer(1, 25); i > 0; i--) {
          switch (random.integer(0, 6)) {
            case 0: {
              const data = piece();
              expected.push(data.slice());
              writer.write(data);
              data.fill(0);
              break;
            }
            case 1: {
              const text = "é\ud800x€😀".repeat(random.integer(0, 3000));
              expected.push(new TextEncoder().encode(text));
              writer.write(text);
              break;
            }
            case 2: {
              const all = [piece(), "text", piece()];
              expected.push(...all.map((one) => typeof one === "string" ? new TextEncoder().encode(one) : one.slice()));
              writer.writelines(all);
              break;
            }
            case 3: {
              const data = piece();
              expected.push(data.slice());
              const sending = writer.sendall(data);
              // The memory is free when the promise settles, and not before.
              promises.push(sending.then(() => data.fill(0)));
              results.push(data);
              break;
            }
            case 4: {
              const offset = random.integer(0, 800_000), count = random.integer(0, 300_000);
              const part = content.subarray(offset, offset + count);
              expected.push(part);
              promises.push(writer.sendfile(path, { offset, count }));
              results.push(part.length);
              break;
            }
            case 5:
              await writer.drain();
              break;
            case 6:
              for (let hops = random.integer(0, 10); hops > 0; hops--) await null;
              if (random.next() < 0.2) await new Promise((resolve) => setImmediate(resolve));
              break;
          }
        }
        const end = random.integer(0, kind.halfClose ? 1 : 0);
        if (end === 1) writer.writeEof();
        else void writer.close();
        assertSameBytes(await received, concat(expected));
        assertEquals(await Promise.all(promises), results);
        await writer.close();
        try {
          b.close();
        } catch {
          // Its other end is gone.
        }
      }
    });
  }
}
