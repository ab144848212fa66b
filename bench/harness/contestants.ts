/**
 * The servers that are compared, and how to start each.
 *
 * @module
 */
import { startServer, type Work } from "./load.ts";
import { type Entry, type Running, tunedName } from "./model.ts";
import { works } from "./processes.ts";

/** The names of the servers. */
export type Contestant = keyof typeof servers;

/** How a program is started: as it is, or with V8 tuned, which only programs of Deno can be. */
export type Tuning = "as is" | "tuned";

/** How V8 is tuned: these flags, and GC headroom (see `servers/tune.ts`). */
const V8_FLAGS = "--external-memory-max-growing-factor=8,--min-semi-space-size=16";

/** Makes an entry for a server. */
export function server(
  name: Contestant,
  work: Work,
  unit: "messagesPerSecond" | "mibPerSecond" = "messagesPerSecond",
  tuning: Tuning = "as is",
): Entry {
  return {
    name: tuning === "tuned" ? tunedName(name) : name,
    async start(): Promise<Running | string> {
      const command = await servers[name](tuning);
      return typeof command === "string" ? command : startServer([...command, ...serverArguments(work)], work, unit);
    },
  };
}

/** Whether a server can be tuned, that is, runs in Deno. */
export function canBeTuned(name: Contestant): boolean {
  return inDeno.has(servers[name]);
}

/** The command line that starts a server in Deno. */
export function denoServer(tuning: Tuning, file: string, ...args: string[]): readonly string[] {
  const tuned = [`--v8-flags=${V8_FLAGS}`, "--preload", pathOf("../servers/tune.ts")];
  const flags = ["-A", "--no-config", ...(tuning === "tuned" ? tuned : [])];
  return [Deno.execPath(), "run", ...flags, pathOf(`../servers/${file}`), ...args];
}

/** The Python that has uvloop, so that asyncio and uvloop run on the same interpreter; else any Python, or undefined. */
export const findPython = once(async () => await findUvloop() ?? await firstThatWorks(pythons, ["-c", "import ssl"]));

const pythons = ["python3", "/usr/bin/python3"];
const findUvloop = once(() => firstThatWorks(pythons, ["-c", "import uvloop"]));
const findNode = once(() => firstThatWorks(["node"], ["--version"]));
const findBun = once(() => firstThatWorks(["bun"], ["--version"]));

type Command = (tuning: Tuning) => Promise<readonly string[] | string>;

const inDeno = new Set<Command>();

const servers = {
  "raw": deno("raw.ts"),
  "raw with copies": deno("raw.ts", "--api", "copies"),
  "ours: protocol": deno("ours_protocol.ts", "--api", "protocol"),
  "ours: buffered": deno("ours_protocol.ts", "--api", "buffered"),
  "ours: stream": deno("ours_streams.ts", "--api", "stream"),
  "ours: zero-copy": deno("ours_streams.ts", "--api", "zero-copy"),
  "ours: lines": deno("ours_streams.ts", "--api", "lines"),
  "ours: lines with timeout": deno("ours_streams.ts", "--api", "timed-lines"),
  "ours: lines with idleTimeout": deno("ours_streams.ts", "--api", "lines", "--idle-timeout", "5000"),
  "ours: stream and codec": deno("ours_streams.ts", "--api", "codec"),
  "ours: protocol and codec": deno("ours_protocol.ts", "--api", "codec"),
  "ours: sockets": deno("ours_sockets.ts"),
  "ours: engine deno": deno("ours_streams.ts", "--api", "zero-copy", "--engine", "deno"),
  "ours: startTls": deno("ours_streams.ts", "--api", "zero-copy", "--engine", "startTls"),
  "node:net on Deno": deno("node_net.mjs"),
  "node:tls on Deno": deno("node_net.mjs"),
  "Web Streams": deno("web_streams.ts"),
  "Node.js": program(findNode, "Node.js", "node_net.mjs"),
  "Bun": program(findBun, "Bun", "bun.js"),
  "asyncio protocol": program(findPython, "Python", "python.py", "--api", "protocol"),
  "asyncio streams": program(findPython, "Python", "python.py", "--api", "streams"),
  "asyncio sockets": program(findPython, "Python", "python.py", "--api", "sockets"),
  "asyncio lines": program(findPython, "Python", "python.py", "--api", "lines"),
  "uvloop protocol": program(findUvloop, "uvloop", "python.py", "--loop", "uvloop", "--api", "protocol"),
  "uvloop streams": program(findUvloop, "uvloop", "python.py", "--loop", "uvloop", "--api", "streams"),
  "uvloop sockets": program(findUvloop, "uvloop", "python.py", "--loop", "uvloop", "--api", "sockets"),
  "uvloop lines": program(findUvloop, "uvloop", "python.py", "--loop", "uvloop", "--api", "lines"),
} satisfies Record<string, Command>;

function deno(file: string, ...args: string[]): Command {
  const command: Command = (tuning) => Promise.resolve(denoServer(tuning, file, ...args));
  inDeno.add(command);
  return command;
}

function program(find: () => Promise<string | undefined>, title: string, file: string, ...args: string[]): Command {
  return async () => {
    const path = await find();
    return path === undefined ? `${title} is not installed` : [path, pathOf(`../servers/${file}`), ...args];
  };
}

function serverArguments({ mode, tls }: Work): string[] {
  return [
    ...(mode === "sink" || mode === "source" ? ["--mode", mode] : []),
    ...(tls ? ["--tls", pathOf("../fixtures")] : []),
  ];
}

/** The versions of what is compared, and what is not installed. */
export async function versions(): Promise<{ present: string[]; absent: string[] }> {
  const present = [`Deno ${Deno.version.deno}`];
  const absent: string[] = [];
  const ask = async (title: string, path: string | undefined, ...args: string[]) => {
    if (path === undefined) return void absent.push(title);
    const { stdout } = await new Deno.Command(path, { args, stderr: "null" }).output();
    present.push(`${title} ${new TextDecoder().decode(stdout).trim().replace(/^v/, "")}`);
  };
  await ask("Node.js", await findNode(), "--version");
  await ask("Bun", await findBun(), "--version");
  await ask("Python", await findPython(), "-c", "import platform; print(platform.python_version())");
  await ask("uvloop", await findUvloop(), "-c", "import uvloop; print(uvloop.__version__)");
  return { present, absent };
}

async function firstThatWorks(programs: string[], args: string[]): Promise<string | undefined> {
  for (const path of programs) {
    if (await works([path, ...args])) return path;
  }
  return undefined;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}

function pathOf(relative: string): string {
  return new URL(relative, import.meta.url).pathname;
}
