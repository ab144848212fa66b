/**
 * Processes as streams: a writer for stdin, a reader for stdout and one for stderr.
 *
 * Only what was asked for is read while the process runs: a process that writes more than that has to wait. Once it has
 * exited, what it left in its pipes is read without being asked for, within bounds, so that the pipes are closed and
 * nothing of the process stays behind; it can still be read from the readers.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { DrainGate } from "../streams/drain_gate.ts";
import { SubprocessProtocol } from "../transport/protocols.ts";
import type { ReadQueue } from "../streams/read_queue.ts";
import { queueOf, StreamReader } from "../streams/stream_reader.ts";
import { type FlowControl, StreamWriter } from "../streams/stream_writer.ts";
import { subprocessExec, type SubprocessOptions } from "./subprocess_exec.ts";
import type { ReadTransport, SubprocessTransport, Transport } from "../transport/types.ts";

/** How to start a process, and how long its lines may be. */
export interface SubprocessStreamOptions extends SubprocessOptions {
  /** The limit of the readers, in bytes; 65536 by default. */
  limit?: number;
}

/** What a process wrote. */
export interface ProcessOutput {
  /** What it wrote to stdout; `null` if that is not a pipe. */
  stdout: Bytes | null;
  /** What it wrote to stderr; `null` if that is not a pipe. */
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
export class Process {
  /** Writes to its stdin; `null` if that is not a pipe. */
  readonly stdin: StreamWriter | null;
  /** Reads from its stdout; `null` if that is not a pipe. */
  readonly stdout: StreamReader | null;
  /** Reads from its stderr; `null` if that is not a pipe. */
  readonly stderr: StreamReader | null;
  readonly #transport: SubprocessTransport;
  readonly #protocol: SubprocessStreamProtocol;

  /**
   * Makes a process of what {@linkcode subprocessExec} gave.
   *
   * @param transport The transport of the process
   * @param protocol Its protocol
   */
  constructor(transport: SubprocessTransport, protocol: SubprocessStreamProtocol) {
    this.#transport = transport;
    this.#protocol = protocol;
    const stdin = transport.getPipeTransport(0);
    // A writer asks no more of its transport than to be written to.
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
   * A process that writes more than is read does not exit: {@linkcode Process.communicate} reads as well.
   *
   * @returns The exit code, or the negative number of the signal that ended it
   */
  wait(): Promise<number> {
    return this.#protocol.exited;
  }

  /**
   * Writes all of the input, closes stdin, and reads all of the output, until the process exits. As
   * `asyncio.subprocess.Process.communicate`.
   *
   * That the process does not read all of the input is no error.
   *
   * @param input What to write to stdin, a string as UTF-8; nothing by default
   * @returns What the process wrote, all of it in memory
   * @throws {TypeError} If the input is neither a `Uint8Array` nor a string, or there is input but stdin is not a pipe
   * @throws {Deno.errors.Busy} If a read of stdout or stderr is waiting
   */
  async communicate(input?: Uint8Array | string): Promise<ProcessOutput> {
    const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
    if (bytes !== undefined) {
      if (!(bytes instanceof Uint8Array)) {
        throw new TypeError(`Cannot communicate: the input must be a Uint8Array or a string, not "${typeof input}"`);
      }
      if (this.stdin === null) throw new TypeError("Cannot communicate: there is input, but stdin is not a pipe");
    }
    const [stdout, stderr] = await Promise.all([
      this.stdout?.read() ?? null,
      this.stderr?.read() ?? null,
      this.#feed(bytes),
      this.wait(),
    ]);
    return { stdout, stderr };
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

  async #feed(input: Uint8Array | undefined): Promise<void> {
    try {
      if (input !== undefined) await this.stdin!.sendall(input);
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
  #transport!: SubprocessTransport;

  /**
   * Makes the readers.
   *
   * @param options
   * @param options.limit The limit of the readers, in bytes; 65536 by default
   * @throws {RangeError} If the limit is not above 0
   */
  constructor(options: { limit?: number } = {}) {
    super();
    this.#outlets = [new Outlet(new StreamReader(options)), new Outlet(new StreamReader(options))];
  }

  /** What the process writes to stdout, if that is a pipe. */
  get stdout(): StreamReader {
    return this.#outlets[0].reader;
  }

  /** What the process writes to stderr, if that is a pipe. */
  get stderr(): StreamReader {
    return this.#outlets[1].reader;
  }

  /** Resolves with the exit code, or the negative number of the signal that ended it. */
  get exited(): Promise<number> {
    return this.#exited.promise;
  }

  /**
   * Joins the readers to the pipes.
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
   * Ends a reader, or lets nobody wait for stdin any more.
   *
   * @param fd 0 for stdin, 1 for stdout, 2 for stderr
   * @param error Why, or `null`
   */
  override pipeConnectionLost(fd: number, error: Error | null): void {
    if (fd === 0) this.#gate.lose(error);
    else this.#outlets[fd - 1]!.end(error);
  }

  /** Lets those go on who wait for the exit, and has what is left in the pipes read. */
  override processExited(): void {
    for (const outlet of this.#outlets) outlet.processExited();
    this.#exited.resolve(this.#transport.getReturncode()!);
  }

  /** Makes those wait who drain stdin. */
  override pauseWriting(): void {
    this.#gate.pause();
  }

  /** Lets them go on. */
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

/** Between a pipe and its reader: does as the reader says, but once the process exited reads what is left. */
class Outlet implements Valve {
  readonly reader: StreamReader;
  readonly #queue: ReadQueue;
  #pipe: ReadTransport | null = null;
  #wanted = true;
  #exited = false;

  constructor(reader: StreamReader) {
    this.reader = reader;
    this.#queue = queueOf(reader);
  }

  attach(pipe: ReadTransport): void {
    this.#pipe = pipe;
    // A queue asks no more of its transport than this.
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
    this.#wanted = false;
    this.#set();
  }

  resumeReading(): void {
    this.#wanted = true;
    this.#set();
  }

  #set(): void {
    const readsRest = this.#exited && this.#queue.buffer.length < MOST_LEFT;
    if (this.#wanted || readsRest) this.#pipe?.resumeReading();
    else this.#pipe?.pauseReading();
  }
}

type Valve = Pick<ReadTransport, "pauseReading" | "resumeReading">;

// As much as the pipe of an ordinary user may hold on Linux. More is left only where another process writes on.
const MOST_LEFT = 1 << 20;
