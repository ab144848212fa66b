/** `openssl s_server` as a peer. */

/**
 * Starts it on a port of its own, and waits until it accepts.
 *
 * @param args Its arguments besides the address
 * @param program Where openssl is
 * @returns The port; disposing of it ends the process
 */
export async function startOpensslServer(
  args: string[],
  program = "openssl",
): Promise<AsyncDisposable & { port: number }> {
  const process = new Deno.Command(program, {
    args: ["s_server", "-accept", "127.0.0.1:0", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let printed = "";
  let port: string | undefined;
  while ((port = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(printed)?.[1]) === undefined) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`Cannot start openssl s_server ${args.join(" ")}: ${printed}`);
    printed += value;
  }
  const draining = (async () => {
    while (!(await reader.read()).done);
  })();
  return {
    port: Number(port),
    async [Symbol.asyncDispose]() {
      process.kill();
      await Promise.all([draining, process.status]);
    },
  };
}
