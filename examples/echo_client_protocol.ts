/**
 * A TCP echo client with callbacks: sends a message in parts and EOF, and ends when the server closes the connection.
 *
 *     deno run --allow-net=127.0.0.1 examples/echo_client_protocol.ts [port]
 *
 * It needs a server: examples/echo_server_protocol.ts or examples/echo_server_streams.ts.
 */
import { createConnection, Protocol, type Transport } from "@tideline/net";

class EchoClient extends Protocol {
  readonly #parts: string[];
  readonly #decoder = new TextDecoder();
  readonly #lost = Promise.withResolvers<void>();
  /** Resolves when the connection is lost. */
  readonly lost = this.#lost.promise;

  constructor(parts: string[]) {
    super();
    this.#parts = parts;
  }

  override connectionMade(transport: Transport) {
    transport.writelines(this.#parts);
    transport.writeEof();
  }

  override dataReceived(data: Uint8Array) {
    console.log(`Received: ${this.#decoder.decode(data, { stream: true })}`);
  }

  override connectionLost(error: Error | null) {
    if (error === null) this.#lost.resolve();
    else this.#lost.reject(error);
  }
}

const port = Number(Deno.args[0] ?? 8888);

const { protocol } = await createConnection(
  () => new EchoClient(["This is the message. ", "It will be sent ", "in parts."]),
  { hostname: "127.0.0.1", port },
);
await protocol.lost;
