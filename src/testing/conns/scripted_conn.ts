/**
 * A connection that follows a script of what it returns to reads and expects of writes.
 *
 * Theory of operation. One step is current. A call that matches it settles, and the next step becomes current. A call
 * that may match a later step waits. A call that contradicts the step breaks the script; `done()` throws that error again,
 * because a transport may have handled it as an error of the network.
 *
 * @module
 */
import { busyError, closedError, interruptedError } from "../../conn/conn_errors.ts";
import type { ConnLike } from "../../conn/conn.ts";

/** A step of the script of {@linkcode scriptedConn}. Text means its UTF-8 bytes. */
export type ScriptStep =
  /** The bytes that the next reads return; `null` is EOF. */
  | { read: Uint8Array | string | null }
  /** The bytes that are expected to be written, in any number of writes. */
  | { write: Uint8Array | string }
  /** A promise that the following steps wait for. */
  | { wait: Promise<unknown> }
  /** The error of the next read. */
  | { readError: Error }
  /** The error of the next write. */
  | { writeError: Error }
  /** The writing direction is expected to be ended. */
  | { closeWrite: true };

/** What {@linkcode scriptedConn} returns. */
export interface ScriptedConn extends ConnLike {
  /** Ends the writing direction, if the script expects it. */
  closeWrite(): Promise<void>;
  /** Whether `close()` was called. */
  readonly closed: boolean;
  /**
   * Asserts that every step was done.
   *
   * @throws {Error} The error that broke the script, or one that names the first step not done
   */
  done(): void;
}

/**
 * Makes a connection that follows a script, to test code above it without a peer. As the `Builder` of tokio-test's `io`.
 *
 * Steps are done in order: a read waits while a `write` step is current, and a write while a `read` step is. Written bytes
 * are compared; at the first difference the write fails with an error that names the step, and so does {@linkcode
 * ScriptedConn.done}. A read after the last step waits until the connection is closed; a write after it is an error.
 *
 * @param steps The script
 * @returns The connection
 * @throws {TypeError} If a step has none of the known forms
 *
 * @example A line echo
 * ```ts
 * import { openConnection } from "@tideline/net";
 * import { scriptedConn } from "@tideline/net/testing";
 *
 * const conn = scriptedConn([{ read: "hel" }, { read: "lo\n" }, { write: "hello\n" }, { read: null }]);
 * const { reader, writer } = await openConnection({ conn });
 * for await (const line of reader) writer.write(line);
 * await writer.close();
 * conn.done();
 * ```
 */
export function scriptedConn(steps: readonly ScriptStep[]): ScriptedConn {
  return new Script(steps);
}

/** A step with its bytes, and the number of bytes used. */
type Step =
  | { kind: "read" | "write"; bytes: Uint8Array; used: number }
  | { kind: "readError" | "writeError"; error: Error }
  | { kind: "wait"; promise: Promise<unknown> }
  | { kind: "eof" | "closeWrite" };

class Script implements ScriptedConn {
  readonly #steps: readonly Step[];
  #at = 0;
  #waiting = false;
  #read: (PromiseWithResolvers<number | null> & { p: Uint8Array }) | null = null;
  #write: (PromiseWithResolvers<number> & { p: Uint8Array }) | null = null;
  #end: PromiseWithResolvers<void> | null = null;
  #state: "open" | "broken" | "closed" = "open";
  #broken: Error | null = null;

