// The pipeline of processes: its own text, and a file that is larger than all pipes together.
import { assertEquals } from "@std/assert";
import { run, runWell } from "./kit.ts";
import { hasProgram } from "../support/machine.ts";

const NAME = "sort_pipeline.ts";
const ignore = !await hasProgram("sort", `the tests of ${NAME}`) || !await hasProgram("uniq", `the tests of ${NAME}`);

/** Runs the example over a file with a content. */
async function countWords(content: string): Promise<string> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, content);
    return await runWell(NAME, [path]);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test({
  name: `${NAME} counts the words of its built-in text`,
  ignore,
  async fn() {
    const counts = "the: 4\nyou: 3\nsooner: 2\nare: 1\ndone: 1\nlater: 1\nlonger: 1\nstart: 1\nwait: 1\n";
    assertEquals(await runWell(NAME), counts);
  },
});

Deno.test({
  name: `${NAME} counts the words of a file of 2 MB`,
  ignore,
  async fn() {
    const words = Array.from({ length: 300_000 }, (_, i) => `word${i % 1000}`);
    const lines = Array.from({ length: 3000 }, (_, i) => words.slice(i * 100, i * 100 + 100).join(" "));
    const counts = words.slice(0, 1000).sort().map((word) => `${word}: 300\n`);
    assertEquals(await countWords(lines.join("\n")), counts.join(""));
    assertEquals(await countWords(""), "");
  },
});

Deno.test({
  name: `${NAME} fails when there is no such file`,
  ignore,
  async fn() {
    const { code, stderr } = await run(NAME, ["no/such/file"]);
    assertEquals([code, stderr.includes("NotFound")], [1, true]);
  },
});
