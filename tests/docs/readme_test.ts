// What the README says is so: the gate finds the two commands in it, what it links is published with it, and every
// example is listed and tested.
import { assert, assertEquals, assertLess } from "@std/assert";

const root = new URL("../../", import.meta.url);
const readme = await Deno.readTextFile(new URL("README.md", root));

async function namesIn(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(new URL(folder, root)));
  return entries.filter(({ name }) => name.endsWith(".ts")).map(({ name }) => name).sort();
}

Deno.test("README.md marks the commands that the gate runs", () => {
  for (const name of ["test", "example"]) {
    const mark = `<!-- gate: ${name} -->\n\`\`\`sh\nnpx -y deno@`;
    assertEquals(readme.split(mark).length, 2, `There is not one block after the mark of ${name}`);
  }
});

Deno.test("README.md is short enough to be read", () => {
  assertLess(readme.split("\n").length, 150);
});

Deno.test("README.md links only to what is published with it, so that its links hold on JSR as well", async () => {
  const { publish } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const included = publish.include as string[];
  const missing: string[] = [];
  for (const [, path = ""] of readme.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)) {
    if (!included.some((entry) => entry.endsWith("/") ? path.startsWith(entry) : path === entry)) missing.push(path);
  }
  assertEquals(missing, []);
});

Deno.test("examples/README.md lists every example, and every example is tested", async () => {
  const list = await Deno.readTextFile(new URL("examples/README.md", root));
  const tests = await Promise.all(
    (await namesIn("tests/examples/")).map((name) => Deno.readTextFile(new URL(`tests/examples/${name}`, root))),
  );
  for (const name of await namesIn("examples/")) {
    assert(list.includes(`(${name})`), `examples/README.md does not list ${name}`);
    assert(tests.some((test) => test.includes(name)), `There is no test of ${name}`);
  }
});
