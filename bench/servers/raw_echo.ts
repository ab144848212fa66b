/**
 * What everything is compared with: a plain loop of `conn.read` and `conn.write` with one reused buffer.
 *
 * @module
 */

/** Sends back what comes, until the end. */
export async function rawEcho(conn: Deno.Conn, buffer: number): Promise<void> {
  const p = new Uint8Array(buffer);
  for (let n = await conn.read(p); n !== null; n = await conn.read(p)) await writeAll(conn, p, n);
}

/** Writes the first n bytes. */
export async function writeAll(conn: Deno.Conn, p: Uint8Array, n: number): Promise<void> {
  let sent = await conn.write(n === p.length ? p : p.subarray(0, n));
  while (sent < n) sent += await conn.write(p.subarray(sent, n));
}
