/** TLS clients that take a server's descriptors: silent ones, and ones that never read [T2, T4, V6, W8]. */
import { assertEquals, assertGreater } from "@std/assert";
import { openConnection } from "../../mod.ts";
import { certificate } from "../support/servers.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";

const ignore = Deno.build.os !== "linux";
const { cert, key, caCert } = certificate;

const DESCRIPTORS = 100;
/** More than the server has descriptors for, twice over. */
const SILENT = 200;
const UNREAD = 60;
/** Deno opens a few descriptors when they are first needed. */
const FEW = 5;

/** A server in a process of its own, the descriptors of which are counted from outside: it may have none left for that. */
class LimitedServer implements AsyncDisposable {
  readonly port: number;
  readonly #process: Deno.ChildProcess;
  readonly #before: number;

  private constructor(process: Deno.ChildProcess, port: number, before: number) {
    this.#process = process;
    this.port = port;
    this.#before = before;
  }

  static async start(handler: string, options: string): Promise<LimitedServer> {
    const program = `
      // Deno panics where it has no descriptors left for this, which it does in its first second.
      const signalled = () => {};
      Deno.addSignalListener("SIGUSR2", signalled);
      Deno.removeSignalListener("SIGUSR2", signalled);
      import { startServer } from ${JSON.stringify(import.meta.resolve("../../mod.ts"))};
      const tls = { cert: ${JSON.stringify(cert)}, key: ${JSON.stringify(key)}, handshakeTimeout: 1000 };
      const options = { hostname: "127.0.0.1", port: 0, tls, onError() {}, ${options} };
      const server = await startServer(${handler}, options);
      console.log(server.addrs[0].port);`;
    const process = new Deno.Command("sh", {
      args: ["-c", `ulimit -n ${DESCRIPTORS}; exec "$0" run -A --no-config --no-check --ext=ts -`, Deno.execPath()],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const stdin = process.stdin.getWriter();
    await stdin.write(new TextEncoder().encode(program));
    await stdin.close();
    const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const port = Number((await lines.read()).value);
    await lines.cancel();
    // The first connection opens some descriptors that stay.
    const { reader, writer } = await LimitedServer.#open(port);
    writer.write("warm\n");
    await reader.readline();
    await writer.close();
    const count = () => [...Deno.readDirSync(`/proc/${process.pid}/fd`)].length;
    let before = Infinity;
    await until(() => {
      const now = count();
      const isSteady = now === before;
      before = now;
      return isSteady;
    });
    return new LimitedServer(process, port, before);
  }

  /** How many descriptors it has beyond those that it began with. */
  get descriptors(): number {
    return [...Deno.readDirSync(`/proc/${this.#process.pid}/fd`)].length - this.#before;
  }

  open() {
    return LimitedServer.#open(this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }

  static #open(port: number) {
    return openConnection({ hostname: "127.0.0.1", port, tls: { caCerts: [caCert] } });
  }
}

Deno.test({
  name:
    `TLS: ${SILENT} silent clients of a server with ${DESCRIPTORS} descriptors leave it by handshakeTimeout [T2, T4, V6]`,
  ignore,
  async fn() {
    const echo = "async (reader, writer) => writer.write(await reader.readline())";
    await using server = await LimitedServer.start(echo, "");
    const silent = await Promise.all(Array.from({ length: SILENT }, () => Deno.connect({ port: server.port })));
    await until(() => server.descriptors > DESCRIPTORS / 2);
    const { reader, writer } = await server.open();
    writer.write("served\n");
    assertEquals(text(await reader.readline()), "served\n");
    await writer.close();
    // With all of the silent clients still there.
    await until(() => server.descriptors <= FEW);
    for (const conn of silent) conn.close();
  },
});

Deno.test({
  name: `TLS: abort() of ${UNREAD} connections whose clients never read releases their descriptors [T4, W8]`,
  ignore,
  async fn() {
    const handler = `async (reader, writer) => {
      if (new TextDecoder().decode(await reader.readline()) === "warm\\n") return writer.write("warm\\n");
      const sending = writer.sendall(new Uint8Array(16 << 20)).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 10));
      writer.abort();
      await sending;
    }`;
    await using server = await LimitedServer.start(handler, "maxConnections: 20");
    const clients = [];
    for (let i = 0; i < UNREAD; i++) {
      const client = await server.open();
      client.writer.write("go\n");
      clients.push(client);
    }
    assertGreater(clients.length, DESCRIPTORS / 2);
    // None of them has read a byte, and none has left.
    await until(() => server.descriptors <= FEW);
    for (const { writer } of clients) writer.abort();
    await Promise.allSettled(clients.map(({ writer }) => writer.waitClosed()));
  },
});
