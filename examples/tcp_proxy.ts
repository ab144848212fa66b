/**
 * A TCP proxy: forwards both directions without a copy; each direction ends on its own.
 *
 *     deno run --allow-net examples/tcp_proxy.ts 8080 example.com 80
 *
 * Back pressure needs no code: each direction reads again only after everything it read has been sent.
 */
import { openConnection, startServer, type StreamReader, type StreamWriter } from "@tideline/net";

const [listenPort, hostname, port] = Deno.args;
if (hostname === undefined || port === undefined) {
  console.error("usage: tcp_proxy.ts <port to listen on> <host> <port>");
  Deno.exit(2);
}

async function forward(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const memory = new Uint8Array(65536);
  for (let n; (n = await reader.readinto(memory)) !== null;) await writer.sendall(memory.subarray(0, n));
  writer.writeEof();
}

const server = await startServer(async (reader, writer) => {
  await using target = await openConnection({ hostname, port: Number(port) });
  try {
    await Promise.all([forward(reader, target.writer), forward(target.reader, writer)]);
  } catch (error) {
    // One side is lost, so the other is closed as well.
    target.writer.abort();
    writer.abort();
    throw error;
  }
}, {
  hostname: "127.0.0.1",
  port: Number(listenPort),
  onError: (error) => console.error(error.message),
});

console.log(`Serving on port ${server.port}`);
await server.serveForever();
