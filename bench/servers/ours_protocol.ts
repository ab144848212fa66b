/**
 * Ours, protocols: `--api protocol|buffered`.
 *
 * @module
 */
import { createServer } from "../../mod.ts";
import { BufferedEcho, Echo } from "./echoes.ts";
import { announce, option, serverOptions } from "./options.ts";

const { port, buffer, tls } = serverOptions();
const factory = option("api") === "buffered" ? () => new BufferedEcho(buffer) : () => new Echo();
const server = await createServer(factory, { hostname: "127.0.0.1", port, ...(tls && { tls }) });
announce(server.port);
