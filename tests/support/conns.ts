/** Connected pairs of plain connections, and the loops that a bare `read()` and `write()` need. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { ConnLike } from "../../src/conn/conn.ts";
import { concat } from "./bytes.ts";

/** Returns the two ends of a connection over TCP. */
export async function tcpPair(): Promise<[Deno.TcpConn, Deno.TcpConn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return await Promise.all([Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }), listener.accept()]);
}

/** Returns the two ends of a connection over a Unix socket. */
export async function unixPair(): Promise<[Deno.UnixConn, Deno.UnixConn]> {
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/socket`;
    using listener = Deno.listen({ transport: "unix", path });
    return await Promise.all([Deno.connect({ transport: "unix", path }), listener.accept()]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Returns the two ends of a connection of `node:net`. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  const near = connect((server.address() as { port: number }).port, "127.0.0.1");
  await once(near, "connect");
  const [far] = await accepted as [Socket];
  server.close();
  return [near, far];
}

/** Wraps a conn so that Deno's own TLS cannot recognize it. */
export function disguise(conn: ConnLike): ConnLike {
  return {
    read: (p) => conn.read(p),
    write: (p) => conn.write(p),
    close: () => conn.close(),
    closeWrite: () => conn.closeWrite!(),
    ...conn.localAddr && { localAddr: conn.localAddr },
    ...conn.remoteAddr && { remoteAddr: conn.remoteAddr },
  };
}

/** Reads once; returns the bytes as numbers, or null at EOF. */
export async function readOnce(conn: Pick<ConnLike, "read">, size = 16): Promise<number[] | null> {
  const p = new Uint8Array(size);
  const n = await conn.read(p);
  return n === null ? null : [...p.subarray(0, n)];
}

/** Reads to EOF. */
export async function readAll(conn: Pick<ConnLike, "read">, bufferSize = 65536): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(bufferSize);
  for (let n; (n = await conn.read(buffer)) !== null;) chunks.push(buffer.slice(0, n));
  return concat(chunks);
}

/** Writes all of `data`. */
export async function writeAll(conn: Pick<ConnLike, "write">, data: Uint8Array): Promise<void> {
  for (let rest = data; rest.length > 0;) rest = rest.subarray(await conn.write(rest));
}
