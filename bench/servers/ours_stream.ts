/**
 * Ours, streams: `read`, `write`, `drain`.
 *
 * @module
 */
import { startServer } from "../../mod.ts";
import { announce, serverOptions } from "./options.ts";

const { port, buffer, tls } = serverOptions();
const server = await startServer(async (reader, writer) => {
  for (let data = await reader.read(buffer); data.length > 0; data = await reader.read(buffer)) {
    writer.write(data);
    await writer.drain();
  }
}, { hostname: "127.0.0.1", port, onError, ...(tls && { tls }) });
announce((server.addrs[0] as Deno.NetAddr).port);

function onError(): void {
  // A load generator that is done resets its connections.
}
