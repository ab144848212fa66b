/**
 * The server whose costs are measured: it serves in every way, and reports its use of resources on request.
 *
 * @module
 */
import process from "node:process";
import { setExceptionHandler, startServer, startUnixServer } from "../../mod.ts";
import { selfSignedCertificate } from "../../src/testing/mod.ts";

/** The resources this process uses. */
export interface Usage {
  /** Memory of the process, in bytes, including what the allocator keeps. */
  rss: number;
  /** Objects and buffers, in bytes, without the memory of Deno itself for TLS and sockets. */
  reachable: number;
  /** Processor time since the start, in microseconds, without that of these reports. */
  cpu: number;
  /** Open descriptors. */
  descriptors: number;
}

/** The addresses of the servers. */
export interface Addresses {
  /** The authority of their certificate. */
  caCert: string;
  /** The ports by service. */
  ports: Record<string, number>;
  /** The path of the Unix server. */
  path: string;
}

/** More bytes than the system buffers for a peer that does not read. */
const UNSENT = 8 << 20;

type Handler = Parameters<typeof startServer>[0];

/** Serves until stdin ends. */
async function main(): Promise<void> {
  setExceptionHandler(() => {});
  const { cert, key, caCert } = await selfSignedCertificate();
  const forever = new Promise<void>(() => {});
  const here = { hostname: "127.0.0.1", port: 0, onError: () => {} };
  const native = { ...here, tls: { cert, key, engine: "deno" as const } };
  const byNode = { ...here, tls: { cert, key } };

  const servers = {
    silent: await startServer(() => forever, here),
    readAhead: await startServer(() => forever, { ...here, readAhead: true }),
    lines: await startServer(echoLines, here),
    linesOverTls: await startServer(echoLines, native),
    linesOverTlsByNode: await startServer(echoLines, byNode),
    sender: await startServer(sendForever, here),
    senderOverTls: await startServer(sendForever, native),
    senderOverTlsByNode: await startServer(sendForever, byNode),
    closer: await startServer(sendAndClose, here),
    sink: await startServer(readAll, here),
    sinkOverTls: await startServer(readAll, native),
    sinkOverTlsByNode: await startServer(readAll, byNode),
    linesSink: await startServer(readLines, here),
  };
  const directory = await Deno.makeTempDir();
  const path = `${directory}/socket`;
  await startUnixServer(echoLines, { path });

  const ports = Object.fromEntries(
    Object.entries(servers).map(([name, { addrs }]) => [name, (addrs[0] as Deno.NetAddr).port]),
  );
  console.log(JSON.stringify({ caCert, ports, path } satisfies Addresses));
  for await (const _asked of Deno.stdin.readable) console.log(JSON.stringify(await usage()));
  await Deno.remove(directory, { recursive: true });
  Deno.exit();
}

const echoLines: Handler = async (reader, writer) => {
  for await (const line of reader) {
    writer.write(line);
    await writer.drain();
  }
};

const block = new Uint8Array(65536);

const sendForever: Handler = async (_reader, writer) => {
  for (;;) {
    writer.write(block);
    await writer.drain();
  }
};

const sendAndClose: Handler = async (_reader, writer) => {
  writer.write(new Uint8Array(UNSENT));
  await writer.close();
};

const readLines: Handler = async (reader) => {
  for await (const _line of reader);
};

const readAll: Handler = async (reader) => {
  while ((await reader.read(65536)).length > 0);
};

/** The processor time of all reports, most of it for garbage collection. */
let spentOnUsage = 0;

async function usage(): Promise<Usage> {
  const begun = processorTime();
  const cpu = begun - spentOnUsage;
  const { gc } = globalThis as { gc?: () => void };
  for (let i = 0; i < 5; i++) {
    gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { rss, heapUsed, external } = Deno.memoryUsage();
  const descriptors = [...Deno.readDirSync("/proc/self/fd")].length;
  spentOnUsage += processorTime() - begun;
  return { rss, reachable: heapUsed + external, cpu, descriptors };
}

function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

if (import.meta.main) await main();
