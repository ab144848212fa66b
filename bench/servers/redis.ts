/**
 * The dialect of examples/redis_server.ts: `--api stream|protocol|node`, the last by `node:net`.
 *
 * @module
 */
import { createServer, startServer } from "../../mod.ts";
import { ByteBuffer, ByteQueue, framed, FramedProtocol } from "../../src/framing/mod.ts";
import { Client, execute, forget, type Reply, type Request, resp, Store } from "../../examples/redis_server.ts";
import { announce, option, serverOptions } from "./options.ts";

const { port } = serverOptions();
const store = new Store();
// The load generator resets its connections at its end.
const listen = { hostname: "127.0.0.1", port, onError: () => {} };

class RedisProtocol extends FramedProtocol<Request, Reply> {
  readonly #client = new Client(() => this.transport, (reply) => this.send(reply));

  override messageReceived(request: Request): void {
    const reply = execute(request, store, this.#client);
    if (reply !== undefined) this.send(reply);
  }

  override connectionLost(): void {
    forget(store, this.#client);
  }

  // A client that does not read is not read from.
  override pauseWriting(): void {
    this.transport.pauseReading();
  }

  override resumeWriting(): void {
    this.transport.resumeReading();
  }
}

async function serveStreams(): Promise<number> {
  const server = await startServer(async (reader, writer) => {
    const messages = framed({ reader, writer }, resp);
    const client = new Client(() => writer.transport, (reply) => messages.push(reply));
    try {
      for await (const requests of messages.batches()) {
        for (const request of requests) {
          const reply = execute(request, store, client);
          if (reply !== undefined) messages.push(reply);
        }
        await writer.drain();
      }
    } finally {
      forget(store, client);
    }
  }, listen);
  return server.port;
}

async function serveProtocols(): Promise<number> {
  return (await createServer(() => new RedisProtocol(resp), listen)).port;
}

/** As one writes it by hand: the answers to what one event brought leave together. */
async function serveNode(): Promise<number> {
  const net = await import("node:net");
  const server = net.createServer({ noDelay: true }, (socket) => {
    const queue = new ByteQueue();
    const answers = new ByteBuffer();
    // There are no channels here.
    const client = new Client(() => null as never, () => {});
    socket.on("data", (data) => {
      queue.append(data);
      for (let request; (request = resp.decode(queue)) !== undefined;) {
        const reply = execute(request, store, client);
        if (reply !== undefined) resp.encode(reply, answers);
      }
      if (!socket.write(answers.take())) socket.pause();
    });
    socket.on("drain", () => socket.resume());
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

const serve = { stream: serveStreams, protocol: serveProtocols, node: serveNode }[option("api") ?? "stream"]!;
announce(await serve());
