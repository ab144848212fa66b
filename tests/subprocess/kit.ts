/** What the tests of processes share. */
import { setExceptionHandler } from "../../src/transport/exception_handler.ts";
import type { ErrorContext } from "../../src/transport/exception_handler.ts";
import { SubprocessProtocol } from "../../src/transport/protocols.ts";
import type { SubprocessTransport } from "../../src/transport/types.ts";

/** Whether a program is there; if not, says loudly what is skipped for it. */
export async function hasProgram(name: string, skipped: string): Promise<boolean> {
  try {
    const stdio = { stdin: "null", stdout: "null", stderr: "null" } as const;
    await new Deno.Command(name, { args: ["-c", "exit"], ...stdio }).output();
    return true;
  } catch {
    console.warn(`%cskipped: ${skipped}, as there is no ${name} here`, "color: red");
    return false;
  }
}

/** A protocol of a process whose callbacks can be looked at and waited for. */
export class Recorder extends SubprocessProtocol {
  readonly calls: string[] = [];
  readonly data = [new Uint8Array(0), new Uint8Array(0), new Uint8Array(0)];
  readonly exited = Promise.withResolvers<void>();
  readonly lost = Promise.withResolvers<Error | null>();
  transport!: SubprocessTransport;
  readonly #onCall: (name: string, protocol: Recorder) => unknown;
  #wake = Promise.withResolvers<void>();

  /** @param onCall Called inside each callback; what it throws, the callback throws, and what it returns, it returns */
  constructor(onCall: (name: string, protocol: Recorder) => unknown = () => {}) {
    super();
    this.#onCall = onCall;
  }

  override connectionMade(transport: SubprocessTransport): void {
    this.transport = transport;
    return this.#call("made");
  }
  override pipeDataReceived(fd: number, data: Uint8Array): void {
    this.data[fd] = new Uint8Array([...this.data[fd]!, ...data]);
    return this.#call(`data ${fd}`);
  }
  override pipeConnectionLost(fd: number, error: Error | null): void {
    return this.#call(`pipe ${fd} lost ${error?.name ?? null}`);
  }
  override processExited(): void {
    this.exited.resolve();
    return this.#call(`exited ${this.transport.getReturncode()}`);
  }
  override pauseWriting(): void {
    return this.#call("pause");
  }
  override resumeWriting(): void {
    return this.#call("resume");
  }
  override connectionLost(error: Error | null): void {
    this.lost.resolve(error);
    return this.#call(`lost ${error?.name ?? null}`);
  }

  /** What came from a pipe, as text. */
  text(fd: number): string {
    return new TextDecoder().decode(this.data[fd]);
  }

  /** Waits until what has happened is enough. */
  async until(enough: (protocol: this) => boolean): Promise<void> {
    while (!enough(this)) await this.#wake.promise;
  }

  #call(name: string): void {
    this.calls.push(name);
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
    return this.#onCall(name, this) as void;
  }
}

/** Runs with an exception handler that keeps what it gets. */
export async function reportsOf(test: () => Promise<void>): Promise<ErrorContext[]> {
  const reports: ErrorContext[] = [];
  setExceptionHandler((context) => reports.push(context));
  try {
    await test();
  } finally {
    setExceptionHandler(null);
  }
  return reports;
}

/** Lets the event loop turn, a millisecond at least for each turn. */
export async function turns(n: number): Promise<void> {
  for (let turn = 0; turn < n; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Lets the event loop turn until a condition holds. */
export async function turnUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await turns(1);
}
