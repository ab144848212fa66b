// Data that comes later over a conn that is open already, with streams and with a protocol.
import { assertEquals } from "@std/assert";
import { runWell } from "./kit.ts";

Deno.test("wait_for_data.ts receives over a pair in memory with both styles, and ends by itself", async () => {
  const stdout = await runWell("wait_for_data.ts");
  assertEquals(stdout, "Received with streams: abc\nReceived with a protocol: abc\n");
});
