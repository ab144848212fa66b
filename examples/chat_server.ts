/**
 * A chat server. Who sends faster than others read is slowed down to their pace; who does not read is disconnected.
 *
 *     deno run --allow-net=127.0.0.1 examples/chat_server.ts [port]
 *
 * Talk to it with examples/netcat.ts 127.0.0.1 8888; the first line that you send is your name.
 *
 * A line is written to all at once, so that nobody waits for anybody to get it. Then its sender, and only its sender, waits
 * until all who got it have less than the high-water mark of their write buffer before them. So a member costs at most that
 * mark and a line of each other member in memory, read or not.
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
    member.abort(); // Its own chat() ends now, and tells the others.
  }
}

const server = await startServer(chat, {
  hostname: "127.0.0.1",
  port: Number(Deno.args[0] ?? 8888),
  limit: LONGEST_LINE,
  onError: (error) => console.error(error.message), // Such as a line that is too long, or a client's reset.
});

console.log(`Serving on port ${(server.addrs[0] as Deno.NetAddr).port}`);
await server.serveForever();
