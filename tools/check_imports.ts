/**
 * Checks that published files import only from their own folder and from the floors below, never in a circle, and nothing
 * from outside the package.
 *
 * Type-only imports count like any other, because readers follow them too. Only types may be imported from `node:*` at the
 * top of a file: they cost nothing at load time.
 *
 * `deno run --allow-read tools/check_imports.ts` prints one line for each violation, and exits with 1 if there is any.
 *
 * @module
 */

/**
 * The layers, lowest first; docs/ARCHITECTURE.md draws the same. A name that ends in a slash is a folder with everything in
 * it. A published file that is on no floor is an error, and so is a name here without a file.
 */
export const FLOORS: string[][] = [
  ["src/common/"],
  ["src/memory/"],
  ["src/conn/", "src/proxy/"],
  ["src/framing/"],
  ["src/transport/"],
  ["src/tls/", "src/datagram/"],
  ["src/serving/"],
  ["src/streams/"],
  ["src/subprocess/", "src/sock/"],
  ["mod.ts", "src/framing/mod.ts", "src/testing/", "src/tuning/"],
];

interface Import {
  specifier: string;
  /** When it is loaded: with the file, by the type checker only, or when `import()` is called. */
  when: "load" | "types" | "run";
}

/** Returns one line for each violation in the tree under `root`. */
export async function checkImports(root: URL, floors: readonly (readonly string[])[]): Promise<string[]> {
  const files = await publishedFiles(root);
  const known = new Set(files);
  const problems = floors.flat().filter((entry) => !files.some((file) => covers(entry, file)))
    .map((entry) => `${entry}: is in FLOORS, but there is no such file: remove it there and in docs/ARCHITECTURE.md`);
  const graph = new Map<string, string[]>();

  for (const file of files) {
    const floor = floorOf(file, floors);
    if (floor === -1) {
      problems.push(
        `${file}: is on no floor: add it to FLOORS in tools/check_imports.ts and to docs/ARCHITECTURE.md`,
      );
    }
    const targets: string[] = [];
    graph.set(file, targets);
    for (const { specifier, when } of importsOf(await Deno.readTextFile(new URL(file, root)))) {
      if (specifier.startsWith("node:")) {
        if (when === "load") {
          problems.push(`${file}: loads "${specifier}" at once: use \`await import()\` where it is needed`);
        }
        continue;
      }
      const target = resolve(specifier, file, root);
      if (target === null || !known.has(target)) {
        problems.push(`${file}: imports "${specifier}", which is not a published file of this package`);
        continue;
      }
      targets.push(target);
      if (isTesting(target) && !isTesting(file)) {
        problems.push(`${file}: imports "${specifier}": only tests may use the test kit`);
      }
      const targetFloor = floorOf(target, floors);
      if (floor === -1) continue;
      if (targetFloor > floor) {
        problems.push(`${file}: on floor ${floor}, imports "${specifier}" from floor ${targetFloor} above it`);
      } else if (targetFloor === floor && areOfTwoFolders(entryOf(file, floors), entryOf(target, floors))) {
        problems.push(`${file}: imports "${specifier}" from another folder of its own floor`);
      }
    }
  }
  return [...problems, ...circles(graph).map((circle) => `${circle.join(" → ")}: imports go in a circle`)];
}

async function publishedFiles(root: URL, folder = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
    const path = folder + name;
    if (isDirectory && (folder !== "" || name === "src")) files.push(...await publishedFiles(root, `${path}/`));
    else if (path === "mod.ts" || (folder !== "" && name.endsWith(".ts"))) files.push(path);
  }
  return files.sort();
}

function covers(entry: string, file: string): boolean {
  return entry.endsWith("/") ? file.startsWith(entry) : file === entry;
}

function areOfTwoFolders(a: string | undefined, b: string | undefined): boolean {
  return a !== b && a !== undefined && b !== undefined && a.endsWith("/") && b.endsWith("/");
}

function entryOf(file: string, floors: readonly (readonly string[])[]): string | undefined {
  return floors[floorOf(file, floors)]?.find((entry) => covers(entry, file));
}

function floorOf(file: string, floors: readonly (readonly string[])[]): number {
  const itself = floors.findIndex((floor) => floor.includes(file));
  return itself !== -1 ? itself : floors.findIndex((floor) => floor.some((entry) => covers(entry, file)));
}

function isTesting(file: string): boolean {
  return file.startsWith("src/testing/");
}

/** Resolves a relative specifier to a path under `root`; returns null for any other specifier. */
function resolve(specifier: string, from: string, root: URL): string | null {
  if (!specifier.startsWith("./") && !specifier.startsWith("../")) return null;
  const { href } = new URL(specifier, new URL(from, root));
  return href.startsWith(root.href) ? href.slice(root.href.length) : null;
}

// Comments are removed first, because examples in them contain imports. Strings are matched so that "https://…" is not
// taken for a comment. In formatted code only static imports have these words at the start of a line.
const COMMENT_OR_STRING = /\/\/.*|\/\*[^]*?\*\/|("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)/g;
const STATIC_IMPORT = /^(?:import|export)\s+(type\s+)?(?:[\w*{][^"';]*?\sfrom\s+)?["']([^"']+)["']/gm;
const DYNAMIC_IMPORT = /\bimport\s*\(\s*(?:["']([^"']+)["']|([^)]*))/g;

function importsOf(source: string): Import[] {
  const code = source.replace(COMMENT_OR_STRING, (_, text?: string) => text ?? "");
  const imports: Import[] = [];
  for (const [, type, specifier = ""] of code.matchAll(STATIC_IMPORT)) {
    imports.push({ specifier, when: type === undefined ? "load" : "types" });
  }
  for (const [, specifier, computed = ""] of code.matchAll(DYNAMIC_IMPORT)) {
    imports.push({ specifier: specifier ?? computed, when: "run" });
  }
  return imports;
}

/** Returns the circles that a depth-first walk finds, each from a file back to itself. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start !== -1) {
      found.push([...path.slice(start), file]);
    } else if (!done.has(file)) {
      for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    }
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

if (import.meta.main) {
  const problems = await checkImports(new URL("../", import.meta.url), FLOORS);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) Deno.exit(1);
  console.log("every import points down");
}
