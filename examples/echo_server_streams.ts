/**
 * A TCP echo server with streams: a handler is called for each connection.
 *
 *     deno run --allow-net=127.0.0.1 examples/echo_server_streams.ts [port]
 *
 * Talk to it with examples/echo_client_streams.ts. Compare examples/echo_server_protocol.ts.
 */
import { startServer } from "@tideline/net";

const port = Number(Deno.args[0] ?? 8888);

const server = await startServer(async (reader, writer) => {
  for (;;) {
    const data = await reader.read(65536);
    if (data.length === 0) break; // EOF: the client has ended its direction.
    writer.write(data);
    await writer.drain(); // Back pressure: waits while the client is slow.
  }
  // When the handler returns, the connection is flushed and closed.
}, { hostname: "127.0.0.1", port });

console.log(`Serving on port ${server.port}`);
await server.serveForever();
