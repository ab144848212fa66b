/**
 * Echo by the socket calls of this package.
 *
 * @module
 */
import { sockRecvInto, sockSendall } from "../../src/sock/mod.ts";

/** Socket calls: `sockRecvInto` and `sockSendall` over one buffer. */
export async function socketEcho(conn: Deno.Conn, buffer: number): Promise<void> {
  const p = new Uint8Array(buffer);
  for (let n = await sockRecvInto(conn, p); n > 0; n = await sockRecvInto(conn, p)) {
    await sockSendall(conn, n === p.length ? p : p.subarray(0, n));
  }
}
