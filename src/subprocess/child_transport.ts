/**
 * The transport of a process: tells a protocol of its output and its exit.
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
import { describeType } from "../common/describe.ts";
import { CallbackRunner, type CallbacksOwner } from "../transport/callbacks.ts";
import { callExceptionHandler, type ErrorContext } from "../transport/exception_handler.ts";
import { MergedOutput, sumOf } from "./merged_output.ts";
import type { StdioOptions } from "./stdio.ts";
import { ReadPipeTransport, WritePipeTransport } from "../transport/pipes.ts";
import { Protocol } from "../transport/protocols.ts";
import type { BaseProtocolLike, ExtraInfo, ReadTransport, TransportStats, WriteTransport } from "../transport/types.ts";
import type { SubprocessProtocolLike, SubprocessTransport } from "../transport/types.ts";

/**
 * Checks that an object is a protocol of processes.
 *
 * @param protocol What a factory made
 * @returns The same
 * @throws {TypeError} If it is none
 */
export function checkedProtocol<P extends SubprocessProtocolLike>(protocol: P): P {
  const { pipeDataReceived, pipeConnectionLost, processExited } = (protocol ?? {}) as Partial<SubprocessProtocolLike>;
  const methods = [pipeDataReceived, pipeConnectionLost, processExited];
  if (methods.every((method) => typeof method === "function")) return protocol;
  throw new TypeError(
    `Cannot use ${
      describeType(protocol)
    } as a protocol: it must have pipeDataReceived(), pipeConnectionLost() and processExited()`,
  );
}

/** The transport of a process and its pipes. */
export class ChildTransport implements SubprocessTransport, PipeOwner, CallbacksOwner {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritePipeTransport | null;
  readonly #stdout: ReadPipeTransport | null;
  readonly #stderr: ReadPipeTransport | null;
  /** Stdout and stderr, if they are one. */
  readonly #merged: MergedOutput | null = null;
  /** The first error that a pipe of those was lost with. */
  #mergedError: Error | null = null;
  /** How many of those have ended. */
  #mergedEnds = 0;
  readonly #ended = Promise.withResolvers<void>();
  readonly #callbacks = new CallbackRunner<SubprocessProtocolLike>(this);
  #protocol: SubprocessProtocolLike;
  #phase: "open" | "closing" | "lost" = "open";
  readonly #openedAt = Date.now();
  #openPipes = 0;
  #returncode: number | null = null;
  /** The error that the connection will be lost with. */
  #error: Error | null = null;

  /**
   * @param child The process
   * @param stdio How its stdin, stdout and stderr are connected
   * @param protocol The protocol
   */
  constructor(
    child: Deno.ChildProcess,
    { stdin, stdout, stderr }: StdioOptions,
    protocol: SubprocessProtocolLike,
  ) {
    this.#child = child;
    this.#protocol = protocol;
    this.#stdin = stdin === "piped" ? new WritePipeTransport(child.stdin, this.#pipeProtocol(0)) : null;
    this.#stdout = stdout === "piped" ? new ReadPipeTransport(child.stdout, this.#pipeProtocol(1)) : null;
    const isMerged = stderr === "stdout" && stdout === "piped";
    this.#stderr = stderr === "piped" || isMerged
      ? new ReadPipeTransport(child.stderr, this.#pipeProtocol(isMerged ? 1 : 2))
      : null;
    if (isMerged) this.#merged = new MergedOutput(this.#stdout!, this.#stderr!);
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

  stats(): TransportStats {
    const own = {
      bytesRead: 0,
      bytesWritten: 0,
      openedAt: this.#openedAt,
      lastActive: this.#openedAt,
      pausedSince: null,
    };
    return sumOf([own, ...this.#pipes.map((pipe) => pipe.stats())]);
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
    if (this.#merged !== null && fd > 0) return fd === 1 ? this.#merged : null;
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

  pipeConnectionLost(fd: number, lostWith: Error | null): void {
    let error = lostWith;
    if (this.#merged !== null && fd === 1) {
      error = this.#mergedError ??= lostWith;
      if (++this.#mergedEnds < 2) {
        this.#openPipes--;
        return;
      }
    }
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
