// A check that cannot fail is worth nothing: each rule of tools/check_imports.ts is broken here once, in a tree of its own.

import { assertEquals } from "@std/assert";
import { checkImports } from "../../tools/check_imports.ts";

const FLOORS = [["src/ground.ts"], ["src/upper.ts", "src/rooms/"], ["mod.ts", "src/testing/"]];

/** A tree that breaks no rule. */
const TREE: Record<string, string> = {
  "mod.ts": `export { upper } from "./src/upper.ts";\n`,
  "src/ground.ts": `import type { Socket } from "node:net";\nexport const tls = () => import("node:tls");\n`,
  "src/upper.ts": `import { tls } from "./ground.ts";\nimport {\n  room,\n} from "./rooms/room.ts";\n`,
  "src/rooms/room.ts": `/**\n * import { x } from "@std/assert";\n */\nexport const room = "https://room";\n`,
  "src/testing/kit.ts": `import "../../mod.ts";\n`,
  "tests/room_test.ts": `import { assert } from "@std/assert";\n`,
};

/** Returns the violations in the tree after `changes`; null removes a file. */
async function problemsOf(changes: Record<string, string | null>, floors = FLOORS): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    const root = new URL(`file://${folder}/`);
    for (const [path, source] of Object.entries({ ...TREE, ...changes })) {
      const file = new URL(path, root);
      await Deno.mkdir(new URL(".", file), { recursive: true });
      if (source !== null) await Deno.writeTextFile(file, source);
    }
    return await checkImports(root, floors);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("checkImports() finds nothing in a sound tree", async () => {
  assertEquals(await problemsOf({}), []);
});

Deno.test("checkImports() finds an import that points upward, of a type too", async () => {
  for (const type of ["", "type "]) {
    const changes = { "src/ground.ts": `import ${type}{ room } from "./rooms/room.ts";\n` };
    assertEquals(await problemsOf(changes), [
      `src/ground.ts: on floor 0, imports "./rooms/room.ts" from floor 1 above it`,
    ]);
  }
});

Deno.test("checkImports() finds an import from another folder of the same floor", async () => {
  const floors = [["src/ground.ts"], ["src/upper.ts", "src/rooms/", "src/halls/"], ["mod.ts", "src/testing/"]];
  const changes = { "src/halls/hall.ts": `import { room } from "../rooms/room.ts";\n` };
  assertEquals(await problemsOf(changes, floors), [
    `src/halls/hall.ts: imports "../rooms/room.ts" from another folder of its own floor`,
  ]);
});

Deno.test("checkImports() finds a circle on one floor, through types and lazy imports", async () => {
  const changes = {
    "src/rooms/room.ts": `export * from "./hall.ts";\n`,
    "src/rooms/hall.ts": `import type { x } from "./stair.ts";\n`,
    "src/rooms/stair.ts": `const room = await import("./room.ts");\n`,
  };
  assertEquals(await problemsOf(changes), [
    "src/rooms/room.ts → src/rooms/hall.ts → src/rooms/stair.ts → src/rooms/room.ts: imports go in a circle",
  ]);
});

Deno.test("checkImports() finds a file that imports itself", async () => {
  assertEquals(await problemsOf({ "src/rooms/room.ts": `import "./room.ts";\n` }), [
    "src/rooms/room.ts → src/rooms/room.ts: imports go in a circle",
  ]);
});

Deno.test("checkImports() finds a file on no floor, and a name in FLOORS without a file", async () => {
  assertEquals(await problemsOf({ "src/shed.ts": "" }), [
    "src/shed.ts: is on no floor: add it to FLOORS in tools/check_imports.ts and to docs/ARCHITECTURE.md",
  ]);
  assertEquals(await problemsOf({ "src/rooms/room.ts": null, "src/upper.ts": "" }), [
    "src/rooms/: is in FLOORS, but there is no such file: remove it there and in docs/ARCHITECTURE.md",
  ]);
});

Deno.test("checkImports() finds an import from outside the package", async () => {
  for (const specifier of ["@std/assert", "@tideline/net", "npm:x@1", "jsr:@x/y", "https://x/y.ts", "../tests/x.ts"]) {
    assertEquals(await problemsOf({ "src/ground.ts": `import { x } from "${specifier}";\n` }), [
      `src/ground.ts: imports "${specifier}", which is not a published file of this package`,
    ]);
  }
  assertEquals(await problemsOf({ "src/ground.ts": `export const load = (name: string) => import(name);\n` }), [
    `src/ground.ts: imports "name", which is not a published file of this package`,
  ]);
});

Deno.test("checkImports() finds a node: module that is loaded with the file", async () => {
  for (const statement of [`import { connect } from`, `import tls, * as all from`, `export * from`, `import`]) {
    assertEquals(await problemsOf({ "src/ground.ts": `${statement} "node:tls";\n` }), [
      `src/ground.ts: loads "node:tls" at once: use \`await import()\` where it is needed`,
    ]);
  }
});

Deno.test("checkImports() finds the test kit outside of tests", async () => {
  assertEquals(await problemsOf({ "mod.ts": `export * from "./src/testing/kit.ts";\n`, "src/testing/kit.ts": "" }), [
    `mod.ts: imports "./src/testing/kit.ts": only tests may use the test kit`,
  ]);
});
