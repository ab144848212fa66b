/**
 * Modules that are loaded when they are first used: importing the package costs 0.1 ms for each file, used or not.
 *
 * @module
 */

/**
 * Makes a function that loads a module once.
 *
 * Once, because an `import()` needs descriptors even for what was imported before, and without them Deno 2.9.6 panics.
 *
 * @param load Imports the module
 * @returns Resolves with the module
 */
export function lazy<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  return () => loading ??= load();
}
