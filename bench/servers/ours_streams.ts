/**
 * Ours, streams: `--api stream|lines|timed-lines|codec|zero-copy`, `--idle-timeout 5000`, and with `--tls` also `--engine node|deno|startTls`.
 *
 * @module
 */
import { startServer, type StreamReader, type StreamWriter } from "../../mod.ts";
import { codecEcho, lineEcho, streamEcho, timedLineEcho, zeroCopyEcho } from "./echoes.ts";
import { announce, countBytes, option, serverOptions } from "./options.ts";

const { port, mode, buffer, tls } = serverOptions();
const echoes = {
  "stream": streamEcho,
  "lines": lineEcho,
  "timed-lines": timedLineEcho,
  "codec": codecEcho,
  "zero-copy": zeroCopyEcho,
};
const echo = echoes[(option("api") ?? "stream") as keyof typeof echoes];
const serve = { echo, sink, source }[mode];
const engine = option("engine");
const upgrade = engine === "startTls" ? tls : undefined;
const server = await startServer(async (reader, writer) => {
  if (upgrade !== undefined) await writer.startTls(upgrade);
  await serve(reader, writer, buffer);
}, {
  hostname: "127.0.0.1",
  port,
  idleTimeout: Number(option("idle-timeout") ?? 0),
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
