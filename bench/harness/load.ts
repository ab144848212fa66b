/**
 * The load generator: `load/load.c`, compiled once for its content, or `load/load.ts` where there is no C compiler.
 *
 * @module
 */
import type { Running, Sample } from "./model.ts";
import { answerOf, Worker, works } from "./processes.ts";

/** The work for the load generator. */
export interface Work {
  mode: "echo" | "lines" | "sink" | "source" | "churn";
  connections?: number;
  /** The size of a message, in bytes. */
  size?: number;
  inflight?: number;
  tls?: boolean;
}

interface LoadReport {
  messagesPerSecond: number;
  mibPerSecond: number;
  p50us: number;
  p99us: number;
  loadBusy: number;
  cpuUsPerMessage: number | null;
}

/** The load generator that this machine can run. */
export interface Load {
  command: readonly string[];
  /** The load generator for TLS. */
  tlsCommand: readonly string[];
  /** Its description. */
  description: string;
}

let found: Promise<Load> | undefined;

/** Finds or builds the load generator. */
export function loadGenerator(): Promise<Load> {
  return found ??= find();
}

async function find(): Promise<Load> {
  const script = [Deno.execPath(), "run", "-A", "--no-config", pathOf("../load/load.ts")];
  const withTls = await compile("-tls", ["-DWITH_TLS"], ["-lssl", "-lcrypto"]);
  if (withTls) return { command: [withTls], tlsCommand: [withTls], description: "load.c" };
  const warning = "it may be the bottleneck, and flatter the slower entries";
  const plain = await compile("", [], []);
  if (plain) {
    const description = `load.c; for TLS load.ts, as the OpenSSL headers are not here: ${warning}`;
    return { command: [plain], tlsCommand: script, description };
  }
  return {
    command: script,
    tlsCommand: script,
    description: `load.ts, as there is no C compiler for Linux here: ${warning}`,
  };
}

/** Compiles the source unless this was done before; returns the path of the program, or undefined without a compiler. */
async function compile(suffix: string, flags: string[], libraries: string[]): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const source = pathOf("../load/load.c");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(source)));
  const binary = pathOf(`../../.bench/load-${digest.toHex().slice(0, 16)}${suffix}`);
  if (await works(["test", "-x", binary])) return binary;
  await Deno.mkdir(pathOf("../../.bench"), { recursive: true });
  const done = await works(["cc", "-O2", ...flags, "-o", `${binary}.new`, source, ...libraries]);
  if (!done) return undefined;
  await Deno.rename(`${binary}.new`, binary);
  return binary;
}

function pathOf(relative: string): string {
  return new URL(relative, import.meta.url).pathname;
}

/**
 * Starts a server and returns what measures it.
 *
 * @param command The command of the server; it prints `{"port": …}`
 * @param work The load to put on it
 * @param unit The name of the number of the load generator that is the value
 */
export async function startServer(
  command: readonly string[],
  work: Work,
  unit: "messagesPerSecond" | "mibPerSecond",
): Promise<Running> {
  const load = await loadGenerator();
  const server = new Worker(command, 0);
  let port: number;
  try {
    ({ port } = await server.next<{ port: number }>());
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    async sample({ warmup, duration }): Promise<Sample> {
      const report = await answerOf<LoadReport>([
        ...(work.tls ? load.tlsCommand : load.command),
        ...loadArguments(work, port),
        ...["--pid", String(server.pid), "--warmup", String(warmup), "--duration", String(duration)],
      ], 1);
      return {
        value: report[unit],
        cpu: report.cpuUsPerMessage ?? undefined,
        p50: report.p50us || undefined,
        p99: report.p99us || undefined,
        loadBusy: report.loadBusy,
      };
    },
    stop: () => server.stop(),
  };
}

function loadArguments(
  { mode, connections = 1, size = 1024, inflight = 1, tls = false }: Work,
  port: number,
): string[] {
  const numbers = { port, connections, size, inflight };
  return [mode, ...Object.entries(numbers).flatMap(([name, n]) => [`--${name}`, String(n)]), ...(tls ? ["--tls"] : [])];
}
