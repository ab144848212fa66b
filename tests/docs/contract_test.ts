// The rules that tests, documents and sources name are in docs/CONTRACT.md, and each of its rules names a test that holds
// it.
import { assertEquals, assertGreater } from "@std/assert";
import { namedIn, rulesOf, testsOfRules } from "../../tools/rules.ts";

const root = new URL("../../", import.meta.url);
const contract = await Deno.readTextFile(new URL("docs/CONTRACT.md", root));
const known = rulesOf(contract);

async function* filesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
    if (isDirectory) yield* filesIn(`${folder}${name}/`);
    else if (/\.(ts|md)$/.test(name)) yield folder + name;
  }
}

Deno.test("docs/CONTRACT.md explains every rule once", () => {
  assertEquals(known.length, new Set(known).size);
  assertGreater(known.length, 60);
});

Deno.test("docs/CONTRACT.md has every rule that tests, documents, examples and sources name", async () => {
  const unknown: string[] = [];
  for (const folder of ["src/", "tests/", "docs/", "examples/", "bench/"]) {
    for await (const file of filesIn(folder)) {
      const text = await Deno.readTextFile(new URL(file, root));
      for (const rule of namedIn(text)) if (!known.includes(rule)) unknown.push(`${rule}: ${file}`);
    }
  }
  assertEquals(unknown, []);
});

Deno.test("docs/CONTRACT.md names for each rule a test file that names the rule", async () => {
  const tests = await testsOfRules(root);
  const wrong: string[] = [];
  for (const item of contract.split(/^(?=- )/m)) {
    const [rule] = rulesOf(item);
    if (rule === undefined) continue;
    if (!item.includes("](../tests/") && !item.includes("_planned_")) wrong.push(`${rule}: no test, and not planned`);
    for (const [, path = ""] of item.matchAll(/\]\(\.\.\/tests\/([^)]+)\)/g)) {
      if (!tests.get(rule)?.some(([file]) => file === path)) wrong.push(`${rule}: ${path}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("namedIn() finds the rules in brackets, ranges too", () => {
  const [open, close] = "[]"; // Not in one piece, so that tools/rules.ts does not count them.
  const source = `"reads ${open}R2, R4${close}", "all ${open}R2–R4${close}", list[0], [X]`;
  assertEquals(namedIn(source), ["R2", "R4", "R2", "R3", "R4"]);
});
