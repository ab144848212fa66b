/** What the tests of processes share. */
import { SubprocessProtocol } from "../../src/transport/protocols.ts";
import type { SubprocessTransport } from "../../src/transport/types.ts";

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
