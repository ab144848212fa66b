/**
 * Ours, streams: `--api stream|lines|zero-copy`, and with `--tls` also `--engine node|deno|startTls`.
 *
 * @module
 */
import { startServer, type StreamReader, type StreamWriter } from "../../mod.ts";
import { lineEcho, streamEcho, zeroCopyEcho } from "./echoes.ts";
import { announce, countBytes, option, serverOptions } from "./options.ts";

const { port, mode, buffer, tls } = serverOptions();
const echo = { "stream": streamEcho, "lines": lineEcho, "zero-copy": zeroCopyEcho }[option("api") ?? "stream"]!;
const serve = { echo, sink, source }[mode];
const engine = option("engine");
const upgrade = engine === "startTls" ? tls : undefined;
const server = await startServer(async (reader, writer) => {
  if (upgrade !== undefined) await writer.startTls(upgrade);
  await serve(reader, writer, buffer);
}, {
  hostname: "127.0.0.1",
  port,
  // The load generator resets its connections at its end.
  onError: () => {},
  ...(tls && upgrade === undefined && { tls: engine === "deno" ? { ...tls, engine } : tls }),
});
announce(server.port);

async function sink(reader: StreamReader, writer: StreamWriter, buffer: number): Promise<void> {
  const p = new Uint8Array(buffer);
  let total = 0;
  for (let n = await reader.readinto(p); n !== null; n = await reader.readinto(p)) total += n;
  await writer.sendall(countBytes(total));
}

async function source(_reader: StreamReader, writer: StreamWriter, buffer: number): Promise<never> {
  const p = new Uint8Array(buffer);
  while (true) await writer.sendall(p);
}
