/**
 * Raw: plain loops over `Deno.Conn`; with `--api copies` the echo makes the copies that the package has to make.
 *
 * @module
 */
import { announce, countBytes, option, serverOptions } from "./options.ts";
import { copyingEcho, rawEcho, writeAll } from "./raw_echo.ts";

const { port, mode, buffer, tls } = serverOptions();
const listener = tls
  ? Deno.listenTls({ hostname: "127.0.0.1", port, ...tls })
  : Deno.listen({ hostname: "127.0.0.1", port });
const echo = option("api") === "copies" ? copyingEcho : rawEcho;
const serve = { echo, sink, source }[mode];
announce((listener.addr as Deno.NetAddr).port);
for await (const conn of listener) {
  // As the package does; a TLS connection has no such method.
  if ("setNoDelay" in conn) (conn as Deno.TcpConn).setNoDelay(true);
  serve(conn, buffer).catch(() => {}).finally(() => conn.close());
}

async function sink(conn: Deno.Conn, buffer: number): Promise<void> {
  const p = new Uint8Array(buffer);
  let total = 0;
  for (let n = await conn.read(p); n !== null; n = await conn.read(p)) total += n;
  await writeAll(conn, countBytes(total), 8);
}

async function source(conn: Deno.Conn, buffer: number): Promise<never> {
  const p = new Uint8Array(buffer);
  while (true) await writeAll(conn, p, p.length);
}
