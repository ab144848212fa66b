/**
 * Entries that are not a server under load: programs that measure themselves, programs whose whole run is timed, and
 * servers whose memory is watched.
 *
 * @module
 */
import { denoServer, findPython } from "./contestants.ts";
import { loadGenerator } from "./load.ts";
import type { Entry, Running } from "./model.ts";
import { answerOf, Worker } from "./processes.ts";

/** A Deno program of `programs/` that prints `{"value": …}`. */
export function denoProgram(name: string, file: string, ...args: string[]): Entry {
  return selfTimed(name, () => Promise.resolve([Deno.execPath(), "run", "-A", pathOf(`../programs/${file}`), ...args]));
}

/** A Python program of `programs/` that prints `{"value": …}`. */
export function pythonProgram(name: string, file: string): Entry {
  return selfTimed(name, async () => {
    const python = await findPython();
    return python === undefined ? "Python is not installed" : [python, pathOf(`../programs/${file}`)];
  });
}

/** A Deno program whose run is timed from start to end, in milliseconds. */
export function startup(name: string, file: string): Entry {
  const run = async () => {
    const start = performance.now();
    const args = ["run", "-A", pathOf(`../programs/${file}`)];
    const { success } = await new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "null" }).output();
    if (!success) throw new Error(`it failed`);
    return performance.now() - start;
  };
  return {
    name,
    // The first run fills Deno's cache.
    start: () => run().then(() => ({ sample: async () => ({ value: await run() }), stop: () => Promise.resolve() })),
  };
}

/**
 * A server with idle connections, each of which has echoed one message: the growth of its resident memory per
 * connection, in KiB.
 */
export function idleMemory(name: string, connections: number, file: string, ...args: string[]): Entry {
  const sample = async () => {
    const server = new Worker(denoServer("as is", file, ...args), 0);
    try {
      const { port } = await server.next<{ port: number }>();
      // The first ones warm up the code and the heap, and are closed.
      await (await holdIdle(port, 200)).stop();
      await settled(server);
      const before = await settled(server);
      const load = await holdIdle(port, connections);
      const after = await settled(server);
      await load.stop();
      return { value: (after - before) / connections / 1024 };
    } finally {
      await server.stop();
    }
  };
  return {
    name,
    start: () =>
      Promise.resolve(
        Deno.build.os === "linux"
          ? { sample, stop: () => Promise.resolve() }
          : "the memory of another process can be seen on Linux only",
      ),
  };
}

async function holdIdle(port: number, connections: number): Promise<Worker> {
  const { command } = await loadGenerator();
  const args = ["idle", "--touch", "--size", "64", "--port", String(port), "--connections", String(connections)];
  const load = new Worker([...command, ...args], 1, "piped");
  try {
    await load.next();
  } catch (error) {
    await load.stop();
    throw error;
  }
  return load;
}

/** The resident memory once it has stopped changing. */
async function settled(server: Worker): Promise<number> {
  for (let last = NaN, tries = 0; tries < 20; tries++) {
    const rss = await server.rss();
    if (Math.abs(rss - last) < 65536) return rss;
    last = rss;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return await server.rss();
}

function selfTimed(name: string, find: () => Promise<readonly string[] | string>): Entry {
  return {
    name,
    async start(): Promise<Running | string> {
      const command = await find();
      if (typeof command === "string") return command;
      return {
        sample: ({ warmup, duration }) =>
          answerOf([...command, "--warmup", String(warmup), "--duration", String(duration)], 0),
        stop: () => Promise.resolve(),
      };
    },
  };
}

function pathOf(relative: string): string {
  return new URL(relative, import.meta.url).pathname;
}
