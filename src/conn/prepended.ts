/**
 * A conn whose first bytes come from somewhere else: from a read that was under way when the conn was taken over.
 *
 * @module
 */
import type { ConnLike } from "./conn.ts";

/**
 * Makes a conn whose first bytes come from a pending read on another conn.
 *
 * @param conn The other conn
 * @param readUnderWay Resolves with the bytes of that read, or `null` at EOF
 * @returns The conn
 */
export function prepended(conn: ConnLike, readUnderWay: Promise<Uint8Array | null>): ConnLike {
  let rest: Uint8Array | null = null;
  let settled = false;
  return {
    async read(p) {
      if (!settled) {
        rest = await readUnderWay;
        settled = true;
        if (rest === null) return null;
      }
      if (rest === null || rest.length === 0) return await conn.read(p);
      const n = Math.min(p.length, rest.length);
      p.set(rest.subarray(0, n));
      rest = rest.subarray(n);
      return n;
    },
    write: (p) => conn.write(p),
    close: () => conn.close(),
    ...(conn.closeWrite !== undefined && { closeWrite: () => conn.closeWrite!() }),
    ...(conn.localAddr !== undefined && { localAddr: conn.localAddr }),
    ...(conn.remoteAddr !== undefined && { remoteAddr: conn.remoteAddr }),
  };
}
