/**
 * What the tests of the examples share: an example runs as a process of its own, with just the permissions that the
 * command in its head comment names.
 */
import { assertEquals } from "@std/assert";
// Only node:net can reset a connection.
import { connect, createServer, type Socket } from "node:net";

const root = new URL("../../", import.meta.url);

// So that an example that hangs fails its test rather than the whole run.
const TIME_LIMIT = 60_000;

/** How to run an example. */
export interface RunOptions {
  /** Flags for Deno besides the permissions. */
  flags?: string[];
  /** What to write to stdin, which is then closed. */
  input?: string | Uint8Array;
}

/** What an example did. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs an example to its end. */
export async function run(name: string, args: string[] = [], options: RunOptions = {}): Promise<Outcome> {
  await using example = await Example.start(name, args, options);
  return await example.outcome();
}

/** Runs an example to its end, which must be a good one, and gives what it printed. */
export async function runWell(name: string, args: string[] = [], options: RunOptions = {}): Promise<string> {
  const outcome = await run(name, args, options);
  assertEquals({ code: outcome.code, stderr: outcome.stderr }, { code: 0, stderr: "" });
  return outcome.stdout;
}

/** An example that is running. */
export class Example implements AsyncDisposable {
  readonly stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly pid: number;
  readonly #process: Deno.ChildProcess;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #timer: ReturnType<typeof setTimeout>;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.pid = process.pid;
    this.stdin = process.stdin.getWriter();
    this.#stdout = new Output(process.stdout);
    this.#stderr = new Output(process.stderr);
    this.#timer = setTimeout(() => this.kill(), TIME_LIMIT);
  }

  /** Starts an example. */
  static async start(name: string, args: string[] = [], { flags = [], input }: RunOptions = {}): Promise<Example> {
    const command = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        ...await permissionsOf(name, args),
        ...flags,
        `examples/${name}`,
        ...args,
      ],
      cwd: root,
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    const example = new Example(command.spawn());
    if (input !== undefined) {
      const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
      await example.stdin.write(bytes);
      await example.stdin.close();
    }
    return example;
  }

  /** Waits until stdout matches, and gives the match. */
  stdoutMatch(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#stdout.match(pattern);
  }

  /** Waits until stderr matches, and gives the match. */
  stderrMatch(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#stderr.match(pattern);
  }

  /** Waits until a server says where it serves. */
  async port(): Promise<number> {
    return Number((await this.stdoutMatch(/Serving on port (\d+)\n/))[1]);
  }

  /** Waits for the end, and gives what was printed. */
  async outcome(): Promise<Outcome> {
    const { code } = await this.#process.status;
    return { code, stdout: await this.#stdout.all(), stderr: await this.#stderr.all() };
  }

  /** Waits for the end, and gives the bytes that were printed. */
  async bytes(): Promise<Uint8Array> {
    await this.#process.status;
    return await this.#stdout.bytes();
  }

  /** Ends it, unless it has ended. */
  kill(): void {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    clearTimeout(this.#timer);
    await this.stdin.close().catch(() => {});
    await this.outcome();
  }
}

/** What a process prints, as it comes. */
class Output {
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  readonly #decoder = new TextDecoder();
  readonly #done: Promise<void>;
  #text = "";
  #ended = false;
  #wake = Promise.withResolvers<void>();

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#done = this.#collect(stream);
  }

  async match(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match !== null) return match;
      if (this.#ended) throw new Error(`Cannot find "${pattern}": the output ended with "${this.#text.slice(-1000)}"`);
      await this.#wake.promise;
    }
  }

  async all(): Promise<string> {
    await this.#done;
    return this.#text;
  }

  async bytes(): Promise<Uint8Array> {
    await this.#done;
    return new Uint8Array(await new Blob(this.#chunks).arrayBuffer());
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const chunk of stream) {
      this.#chunks.push(chunk);
      this.#text += this.#decoder.decode(chunk, { stream: true });
      this.#wakeUp();
    }
    this.#ended = true;
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

/** The flags of the command in the head comment that begins with the same argument, or else of the first one. */
async function permissionsOf(name: string, [first]: readonly string[]): Promise<string[]> {
  const source = await Deno.readTextFile(new URL(`examples/${name}`, root));
  const head = source.slice(0, source.indexOf("*/"));
  const commands = [...head.matchAll(new RegExp(`deno run ((?:--\\S+ )*)examples/${name}(?: (\\S+))?`, "g"))];
  const command = commands.find(([, , argument]) => argument === first) ?? commands[0];
  if (command === undefined) throw new Error(`The head comment of examples/${name} does not say how to run it`);
  return command[1]!.split(" ").filter((flag) => flag !== "");
}

/** Connects to a port, sends what may never be taken, and resets the connection when the first bytes come. */
export async function connectAndReset(port: number, data = new Uint8Array()): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => {}); // The write was cut short.
  socket.write(data);
  await resetAtFirstBytes(socket);
}

/** Listens for one connection, and resets it when the first bytes come. */
export async function acceptAndReset(): Promise<{ port: number; done: Promise<void> }> {
  const done = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    server.close();
    done.resolve(resetAtFirstBytes(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as { port: number }).port, done: done.promise };
}

async function resetAtFirstBytes(socket: Socket): Promise<void> {
  await new Promise((resolve) => socket.once("data", resolve));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resetAndDestroy();
  await closed;
}
