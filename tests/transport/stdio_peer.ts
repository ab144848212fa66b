// Reads lines from its stdin and writes them to its stdout in capitals, both as pipes; the peer of pipes_test.ts.
import { connectReadPipe, connectWritePipe } from "../../src/transport/pipes.ts";
import { StreamReaderProtocol } from "../../src/streams/stream_reader_protocol.ts";
import { StreamReader } from "../../src/streams/stream_reader.ts";

const reader = new StreamReader();
await connectReadPipe(() => new StreamReaderProtocol(reader), Deno.stdin);
const { transport, protocol } = await connectWritePipe(() => new StreamReaderProtocol(new StreamReader()), Deno.stdout);
for await (const line of reader.lines()) {
  transport.write(`${line.toUpperCase()}\n`);
  await protocol.drain();
}
transport.close();
await protocol.waitClosed();
