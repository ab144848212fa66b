/**
 * Who takes part: every server there is, by name, and how to start it.
 *
 * @module
 */
import { startServer, type Work } from "./load.ts";
import type { Entry, Running } from "./model.ts";
import { works } from "./processes.ts";

/** The names of the servers. */
export type Contestant = keyof typeof servers;

/** Makes an entry of a server. */
export function server(
  name: Contestant,
  work: Work,
  unit: "messagesPerSecond" | "mibPerSecond" = "messagesPerSecond",
): Entry {
  return {
    name,
    async start(): Promise<Running | string> {
      const command = await servers[name]();
      return typeof command === "string" ? command : startServer([...command, ...serverArguments(work)], work, unit);
    },
  };
}

/** The command line that starts a server in Deno. */
export function denoServer(file: string, ...args: string[]): readonly string[] {
  return [Deno.execPath(), "run", "-A", "--no-config", pathOf(`../servers/${file}`), ...args];
}

/** A Python that has asyncio, or undefined. */
export const findPython = once(() => firstThatWorks(pythons, ["-c", "import asyncio, ssl"]));

const pythons = ["python3", "/usr/bin/python3"];
const findUvloop = once(() => firstThatWorks(pythons, ["-c", "import uvloop"]));
const findNode = once(() => firstThatWorks(["node"], ["--version"]));
const findBun = once(() => firstThatWorks(["bun"], ["--version"]));

type Command = () => Promise<readonly string[] | string>;

const servers = {
  "raw": deno("raw.ts"),
  "ours: protocol": deno("ours_protocol.ts"),
  "ours: buffered": deno("ours_buffered.ts"),
  "ours: stream": deno("ours_stream.ts"),
  "ours: zero-copy": deno("ours_zero_copy.ts"),
  "ours: lines": deno("ours_lines.ts"),
  "node:net on Deno": deno("node_net.mjs"),
  "Web Streams": deno("web_streams.ts"),
  "Node.js": program(findNode, "Node.js", "node_net.mjs"),
  "Bun": program(findBun, "Bun", "bun.js"),
  "asyncio protocol": program(findPython, "Python", "python.py", "--api", "protocol"),
  "asyncio streams": program(findPython, "Python", "python.py", "--api", "streams"),
  "asyncio lines": program(findPython, "Python", "python.py", "--api", "lines"),
  "uvloop protocol": program(findUvloop, "uvloop", "python.py", "--loop", "uvloop", "--api", "protocol"),
  "uvloop buffered": program(findUvloop, "uvloop", "python.py", "--loop", "uvloop", "--api", "buffered"),
  "uvloop streams": program(findUvloop, "uvloop", "python.py", "--loop", "uvloop", "--api", "streams"),
  "uvloop lines": program(findUvloop, "uvloop", "python.py", "--loop", "uvloop", "--api", "lines"),
} satisfies Record<string, Command>;

function deno(file: string): Command {
  return () => Promise.resolve(denoServer(file));
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
