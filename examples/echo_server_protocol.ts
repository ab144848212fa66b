/**
 * A TCP echo server with callbacks: a protocol is made for each connection.
 *
 *     deno run --allow-net=127.0.0.1 examples/echo_server_protocol.ts [port]
 *
 * Talk to it with examples/echo_client_protocol.ts. Compare examples/echo_server_streams.ts.
 */
import { createServer, Protocol, type Transport } from "@tideline/net";

class EchoServer extends Protocol {
  #transport!: Transport;

  override connectionMade(transport: Transport) {
    this.#transport = transport;
  }

  override dataReceived(data: Uint8Array) {
    this.#transport.write(data);
  }

  // Back pressure: while the client does not read, its data is not read either, so the write buffer keeps its limits.
  override pauseWriting() {
    this.#transport.pauseReading();
  }

  override resumeWriting() {
    this.#transport.resumeReading();
  }

  // Without an eofReceived() the transport closes at the client's EOF, after flushing.
}

const port = Number(Deno.args[0] ?? 8888);

const server = await createServer(() => new EchoServer(), { hostname: "127.0.0.1", port });

console.log(`Serving on port ${server.port}`);
await server.serveForever();
