/**
 * Ours, streams without a copy: `readinto` and `sendall` over one buffer, the very loop that `raw.ts` is.
 *
 * @module
 */
import { startServer, type StreamReader, type StreamWriter } from "../../mod.ts";
import { announce, countBytes, serverOptions } from "./options.ts";

const { port, mode, buffer, tls } = serverOptions();
const server = await startServer({ echo, sink, source }[mode], {
  hostname: "127.0.0.1",
  port,
  onError,
  ...(tls && { tls }),
});
announce((server.addrs[0] as Deno.NetAddr).port);

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const p = new Uint8Array(buffer);
  for (let n = await reader.readinto(p); n !== null; n = await reader.readinto(p)) {
    await writer.sendall(n === p.length ? p : p.subarray(0, n));
  }
}

async function sink(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const p = new Uint8Array(buffer);
  let total = 0;
  for (let n = await reader.readinto(p); n !== null; n = await reader.readinto(p)) total += n;
  await writer.sendall(countBytes(total));
}

async function source(_reader: StreamReader, writer: StreamWriter): Promise<never> {
  const p = new Uint8Array(buffer);
  while (true) await writer.sendall(p);
}

function onError(): void {
  // A load generator that is done resets its connections.
}
