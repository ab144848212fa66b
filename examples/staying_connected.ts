/**
 * A client that stays connected: it connects again after a random, growing wait, sends heartbeats, and leaves a server that
 * does not answer them.
 *
 *     deno run --allow-net examples/staying_connected.ts 7000 [<ms between heartbeats>]
 *
 * The server sends lines, and answers "PING" with "PONG". To try it: `ncat -l 7000`, several times.
 */
import { reconnecting, type StreamReader, type StreamWriter } from "@tideline/net";

const [port, beat = "5000"] = Deno.args;
if (port === undefined) {
  console.error("usage: staying_connected.ts <port> [<ms between heartbeats>]");
  Deno.exit(2);
}
const BEAT = Number(beat);

const stop = new AbortController();
Deno.addSignalListener("SIGINT", () => stop.abort());

/** Sends a heartbeat now and then, until the connection has ended. */
function sendHeartbeats(writer: StreamWriter): Disposable {
  const timer = setInterval(() => {
    if (!writer.isClosing()) writer.write("PING\n");
  }, BEAT);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Prints what the server sends. A server that is there sends a line for each heartbeat at least. */
async function printLines(reader: StreamReader): Promise<void> {
  for await (const line of reader.lines({ timeout: 3 * BEAT, signal: stop.signal })) {
    if (line !== "PONG") console.log(line);
  }
}

const connections = reconnecting({
  port: Number(port),
  timeout: 10_000,
  signal: stop.signal,
  onError: (error) => console.error(error.message),
});
for await (const { reader, writer } of connections) {
  console.log("connected");
  // What was on its way when the last connection was lost may have arrived or not: the client says where it stands.
  writer.write("HELLO\n");
  using _heartbeats = sendHeartbeats(writer);
  try {
    await printLines(reader);
    console.error("the server has closed the connection");
  } catch (error) {
    if (!stop.signal.aborted) console.error(String(error));
  }
}
console.log("stopped");
