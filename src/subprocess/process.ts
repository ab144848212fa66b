/**
 * Processes as streams: a writer for stdin, a reader for stdout and one for stderr.
 *
 * While the process runs, its output is read on demand: a process that writes more has to wait. After its exit the rest in
 * its pipes is read ahead, within bounds, so that the pipes are closed. The readers still have it.
 *
 * @module
 */
import { type Bytes, plainView } from "../common/bytes.ts";
import { describeType } from "../common/describe.ts";
import { LimitOverrunError } from "../common/errors.ts";
import { aLimit } from "../common/options.ts";
import { PEEK } from "../streams/reads.ts";
import { DrainGate } from "../streams/drain_gate.ts";
import { SubprocessProtocol } from "../transport/protocols.ts";
import { checkWait, limited, type WaitOptions, within } from "../common/wait.ts";
import type { ReadQueue } from "../streams/read_queue.ts";
import { queueOf, StreamReader } from "../streams/stream_reader.ts";
import { type FlowControl, StreamWriter } from "../streams/stream_writer.ts";
import { subprocessExec, type SubprocessOptions } from "./subprocess_exec.ts";
import type { ReadTransport, SubprocessTransport, Transport } from "../transport/types.ts";

/** How to start a process, and the limit of its readers. */
export interface SubprocessStreamOptions extends SubprocessOptions {
  /** The limit of the readers, in bytes; 65536 by default. */
  limit?: number | undefined;
}

/** How to communicate with a process. */
export interface CommunicateOptions extends WaitOptions {
  /** How many bytes of stdout, and of stderr, are taken at most; by default all. */
  limit?: number | undefined;
}

/** The output of a process. */
export interface ProcessOutput {
  /** All of its stdout; `null` if that is not a pipe. */
  stdout: Bytes | null;
  /** All of its stderr; `null` if that is not a pipe. */
  stderr: Bytes | null;
}

/**
 * Starts a process, with streams for those of its stdin, stdout and stderr that are "piped". As
 * `asyncio.create_subprocess_exec`.
 *
 * @param program The program: a name to look for, or a path
 * @param args Its arguments
 * @param options How to start it; stdin, stdout and stderr are "inherit" by default
 * @returns The process
 * @throws {TypeError | RangeError} If an argument or an option is wrong, before anything is done
 * @throws {Deno.errors.NotFound} If there is no such program, or no such directory
 * @throws {Deno.errors.PermissionDenied} If it may not be run
 *
 * @example Sorting lines
 * ```ts
 * import { createSubprocessExec } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const sort = await createSubprocessExec("sort", [], { stdin: "piped", stdout: "piped" });
 * sort.stdin!.write("pear\napple\n");
 * sort.stdin!.close();
 * assertEquals(await Array.fromAsync(sort.stdout!.lines()), ["apple", "pear"]);
 * assertEquals(await sort.wait(), 0);
 * ```
 *
 * @example Everything that it writes, to a file
 * ```ts
 * import { createSubprocessExec } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile();
 * const script = "echo out; echo wrong >&2";
 * const sh = await createSubprocessExec("sh", ["-c", script], { stdout: { path }, stderr: "stdout" });
 * await sh.wait();
 * assertEquals(await Deno.readTextFile(path), "out\nwrong\n");
 * ```
 */
export async function createSubprocessExec(
  program: string | URL,
  args: readonly string[],
  options: SubprocessStreamOptions = {},
): Promise<Process> {
  const { limit, stdin = "inherit", stdout = "inherit", stderr = "inherit", ...rest } = options;
  const factory = () => new SubprocessStreamProtocol(limit === undefined ? {} : { limit });
  const { transport, protocol } = await subprocessExec(factory, program, args, { stdin, stdout, stderr, ...rest });
  return new Process(transport, protocol);
}

