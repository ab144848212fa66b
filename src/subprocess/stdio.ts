/**
 * How stdin, stdout and stderr of a process are connected, and the files among them.
 *
 * A file is opened here and handed to the process as a descriptor, so that its bytes do not pass through this process.
 *
 * @module
 */
import { describe, quote } from "../common/describe.ts";
import { explained } from "../common/errors.ts";
import { lazy } from "../common/lazy.ts";
import { aBoolean, aString, type Check, checkOptions } from "../common/options.ts";

/** How a stream of a process is connected: to a pipe, as in this process, to nothing, or to a file. */
export type Stdio = "piped" | "inherit" | "null" | StdioFile;

/** A file as stdin, stdout or stderr of a process. Needs the permission to read it, or to write it. */
export interface StdioFile {
  /** The file. As stdin it must exist; else it is made if there is none. */
  path: string | URL;
  /** Whether stdout or stderr is appended to what the file has; by default that is removed. */
  append?: boolean | undefined;
}

/** How the three streams are connected. */
export interface StdioOptions {
  /** Of stdin. */
  stdin: Stdio;
  /** Of stdout. */
  stdout: Stdio;
  /** Of stderr; `"stdout"` for the same as stdout. */
  stderr: Stdio | "stdout";
}

/** What `Deno.Command` takes: besides its words also descriptors, which its types do not say (2.9). */
type Native = "piped" | "inherit" | "null" | number;

/** The streams as the system gets them, and the descriptors to close when the process has them. */
export interface NativeStdio {
  /** What `Deno.Command` gets. */
  readonly streams: { stdin: Native; stdout: Native; stderr: Native };
  /** Closes the files. */
  close(): void;
}

/**
 * Opens the files among the streams.
 *
 * @param stdio How the streams are connected
 * @returns The same for the system
 * @throws {Deno.errors.NotFound} If a file is not there; other errors of the system likewise
 */
export async function openStdio({ stdin, stdout, stderr }: StdioOptions): Promise<NativeStdio> {
  const hasFile = [stdin, stdout, stderr].some((one) => typeof one === "object");
  const { openSync, closeSync } = hasFile ? await nodeFs() : NO_FILES;
  const opened: number[] = [];
  const close = () => opened.splice(0).forEach((fd) => closeSync(fd));
  const native = (stream: Stdio, isInput: boolean): Native => {
    if (typeof stream !== "object") return stream;
    const fd = open(openSync, stream, isInput ? "r" : stream.append ? "a" : "w");
    opened.push(fd);
    return fd;
  };
  try {
    const out = native(stdout, false);
    const err = stderr === "stdout" ? asStderr(out) : native(stderr, false);
    return { streams: { stdin: native(stdin, true), stdout: out, stderr: err }, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The check of the options `stdin`, and by {@linkcode aStderr} and {@linkcode anOutput} the others. */
export const anInput: Check = (value) => checkStdio(value, { path: aPath }, words);
/** The check of the option `stdout`. */
export const anOutput: Check = (value) => checkStdio(value, { path: aPath, append: aBoolean }, words);
/** The check of the option `stderr`. */
export const aStderr: Check = (value) => checkStdio(value, { path: aPath, append: aBoolean }, [...words, "stdout"]);

/** A path, or the URL of a file. */
export const aPath: Check = (value) =>
  value instanceof URL || aString(value) === null ? null : "must be a non-empty string or a URL";

const words = ["piped", "inherit", "null"];

function checkStdio(value: unknown, checks: Record<string, Check>, allowed: readonly string[]): ReturnType<Check> {
  if (typeof value === "object" && value !== null) {
    checkOptions("start a process", value, checks);
    return (value as Partial<StdioFile>).path === undefined
      ? { type: "must have a path", found: describe(value) }
      : null;
  }
  if (allowed.includes(value as string)) return null;
  return `must be ${allowed.map((word) => quote(word)).join(", ")} or an object with a path`;
}

const nodeFs = lazy(() => import("node:fs"));
const NO_FILES: Pick<typeof import("node:fs"), "openSync" | "closeSync"> = {
  openSync: () => -1,
  closeSync() {},
};

const STDOUT = 1;

function asStderr(stdout: Native): Native {
  return stdout === "inherit" ? STDOUT : stdout;
}

function open(openSync: typeof import("node:fs").openSync, { path }: StdioFile, flags: string): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw explained(error, `open ${quote(String(path))} for a process`);
  }
}
