/**
 * Connects stdin and stdout with a TCP, TLS or Unix connection, made or accepted, as netcat does.
 *
 *     deno run --allow-net --allow-read --allow-write --allow-sys examples/netcat.ts [options] [host] port
 *     deno run --allow-net --allow-read --allow-write examples/netcat.ts [--listen] --unix path
 *
 * Each direction ends on its own: when stdin ends the peer gets EOF, and its answer is still printed. Options:
 *
 *     --listen     wait for one connection instead of making one
 *     --tls        speak TLS; with --listen this needs --cert and --key
 *     --ca file    an authority to trust besides those of the system; with --listen, the one of the clients
 *     --cert file  a certificate for this side
 *     --key file   its key
 *
 * Files are PEM. --allow-read and --allow-write are for files and Unix sockets, --allow-sys is for connecting with --cert:
 * without these --allow-net is enough.
 */
import { parseArgs } from "node:util";
import {
  connFromStreams,
  openConnection,
  openUnixConnection,
  startServer,
  startUnixServer,
  type StreamReader,
  type StreamWriter,
} from "@tideline/net";

const { values, positionals } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    listen: { type: "boolean" },
    unix: { type: "string" },
    tls: { type: "boolean" },
    ca: { type: "string" },
    cert: { type: "string" },
    key: { type: "string" },
  },
});
const { listen, unix: path, tls } = values;
const port = Number(positionals.pop());
const hostname = positionals.pop() ?? "127.0.0.1";
if (path === undefined && Number.isNaN(port)) {
  console.error("usage: netcat.ts [--listen] [--tls] [--ca file] [--cert file --key file] ([host] port | --unix path)");
  Deno.exit(2);
}
const [ca = "", cert = "", key = ""] = await Promise.all([values.ca, values.cert, values.key].map(textOf));

if (listen) {
  await serveOne();
} else {
  const { reader, writer } = path !== undefined ? await openUnixConnection({ path }) : await openConnection({
    hostname,
    port,
    tls: tls ? { ...(ca && { caCerts: [ca] }), ...(cert && { cert, key }) } : false,
  });
  await talk(reader, writer);
  await writer.close();
}

async function serveOne(): Promise<void> {
  const handler = (reader: StreamReader, writer: StreamWriter): Promise<void> => {
    server.close(); // The open connection goes on.
    return talk(reader, writer);
  };
  const tlsOptions = { cert, key, ...(ca && { clientAuth: "require" as const, caCerts: [ca] }) };
  const server = path !== undefined
    ? await startUnixServer(handler, { path })
    : await startServer(handler, { hostname, port, ...(tls && { tls: tlsOptions }) });
  console.error(`Serving on ${path ?? `port ${server.port}`}`);
  await server.waitClosed();
}

async function talk(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const conn = connFromStreams({ readable: Deno.stdin.readable, writable: Deno.stdout.writable });
  const { reader: stdin, writer: stdout } = await openConnection({ conn });
  try {
    await Promise.all([forward(stdin, writer), forward(reader, stdout)]);
  } catch (error) {
    console.error(`Broken off: ${(error as Error).message}`);
    Deno.exit(1); // Without this the open stdin keeps the process alive.
  }
}

async function forward(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const memory = new Uint8Array(65536);
  for (let n; (n = await reader.readinto(memory)) !== null;) await writer.sendall(memory.subarray(0, n));
  writer.writeEof();
}

function textOf(file: string | undefined): string | Promise<string> {
  return file === undefined ? "" : Deno.readTextFile(file);
}
