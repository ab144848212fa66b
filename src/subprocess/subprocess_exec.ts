/**
 * Starts a process for a protocol, which gets its output and its exit.
 *
 * Theory of operation. Up to four things end, in any order: the process, and each of its pipes. Each pipe is a transport of its
 * own, and may end before the process or after it (a child of the process may hold it). When all have ended the
 * connection is lost.
 *
 * | phase   | state                                                                                   | next          |
 * | ------- | --------------------------------------------------------------------------------------- | ------------- |
 * | open    | the process runs, or one of its pipes is open                                           | closing, lost |
 * | closing | `close()` was called or a callback failed: the process was killed, its pipes aborted    | lost          |
 * | lost    | all have ended; `connectionLost` is called in a later turn, once                        |               |
 *
 * Deno reports that the reader of stdin is gone only at the next write. So stdin is closed when the process exits, after
 * flushing.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { CallbackRunner, type CallbacksOwner, makeProtocol } from "../transport/callbacks.ts";
import { callExceptionHandler, type ErrorContext } from "../transport/exception_handler.ts";
import { explained } from "../common/errors.ts";
import { throwIfAborted } from "../common/abort.ts";
import { describeType, quote } from "../common/describe.ts";
import { aBoolean, aFunction, aSignal, aString, type Check, checkOptions } from "../common/options.ts";
import { ReadPipeTransport, WritePipeTransport } from "../transport/pipes.ts";
import { Protocol } from "../transport/protocols.ts";
import type { BaseProtocolLike, ExtraInfo, ReadTransport, WriteTransport } from "../transport/types.ts";
import type { SubprocessProtocolLike, SubprocessTransport } from "../transport/types.ts";

/** How stdin, stdout or stderr of a process is connected: to a pipe, as in this process, or to nothing. */
export type Stdio = "piped" | "inherit" | "null";

/** How to start a process. As `Deno.CommandOptions`. */
export interface SubprocessOptions {
  /** How the child's stdin is connected; "piped" by default. */
  stdin?: Stdio | undefined;
  /** How the child's stdout is connected; "piped" by default. */
  stdout?: Stdio | undefined;
  /** How the child's stderr is connected; "piped" by default. */
  stderr?: Stdio | undefined;
  /** The directory to start it in; that of this process by default. */
  cwd?: string | URL | undefined;
  /** Environment variables beyond those of this process. */
  env?: Record<string, string> | undefined;
  /** Whether it gets no environment variables but those of `env`; `false` by default. */
  clearEnv?: boolean | undefined;
  /** Sends SIGTERM to the process when it aborts. One that has aborted before starts nothing. */
  signal?: AbortSignal | undefined;
}

/** A process and its protocol. */
export interface Subprocess<P> {
  /** The transport. */
  transport: SubprocessTransport;
  /** The protocol that the factory made. */
  protocol: P;
}

/**
 * Starts a process for a protocol. As asyncio's `loop.subprocess_exec`.
 *
 * Its stdin, stdout and stderr are pipes by default. `getPipeTransport` returns the transport of each, to write, to pause and
 * resume, and to close. When the process exits its stdin is closed, after what was written is sent; its output is received
 * to the end.
 *
 * A `signal` that aborts does what `Deno.Command` does: it sends SIGTERM. The exit is reported as any other.
 *
 * @param protocolFactory Makes the protocol
 * @param program The program: a name to look for, or a path
 * @param args Its arguments
 * @param options How to start it
 * @returns The transport and the protocol, after `connectionMade`
 * @throws {TypeError} If an argument or an option is wrong, before anything is done
 * @throws {Deno.errors.NotFound} If there is no such program, or no such directory
 * @throws {Deno.errors.PermissionDenied} If it may not be run
 * @throws {Error} What `connectionMade` threw, after the process was killed; the reason of a `signal` that had aborted
 *
 * @example Collecting what a process writes
 * ```ts
 * import { subprocessExec, SubprocessProtocol } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * class Collector extends SubprocessProtocol {
 *   text = "";
 *   readonly ended = Promise.withResolvers<void>();
 *   override pipeDataReceived(_fd: number, data: Uint8Array) {
 *     this.text += new TextDecoder().decode(data);
 *   }
 *   override connectionLost() {
 *     this.ended.resolve();
 *   }
 * }
 *
 * const { transport, protocol } = await subprocessExec(() => new Collector(), "cat", []);
 * const stdin = transport.getPipeTransport(0)!;
 * stdin.write("hello");
 * stdin.close();
 * await protocol.ended.promise;
 * assertEquals(protocol.text, "hello");
 * assertEquals(transport.getReturncode(), 0);
 * ```
 */
