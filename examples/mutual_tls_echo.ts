/**
 * An echo server that requires a certificate from its clients, and a client that has one. Files are PEM; ca.pem is the
 * authority that issued all certificates.
 *
 *     deno run --allow-net --allow-read examples/mutual_tls_echo.ts serve 8443 ca.pem server.pem server.key
 *     deno run --allow-net --allow-read --allow-sys examples/mutual_tls_echo.ts send 8443 ca.pem client.pem client.key "Hello"
 *
 * The server's certificate must be for "localhost".
 */
import { openConnection, startServer } from "@tideline/net";

const [command, port, caFile, certFile, keyFile, message] = Deno.args;
if (caFile === undefined || certFile === undefined || keyFile === undefined) {
  console.error("usage: mutual_tls_echo.ts (serve | send) <port> <ca file> <certificate file> <key file> [message]");
  Deno.exit(2);
}
const [ca, cert, key] = await Promise.all([
  Deno.readTextFile(caFile),
  Deno.readTextFile(certFile),
  Deno.readTextFile(keyFile),
]);

if (command === "serve") await serve();
else await send();

async function serve(): Promise<void> {
  const server = await startServer(async (reader, writer) => {
    // The client has a certificate: otherwise the handshake fails and no handler is called.
    const { subject } = writer.getExtraInfo("tls")!.peerCertificate!;
    console.log(`Connected: ${subject.CN}`);
    for await (const line of reader) {
      writer.write(line);
      await writer.drain();
    }
  }, {
    hostname: "localhost",
    port: Number(port),
    tls: { cert, key, clientAuth: "require", caCerts: [ca] },
    onError: (error) => console.error(`Refused: ${error.message}`),
  });
  console.log(`Serving on port ${server.port}`);
  await server.serveForever();
}

async function send(): Promise<void> {
  await using connection = await openConnection({
    hostname: "localhost",
    port: Number(port),
    tls: { caCerts: [ca], cert, key },
  });
  const { reader, writer } = connection;
  writer.write(`${message}\n`);
  console.log(`Received: ${new TextDecoder().decode(await reader.readline()).trimEnd()}`);
}
