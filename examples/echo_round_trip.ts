/**
 * The whole round trip in one file: an echo server and a client, once with streams and once with protocols. It ends by
 * itself.
 *
 *     deno run --allow-net=127.0.0.1 examples/echo_round_trip.ts
 */
import { createConnection, createServer, openConnection, Protocol, startServer, type Transport } from "@tideline/net";

const MESSAGE = ["This is the message. ", "It will be sent ", "in parts."];

async function withStreams(): Promise<string> {
  await using server = await startServer(async (reader, writer) => {
    for (let data; (data = await reader.read(65536)).length > 0;) {
      writer.write(data);
      await writer.drain();
    }
  }, { hostname: "127.0.0.1", port: 0 });

  const { port } = server;
  await using connection = await openConnection({ hostname: "127.0.0.1", port });
  const { reader, writer } = connection;
  for (const part of MESSAGE) {
    writer.write(part);
    await writer.drain();
  }
  writer.writeEof();
  return new TextDecoder().decode(await reader.read());
}

class EchoServer extends Protocol {
  #transport!: Transport;

  override connectionMade(transport: Transport) {
    this.#transport = transport;
  }

  override dataReceived(data: Uint8Array) {
    this.#transport.write(data);
  }
}

class EchoClient extends Protocol {
  readonly answer = Promise.withResolvers<string>();
  readonly #decoder = new TextDecoder();
  #received = "";

  override connectionMade(transport: Transport) {
    for (const part of MESSAGE) transport.write(part);
    transport.writeEof();
  }

  override dataReceived(data: Uint8Array) {
    this.#received += this.#decoder.decode(data, { stream: true });
  }

  override connectionLost(error: Error | null) {
    if (error === null) this.answer.resolve(this.#received);
    else this.answer.reject(error);
  }
}

async function withProtocols(): Promise<string> {
  await using server = await createServer(() => new EchoServer(), { hostname: "127.0.0.1", port: 0 });

  const { port } = server;
  const { protocol } = await createConnection(() => new EchoClient(), { hostname: "127.0.0.1", port });
  return await protocol.answer.promise;
}

for (const [style, roundTrip] of Object.entries({ streams: withStreams, protocols: withProtocols })) {
  const answer = await roundTrip();
  if (answer !== MESSAGE.join("")) throw new Error(`The echo with ${style} is "${answer}"`);
  console.log(`${style}: ${answer}`);
}
