// The framing part runs without Deno: this runs it by Node, and looks for the name in its sources.
import { assert, assertEquals } from "@std/assert";
import { stripTypeScriptTypes } from "node:module";
import { findProgram } from "../support/machine.ts";
import { tempDir } from "../support/programs.ts";
import { text } from "../support/bytes.ts";

const root = new URL("../../", import.meta.url);
const node = await findProgram("node", "framing under Node");

/** A file and all that it loads, directly or not, as JavaScript. */
async function withImports(file: URL, found = new Map<string, string>()): Promise<Map<string, string>> {
  if (found.has(file.href)) return found;
  const source = stripTypeScriptTypes(await Deno.readTextFile(file)).replace(/\/\*[^]*?\*\/|^ *\/\/.*/gm, "");
  found.set(file.href, source);
  for (const [, specifier] of source.matchAll(/^(?:import|export)\s[^"';]*?from "([^"]+)"/gm)) {
    await withImports(new URL(specifier!, file), found);
  }
  return found;
}

const files = await withImports(new URL("src/framing/mod.ts", root));

Deno.test("@tideline/net/framing and what it loads name Deno only where they ask for it", () => {
  const naming = [...files].filter(([, source]) => {
    return /\bDeno\b/.test(source) || /from "node:/.test(source);
  });
  // The one has a class of Deno as its parent if there is one; the other has checks of options that only sockets have.
  assertEquals(naming.map(([file]) => file.slice(root.href.length)).sort(), [
    "src/common/incomplete_read_error.ts",
    "src/common/options.ts",
  ]);
});

const PROGRAM = `
import assert from "node:assert";
import {
  ByteBuffer, ByteQueue, delimited, fixed, framed, FramedProtocol, FramingError, headed, IncompleteReadError, jsonLines,
  lengthPrefixed, lines, netstrings, octetCounted,
} from "./src/framing/mod.mjs";

assert(globalThis.Deno === undefined);
const bytes = new TextEncoder().encode("hello");
for (const [codec, message] of [
  [lines(), "hello"], [jsonLines(), { a: 1 }], [delimited("|"), bytes], [fixed(5), bytes], [netstrings(), bytes],
  [octetCounted(), bytes], [lengthPrefixed({ bytes: 4 }), bytes], [lengthPrefixed({ bytes: "varint" }), bytes],
  [headed(() => ({ header: 1, body: 4 })), { header: bytes.slice(0, 1), body: bytes.slice(1) }],
]) {
  const out = new ByteBuffer();
  codec.encode(message, out);
  const queue = new ByteQueue();
  for (const byte of out.take()) queue.append(new Uint8Array([byte]));
  assert.deepStrictEqual(codec.decode(queue), message);
  assert.strictEqual(queue.length, 0);
}
assert.throws(() => lines().encode("a\\nb", new ByteBuffer()), FramingError);

const written = [];
const messages = [];
class Echo extends FramedProtocol {
  messageReceived(message) {
    messages.push(message);
    this.send(message);
  }
}
const echo = new Echo(lines());
const transport = { isReading: () => true, getProtocol: () => echo, write: (data) => written.push(...data) };
echo.connectionMade(transport);
echo.dataReceived(new TextEncoder().encode("a\\nb\\nc"));
assert.deepStrictEqual(messages, ["a", "b"]);
assert.strictEqual(String.fromCharCode(...written), "a\\nb\\n");
assert.throws(() => echo.eofReceived(), IncompleteReadError);
assert.throws(() => framed({}, lines()), TypeError);
console.log("done");
`.replaceAll("\\\\", "\\");

Deno.test({
  name: "@tideline/net/framing runs under Node: every codec, a protocol, the errors",
  ignore: node === null,
  async fn() {
    const folder = tempDir();
    for (const [file, source] of files) {
      const path = `${folder}/${file.slice(root.href.length).replace(/\.ts$/, ".mjs")}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      await Deno.writeTextFile(path, source.replaceAll(/(from "[^"]+)\.ts"/g, '$1.mjs"'));
    }
    await Deno.writeTextFile(`${folder}/test.mjs`, PROGRAM);
    const { success, stdout, stderr } = await new Deno.Command(node!, { args: [`${folder}/test.mjs`] }).output();
    assert(success, text(stderr));
    assertEquals(text(stdout), "done\n");
  },
});
