// The proxy between a client and a target that are plain conns, held here by hand.
import { assertEquals } from "@std/assert";
import { acceptAndReset, connectAndReset, Example } from "./kit.ts";
import { assertSameBytes, bytes, pattern } from "../support/bytes.ts";
import { readAll, writeAll } from "../support/conns.ts";

const MIB = 1024 * 1024;

/** A client, the conn that the proxy made to the target for it, and the proxy between. */
class Setup implements AsyncDisposable {
  private constructor(
    readonly proxy: Example,
    readonly port: number,
    readonly listener: Deno.TcpListener,
    readonly conns: Deno.Conn[] = [],
  ) {}

  static async make(): Promise<Setup> {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const proxy = await Example.start("tcp_proxy.ts", ["0", "127.0.0.1", String(listener.addr.port)]);
    return new Setup(proxy, await proxy.port(), listener);
  }

  async pair(): Promise<[client: Deno.TcpConn, target: Deno.TcpConn]> {
    const [target, client] = await Promise.all([
      this.listener.accept(),
      Deno.connect({ hostname: "127.0.0.1", port: this.port }),
    ]);
    this.conns.push(client, target);
    return [client, target];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const closable of [...this.conns, this.listener]) {
      try {
        closable.close();
      } catch {
        // The test did it.
      }
    }
    await this.proxy[Symbol.asyncDispose]();
  }
}

async function readText(conn: Deno.Conn): Promise<string> {
  return new TextDecoder().decode(await readAll(conn));
}

Deno.test("tcp_proxy.ts forwards 20 MiB each way at once, whole and in order", async () => {
  await using setup = await Setup.make();
  const [client, target] = await setup.pair();
  const there = pattern(20 * MIB);
  const back = pattern(20 * MIB + 7).reverse();
  const [atTarget, atClient] = await Promise.all([
    readAll(target),
    readAll(client),
    writeAll(client, there).then(() => client.closeWrite()),
    writeAll(target, back).then(() => target.closeWrite()),
  ]);
  assertSameBytes(atTarget, there);
  assertSameBytes(atClient, back);
});

Deno.test("tcp_proxy.ts forwards the client's EOF, and then what the target still sends", async () => {
  await using setup = await Setup.make();
  const [client, target] = await setup.pair();
  await writeAll(client, bytes("question"));
  await client.closeWrite();
  assertEquals(await readText(target), "question");
  await writeAll(target, bytes("answer"));
  target.close();
  assertEquals(await readText(client), "answer");
});

Deno.test("tcp_proxy.ts forwards the target's EOF, and then what the client still sends", async () => {
  await using setup = await Setup.make();
  const [client, target] = await setup.pair();
  await writeAll(target, bytes("banner"));
  await target.closeWrite();
  assertEquals(await readText(client), "banner");
  await writeAll(client, bytes("the rest"));
  client.close();
  assertEquals(await readText(target), "the rest");
});

Deno.test("tcp_proxy.ts ends the target's side when the client resets, and goes on serving", async () => {
  await using setup = await Setup.make();
  const reset = connectAndReset(setup.port);
  using target = await setup.listener.accept();
  await writeAll(target, bytes("banner"));
  await reset;
  // By an end or a reset of its own, but not by waiting forever.
  await readAll(target).catch((error) => assertEquals(error instanceof Deno.errors.ConnectionReset, true));
  await setup.proxy.stderrMatch(/reset/i);

  const [client, next] = await setup.pair();
  await writeAll(client, bytes("still there?"));
  await client.closeWrite();
  assertEquals(await readText(next), "still there?");
});

Deno.test("tcp_proxy.ts drops what a target does not take, once the client has reset", async () => {
  await using setup = await Setup.make();
  const reset = connectAndReset(setup.port, pattern(30 * MIB));
  using target = await setup.listener.accept();
  // Until all the buffers on the way are full: what does not happen has no event to wait for.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await writeAll(target, bytes("never mind"));
  await reset;
  // It would wait here if the proxy did, until that is killed for taking too long.
  const error = await writeAll(target, pattern(30 * MIB)).catch((error) => error);
  assertEquals(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe, true);
  await setup.pair();
});

Deno.test("tcp_proxy.ts ends the client's side when the target resets, and goes on serving", async () => {
  const { port, done } = await acceptAndReset();
  await using proxy = await Example.start("tcp_proxy.ts", ["0", "127.0.0.1", String(port)]);
  using client = await Deno.connect({ hostname: "127.0.0.1", port: await proxy.port() });
  await writeAll(client, bytes("question"));
  await done;
  await readAll(client).catch((error) => assertEquals(error instanceof Deno.errors.ConnectionReset, true));
  await proxy.stderrMatch(/reset/i);
  // The target is gone, the proxy is not.
  using next = await Deno.connect({ hostname: "127.0.0.1", port: await proxy.port() });
  assertEquals(await readText(next), "");
});

Deno.test("tcp_proxy.ts holds back the sender when the receiver does not read", async () => {
  await using setup = await Setup.make();
  const [client, target] = await setup.pair();
  // Much more than all the system's buffers on the way.
  const data = pattern(40 * MIB);
  let sent = 0;
  const sending = (async () => {
    while (sent < data.length) sent += await client.write(data.subarray(sent, sent + MIB));
    client.close();
  })();
  // Until nothing has moved for a while: what does not happen has no event to wait for.
  for (let before = -1; before !== sent;) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assertEquals(sent < 30 * MIB, true, `${sent} bytes were taken`);
  assertSameBytes(await readAll(target), data);
  await sending;
});

Deno.test("tcp_proxy.ts closes a client whose target cannot be reached, prints why, and goes on", async () => {
  await using setup = await Setup.make();
  setup.listener.close();
  for (let i = 0; i < 2; i++) {
    using client = await Deno.connect({ hostname: "127.0.0.1", port: setup.port });
    assertEquals(await readText(client), "");
  }
  await setup.proxy.stderrMatch(/refused.*\n[^]*refused/i);
});
