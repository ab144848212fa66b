/**
 * A line protocol over stdin and stdout, as language servers and shells use: each line is a command, each answer a line.
 * It ends by itself when stdin ends.
 *
 *     deno run examples/line_protocol_stdio.ts
 *
 * The same handler serves TCP unchanged: `startServer(serve, { port })`.
 */
import { connFromStreams, openConnection, type StreamReader, type StreamWriter } from "@tideline/net";

const commands: Record<string, (text: string) => string> = {
  echo: (text) => text,
  upper: (text) => text.toUpperCase(),
  length: (text) => String(new TextEncoder().encode(text).length),
};

async function serve(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for await (const line of reader.lines()) {
    const [name = "", ...rest] = line.split(" ");
    if (name === "quit") break;
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    writer.write(command !== undefined ? `ok ${command(rest.join(" "))}\n` : `error: there is no command "${name}"\n`);
    await writer.drain();
  }
}

const conn = connFromStreams({ readable: Deno.stdin.readable, writable: Deno.stdout.writable });
await using connection = await openConnection({ conn });
await serve(connection.reader, connection.writer);
