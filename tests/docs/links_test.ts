// Every link of every document leads to a file that is here, and to a heading that the file has.
import { assertEquals, assertGreater } from "@std/assert";

const root = new URL("../../", import.meta.url);

async function* documents(folder = root): AsyncGenerator<URL> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory && !name.startsWith(".") && name !== "node_modules") yield* documents(new URL(`${name}/`, folder));
    else if (name.endsWith(".md")) yield new URL(name, folder);
  }
}

/** Returns the anchors of the headings of a document, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  );
}

Deno.test("the links of all documents lead to what is here", async () => {
  const broken: string[] = [];
  let links = 0;
  for await (const document of documents()) {
    const text = await Deno.readTextFile(document);
    for (const [, link = ""] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      links++;
      const target = new URL(link, document);
      const anchor = target.hash.slice(1);
      target.hash = "";
      const found = await Deno.stat(target).catch(() => null);
      const reached = found !== null &&
        (anchor === "" || anchorsOf(await Deno.readTextFile(target)).includes(decodeURIComponent(anchor)));
      if (!reached) broken.push(`${document.pathname.slice(root.pathname.length)}: ${link}`);
    }
  }
  assertEquals(broken, []);
  assertGreater(links, 100);
});