/**
 * A process that was started. As `asyncio.subprocess.Process`; {@linkcode createSubprocessExec} makes one.
 *
 * With `await using` it is killed at the end of the block, unless it has exited.
 *
 * @example Asking, and reading the answer
 * ```ts
 * import { createSubprocessExec } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const tr = await createSubprocessExec("tr", ["a-z", "A-Z"], { stdin: "piped", stdout: "piped" });
 * const { stdout, stderr } = await tr.communicate("hello");
 * assertEquals(new TextDecoder().decode(stdout!), "HELLO");
 * assertEquals(stderr, null);
 * assertEquals(tr.returncode, 0);
 * ```
 */
export class Process implements AsyncDisposable {
  /** The writer of its stdin; `null` if that is not a pipe. */
  readonly stdin: StreamWriter | null;
  /** The reader of its stdout; `null` if that is not a pipe. */
  readonly stdout: StreamReader | null;
  /** The reader of its stderr; `null` if that is not a pipe. */
  readonly stderr: StreamReader | null;
  readonly #transport: SubprocessTransport;
  readonly #protocol: SubprocessStreamProtocol;

  /**
   * Makes a process of the result of {@linkcode subprocessExec}.
   *
   * @param transport The transport of the process
   * @param protocol Its protocol
   */
  constructor(transport: SubprocessTransport, protocol: SubprocessStreamProtocol) {
    this.#transport = transport;
    this.#protocol = protocol;
    const stdin = transport.getPipeTransport(0);
    // A writer uses only the writing half of its transport.
    this.stdin = stdin === null ? null : new StreamWriter(stdin as Transport, protocol, null);
    this.stdout = transport.getPipeTransport(1) === null ? null : protocol.stdout;
    this.stderr = transport.getPipeTransport(2) === null ? null : protocol.stderr;
  }

  /** The process id. */
  get pid(): number {
    return this.#transport.getPid();
  }

  /** The exit code, the negative number of the signal that ended it, or `null` while it runs. */
  get returncode(): number | null {
    return this.#transport.getReturncode();
  }

