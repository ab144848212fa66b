/**
 * TLS and plain text on one port: an echo server that looks at the first byte of a client. A TLS handshake begins with the
 * byte 22, which no text does.
 *
 *     deno run --allow-net --allow-read examples/tls_or_plain.ts 8080 server.pem server.key
 *     openssl s_client -quiet -connect localhost:8080
 *     nc localhost 8080
 */
import { startServer } from "@tideline/net";

const [port, certFile, keyFile] = Deno.args;
if (port === undefined || certFile === undefined || keyFile === undefined) {
  console.error("usage: tls_or_plain.ts <port> <certificate file> <key file>");
  Deno.exit(2);
}
const tls = { cert: await Deno.readTextFile(certFile), key: await Deno.readTextFile(keyFile) };

const TLS_HANDSHAKE = 22;

const server = await startServer(async (reader, writer) => {
  const [first] = await reader.peek(1, { signal: AbortSignal.timeout(10_000) });
  // The byte stays in the reader: it belongs to the handshake.
  if (first === TLS_HANDSHAKE) await writer.startTls({ ...tls, buffered: "handshake" });
  const how = writer.getExtraInfo("tls")?.protocol ?? "plain text";
  for await (const line of reader) {
    writer.write(`${how}: `);
    writer.write(line);
    await writer.drain();
  }
}, { hostname: "127.0.0.1", port: Number(port), onError: (error) => console.error(error.message) });

console.log(`Serving on port ${(server.addrs[0] as Deno.NetAddr).port}`);
await server.serveForever();