  constructor(steps: readonly ScriptStep[]) {
    this.#steps = steps.map(toStep);
    this.#follow();
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  read(p: Uint8Array): Promise<number | null> {
    if (this.#read !== null) return Promise.reject(busyError("read"));
    if (p.length === 0) return Promise.resolve(0);
    const read = { ...Promise.withResolvers<number | null>(), p };
    return this.#enter("read", () => this.#read = read, read.promise);
  }

  write(p: Uint8Array): Promise<number> {
    if (this.#write !== null) return Promise.reject(busyError("write"));
    if (p.length === 0) return Promise.resolve(0);
    const write = { ...Promise.withResolvers<number>(), p };
    return this.#enter("write", () => this.#write = write, write.promise);
  }

  closeWrite(): Promise<void> {
    if (this.#end !== null) return Promise.reject(busyError("end writing"));
    const end = Promise.withResolvers<void>();
    return this.#enter("end writing", () => this.#end = end, end.promise);
  }

  close(): void {
    if (this.#state === "closed") throw closedError("close");
    this.#state = "closed";
    this.#rejectAll(interruptedError);
  }

  done(): void {
    if (this.#broken !== null) throw this.#broken;
    if (this.#at < this.#steps.length) {
      throw new Error(`Cannot end the script: ${this.#where()} was not done`);
    }
  }

  #enter<T>(doing: string, add: () => void, promise: Promise<T>): Promise<T> {
    if (this.#state === "closed") return Promise.reject(closedError(doing));
    if (this.#broken !== null) return Promise.reject(this.#broken);
    add();
    this.#follow();
    return promise;
  }

  #follow(): void {
    while (this.#state === "open" && this.#useStep());
  }

  /** Settles the waiting calls that match the current step; returns whether the step is done. */
  #useStep(): boolean {
    const step = this.#steps[this.#at];
    switch (step?.kind) {
      case "read":
        return this.#give(step);
      case "eof":
        return this.#settleRead((read) => read.resolve(null));
      case "readError":
        return this.#settleRead((read) => read.reject(step.error));
      case "write":
        if (this.#end !== null) return this.#break("the writing direction was ended");
        return this.#compare(step);
      case "writeError":
        if (this.#end !== null) return this.#break("the writing direction was ended");
        return this.#settleWrite((write) => write.reject(step.error));
      case "closeWrite":
        if (this.#write !== null) return this.#break(`${show(this.#write.p)} was written`);
        if (this.#end === null) return false;
        this.#end.resolve();
        this.#end = null;
        return this.#next();
      case "wait":
        this.#wait(step.promise);
        return false;
      case undefined:
        if (this.#write !== null) return this.#break(`${show(this.#write.p)} was written`);
        if (this.#end !== null) return this.#break("the writing direction was ended");
        return false;
    }
  }

  #give(step: { bytes: Uint8Array; used: number }): boolean {
    const isDone = step.used === step.bytes.length;
    if (isDone || this.#read === null) return isDone && this.#next();
    const piece = step.bytes.subarray(step.used, step.used + this.#read.p.length);
    this.#read.p.set(piece);
    step.used += piece.length;
    this.#read.resolve(piece.length);
    this.#read = null;
    return step.used === step.bytes.length && this.#next();
  }

  #compare(step: { bytes: Uint8Array; used: number }): boolean {
    const isDone = step.used === step.bytes.length;
    if (isDone || this.#write === null) return isDone && this.#next();
    const { p } = this.#write;
    const expected = step.bytes.subarray(step.used, step.used + p.length);
    if (expected.some((byte, i) => byte !== p[i])) return this.#break(`${show(p)} was written`);
    step.used += expected.length;
    this.#write.resolve(expected.length);
    this.#write = null;
    return step.used === step.bytes.length && this.#next();
  }

  #settleRead(settle: (read: PromiseWithResolvers<number | null>) => void): boolean {
    if (this.#read === null) return false;
    settle(this.#read);
    this.#read = null;
    return this.#next();
  }

  #settleWrite(settle: (write: PromiseWithResolvers<number>) => void): boolean {
    if (this.#write === null) return false;
    settle(this.#write);
    this.#write = null;
    return this.#next();
  }

  #wait(promise: Promise<unknown>): void {
    if (this.#waiting) return;
    this.#waiting = true;
    const goOn = () => {
      this.#waiting = false;
      this.#next();
      this.#follow();
    };
    promise.then(goOn, goOn);
  }

  #next(): true {
    this.#at++;
    return true;
  }

  #break(what: string): false {
    this.#state = "broken";
    this.#broken = new Error(`Cannot follow the script: at ${this.#where()}, ${what}`);
    this.#rejectAll(() => this.#broken!);
    return false;
  }

  #rejectAll(makeError: (doing: string) => Error): void {
    this.#read?.reject(makeError("read"));
    this.#write?.reject(makeError("write"));
    this.#end?.reject(makeError("end writing"));
    this.#read = this.#write = this.#end = null;
  }

  #where(): string {
    const step = this.#steps[this.#at];
    return step === undefined ? "its end" : `step ${this.#at + 1} of ${this.#steps.length} (${describe(step)})`;
  }
}

function toStep(step: ScriptStep): Step {
  if ("read" in step) {
    return step.read === null ? { kind: "eof" } : { kind: "read", bytes: toBytes(step.read), used: 0 };
  }
  if ("write" in step) return { kind: "write", bytes: toBytes(step.write), used: 0 };
  if ("wait" in step) return { kind: "wait", promise: step.wait };
  if ("readError" in step) return { kind: "readError", error: step.readError };
  if ("writeError" in step) return { kind: "writeError", error: step.writeError };
  if ("closeWrite" in step) return { kind: "closeWrite" };
  throw new TypeError(`Cannot make a script: there is no step "${Object.keys(step)}"`);
}

function toBytes(data: Uint8Array | string): Uint8Array {
  return typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data);
}

function describe(step: Step): string {
  switch (step.kind) {
    case "read":
    case "write":
      return `${step.kind} ${show(step.bytes.subarray(step.used))}${step.used > 0 ? ` after ${step.used} bytes` : ""}`;
    case "eof":
      return "read null";
    case "readError":
    case "writeError":
      return `${step.kind} "${step.error.message}"`;
    default:
      return step.kind;
  }
}

const MOST_SHOWN = 60;

/** Shows bytes as text if they are printable, else as numbers. */
function show(bytes: Uint8Array): string {
  const part = bytes.subarray(0, MOST_SHOWN);
  const more = bytes.length > MOST_SHOWN ? `… (${bytes.length} bytes)` : "";
  const isText = part.every((byte) => (byte >= 32 && byte < 127) || byte === 9 || byte === 10 || byte === 13);
  return (isText ? JSON.stringify(String.fromCharCode(...part)) : `[${part.join(", ")}]`) + more;
}
