/**
 * Servers that speak the protocol of Redis, under the load of `redis-benchmark`. What counts is the processor time of the
 * server, because the load generator has the other core.
 *
 * @module
 */
import type { Entry, Running, Sample } from "./model.ts";
import { Worker, works } from "./processes.ts";

/** The number of keys: half of them and more have a value. */
const KEYS = 100_000;
const CONNECTIONS = 50;
/** How many requests a sample has, for each that a client has in flight. */
const REQUESTS = { 1: 20_000, 16: 200_000 };

/** How many requests each client has in flight. */
export type Pipeline = keyof typeof REQUESTS;

/** The original. */
export function redisServer(name: string, pipeline: Pipeline): Entry {
  return {
    name,
    async start() {
      const port = freePort();
      const args = ["--port", String(port), "--save", "", "--appendonly", "no"];
      if (!await works(["redis-server", "--version"])) return "redis-server is not installed";
      return await loaded(new Worker(["redis-server", ...args], 0), port, pipeline);
    },
  };
}

/** The dialect of the example, by an API of ours or by `node:net`. */
export function redisDialect(name: string, api: "stream" | "protocol" | "node", pipeline: Pipeline): Entry {
  return {
    name,
    async start() {
      if (!await works(["redis-benchmark", "--version"])) return "redis-benchmark is not installed";
      const flags = ["-A", "--config", pathOf("../../deno.json")];
      const server = new Worker([Deno.execPath(), "run", ...flags, pathOf("../servers/redis.ts"), "--api", api], 0);
      const { port } = await server.next<{ port: number }>();
      return await loaded(server, port, pipeline);
    },
  };
}

async function loaded(server: Worker, port: number, pipeline: Pipeline): Promise<Running> {
  try {
    await listening(port);
    await benchmark(port, 16, "set", KEYS);
    await benchmark(port, pipeline, "get", REQUESTS[pipeline]);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    async sample(): Promise<Sample> {
      const before = await processorTime(server.pid);
      await benchmark(port, pipeline, "get", REQUESTS[pipeline]);
      const seconds = (await processorTime(server.pid) - before) / 1e9;
      return { value: REQUESTS[pipeline] / seconds, cpu: seconds * 1e6 / REQUESTS[pipeline] };
    },
    stop: () => server.stop(),
  };
}

async function benchmark(port: number, pipeline: Pipeline, test: string, requests: number): Promise<void> {
  const numbers = { p: port, P: pipeline, n: requests, r: KEYS, c: CONNECTIONS };
  const args = Object.entries(numbers).flatMap(([name, n]) => [`-${name}`, String(n)]);
  const load = new Worker(["redis-benchmark", "-q", "-t", test, ...args], 1);
  if (!await load.ended()) throw new Error("redis-benchmark failed");
}

/** The processor time of all threads that a process has, in nanoseconds. */
async function processorTime(pid: number): Promise<number> {
  let sum = 0;
  for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
    const times = await Deno.readTextFile(`/proc/${pid}/task/${name}/schedstat`).catch(() => "0");
    sum += Number(times.split(" ")[0]);
  }
  return sum;
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    try {
      return (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  throw new Error("it does not listen");
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function pathOf(relative: string): string {
  return new URL(relative, import.meta.url).pathname;
}
