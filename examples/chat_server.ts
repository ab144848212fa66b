/**
 * A chat server. A fast sender is slowed down to the pace of the readers; a member who does not read is disconnected.
 *
 *     deno run --allow-net=127.0.0.1 examples/chat_server.ts [port]
 *
 * Talk to it with examples/netcat.ts 127.0.0.1 8888; the first line that you send is your name.
 *
 * A line is written to all members at once, so that no member delays another. Then its sender alone waits until the write
 * buffer of each member is below the high-water mark. So a member costs at most that mark and one line of each other
 * member in memory.
 */
import { startServer, type StreamReader, type StreamWriter } from "@tideline/net";

/** How long a sender waits for a slow member, in milliseconds. */
const PATIENCE = 1000;
const LONGEST_LINE = 4096;

const members = new Set<StreamWriter>();

async function chat(reader: StreamReader, writer: StreamWriter): Promise<void> {
  writer.write("Your name?\n");
  const lines = reader.lines();
  const { value: name } = await lines.next();
  if (!name) return;
  members.add(writer);
  try {
    await tellOthers(writer, `* ${name} is here\n`);
    for await (const line of lines) await tellOthers(writer, `${name}: ${line}\n`);
  } finally {
    members.delete(writer);
    await tellOthers(writer, `* ${name} has left\n`);
  }
}

async function tellOthers(sender: StreamWriter, text: string): Promise<void> {
  const slow: StreamWriter[] = [];
  for (const member of members) {
    if (member === sender) continue;
    member.write(text);
    const { transport } = member;
    if (transport.getWriteBufferSize() > transport.getWriteBufferLimits().high) slow.push(member);
  }
  if (slow.length > 0) await Promise.all(slow.map(catchUp));
}

async function catchUp(member: StreamWriter): Promise<void> {
  try {
    await member.drain({ signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    member.abort(); // Its chat() ends now, and tells the others.
  }
}

const server = await startServer(chat, {
  hostname: "127.0.0.1",
  port: Number(Deno.args[0] ?? 8888),
  limit: LONGEST_LINE,
  onError: (error) => console.error(error.message), // A line that is too long, or a reset by the client.
});

console.log(`Serving on port ${server.port}`);
await server.serveForever();
