/**
 * Ours, BufferedProtocol without a copy: read into the protocol's own memory, `sendall` it, read on when it is sent.
 *
 * @module
 */
import { BufferedProtocol, createServer, type Transport } from "../../mod.ts";
import { announce, serverOptions } from "./options.ts";

const { port, buffer, tls } = serverOptions();

class Echo extends BufferedProtocol {
  readonly #memory = new Uint8Array(buffer);
  readonly #resume = () => this.#transport.resumeReading();
  readonly #abort = () => this.#transport.abort();
  #transport!: Transport;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override getBuffer(): Uint8Array {
    return this.#memory;
  }

  override bufferUpdated(n: number): void {
    this.#transport.pauseReading();
    this.#transport.sendall(this.#memory.subarray(0, n)).then(this.#resume, this.#abort);
  }
}

const server = await createServer(() => new Echo(), { hostname: "127.0.0.1", port, ...(tls && { tls }) });
announce((server.addrs[0] as Deno.NetAddr).port);
