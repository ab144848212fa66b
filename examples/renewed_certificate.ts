/**
 * An echo server over TLS that takes up a renewed certificate while it runs. Open connections go on.
 *
 *     deno run --allow-net --allow-read examples/renewed_certificate.ts 8443 /etc/letsencrypt/live/example.org
 *
 * The directory has fullchain.pem and privkey.pem. Programs that renew certificates write several files, one after the
 * other: what does not fit together yet is left for the next change.
 */
import { startServer } from "@tideline/net";

const [port, directory] = Deno.args;
if (port === undefined || directory === undefined) {
  console.error("usage: renewed_certificate.ts <port> <directory>");
  Deno.exit(2);
}

async function identity(): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all(
    ["fullchain.pem", "privkey.pem"].map((file) => Deno.readTextFile(`${directory}/${file}`)),
  );
  return { cert: cert!, key: key! };
}

const server = await startServer(async (reader, writer) => {
  for await (const line of reader) {
    writer.write(line);
    await writer.drain();
  }
}, {
  hostname: "127.0.0.1",
  port: Number(port),
  tls: await identity(),
  onError: (error) => console.error(`Refused: ${error.message}`),
});
// Watched before the port is told, so that no change is missed.
const changes = Deno.watchFs(directory);
console.log(`Serving on port ${(server.addrs[0] as Deno.NetAddr).port}`);

for await (const { kind } of changes) {
  if (kind === "access") continue;
  try {
    server.setTls(await identity());
    console.log("Certificate renewed");
  } catch (error) {
    console.error(`Not renewed: ${(error as Error).message}`);
  }
}
