/**
 * Ours, streams by line: `readline`, `write`, `drain`.
 *
 * @module
 */
import { startServer } from "../../mod.ts";
import { announce, serverOptions } from "./options.ts";

const { port, tls } = serverOptions();
const server = await startServer(async (reader, writer) => {
  for (let line = await reader.readline(); line.length > 0; line = await reader.readline()) {
    writer.write(line);
    await writer.drain();
  }
}, { hostname: "127.0.0.1", port, onError, ...(tls && { tls }) });
announce((server.addrs[0] as Deno.NetAddr).port);

function onError(): void {
  // A load generator that is done resets its connections.
}
