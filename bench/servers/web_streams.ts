/**
 * The Web Streams way: `readable.pipeTo(writable)`.
 *
 * @module
 */
import { announce, serverOptions } from "./options.ts";

const { port } = serverOptions();
const listener = Deno.listen({ hostname: "127.0.0.1", port });
announce((listener.addr as Deno.NetAddr).port);
for await (const conn of listener) {
  conn.setNoDelay(true);
  conn.readable.pipeTo(conn.writable).catch(() => {});
}
