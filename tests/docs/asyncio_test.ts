// What docs/ASYNCIO.md promises exists, and is held by a test: asyncio_names.ts tells by which.
import { assertEquals, assertGreater } from "@std/assert";
import { heldBy } from "./asyncio_names.ts";

const root = new URL("../../", import.meta.url);
const doc = await Deno.readTextFile(new URL("docs/ASYNCIO.md", root));

/** The code in the second column of all rows. */
const promised = [...doc.matchAll(/^\|[^|]+\|([^|]+)\|$/gm)]
  .flatMap(([, ours = ""]) => [...ours.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code));

async function textOf(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, root)).catch(() => "");
}

Deno.test("docs/ASYNCIO.md promises only what a test holds", () => {
  const held = new Set(Object.values(heldBy).flat());
  assertEquals(promised.filter((code) => !held.has(code)), []);
  assertGreater(promised.length, 100);
});

Deno.test("the tests that hold docs/ASYNCIO.md have the names in them", async () => {
  const wrong: string[] = [];
  for (const [path, codes] of Object.entries(heldBy)) {
    // What the tests of a folder share is part of each.
    const test = await textOf(`tests/${path}`) + await textOf(`tests/${path.replace(/[^/]+$/, "kit.ts")}`);
    for (const code of codes) {
      // The last name of "a.b(c)"; what is not a name is syntax, such as `await using`.
      const name = /^(?:\w+\.)*(\w+)(?:\(.*\))?$/.exec(code)?.[1];
      if (name !== undefined && !new RegExp(`\\b${name}\\b`).test(test)) wrong.push(`${name}: tests/${path}`);
      if (!promised.includes(code)) wrong.push(`${code}: docs/ASYNCIO.md does not have it`);
    }
  }
  assertEquals(wrong, []);
});
