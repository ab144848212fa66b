/**
 * The servers of a soak, one of every kind. The first line of a client is a command.
 *
 * @module
 */
import {
  BufferedProtocol,
  createDatagramEndpoint,
  createServer,
  DatagramProtocol,
  type DatagramTransport,
  LimitOverrunError,
  openConnection,
  openUnixConnection,
  Protocol,
  type Server,
  startServer,
  startUnixServer,
  type StreamConnection,
  type StreamOptions,
  type StreamReader,
  type StreamWriter,
  type TlsClientOptions,
  type TlsServerOptions,
  type Transport,
} from "../../mod.ts";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { type Ledger, Mishap } from "./ledger.ts";
import { randomPiece } from "./payload.ts";
import { SeededRandom } from "../../src/testing/mod.ts";

/** The kinds of stream servers. */
export const KINDS = ["tcp", "unix", "tls", "tlsByNode"] as const;
/** One of them. */
export type Kind = typeof KINDS[number];

/** The longest line for the stream servers, in bytes. */
export const LIMIT = 8192;
/** The most connections of the capped server. */
export const CAP = 3;

/** The servers, and what clients need to reach them. */
export interface Scene {
  /** The record. */
  readonly ledger: Ledger;
  /** The servers by service. */
  readonly servers: Readonly<Record<Kind | "protocol" | "buffered" | "throwing" | "capped", Server>>;
  /** Echoes datagrams. */
  readonly datagrams: DatagramTransport;
  /** A file that servers send. */
  readonly file: { path: string; bytes: Uint8Array };
  /** The TLS options of servers for `startTls()`. */
  readonly serverTls: TlsServerOptions;
  /** The authority that clients trust. */
  readonly clientTls: TlsClientOptions;
  /** A port without a listener. */
  readonly closedPort: number;
  /** Opens streams to a server of a kind. */
  connect(kind: Kind, options?: StreamOptions & { signal?: AbortSignal }): Promise<StreamConnection>;
  /** Closes all servers. */
  close(): Promise<void>;
}

