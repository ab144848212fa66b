/**
 * What everything is compared with: a plain loop of `conn.read` and `conn.write` with one reused buffer.
 *
 * @module
 */
import { announce, countBytes, serverOptions } from "./options.ts";

const options = serverOptions();
const listener = options.tls
  ? Deno.listenTls({ hostname: "127.0.0.1", port: options.port, ...options.tls })
  : Deno.listen({ hostname: "127.0.0.1", port: options.port });
const serve = { echo, sink, source }[options.mode];
announce((listener.addr as Deno.NetAddr).port);
for await (const conn of listener) {
  // As the library does; on a TLS connection Deno has no such call.
  if ("setNoDelay" in conn) (conn as Deno.TcpConn).setNoDelay(true);
  serve(conn).catch(() => {}).finally(() => conn.close());
}

async function echo(conn: Deno.Conn): Promise<void> {
  const p = new Uint8Array(options.buffer);
  for (let n = await conn.read(p); n !== null; n = await conn.read(p)) await writeAll(conn, p, n);
}

async function sink(conn: Deno.Conn): Promise<void> {
  const p = new Uint8Array(options.buffer);
  let total = 0;
  for (let n = await conn.read(p); n !== null; n = await conn.read(p)) total += n;
  await writeAll(conn, countBytes(total), 8);
}

async function source(conn: Deno.Conn): Promise<never> {
  const p = new Uint8Array(options.buffer);
  while (true) await writeAll(conn, p, p.length);
}

async function writeAll(conn: Deno.Conn, p: Uint8Array, n: number): Promise<void> {
  let sent = await conn.write(n === p.length ? p : p.subarray(0, n));
  while (sent < n) sent += await conn.write(p.subarray(sent, n));
}
