/**
 * The baseline: a plain loop of `conn.read` and `conn.write` with one reused buffer. And the same loop with the copies that
 * the package makes.
 *
 * @module
 */

/** Echoes until EOF. */
export async function rawEcho(conn: Deno.Conn, buffer: number): Promise<void> {
  const p = new Uint8Array(buffer);
  for (let n = await conn.read(p); n !== null; n = await conn.read(p)) await writeAll(conn, p, n);
}

/**
 * The same with two copies: bytes are handed out in memory that is never written again (SPEC M1), and what is written may be
 * overwritten at once (M2). A simple way to keep these rules, to measure their cost.
 */
export async function copyingEcho(conn: Deno.Conn, buffer: number): Promise<void> {
  const p = new Uint8Array(buffer);
  for (let n = await conn.read(p); n !== null; n = await conn.read(p)) {
    const data = new Uint8Array(p.subarray(0, n));
    const block = blocks.pop() ?? new Uint8Array(buffer);
    block.set(data);
    await writeAll(conn, block, n);
    blocks.push(block);
  }
}

const blocks: Uint8Array[] = [];

/** Writes the first n bytes. */
export async function writeAll(conn: Deno.Conn, p: Uint8Array, n: number): Promise<void> {
  let sent = await conn.write(n === p.length ? p : p.subarray(0, n));
  while (sent < n) sent += await conn.write(p.subarray(sent, n));
}