/** Opens all servers. */
export async function openScene(ledger: Ledger): Promise<Scene> {
  const directory = await Deno.makeTempDir({ prefix: "soak-" });
  const path = `${directory}/s`;
  const file = { path: `${directory}/file`, bytes: randomPiece(new SeededRandom(3), 300_000) };
  await Deno.writeFile(file.path, file.bytes);

  const { cert, key, caCert } = await selfSignedCertificate();
  // Shorter than the default, because some clients never finish theirs.
  const serverTls = { cert, key, handshakeTimeout: 2000 };
  const clientTls = { caCerts: [caCert], serverName: "localhost" };
  const onError = (error: Error) => ledger.error("onError", error);
  const here = { hostname: "127.0.0.1", port: 0, onError };
  const handle = handler(ledger, { file: file.path, tls: serverTls });

  const streams = { ...here, limit: LIMIT };
  const servers = {
    tcp: await startServer(handle, streams),
    unix: await startUnixServer(handle, { path, onError, limit: LIMIT }),
    tls: await startServer(handle, { ...streams, tls: { ...serverTls, engine: "deno" } }),
    tlsByNode: await startServer(handle, { ...streams, tls: serverTls }),
    protocol: await createServer(() => new Echo(), here),
    buffered: await createServer(() => new ZeroCopyEcho(), here),
    throwing: await createServer(() => new Thrower(), here),
    capped: await startServer(async (reader, writer) => {
      const { connections } = servers.capped;
      if (connections > CAP) ledger.problem(`maxConnections: "${connections}" connections at a cap of ${CAP}`);
      await echo(reader, writer, ledger);
    }, { ...streams, maxConnections: CAP }),
  };
  const { transport: datagrams } = await createDatagramEndpoint(() => new DatagramEcho(ledger), {
    localAddr: { hostname: "127.0.0.1" },
  });

  return {
    ledger,
    servers,
    datagrams,
    file,
    serverTls,
    clientTls,
    closedPort: closedPort(),
    connect(kind, options = {}) {
      if (kind === "unix") return openUnixConnection({ path, ...options });
      const target = { hostname: "127.0.0.1", port: portOf(servers[kind]), ...options };
      return openConnection(kind === "tcp" ? target : { ...target, tls: clientTls });
    },
    async close() {
      for (const server of Object.values(servers)) await server.shutdown({ grace: 2000 });
      datagrams.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

/** The port of a server. */
export function portOf(server: Server): number {
  return (server.addrs[0] as Deno.NetAddr).port;
}

function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

type Handler = (reader: StreamReader, writer: StreamWriter) => Promise<void>;

/** Executes the command of the first line. */
function handler(ledger: Ledger, { file, tls }: { file: string; tls: TlsServerOptions }): Handler {
  return async (reader, writer) => {
    const [verb, argument] = new TextDecoder().decode(await reader.readline()).trim().split(" ");
    switch (verb) {
      case "echo":
        return await echo(reader, writer, ledger);
      case "zerocopy": {
        const memory = new Uint8Array(16384);
        for (let n; (n = await reader.readinto(memory)) !== null;) await writer.sendall(memory.subarray(0, n));
        return;
      }
      case "lines":
        return await echoLines(reader, writer);
      case "count": {
        let count = 0;
        for await (const _line of reader) count++;
        writer.write(`${count}\n`);
        return;
      }
      case "frames":
        for (;;) {
          const size = new DataView((await reader.readexactly(4)).slice().buffer).getUint32(0);
          if (size === 0) return;
          writer.write(await reader.readexactly(size));
          await writer.drain();
        }
      case "upload":
        await writer.sendall(await reader.read());
        return;
      case "pipe":
        return await reader.readable.pipeTo(writer.writable);
      case "file":
        await writer.sendfile(file);
        return;
      case "flood":
        return await flood(writer, Number(argument), ledger);
      case "starttls":
        writer.write("go\n");
        await writer.startTls(tls);
        return await echo(reader, writer, ledger);
      case "throw":
        writer.write("about to throw\n");
        throw new Mishap("a handler threw");
      case undefined:
      case "": // A client that only connects.
        return;
      default:
        throw new Mishap(`a client asked for "${verb}"`);
    }
  };
}

async function echo(reader: StreamReader, writer: StreamWriter, ledger: Ledger): Promise<void> {
  for (let data; (data = await reader.read(65536)).length > 0;) {
    writer.write(data);
    await writer.drain();
    checkWriteBuffer(writer, ledger);
  }
}

/** Echoes lines; for a line that is too long it sends the length. */
async function echoLines(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for (;;) {
    let line: Uint8Array | string;
    try {
      line = await reader.readline();
    } catch (error) {
      if (!(error instanceof LimitOverrunError)) throw error;
      line = `dropped ${await reader.skipuntil()}\n`;
    }
    if (line.length === 0) return;
    writer.write(line);
    await writer.drain();
  }
}

async function flood(writer: StreamWriter, size: number, ledger: Ledger): Promise<void> {
  const random = new SeededRandom(size);
  for (let left = size; left > 0;) {
    const piece = randomPiece(random, Math.min(left, random.size(40_000)));
    writer.write(piece);
    await writer.drain();
    checkWriteBuffer(writer, ledger);
    left -= piece.length;
  }
}

/** Checks that `drain()` leaves the buffer within its limits [M4]. */
function checkWriteBuffer({ transport }: StreamWriter, ledger: Ledger): void {
  const size = transport.getWriteBufferSize();
  const { high } = transport.getWriteBufferLimits();
  if (size > high) ledger.problem(`drain() went on with "${size}" bytes to be written, above ${high}`);
}

/** Echoes with back pressure. */
class Echo extends Protocol {
  #transport!: Transport;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Uint8Array): void {
    this.#transport.write(data);
  }

  override pauseWriting(): void {
    this.#transport.pauseReading();
  }

  override resumeWriting(): void {
    this.#transport.resumeReading();
  }
}

/** Echoes without a copy: reads again only after the memory is sent. */
class ZeroCopyEcho extends BufferedProtocol {
  readonly #memory = new Uint8Array(16384);
  #transport!: Transport;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override getBuffer(): Uint8Array {
    return this.#memory;
  }

  override bufferUpdated(n: number): void {
    this.#transport.pauseReading();
    this.#transport.sendall(this.#memory.subarray(0, n)).then(() => this.#transport.resumeReading(), () => {});
  }
}

/** Throws when data arrives. */
class Thrower extends Protocol {
  override dataReceived(): void {
    throw new Mishap("a protocol threw");
  }
}

class DatagramEcho extends DatagramProtocol {
  readonly #ledger: Ledger;
  #transport!: DatagramTransport;

  constructor(ledger: Ledger) {
    super();
    this.#ledger = ledger;
  }

  override connectionMade(transport: DatagramTransport): void {
    this.#transport = transport;
  }

  override datagramReceived(data: Uint8Array, addr: Deno.NetAddr): void {
    this.#transport.sendto(data, addr);
  }

  override errorReceived(error: Error): void {
    this.#ledger.error("errorReceived of the datagram server", error);
  }
}
