// docs/ARCHITECTURE.md draws the layers that tools/check_imports.ts checks, and names files that exist.
import { assertEquals, assertGreater } from "@std/assert";
import { FLOORS } from "../../tools/check_imports.ts";
import { rulesOf } from "../../tools/rules.ts";

const root = new URL("../../", import.meta.url);
const doc = await Deno.readTextFile(new URL("docs/ARCHITECTURE.md", root));

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(new URL(path, root)).then(() => true, () => false);
}

Deno.test("docs/ARCHITECTURE.md draws the layers as FLOORS has them", () => {
  const drawing = /```text\n(\+-[^]*?)```/.exec(doc)![1]!;
  const drawn = drawing.split(/^\+-.*\n/m).filter((floor) => floor !== "").reverse()
    .map((floor) => floor.replaceAll(/^\|[^|]*\|/gm, "").match(/[\w/]+(?:\.ts|\/)/g)!.sort());
  assertEquals(drawn, FLOORS.map((floor) => floor.map((file) => file.replace("src/", "")).sort()));
});

Deno.test("docs/ARCHITECTURE.md names files and folders that exist", async () => {
  const paths = [...doc.matchAll(/`((?:src|tests|tools)\/[\w./]+)`/g)].map(([, path = ""]) => path);
  assertEquals((await Promise.all(paths.map(async (path) => await exists(path) ? "" : path))).filter(Boolean), []);
  assertGreater(paths.length, 20);
});

Deno.test("docs/ARCHITECTURE.md says of each rule of code where it lives", async () => {
  const rows = doc.slice(doc.indexOf("## Where each rule lives"), doc.indexOf("## Tests"));
  const placed = [...rows.matchAll(/^\| ([A-Z]\d+(?:, [A-Z]\d+)*) +\|/gm)].flatMap(([, list = ""]) => list.split(", "));
  const known = rulesOf(await Deno.readTextFile(new URL("docs/CONTRACT.md", root)));
  assertEquals(placed.filter((rule) => !known.includes(rule)), []);
  assertEquals(placed.length, new Set(placed).size, "a rule has two rows");
  assertGreater(placed.length, 40);
});
