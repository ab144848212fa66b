/**
 * The benchmark itself runs: every part of it that a short row needs.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";

Deno.test("bench/throughput.ts measures a row and judges its goals", async () => {
  const script = new URL("../bench/throughput.ts", import.meta.url).pathname;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, "--quick", "--only", "bulk-sink"],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(success, true, text + new TextDecoder().decode(stderr));
  assertMatch(text, /^ {2}raw +[\d,]+/m);
  assertMatch(text, /^ {2}ours: zero-copy +[\d,]+/m);
  assertMatch(text, /^ {2}[✓✗] ours: zero-copy: [\d.]+ × raw .*floor 0\.95 × raw/m);
});
