// What is handed out is accepted wherever the platform takes bytes, without a cast: this file type-checks, and runs.

import { assert, assertEquals } from "@std/assert";
import { connFromStreams, connPair, openConnection, StreamReader } from "../mod.ts";

function fed(text: string): StreamReader {
  const reader = new StreamReader();
  reader.feedData(new TextEncoder().encode(text));
  reader.feedEof();
  return reader;
}

Deno.test("bytes that are handed out go into a Blob, a Response and a digest", async () => {
  const bytes = await fed("hello").read();
  assertEquals(await new Blob([bytes]).text(), "hello");
  assertEquals(await new Response(bytes).text(), "hello");
  assertEquals((await crypto.subtle.digest("SHA-256", bytes)).byteLength, 32);
});

Deno.test("reader.readable goes through a CompressionStream", async () => {
  const packed = fed("hello").readable.pipeThrough(new CompressionStream("gzip"));
  assertEquals(await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).text(), "hello");
});

Deno.test("a CompressionStream is a connection", async () => {
  const { reader, writer } = await openConnection({ conn: connFromStreams(new CompressionStream("gzip")) });
  writer.write("hello");
  writer.writeEof();
  const packed = await reader.read();
  await writer.close();
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  assertEquals(await new Response(unpacked).text(), "hello");
});

Deno.test("what a connection hands out is bytes as well", async () => {
  const [a, b] = connPair();
  await using near = await openConnection({ conn: a });
  await using far = await openConnection({ conn: b });
  near.writer.write("one\ntwo\n");
  for await (const line of far.reader) {
    assertEquals(await new Blob([line]).text(), "one\n");
    break;
  }
});

Deno.test("no public function has a parameter that an editor would offer as `_data`", async () => {
  const args = ["doc", "--json", new URL("../mod.ts", import.meta.url).pathname];
  const { stdout, success } = await new Deno.Command(Deno.execPath(), { args }).output();
  assert(success);
  const json = new TextDecoder().decode(stdout);
  assert(json.includes('"dataReceived"'));
  assertEquals(json.match(/"name":\s*"_\w+"/g) ?? [], []);
});
