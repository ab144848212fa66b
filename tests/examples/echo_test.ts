// The echo examples against each other, each client with each server, and the servers against peers that are not ours.
import { assertEquals } from "@std/assert";
import { Example, run, runWell } from "./kit.ts";
import { assertSameBytes, pattern } from "../support/bytes.ts";
import { readAll, writeAll } from "../support/conns.ts";

const MESSAGE = "This is the message. It will be sent in parts.";
const servers = ["echo_server_streams.ts", "echo_server_protocol.ts"];
const clients = ["echo_client_streams.ts", "echo_client_protocol.ts"];

for (const server of servers) {
  for (const client of clients) {
    Deno.test(`${server} and ${client} do the round trip and end it with EOF both ways [C7, S1]`, async () => {
      await using serving = await Example.start(server, ["0"]);
      const stdout = await runWell(client, [String(await serving.port())]);
      assertEquals(stdout.replaceAll(/^Received: |\n/gm, ""), MESSAGE);
    });
  }

  Deno.test(`${server} echoes 8 MiB, and answers EOF with EOF [W2, W3]`, async () => {
    await using serving = await Example.start(server, ["0"]);
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: await serving.port() });
    const data = pattern(8 * 1024 * 1024);
    const written = writeAll(conn, data).then(() => conn.closeWrite());
    const [echo] = await Promise.all([readAll(conn), written]);
    assertSameBytes(echo, data);
  });
}

for (const client of clients) {
  Deno.test(`${client} fails when the port is closed`, async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const { code, stderr } = await run(client, [String(port)]);
    assertEquals(code, 1);
    assertEquals(stderr.includes("ConnectionRefused"), true);
  });
}

Deno.test("echo_round_trip.ts does both round trips and ends by itself", async () => {
  assertEquals(await runWell("echo_round_trip.ts"), `streams: ${MESSAGE}\nprotocols: ${MESSAGE}\n`);
});
