/**
 * Processes that print lines of JSON, each on its own processor core if the system supports that.
 *
 * @module
 */

/** Servers run on the first core, the load on the second. */
export type Core = 0 | 1;

const taskset = navigator.hardwareConcurrency > 1 && await works(["taskset", "-c", "0,1", "true"]);

/** How processes are assigned to cores, in words. */
export const pinning = taskset
  ? "servers pinned to one core, the load to another"
  : "not pinned: there is no taskset here, or only one core";

/** A process of the benchmark. */
export class Worker {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** Starts a command on a core. */
  constructor(command: readonly string[], core: Core, stdin: "piped" | "null" = "null") {
    const [program, ...args] = taskset ? ["taskset", "-c", String(core), ...command] : command;
    this.#child = new Deno.Command(program!, { args, stdin, stdout: "piped", stderr: "inherit" }).spawn();
    this.#lines = textLines(this.#child.stdout);
  }

  /** The process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The next line it prints, parsed. */
  async next<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("it ended without an answer");
    return JSON.parse(value) as T;
  }

  /** The memory that is resident, in bytes; NaN where the system does not tell. */
  async rss(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.pid}/status`).catch(() => "");
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) * 1024;
  }

  /** Waits for its end, and tells whether that was a good one. */
  async ended(): Promise<boolean> {
    while (!(await this.#lines.next()).done) { /* what it prints is not of interest */ }
    return (await this.#child.status).success;
  }

  /** Ends it. */
  async stop(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#lines.return?.();
    await this.#child.status;
  }
}

/** Runs a command that prints one line of JSON and ends. */
export async function answerOf<T>(command: readonly string[], core: Core): Promise<T> {
  const worker = new Worker(command, core);
  try {
    return await worker.next<T>();
  } finally {
    await worker.stop();
  }
}

/** Returns whether a command can be run and succeeds. */
export async function works(command: readonly string[]): Promise<boolean> {
  const [program, ...args] = command;
  try {
    const { success } = await new Deno.Command(program!, { args, stdin: "null", stdout: "null", stderr: "null" })
      .output();
    return success;
  } catch {
    return false;
  }
}

async function* textLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
