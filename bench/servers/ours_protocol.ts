/**
 * Ours, protocols: `--api protocol|buffered|codec`.
 *
 * @module
 */
import { createServer } from "../../mod.ts";
import { BufferedEcho, CodecEcho, Echo, lineCodec } from "./echoes.ts";
import { announce, option, serverOptions } from "./options.ts";

const { port, buffer, tls } = serverOptions();
const factory = {
  "protocol": () => new Echo(),
  "buffered": () => new BufferedEcho(buffer),
  "codec": () => new CodecEcho(lineCodec),
}[option("api") ?? "protocol"]!;
const server = await createServer(factory, { hostname: "127.0.0.1", port, ...(tls && { tls }) });
announce(server.port);
