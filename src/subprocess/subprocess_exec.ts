/**
 * Starting a process for a protocol.
 *
 * @module
 */
import { throwIfAborted } from "../common/abort.ts";
import { describeType, quote } from "../common/describe.ts";
import { explained } from "../common/errors.ts";
import { lazy } from "../common/lazy.ts";
import { aBoolean, aFunction, aSignal, type Check, checkOptions } from "../common/options.ts";
import { makeProtocol } from "../transport/callbacks.ts";
import type { SubprocessProtocolLike, SubprocessTransport } from "../transport/types.ts";
import { anInput, anOutput, aPath, aStderr, type NativeStdio, openStdio, type Stdio, type StdioFile } from "./stdio.ts";

export type { Stdio, StdioFile };

/** How to start a process. As `Deno.CommandOptions`. */
export interface SubprocessOptions {
  /** How the child's stdin is connected; "piped" by default. */
  stdin?: Stdio | undefined;
  /** How the child's stdout is connected; "piped" by default. */
  stdout?: Stdio | undefined;
  /**
   * How the child's stderr is connected; "piped" by default. `"stdout"` for the same as stdout: where that is a pipe, what
   * comes from both is received as fd 1, each in its own order.
   */
  stderr?: Stdio | "stdout" | undefined;
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
  const { checkedProtocol, ChildTransport } = await childTransportModule();
  throwIfAborted(options.signal);
  const protocol = checkedProtocol(makeProtocol(protocolFactory));
  const native = await openStdio(stdio);
  if (options.signal?.aborted) native.close();
  throwIfAborted(options.signal);
  const child = spawn(program, { args: [...args], ...rest }, native);
  const transport = new ChildTransport(child, stdio, protocol);
  await transport.start();
  return { transport, protocol };
}

const childTransportModule = lazy(() => import("./child_transport.ts"));

const DOING = "start a process";

function spawn(program: string | URL, options: object, { streams, close }: NativeStdio): Deno.ChildProcess {
  try {
    // Deno takes undefined and descriptors as well, which its types do not say.
    return new Deno.Command(program, { ...options, ...streams } as Deno.CommandOptions).spawn();
  } catch (error) {
    throw explained(error, `start ${quote(String(program))}`);
  } finally {
    close();
  }
}

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
  stdin: anInput,
  stdout: anOutput,
  stderr: aStderr,
  cwd: aPath,
  env: anEnvironment,
  clearEnv: aBoolean,
  signal: aSignal,
};
