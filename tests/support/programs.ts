/** Programs in processes of their own, and the files they need. */
import { text } from "./bytes.ts";

const directories: string[] = [];
globalThis.addEventListener("unload", () => {
  for (const directory of directories) Deno.removeSync(directory, { recursive: true });
});

/** Returns a new directory, which is removed when the tests are done. */
export function tempDir(): string {
  const directory = Deno.makeTempDirSync({ prefix: "net-" });
  directories.push(directory);
  return directory;
}

/** Returns a path for a socket, where no file is. */
export function socketPath(): string {
  return `${tempDir()}/s`;
}

/** Runs `test` with the path of a file of that content, and removes the file. */
export async function withFile(
  content: Uint8Array | string,
  test: (path: string) => Promise<void> | void,
): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    await test(path);
  } finally {
    await Deno.remove(path);
  }
}

/** The result of a program. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
  ms: number;
}

/** Runs a program that imports the package to its end, or kills it after `timeout` milliseconds. */
export async function runProgram(
  source: string,
  { permissions = ["-A"], timeout = 20_000, env = {} }: {
    permissions?: string[];
    timeout?: number;
    env?: Record<string, string>;
  } = {},
): Promise<Outcome> {
  const path = `${tempDir()}/program.ts`;
  await Deno.writeTextFile(path, source.replaceAll("@tideline/net", import.meta.resolve("../../mod.ts")));
  const begun = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-prompt", "--no-config", ...permissions, path],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", ...env },
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), timeout);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(timer);
  return { code, stdout: text(stdout), stderr: text(stderr), ms: performance.now() - begun };
}
