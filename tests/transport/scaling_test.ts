/** Nothing grows faster than the work: only ratios between sizes are looked at, with wide margins. */
import { assert } from "@std/assert";
import { type ConnLike, createConnection, createServer, Protocol, type Server, type Transport } from "../../mod.ts";
import { openConnection } from "../../mod.ts";

const ROUNDS = 6;
const MOST = 6;

/** Compares the cost of a unit in large work with that in small; the best of several rounds counts. */
async function staysFlat(sizes: [number, number], costPerUnit: (size: number) => Promise<number>): Promise<void> {
  await costPerUnit(sizes[0]);
  const best = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    for (const i of [0, 1] as const) best[i] = Math.min(best[i]!, await costPerUnit(sizes[i]));
    if (best[1]! < MOST * best[0]!) return;
  }
  assert(false, `a unit costs ${(best[1]! / best[0]!).toFixed(1)} times as much in ${sizes[1]} as in ${sizes[0]}`);
}

Deno.test("StreamWriter.write() costs the same in 100,000 tiny writes before a drain as in 1,000", async () => {
  const byte = new Uint8Array(1);
  await staysFlat([1_000, 100_000], async (writes) => {
    let total = 0;
    let calls = 0;
    const conn: ConnLike = {
      read: () => new Promise(() => {}),
      write: (p) => {
        total += p.length;
        calls++;
        return Promise.resolve(p.length);
      },
      close: () => {},
    };
    const { writer } = await openConnection({ conn });
    let spent = 0;
    for (let done = 0; done < 100_000; done += writes) {
      const before = performance.now();
      for (let i = 0; i < writes; i++) writer.write(byte);
      await writer.drain();
      spent += performance.now() - before;
    }
    await writer.close();
    assert(total === 100_000, `${total} bytes arrived`);
    assert(calls < 100_000 / 100, `${calls} calls for 100,000 writes`);
    return spent / 100_000;
  });
});

class Echo extends Protocol {
  #transport!: Transport;
  override connectionMade(transport: Transport) {
    this.#transport = transport;
  }
  override dataReceived(data: Uint8Array) {
    this.#transport.write(data);
  }
}

class Caller extends Protocol {
  transport!: Transport;
  #answered = () => {};
  override connectionMade(transport: Transport) {
    this.transport = transport;
  }
  override dataReceived() {
    this.#answered();
  }
  call(): Promise<void> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.transport.write("ping");
    });
  }
}

async function connect(server: Server, n: number): Promise<Caller[]> {
  const { port } = server.addrs[0] as Deno.NetAddr;
  const callers: Caller[] = [];
  while (callers.length < n) {
    const batch = Array.from({ length: Math.min(100, n - callers.length) }, async () => {
      return (await createConnection(() => new Caller(), { port })).protocol;
    });
    callers.push(...await Promise.all(batch));
  }
  return callers;
}

Deno.test("a server answers as fast with 2,000 connections open as with 50", async () => {
  await using server = await createServer(() => new Echo(), { hostname: "127.0.0.1", port: 0 });
  const all = await connect(server, 2_000);
  const few = all.slice(0, 50);
  await staysFlat([50, 2_000], async (n) => {
    const callers = n === few.length ? few : all;
    const before = performance.now();
    for (let done = 0; done < all.length; done += n) await Promise.all(callers.map((caller) => caller.call()));
    return (performance.now() - before) / all.length;
  });
  for (const { transport } of all) transport.abort();
});
