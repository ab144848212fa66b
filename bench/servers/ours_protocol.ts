/**
 * Ours, protocol: `dataReceived` and `write`.
 *
 * @module
 */
import { createServer, Protocol, type Transport } from "../../mod.ts";
import { announce, serverOptions } from "./options.ts";

class Echo extends Protocol {
  #transport!: Transport;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Uint8Array): void {
    this.#transport.write(data);
  }
}

const { port, tls } = serverOptions();
const server = await createServer(() => new Echo(), { hostname: "127.0.0.1", port, ...(tls && { tls }) });
announce((server.addrs[0] as Deno.NetAddr).port);
