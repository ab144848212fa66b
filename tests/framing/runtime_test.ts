// The framing part runs without Deno: neither it nor what it imports names it.
import { assertEquals } from "@std/assert";

const root = new URL("../../", import.meta.url);

/** A file and all that it imports, directly or not. */
async function withImports(file: URL, found = new Map<string, string>()): Promise<Map<string, string>> {
  if (found.has(file.href)) return found;
  const source = await Deno.readTextFile(file);
  found.set(file.href, source);
  for (const [, specifier] of source.matchAll(/^(?:import|export)\s[^"';]*?from "([^"]+)"/gm)) {
    await withImports(new URL(specifier!, file), found);
  }
  return found;
}

Deno.test("@tideline/net/framing and what it imports name no Deno", async () => {
  const files = await withImports(new URL("src/framing/mod.ts", root));
  assertEquals([...files.keys()].some((file) => file.endsWith("byte_queue.ts")), true);
  const naming = [...files].filter(([, source]) => {
    const code = source.replace(/\/\*[^]*?\*\/|\/\/.*/g, "");
    return /\bDeno\b/.test(code) || /from "node:/.test(code);
  });
  assertEquals(naming.map(([file]) => file), []);
});
