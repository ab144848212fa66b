/**
 * Echo by protocols and streams of this package, for the servers and for the benches in one process.
 *
 * @module
 */
import { BufferedProtocol, Protocol, type StreamReader, type StreamWriter, type Transport } from "../../mod.ts";
import { delimited, framed, FramedProtocol } from "../../src/framing/mod.ts";

/** Protocol: `dataReceived` and `write`. */
export class Echo extends Protocol {
  #transport!: Transport;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Uint8Array): void {
    this.#transport.write(data);
  }
}

/** BufferedProtocol without a copy: reads into its own memory, sends it with `sendall`, and reads again when it is sent. */
export class BufferedEcho extends BufferedProtocol {
  readonly #memory: Uint8Array;
  readonly #resume = () => this.#transport.resumeReading();
  readonly #abort = () => this.#transport.abort();
  #transport!: Transport;

  constructor(buffer: number) {
    super();
    this.#memory = new Uint8Array(buffer);
  }

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

/** Streams: `read`, `write`, `drain`. */
export async function streamEcho(reader: StreamReader, writer: StreamWriter, buffer: number): Promise<void> {
  for (let data = await reader.read(buffer); data.length > 0; data = await reader.read(buffer)) {
    writer.write(data);
    await writer.drain();
  }
}

/** Streams by line: `readline`, `write`, `drain`. */
export async function lineEcho(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for (let line = await reader.readline(); line.length > 0; line = await reader.readline()) {
    writer.write(line);
    await writer.drain();
  }
}

/** The same, each read with a timeout. */
export async function timedLineEcho(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const limit = { timeout: 5000 };
  for (let line = await reader.readline(limit); line.length > 0; line = await reader.readline(limit)) {
    writer.write(line);
    await writer.drain();
  }
}

/** Lines as messages. */
export const lineCodec = delimited("\n");

/** Streams by a codec: batches, `push`, `drain`. */
export async function codecEcho(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const messages = framed({ reader, writer }, lineCodec);
  for await (const batch of messages.batches()) {
    for (const line of batch) messages.push(line);
    await writer.drain();
  }
}

/** Protocol by a codec: `messageReceived` and `send`. */
export class CodecEcho extends FramedProtocol<Uint8Array> {
  override messageReceived(line: Uint8Array): void {
    this.send(line);
  }
}

/** Streams without a copy: `readinto` and `sendall` over one buffer, the same loop as raw. */
export async function zeroCopyEcho(reader: StreamReader, writer: StreamWriter, buffer: number): Promise<void> {
  const p = new Uint8Array(buffer);
  for (let n = await reader.readinto(p); n !== null; n = await reader.readinto(p)) {
    await writer.sendall(n === p.length ? p : p.subarray(0, n));
  }
}
