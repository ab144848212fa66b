/**
 * Which files are tests, and which of them run in one process.
 *
 * @module
 */

const MOST_IN_A_BATCH = 3;

/**
 * Finds the test files.
 *
 * @param paths Files, and folders that are searched with all folders in them
 * @returns Their paths, sorted; those of a folder before those of the folders in it
 * @throws {Deno.errors.NotFound} If a path is not there, or there is no test in any
 */
export async function testFiles(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const { isDirectory } = await Deno.stat(path);
    if (isDirectory) found.push(...await testsIn(path.replace(/\/*$/, "/")));
    else found.push(path);
  }
  if (found.length === 0) throw new Deno.errors.NotFound(`Cannot run tests: there are none in ${paths.join(", ")}`);
  return [...new Set(found)];
}

async function testsIn(folder: string): Promise<string[]> {
  const files: string[] = [];
  const folders: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) folders.push(`${folder}${name}/`);
    else if (name.endsWith("_test.ts")) files.push(folder + name);
  }
  return [...files.sort(), ...(await Promise.all(folders.sort().map(testsIn))).flat()];
}

/**
 * Puts files together that run in one process, so that not each has to start one.
 *
 * @param files The paths of all
 * @returns A few files of one folder each; the files of the topmost folder, which test most at once, alone and first
 */
export function batches(files: readonly string[]): string[][] {
  const folderOf = (file: string) => file.slice(0, file.lastIndexOf("/") + 1);
  const top = files.map(folderOf).reduce((a, b) => a.length <= b.length ? a : b, folderOf(files[0] ?? ""));
  const result: string[][] = [];
  for (const file of files) {
    const last = result.at(-1);
    const fits = last !== undefined && last.length < MOST_IN_A_BATCH && folderOf(last[0]!) === folderOf(file);
    if (fits && folderOf(file) !== top) last.push(file);
    else result.push([file]);
  }
  return result;
}