export async function subprocessExec<P extends SubprocessProtocolLike>(
  protocolFactory: () => P,
  program: string | URL,
  args: readonly string[],
  options: SubprocessOptions = {},
): Promise<Subprocess<P>> {
  const given = { protocolFactory: protocolFactory ?? null, program: program ?? null, args: args ?? null };
  checkOptions(DOING, given, { protocolFactory: aFunction, program: aPath, args: aListOfArguments });
  checkOptions(DOING, options, optionChecks);
  throwIfAborted(options.signal);
  const { stdin = "piped", stdout = "piped", stderr = "piped", ...rest } = options;
  const stdio = { stdin, stdout, stderr };
  const protocol = checkedProtocol(makeProtocol(protocolFactory));
  // Deno takes undefined as well, which its types do not say.
  const child = spawn(program, { args: [...args], ...stdio, ...rest } as Deno.CommandOptions);
  const transport = new ChildTransport(child, stdio, protocol);
  await transport.start();
  return { transport, protocol };
}

function spawn(program: string | URL, options: Deno.CommandOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(program, options).spawn();
  } catch (error) {
    throw explained(error, `start ${quote(String(program))}`);
  }
}

class ChildTransport implements SubprocessTransport, PipeOwner, CallbacksOwner {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritePipeTransport | null;
  readonly #stdout: ReadPipeTransport | null;
  readonly #stderr: ReadPipeTransport | null;
  readonly #ended = Promise.withResolvers<void>();
  readonly #callbacks = new CallbackRunner<SubprocessProtocolLike>(this);
  #protocol: SubprocessProtocolLike;
  #phase: "open" | "closing" | "lost" = "open";
  #openPipes = 0;
  #returncode: number | null = null;
  /** The error that the connection will be lost with. */
  #error: Error | null = null;

  constructor(
    child: Deno.ChildProcess,
    { stdin, stdout, stderr }: Record<"stdin" | "stdout" | "stderr", Stdio>,
    protocol: SubprocessProtocolLike,
  ) {
    this.#child = child;
    this.#protocol = protocol;
    this.#stdin = stdin === "piped" ? new WritePipeTransport(child.stdin, this.#pipeProtocol(0)) : null;
    this.#stdout = stdout === "piped" ? new ReadPipeTransport(child.stdout, this.#pipeProtocol(1)) : null;
    this.#stderr = stderr === "piped" ? new ReadPipeTransport(child.stderr, this.#pipeProtocol(2)) : null;
  }

