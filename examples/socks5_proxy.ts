/**
 * A SOCKS5 proxy (RFC 1928): CONNECT to names and addresses, without authentication.
 *
 *     deno run --allow-net examples/socks5_proxy.ts 1080
 *     curl --socks5-hostname 127.0.0.1:1080 https://example.com/
 *
 * A proxy that others can reach must ask who they are, and refuse addresses of the network it stands in.
 */
import { openConnection, relay, startServer, type StreamConnection, type StreamReader } from "@tideline/net";

const VERSION = 5;
const CONNECT = 1;
const NO_AUTHENTICATION = 0;
const NONE_ACCEPTABLE = 0xff;

const SUCCEEDED = 0;
const FAILED = 1;
const NOT_ALLOWED = 2;
const HOST_UNREACHABLE = 4;
const REFUSED = 5;
const COMMAND_NOT_SUPPORTED = 7;
const ADDRESS_NOT_SUPPORTED = 8;

/** For a byte of the greeting or the request, in milliseconds. */
const PATIENCE = { timeout: 10_000 };

async function readVersion(reader: StreamReader): Promise<void> {
  const version = await reader.readUint8(PATIENCE);
  if (version !== VERSION) throw new Deno.errors.InvalidData(`Cannot serve: the client speaks version ${version}`);
}

/** The address of a request; `null` if its type is not known. */
async function readHost(reader: StreamReader): Promise<string | null> {
  switch (await reader.readUint8(PATIENCE)) {
    case 1:
      return (await reader.readexactly(4, PATIENCE)).join(".");
    case 3: {
      const length = await reader.readUint8(PATIENCE);
      return new TextDecoder().decode(await reader.readexactly(length, PATIENCE));
    }
    case 4: {
      const groups: string[] = [];
      for (let i = 0; i < 8; i++) groups.push((await reader.readUint16(false, PATIENCE)).toString(16));
      return groups.join(":");
    }
    default:
      return null;
  }
}

function reply(status: number): Uint8Array {
  // The address that the proxy connects from is not told: clients do not use it.
  return new Uint8Array([VERSION, status, 0, 1, 0, 0, 0, 0, 0, 0]);
}

function statusOf(error: unknown): number {
  if (error instanceof Deno.errors.ConnectionRefused) return REFUSED;
  if (error instanceof Deno.errors.NotCapable) return NOT_ALLOWED;
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.TimedOut) return HOST_UNREACHABLE;
  return FAILED;
}

const server = await startServer(async (reader, writer, { signal }) => {
  await readVersion(reader);
  const methods = await reader.readexactly(await reader.readUint8(PATIENCE), PATIENCE);
  if (!methods.includes(NO_AUTHENTICATION)) return writer.write(new Uint8Array([VERSION, NONE_ACCEPTABLE]));
  writer.write(new Uint8Array([VERSION, NO_AUTHENTICATION]));

  await readVersion(reader);
  const command = await reader.readUint8(PATIENCE);
  await reader.readUint8(PATIENCE);
  const hostname = await readHost(reader);
  if (hostname === null) return writer.write(reply(ADDRESS_NOT_SUPPORTED));
  const port = await reader.readUint16(false, PATIENCE);
  if (command !== CONNECT) return writer.write(reply(COMMAND_NOT_SUPPORTED));

  let target: StreamConnection;
  try {
    target = await openConnection({ hostname, port, timeout: 10_000, signal });
  } catch (error) {
    writer.write(reply(statusOf(error)));
    throw error;
  }
  await using _closed = target;
  writer.write(reply(SUCCEEDED));
  await relay({ reader, writer }, target, { idleTimeout: 300_000 });
}, {
  hostname: "127.0.0.1",
  port: Number(Deno.args[0] ?? 1080),
  maxConnections: 1000,
  onError: (error) => console.error(error.message),
});

console.log(`Serving on port ${server.port}`);
await server.serveForever();
