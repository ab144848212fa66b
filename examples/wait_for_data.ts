/**
 * Waits for data on an open connection, once with streams and once with a protocol. The connection is one end of a pair
 * in memory; any object with read(), write() and close() works. It ends by itself.
 *
 *     deno run examples/wait_for_data.ts
 */
import { connPair, createConnection, openConnection, Protocol, type Transport } from "@tideline/net";

async function withStreams(): Promise<void> {
  const [here, there] = connPair();
  await using connection = await openConnection({ conn: here });

  // The other end sends data a little later.
  setTimeout(() => there.write(new TextEncoder().encode("abc")), 10);

  const data = await connection.reader.read(100);
  console.log(`Received with streams: ${new TextDecoder().decode(data)}`);
  there.close();
}

class Waiting extends Protocol {
  #transport!: Transport;
  readonly #lost = Promise.withResolvers<void>();
  /** Resolves when the connection is lost. */
  readonly lost = this.#lost.promise;

  override connectionMade(transport: Transport) {
    this.#transport = transport;
  }

  override dataReceived(data: Uint8Array) {
    console.log(`Received with a protocol: ${new TextDecoder().decode(data)}`);
    this.#transport.close();
  }

  override connectionLost() {
    this.#lost.resolve();
  }
}

async function withProtocol(): Promise<void> {
  const [here, there] = connPair();
  const { protocol } = await createConnection(() => new Waiting(), { conn: here });

  setTimeout(() => there.write(new TextEncoder().encode("abc")), 10);

  await protocol.lost;
  there.close();
}

await withStreams();
await withProtocol();
