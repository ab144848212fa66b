/**
 * Lists the tests that hold the rules of docs/CONTRACT.md, as their names say: "… [W2, M4]".
 *
 * `deno run --allow-read tools/rules.ts [rule…]` prints for each rule the files, and how many tests in each name the rule.
 *
 * @module
 */
import { testFiles } from "./run_tests/files.ts";

/** The rules that docs/CONTRACT.md explains, in its order. */
export function rulesOf(contract: string): string[] {
  return [...contract.matchAll(/^- \*\*([A-Z]\d+)\*\* /gm)].map(([, rule = ""]) => rule);
}

/**
 * Returns the rules that a source names, each as often as it does.
 *
 * @param source The text of a test file
 * @returns The names; a range such as "R2–R10" as all of its rules
 */
export function namedIn(source: string): string[] {
  const names: string[] = [];
  for (const [, list = ""] of source.matchAll(/\[([A-Z]\d+(?:(?:, |–)[A-Z]\d+)*)\]/g)) {
    for (const entry of list.split(", ")) {
      const [first = "", last = first] = entry.split("–");
      for (let n = Number(first.slice(1)); n <= Number(last.slice(1)); n++) names.push(first[0] + String(n));
    }
  }
  return names;
}

/**
 * Counts which test file names which rule how often.
 *
 * @param root The folder of the package
 * @returns For each rule the files, those that name it most often first
 */
export async function testsOfRules(root: URL): Promise<Map<string, [file: string, count: number][]>> {
  const found = new Map<string, Map<string, number>>();
  const folder = new URL("tests/", root).pathname;
  for (const path of await testFiles([folder])) {
    for (const rule of namedIn(await Deno.readTextFile(path))) {
      const files = found.get(rule) ?? new Map<string, number>();
      const file = path.slice(folder.length);
      found.set(rule, files.set(file, (files.get(file) ?? 0) + 1));
    }
  }
  return new Map([...found].map(([rule, files]) => [rule, [...files].sort((a, b) => b[1] - a[1])]));
}

if (import.meta.main) {
  const root = new URL("../", import.meta.url);
  const known = rulesOf(await Deno.readTextFile(new URL("docs/CONTRACT.md", root)));
  const tests = await testsOfRules(root);
  const wanted = Deno.args.length > 0 ? Deno.args : known;
  for (const rule of wanted) {
    if (!known.includes(rule)) {
      console.error(`Cannot list the tests of "${rule}": docs/CONTRACT.md has no such rule`);
      Deno.exit(1);
    }
    console.log(rule);
    for (const [file, count] of tests.get(rule) ?? []) console.log(`  ${count} × tests/${file}`);
  }
}
