/** What the tests of faults share: a peer that misbehaves on command, and the memory of this process. */
import { TextLineStream } from "@std/streams";
import type { Server } from "../../mod.ts";
import { certificateFiles, type Kind, kinds, pathOf, plainKinds, portOf, tlsKinds } from "../support/servers.ts";
import { findProgram } from "../support/machine.ts";
import { tempDir } from "../support/programs.ts";

/** What {@linkcode Peer} runs, or `null`. */
export const python: string | null = await findProgram("python3");
/** Whether the tests with a {@linkcode Peer} must be skipped. */
export const ignore: boolean = python === null;

export const MiB: number = 1 << 20;

/** TCP, TLS by Deno itself and by node:tls: every kind that can be reset. */
export const resettableKinds: Kind[] = [plainKinds[0]!, ...tlsKinds];
/** The same and Unix sockets. */
export const realKinds: Kind[] = kinds.filter(({ name }) => name !== "IPv6");

const files = await certificateFiles();

/** How a command to a {@linkcode Peer} goes: as the functions of peer.py. */
interface Commands {
  connect(address: [hostname: string, port: number] | string, secure?: object): void;
  listen(): number;
  accept(secure?: object): void;
  send(size: number): void;
  sendhex(hex: string): void;
  recv(size: number): number;
  shutdown(): void;
  reset(): void;
  close(): void;
}

/** A peer in a process of its own, with one socket. */
export class Peer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #replies: ReadableStreamDefaultReader<string>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#replies = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  }

  static start(): Peer {
    const script = new URL("peer.py", import.meta.url).pathname;
    return new Peer(new Deno.Command(python!, { args: [script], stdin: "piped", stdout: "piped" }).spawn());
  }

  /** Starts one that is connected to a server, after the handshake if there is one. */
  static async connectedTo(kind: Kind, server: Server): Promise<Peer> {
    const peer = Peer.start();
    const address = kind.name === "Unix" ? pathOf(server) : ["127.0.0.1", portOf(server)] as [string, number];
    await peer.tell("connect", address, ...kind.tls ? [{ ca: files.ca }] : []);
    return peer;
  }

  /** What `accept` needs to speak TLS. */
  static get identity(): { cert: string; key: string } {
    return { cert: files.cert, key: files.key };
  }

  /** Has a command done, and waits for its result. */
  async tell<K extends keyof Commands>(name: K, ...args: Parameters<Commands[K]>): Promise<ReturnType<Commands[K]>> {
    await this.begin(name, ...args);
    const { value } = await this.#replies.read();
    const reply = JSON.parse(value ?? '{"error": "it is gone"}');
    if (reply.error !== undefined) throw new Error(`Cannot have the peer ${name}: ${reply.error}`);
    return reply.result;
  }

  /** Has a command begun that ends only with the peer. */
  async begin<K extends keyof Commands>(name: K, ...args: Parameters<Commands[K]>): Promise<void> {
    await this.#input.write(new TextEncoder().encode(JSON.stringify([name, ...args]) + "\n"));
  }

  /** Kills the process with SIGKILL. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#input.close().catch(() => {});
    kill(this.#child);
    await this.#child.status;
    while (!(await this.#replies.read()).done);
  }
}

/** A program that imports the package, in a process of its own, that tells of itself line by line. */
export class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;

  /**
   * @param source The program
   * @param options `descriptors`: how many it may have open; what it prints of errors then counts as lines as well
   */
  constructor(source: string, { descriptors }: { descriptors?: number } = {}) {
    const path = `${tempDir()}/program.ts`;
    Deno.writeTextFileSync(path, source.replaceAll("@tideline/net", import.meta.resolve("../../mod.ts")));
    const run = ["run", "-A", "--no-check", "--no-prompt", "--no-config", path];
    const [command, args] = descriptors === undefined
      ? [Deno.execPath(), run]
      : ["sh", ["-c", `ulimit -n ${descriptors}; exec "$0" "$@" 2>&1`, Deno.execPath(), ...run]];
    this.#child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped", env: { NO_COLOR: "1" } }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  }

  /** The next line. */
  async next(): Promise<string> {
    const { value, done } = await this.#lines.read();
    if (done) throw new Error("Cannot read on: the program has ended");
    return value;
  }

  /** Ends its input, and tells how it ended. */
  async end(): Promise<number> {
    await this.#child.stdin.close();
    return (await this.#child.status).code;
  }

  /** How it ended, if it did within a time in milliseconds; else `null`. */
  async status(within: number): Promise<number | null> {
    let timer;
    const late = new Promise<null>((resolve) => timer = setTimeout(() => resolve(null), within));
    const ended = await Promise.race([this.#child.status, late]);
    clearTimeout(timer);
    return ended?.code ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close().catch(() => {});
    kill(this.#child);
    await this.#child.status;
    while (!(await this.#lines.read()).done);
  }
}

function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
}

/** Watches how far the memory of this process grows. */
export class MemoryWatch {
  readonly #before = Deno.memoryUsage().rss;
  #peak = 0;

  /** Looks at it. */
  look(): void {
    this.#peak = Math.max(this.#peak, Deno.memoryUsage().rss);
  }

  /** By how many bytes it has grown at most. */
  get growth(): number {
    this.look();
    return this.#peak - this.#before;
  }
}

/** What an operation ended with, whichever way. */
export async function outcomeOf<T>(promise: Promise<T>): Promise<{ value: T } | { error: Error }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error: error as Error };
  }
}
