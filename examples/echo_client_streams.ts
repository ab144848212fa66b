/**
 * A TCP echo client with streams: sends a message in parts and EOF, and reads until the server's EOF.
 *
 *     deno run --allow-net=127.0.0.1 examples/echo_client_streams.ts [port]
 *
 * It needs a server: examples/echo_server_streams.ts or examples/echo_server_protocol.ts.
 */
import { openConnection } from "@tideline/net";

const port = Number(Deno.args[0] ?? 8888);

await using connection = await openConnection({ hostname: "127.0.0.1", port });
const { reader, writer } = connection;

writer.writelines(["This is the message. ", "It will be sent ", "in parts."]);
writer.writeEof();

const answer = await reader.read(); // Everything until EOF.
console.log(`Received: ${new TextDecoder().decode(answer)}`);