  /**
   * Waits for the process to exit, but not for its pipes. As `asyncio.subprocess.Process.wait`.
   *
   * A process whose output is not read blocks when its pipe is full, and never exits: {@linkcode Process.communicate} reads
   * as well.
   *
   * @param options `signal` and `timeout` end the wait, not the process
   * @returns The exit code, or the negative number of the signal that ended it
   * @throws {Deno.errors.TimedOut} If the time is over
   */
  async wait(options: WaitOptions = {}): Promise<number> {
    checkWait(WAIT, options);
    return await within(WAIT, this.#protocol.exited, options);
  }

  /**
   * Writes all of the input, closes stdin, and reads all of the output, until the process exits. As
   * `asyncio.subprocess.Process.communicate`.
   *
   * A process that exits without reading all of the input is no error.
   *
   * @param input What to write to stdin, a string as UTF-8; nothing by default
   * @param options `signal` and `timeout` end the call, not the process: output that was received stays in the readers; stdin
   * is aborted unless it has taken all of the input
   * @param options.limit How many bytes of stdout, and of stderr, are taken at most; by default all
   * @returns The whole output, in memory
   * @throws {LimitOverrunError} If there is more output than `limit`. The call ends as by `signal`; the process is not ended
   * @throws {TypeError} If the input is neither a `Uint8Array` nor a string, or there is input but stdin is not a pipe
   * @throws {Deno.errors.Busy} If a read of stdout or stderr is waiting
   * @throws {Deno.errors.TimedOut} If the time is over
   */
  async communicate(input?: Uint8Array | string, options: CommunicateOptions = {}): Promise<ProcessOutput> {
    checkWait("communicate", options, { limit: aLimit });
    let bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
    if (bytes !== undefined) {
      if (!(bytes instanceof Uint8Array)) {
        throw new TypeError(
          `Cannot communicate: the input must be a Uint8Array or a string, not ${describeType(input)}`,
        );
      }
      if (this.stdin === null) throw new TypeError("Cannot communicate: there is input, but stdin is not a pipe");
      bytes = plainView(bytes);
    }
    const { limit = Infinity, ...wait } = options;
    return await limited("communicate", wait, (signal) => this.#communicate(bytes, limit, signal));
  }

  /**
   * Sends a signal; after the exit it does nothing. As `asyncio.subprocess.Process.send_signal`.
   *
   * @param signal The signal
   * @throws {TypeError} If there is no such signal
   */
  sendSignal(signal: Deno.Signal): void {
    this.#transport.sendSignal(signal);
  }

  /** Sends SIGTERM; after the exit it does nothing. As `asyncio.subprocess.Process.terminate`. */
  terminate(): void {
    this.#transport.terminate();
  }

  /** Sends SIGKILL; after the exit it does nothing. As `asyncio.subprocess.Process.kill`. */
  kill(): void {
    this.#transport.kill();
  }

  /**
   * Kills the process, unless it has exited, and waits until it and its pipes have ended.
   *
   * @returns Resolves when nothing of it is left
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport.close();
    await this.#protocol.ended;
  }

  async #communicate(
    input: Uint8Array | undefined,
    limit: number,
    given: AbortSignal | undefined,
  ): Promise<ProcessOutput> {
    // Ends what waits yet when one part has failed.
    const failed = new AbortController();
    const signal = given === undefined ? failed.signal : AbortSignal.any([given, failed.signal]);
    try {
      const [stdout, stderr] = await Promise.all([
        readAll(this.stdout, "stdout", limit, signal),
        readAll(this.stderr, "stderr", limit, signal),
        this.#feed(input, signal),
        this.wait({ signal }),
      ]);
      return { stdout, stderr };
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  }

  async #feed(input: Uint8Array | undefined, signal: AbortSignal | undefined): Promise<void> {
    try {
      if (input !== undefined) await this.stdin!.sendall(input, { signal });
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    this.stdin?.close();
  }
}

/**
 * Turns the callbacks of a process into streams. As `asyncio.subprocess.SubprocessStreamProtocol`.
 *
 * @example Streams on top of subprocessExec
 * ```ts
 * import { Process, subprocessExec, SubprocessStreamProtocol } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * const { transport, protocol } = await subprocessExec(() => new SubprocessStreamProtocol(), "cat", []);
 * const process = new Process(transport, protocol);
 * const { stdout } = await process.communicate("hello");
 * assertEquals(new TextDecoder().decode(stdout!), "hello");
 * ```
 */
export class SubprocessStreamProtocol extends SubprocessProtocol implements FlowControl {
  readonly #gate = new DrainGate();
  readonly #outlets: [stdout: Outlet, stderr: Outlet];
  readonly #exited = Promise.withResolvers<number>();
  readonly #ended = Promise.withResolvers<void>();
  #transport!: SubprocessTransport;

  /**
   * Makes the readers.
   *
   * @param options How they behave
   * @param options.limit The limit of the readers, in bytes; 65536 by default
   * @throws {RangeError} If the limit is not above 0
   */
  constructor(options: { limit?: number | undefined } = {}) {
    super();
    const reader = () => new StreamReader(options.limit === undefined ? {} : { limit: options.limit });
    this.#outlets = [new Outlet(reader()), new Outlet(reader())];
  }

  /** The reader of stdout, if that is a pipe. */
  get stdout(): StreamReader {
    return this.#outlets[0].reader;
  }

  /** The reader of stderr, if that is a pipe. */
  get stderr(): StreamReader {
    return this.#outlets[1].reader;
  }

  /** Resolves with the exit code, or the negative number of the signal that ended it. */
  get exited(): Promise<number> {
    return this.#exited.promise;
  }

  /** Resolves when the process and all of its pipes have ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /**
   * Attaches the readers to the pipes.
   *
   * @param transport The transport of the process
   */
  override connectionMade(transport: SubprocessTransport): void {
    this.#transport = transport;
    this.#outlets.forEach((outlet, i) => {
      const pipe = transport.getPipeTransport(i + 1 as 1 | 2);
      if (pipe !== null) outlet.attach(pipe);
    });
  }

  /**
   * Feeds a reader.
   *
   * @param fd 1 for stdout, 2 for stderr
   * @param data The bytes
   */
  override pipeDataReceived(fd: number, data: Uint8Array): void {
    this.#outlets[fd - 1]!.feed(data);
  }

  /**
   * Ends a reader; of stdin, rejects pending drains.
   *
   * @param fd 0 for stdin, 1 for stdout, 2 for stderr
   * @param error Why, or `null`
   */
  override pipeConnectionLost(fd: number, error: Error | null): void {
    if (fd === 0) this.#gate.lose(error);
    else this.#outlets[fd - 1]!.end(error);
  }

  /** Resolves `wait()`, then reads the rest of the pipes. */
  override processExited(): void {
    for (const outlet of this.#outlets) outlet.processExited();
    this.#exited.resolve(this.#transport.getReturncode()!);
  }

  /**
   * Resolves {@linkcode SubprocessStreamProtocol.ended}.
   *
   * @param error Why, or `null`
   */
  override connectionLost(error: Error | null): void;
  override connectionLost(): void {
    this.#ended.resolve();
  }

  /** Blocks `drain()` of stdin. */
  override pauseWriting(): void {
    this.#gate.pause();
  }

  /** Unblocks it. */
  override resumeWriting(): void {
    this.#gate.resume();
  }

  /**
   * Waits until writing to stdin is not paused.
   *
   * @returns Rejects when stdin is closed
   */
  drain(): Promise<void> {
    return this.#gate.drain();
  }

  /**
   * Waits until stdin is closed.
   *
   * @returns Rejects with the error it was lost with; may be ignored
   */
  waitClosed(): Promise<void> {
    return this.#gate.lost();
  }
}

/** Reads a pipe for its reader: on demand while the process runs, ahead after its exit. */
class Outlet implements Valve {
  readonly reader: StreamReader;
  readonly #queue: ReadQueue;
  #pipe: ReadTransport | null = null;
  #demanded = true;
  #exited = false;

  constructor(reader: StreamReader) {
    this.reader = reader;
    this.#queue = queueOf(reader);
  }

  attach(pipe: ReadTransport): void {
    this.#pipe = pipe;
    // A queue uses only these methods of its transport.
    this.#queue.attach(this as Valve as ReadTransport, "onDemand");
  }

  feed(data: Uint8Array): void {
    this.#queue.feed(data);
    this.#set();
  }

  end(error: Error | null): void {
    if (error === null) this.#queue.end();
    else this.#queue.fail(error);
  }

  processExited(): void {
    this.#exited = true;
    this.#set();
  }

  pauseReading(): void {
    this.#demanded = false;
    this.#set();
  }

  resumeReading(): void {
    this.#demanded = true;
    this.#set();
  }

  #set(): void {
    const readsAhead = this.#exited && this.#queue.buffer.length < MOST_LEFT;
    if (this.#demanded || readsAhead) this.#pipe?.resumeReading();
    else this.#pipe?.pauseReading();
  }
}

/** Reads to the end, or nothing if there is more than the limit: the bytes stay in the reader then. */
async function readAll(
  reader: StreamReader | null,
  name: string,
  limit: number,
  signal: AbortSignal,
): Promise<Bytes | null> {
  if (reader === null || limit === Infinity) return await reader?.read(-1, { signal }) ?? null;
  const { length } = await queueOf(reader).get(PEEK, limit + 1, { signal });
  if (length > limit) {
    throw new LimitOverrunError(`Cannot communicate: the process wrote more than ${limit} bytes to ${name}`, limit);
  }
  return await reader.read(-1);
}

const WAIT = "wait for the process";

type Valve = Pick<ReadTransport, "pauseReading" | "resumeReading">;

// The largest pipe that an ordinary user may have on Linux. There is more only if another process holds the pipe and writes on.
const MOST_LEFT = 1 << 20;
