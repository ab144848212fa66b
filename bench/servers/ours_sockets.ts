/**
 * Ours, socket calls.
 *
 * @module
 */
import { sockAccept } from "../../src/sock/mod.ts";
import { announce, serverOptions } from "./options.ts";
import { socketEcho } from "./socket_echo.ts";

const { port, buffer } = serverOptions();
const listener = Deno.listen({ hostname: "127.0.0.1", port });
announce((listener.addr as Deno.NetAddr).port);
while (true) {
  const conn = await sockAccept(listener);
  socketEcho(conn, buffer).catch(() => {}).finally(() => conn.close());
}
