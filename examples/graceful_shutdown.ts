/**
 * A server that ends in order when the system asks it to: SIGTERM, as from Docker, systemd and Kubernetes, or SIGINT, as
 * from Ctrl-C.
 *
 * Each line is a request that takes 200 ms to answer. At the signal no more clients are accepted. Connections that wait for
 * a request are closed at once; a request that is being handled is answered first. After the grace the rest is aborted, so
 * the process ends in bounded time. A second signal ends it at once.
 *
 * ```sh
 * deno run --allow-net examples/graceful_shutdown.ts 8080
 * ```
 *
 * @module
 */
import { startServer, type StreamReader, type StreamWriter } from "../mod.ts";

/** Docker sends SIGKILL 10 s after SIGTERM. */
const GRACE = 8000;

async function handle(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for await (const line of reader.lines()) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    writer.write(`${line.toUpperCase()}\n`);
    await writer.drain();
  }
}

const server = await startServer(handle, { hostname: "127.0.0.1", port: Number(Deno.args[0] ?? 8080) });
console.log(`Serving on port ${server.port}`);

const signals = ["SIGINT", "SIGTERM"] as const;
const stop = () => {
  for (const signal of signals) Deno.removeSignalListener(signal, stop);
  console.log("shutting down");
  server.close();
};
for (const signal of signals) Deno.addSignalListener(signal, stop);

await server.serveForever();
await server.shutdown({ grace: GRACE });
console.log(`served ${server.stats().accepted} clients`);
