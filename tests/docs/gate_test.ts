// The gate installs every program that tests look for, and no other.
import { assertEquals } from "@std/assert";

const root = new URL("../../", import.meta.url);

/** Every Unix system has these. */
const EVERYWHERE = ["cat", "sh", "sort", "uniq"];

async function* sourcesIn(folder: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* sourcesIn(new URL(`${name}/`, folder));
    else if (name.endsWith(".ts")) yield await Deno.readTextFile(new URL(name, folder));
  }
}

Deno.test(".ci/run installs the programs that tests look for, and no other", async () => {
  const gate = await Deno.readTextFile(new URL(".ci/run", root));
  const installed = /^PEERS=\((.*)\)$/m.exec(gate)![1]!.split(" ").map((peer) => peer.split(":")[0]!);
  const wanted = new Set<string>();
  for await (const source of sourcesIn(new URL("tests/", root))) {
    for (const [, name = ""] of source.matchAll(/\b(?:has|find)Program\("([\w.-]+)"/g)) wanted.add(name);
  }
  assertEquals([...wanted].filter((name) => !EVERYWHERE.includes(name)).sort(), installed.sort());
});
