/**
 * The command line that every server of the benchmark has:
 * `--port 0 --mode echo|sink|source --buffer 65536 --tls DIRECTORY`, and for some `--api NAME`.
 *
 * @module
 */

/** The work of a server. */
export interface ServerOptions {
  /** The port to bind; 0 for any. */
  port: number;
  /** Echo, or receive until EOF and answer with the count, or send until the peer closes. */
  mode: "echo" | "sink" | "source";
  /** The size of the buffer of a connection, in bytes. */
  buffer: number;
  /** The certificate to serve TLS with, as PEM. */
  tls: { cert: string; key: string } | undefined;
}

/** Reads the command line. */
export function serverOptions(): ServerOptions {
  const tls = option("tls");
  return {
    port: Number(option("port") ?? 0),
    mode: (option("mode") ?? "echo") as ServerOptions["mode"],
    buffer: Number(option("buffer") ?? 65536),
    tls: tls === undefined
      ? undefined
      : { cert: Deno.readTextFileSync(`${tls}/localhost.crt`), key: Deno.readTextFileSync(`${tls}/localhost.key`) },
  };
}

/** One option of the command line. */
export function option(name: string): string | undefined {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? undefined : Deno.args[at + 1];
}

/** Prints where the server listens, for the driver. */
export function announce(port: number): void {
  console.log(JSON.stringify({ port }));
}

/** The answer at the end of a sink: the count of bytes as 8 bytes, little-endian. */
export function countBytes(total: number): Uint8Array<ArrayBuffer> {
  const answer = new Uint8Array(8);
  new DataView(answer.buffer).setBigUint64(0, BigInt(total), true);
  return answer;
}
