// The client against a server that is closed, opened again, and falls silent [V11].
import { assertEquals } from "@std/assert";
import { startServer, type StreamReader, type StreamWriter } from "../../mod.ts";
import { Example } from "./kit.ts";

/** Answers heartbeats, and says who it is. */
function serving(name: string, port: number, answers: boolean): ReturnType<typeof startServer> {
  return startServer(async (reader: StreamReader, writer: StreamWriter) => {
    for await (const line of reader.lines()) {
      if (line === "HELLO") writer.write(`this is ${name}\n`);
      if (line === "PING" && answers) writer.write("PONG\n");
    }
  }, { hostname: "127.0.0.1", port });
}

Deno.test("staying_connected.ts connects again, leaves a server that falls silent, and stops at SIGINT [V11]", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const first = await serving("one", 0, true);
  const { port } = first;
  await using example = await Example.start("staying_connected.ts", [String(port), "100"]);
  await example.stdoutMatch(/connected\nthis is one\n/);
  await first.shutdown({ grace: 0 });
  // Not before a try was refused.
  await example.stderrMatch(/the server has closed the connection\n[^]*refused/i);
  const second = await serving("two", port, false);
  await example.stdoutMatch(/this is two\n/);
  await example.stderrMatch(/TimedOut: Cannot read a line: 300 ms are over/);
  await second.shutdown({ grace: 0 });
  const third = await serving("three", port, true);
  await example.stdoutMatch(/this is three\n/);
  Deno.kill(example.pid, "SIGINT");
  const { code, stdout } = await example.outcome();
  assertEquals([code, stdout.endsWith("stopped\n")], [0, true]);
  await third.shutdown({ grace: 0 });
});
