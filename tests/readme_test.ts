// What the README says is so: its links lead somewhere, its rows are held by the tests that they name, its drawing is the
// house, and every example is there and is tested.
import { assertEquals } from "@std/assert";
import { FLOORS } from "../tools/check_imports.ts";

const root = new URL("../", import.meta.url);
const readme = await Deno.readTextFile(new URL("README.md", root));

async function textOf(path: string): Promise<string | null> {
  return await Deno.readTextFile(new URL(path, root)).catch(() => null);
}

async function namesIn(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(new URL(folder, root)));
  return entries.filter(({ name }) => name.endsWith(".ts")).map(({ name }) => name);
}

Deno.test("README.md links only to what is there", async () => {
  const broken: string[] = [];
  for (const [, path = ""] of readme.matchAll(/\]\((?!https?:|#)([^)]+)\)/g)) {
    if (await textOf(path) === null) broken.push(path);
  }
  assertEquals(broken, []);
});

Deno.test("README.md names for each thing of asyncio a test in which the name occurs", async () => {
  const rows = [...readme.matchAll(/^\|.+\| *(`.+`) *\| *\[.+\]\((tests\/.+)\) *\|$/gm)];
  const unheld: string[] = [];
  for (const [, ours = "", path = ""] of rows) {
    // What the tests of a folder share is part of each.
    const test = (await textOf(path) ?? "") + (await textOf(path.replace(/[^/]+$/, "kit.ts")) ?? "");
    for (const [, code = ""] of ours.matchAll(/`([^`]+)`/g)) {
      // The last name of "a.b(c)"; what is not a name is syntax, such as `await using`.
      const name = /^(?:\w+\.)*(\w+)(?:\(.*\))?$/.exec(code)?.[1];
      if (name !== undefined && !new RegExp(`\\b${name}\\b`).test(test)) unheld.push(`${name}: ${path}`);
    }
  }
  assertEquals(unheld, []);
  assertEquals(rows.length > 100, true, `Only ${rows.length} rows were found`);
});

Deno.test("README.md draws the house as FLOORS has it", () => {
  const drawing = /```text\n(\+-[^]*?)```/.exec(readme)![1]!;
  const drawn = drawing.split(/^\+-.*\n/m).filter((floor) => floor !== "").reverse()
    .map((floor) => floor.replaceAll(/^\|[^|]*\|/gm, "").match(/\w+(?:\.ts|\/)/g)!.sort());
  assertEquals(drawn, FLOORS.map((floor) => floor.map((file) => file.replace("src/", "")).sort()));
});

Deno.test("README.md lists every example, and every example is tested", async () => {
  const tests = await Promise.all((await namesIn("tests/examples/")).map((name) => textOf(`tests/examples/${name}`)));
  for (const name of await namesIn("examples/")) {
    assertEquals(readme.includes(`(examples/${name})`), true, `README.md does not list ${name}`);
    assertEquals(tests.some((test) => test!.includes(name)), true, `There is no test of ${name}`);
  }
});
