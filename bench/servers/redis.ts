/**
 * The dialect of examples/redis_server.ts: `--api stream|protocol`.
 *
 * @module
 */
import { createServer, startServer } from "../../mod.ts";
import { framed, FramedProtocol } from "../../src/framing/mod.ts";
import { Client, execute, forget, type Reply, type Request, resp, Store } from "../../examples/redis_server.ts";
import { announce, option, serverOptions } from "./options.ts";

const { port } = serverOptions();
const store = new Store();
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

  // Back pressure: a client that does not read is not read from.
  override pauseWriting(): void {
    this.transport.pauseReading();
  }

  override resumeWriting(): void {
    this.transport.resumeReading();
  }
}

const server = option("api") === "protocol"
  ? await createServer(() => new RedisProtocol(resp), listen)
  : await startServer(async (reader, writer) => {
    const messages = framed({ reader, writer }, resp);
    const client = new Client(() => writer.transport, (reply) => messages.push(reply));
    for await (const requests of messages.batches()) {
      for (const request of requests) {
        const reply = execute(request, store, client);
        if (reply !== undefined) messages.push(reply);
      }
      await writer.drain();
    }
    forget(store, client);
  }, listen);
announce(server.port);
