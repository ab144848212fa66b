/** What docs/RELIABILITY.md says is held by a test is. */
import { assert, assertEquals, assertGreater } from "@std/assert";

const doc = new URL("../../docs/RELIABILITY.md", import.meta.url);

Deno.test("docs/RELIABILITY.md names for each promise a test that is there", async () => {
  const text = await Deno.readTextFile(doc);
  const rows = text.split("\n").filter((line) => /^\| (?!-)/.test(line) && !line.includes("| held by"));
  const missing: string[] = [];
  for (const row of rows) {
    const held = /\[[\w.]+\]\(([^)]+)\) "([^"]+)" +\|$/.exec(row);
    assert(held !== null, `There is no test in the row ${row}`);
    const [, path, name] = held;
    const file = await Deno.readTextFile(new URL(path!, doc)).catch(() => "");
    if (!file.includes(name!)) missing.push(`${name}: ${path}`);
  }
  assertEquals(missing, []);
  assertGreater(rows.length, 50);
});

Deno.test("docs/RELIABILITY.md names every file of tests that is here", async () => {
  const text = await Deno.readTextFile(doc);
  for await (const { name } of Deno.readDir(new URL(".", import.meta.url))) {
    if (!name.endsWith("_test.ts") || name === "reliability_doc_test.ts") continue;
    assert(text.includes(`(../tests/faults/${name})`), `There is no row for ${name}`);
  }
});
