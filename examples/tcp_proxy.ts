/**
 * A TCP proxy: forwards both directions without a copy; each direction ends on its own.
 *
 *     deno run --allow-net examples/tcp_proxy.ts 8080 example.com 80
 *
 * Back pressure needs no code: `relay()` reads from one side only after the other has taken what was read.
 */
import { openConnection, relay, startServer } from "@tideline/net";

const [listenPort, hostname, port] = Deno.args;
if (hostname === undefined || port === undefined) {
  console.error("usage: tcp_proxy.ts <port to listen on> <host> <port>");
  Deno.exit(2);
}

const server = await startServer(async (reader, writer) => {
  await using target = await openConnection({ hostname, port: Number(port), timeout: 10_000 });
  await relay({ reader, writer }, target, { idleTimeout: 300_000 });
}, {
  hostname: "127.0.0.1",
  port: Number(listenPort),
  onError: (error) => console.error(error.message),
});

console.log(`Serving on port ${server.port}`);
await server.serveForever();
