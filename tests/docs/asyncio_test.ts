// What docs/ASYNCIO.md promises exists, and is held by a test: asyncio_names.ts tells by which.
import { assertEquals, assertGreater } from "@std/assert";
import { heldBy } from "./asyncio_names.ts";

const root = new URL("../../", import.meta.url);
const doc = await Deno.readTextFile(new URL("docs/ASYNCIO.md", root));

/** The code in the second column of all rows. */
const promised = [...doc.matchAll(/^\|[^|]+\|([^|]+)\|$/gm)]
  .flatMap(([, ours = ""]) => [...ours.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code));

/** Returns the source of a test, and of what it imports of tests: helpers such as a table of all kinds of servers. */
async function sourceOf(path: string): Promise<string> {
  const url = new URL(`tests/${path}`, root);
  const source = await Deno.readTextFile(url).catch(() => "");
  const helpers = [...source.matchAll(/ from "(\.{1,2}\/[^"]+)";/g)].map(([, specifier = ""]) =>
    new URL(specifier, url)
  );
  const ofTests = helpers.filter(({ href }) => href.startsWith(new URL("tests/", root).href));
  return source + (await Promise.all(ofTests.map((helper) => Deno.readTextFile(helper)))).join("");
}

Deno.test("docs/ASYNCIO.md promises only what a test holds", () => {
  const held = new Set(Object.values(heldBy).flat());
  assertEquals(promised.filter((code) => !held.has(code)), []);
  assertGreater(promised.length, 100);
});

Deno.test("the tests that hold docs/ASYNCIO.md have the names in them", async () => {
  const wrong: string[] = [];
  for (const [path, codes] of Object.entries(heldBy)) {
    const test = await sourceOf(path);
    for (const code of codes) {
      // The last name of "a.b(c)"; what is not a name is syntax, such as `await using`.
      const name = /^(?:\w+\.)*(\w+)(?:\(.*\))?$/.exec(code)?.[1];
      if (name !== undefined && !new RegExp(`\\b${name}\\b`).test(test)) wrong.push(`${name}: tests/${path}`);
      if (!promised.includes(code)) wrong.push(`${code}: docs/ASYNCIO.md does not have it`);
    }
  }
  assertEquals(wrong, []);
});