  /** Calls `connectionMade`, and begins to read. If the protocol throws, so does this, when all has ended. */
  async start(): Promise<void> {
    const error = this.#callbacks.call(this.#protocol, "connectionMade", (protocol) => protocol.connectionMade(this));
    // Pipes that the protocol has just closed are started too: a pipe reports its end only after its start.
    for (const pipe of this.#pipes) pipe.start();
    this.#child.status.then(returncodeOf, returncodeOfError).then((returncode) => this.#exited(returncode));
    if (error === null) return;
    await this.#ended.promise;
    throw error;
  }

  getExtraInfo<K extends keyof ExtraInfo, D = undefined>(name: K, defaultValue?: D): ExtraInfo[K] | D {
    return name === "subprocess" ? this.#child as ExtraInfo[K] : defaultValue as D;
  }

  getProtocol(): SubprocessProtocolLike {
    return this.#protocol;
  }

  setProtocol(protocol: BaseProtocolLike): void {
    this.#protocol = checkedProtocol(protocol as SubprocessProtocolLike);
  }

  getPid(): number {
    return this.#child.pid;
  }

  getReturncode(): number | null {
    return this.#returncode;
  }

  getPipeTransport(fd: 0): WriteTransport | null;
  getPipeTransport(fd: number): ReadTransport | null;
  getPipeTransport(fd: number): WriteTransport | ReadTransport | null {
    return [this.#stdin, this.#stdout, this.#stderr][fd] ?? null;
  }

  sendSignal(signal: Deno.Signal): void {
    if (this.#returncode !== null) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      if (!tellsOfExit(error)) throw error;
    }
  }

  terminate(): void {
    this.sendSignal("SIGTERM");
  }

  kill(): void {
    this.sendSignal("SIGKILL");
  }

  // Not of a socket: without effect.
  ref(): void {}
  unref(): void {}

  isClosing(): boolean {
    return this.#phase !== "open";
  }

  close(): void {
    if (this.#phase !== "open") return;
    this.#phase = "closing";
    try {
      this.kill();
    } catch (error) {
      // A process of another user cannot be killed. It goes on without its pipes.
      if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    }
    // After the kill: before it a process that writes would end by SIGPIPE.
    for (const pipe of this.#pipes) pipe.abort();
  }

  // What the pipes call.

  pipeDataReceived(fd: number, data: Bytes): void {
    this.#callbacks.call(this.#protocol, "pipeDataReceived", (protocol) => protocol.pipeDataReceived(fd, data));
  }

  pipeConnectionLost(fd: number, error: Error | null): void {
    this.#callbacks.call(this.#protocol, "pipeConnectionLost", (protocol) => protocol.pipeConnectionLost(fd, error));
    this.#openPipes--;
    this.#loseIfAllEnded();
  }

  pauseWriting(): void {
    this.#callbacks.inform(this.#protocol, "pauseWriting", (protocol) => protocol.pauseWriting());
  }

  resumeWriting(): void {
    this.#callbacks.inform(this.#protocol, "resumeWriting", (protocol) => protocol.resumeWriting());
  }

  // What the callbacks call.

  report(context: ErrorContext): void {
    callExceptionHandler(context);
  }

  protocolFailed(error: Error): void {
    this.#error ??= error;
    this.close();
  }

  get #pipes(): (WritePipeTransport | ReadPipeTransport)[] {
    return [this.#stdin, this.#stdout, this.#stderr].filter((pipe) => pipe !== null);
  }

  #pipeProtocol(fd: number): PipeProtocol {
    this.#openPipes++;
    return new PipeProtocol(this, fd);
  }

  #exited(returncode: number): void {
    this.#returncode = returncode;
    this.#callbacks.call(this.#protocol, "processExited", (protocol) => protocol.processExited());
    this.#stdin?.close();
    this.#loseIfAllEnded();
  }

  #loseIfAllEnded(): void {
    if (this.#returncode === null || this.#openPipes > 0) return;
    this.#phase = "lost";
    queueMicrotask(() => {
      this.#callbacks.inform(this.#protocol, "connectionLost", (protocol) => protocol.connectionLost(this.#error));
      this.#ended.resolve();
    });
  }
}

/** What the pipes of a process call. */
interface PipeOwner {
  pipeDataReceived(fd: number, data: Bytes): void;
  pipeConnectionLost(fd: number, error: Error | null): void;
  pauseWriting(): void;
  resumeWriting(): void;
}

/** The protocol of one pipe. */
class PipeProtocol extends Protocol {
  readonly #owner: PipeOwner;
  readonly #fd: number;

  constructor(owner: PipeOwner, fd: number) {
    super();
    this.#owner = owner;
    this.#fd = fd;
  }

  override dataReceived(data: Bytes): void {
    this.#owner.pipeDataReceived(this.#fd, data);
  }

  override connectionLost(error: Error | null): void {
    this.#owner.pipeConnectionLost(this.#fd, error);
  }

  override pauseWriting(): void {
    this.#owner.pauseWriting();
  }

  override resumeWriting(): void {
    this.#owner.resumeWriting();
  }
}

const DOING = "start a process";

const aStdio: Check = (value) =>
  value === "piped" || value === "inherit" || value === "null" ? null : 'must be "piped", "inherit" or "null"';

const aPath: Check = (value) =>
  value instanceof URL || aString(value) === null ? null : "must be a non-empty string or a URL";

const aListOfArguments: Check = (value) =>
  Array.isArray(value) && value.every((one) => typeof one === "string") ? null : "must be a list of strings";

// Its values are often secrets, so that none is ever shown.
const anEnvironment: Check = (value) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { type: "must be a record of strings", found: describeType(value) };
  }
  const wrong = Object.entries(value).find(([, one]) => typeof one !== "string");
  return wrong === undefined
    ? null
    : { type: `must have a string as value of ${quote(wrong[0])}`, found: describeType(wrong[1]) };
};

const optionChecks: Record<string, Check> = {
  stdin: aStdio,
  stdout: aStdio,
  stderr: aStdio,
  cwd: aPath,
  env: anEnvironment,
  clearEnv: aBoolean,
  signal: aSignal,
};

function checkedProtocol<P extends SubprocessProtocolLike>(protocol: P): P {
  const { pipeDataReceived, pipeConnectionLost, processExited } = (protocol ?? {}) as Partial<SubprocessProtocolLike>;
  const methods = [pipeDataReceived, pipeConnectionLost, processExited];
  if (methods.every((method) => typeof method === "function")) return protocol;
  throw new TypeError(
    `Cannot use ${
      describeType(protocol)
    } as a protocol: it must have pipeDataReceived(), pipeConnectionLost() and processExited()`,
  );
}

// Deno gives a process that a signal ended the code 128 + the signal's number, as a shell does.
function returncodeOf({ code, signal }: Deno.CommandStatus): number {
  return signal === null ? code : 128 - code;
}

// Deno rejects with "Invalid signal: 34" for signals without a name, such as the real-time ones. With any other error the code
// is unknown: the system keeps none for a parent that ignores SIGCHLD.
function returncodeOfError(error: Error): number {
  const number = /^Invalid signal: (\d+)$/.exec(error.message)?.[1];
  return number === undefined ? UNKNOWN_RETURNCODE : -Number(number);
}

// As in asyncio.
const UNKNOWN_RETURNCODE = 255;

/** Whether a signal could not be sent because the process has exited, before its exit was reported. */
function tellsOfExit(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof TypeError && error.message.includes("terminated");
}
