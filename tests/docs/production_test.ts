// docs/PRODUCTION.md: what the doc tests do not run. haproxy takes its configuration, and OpenTelemetry gets its metrics.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { findProgram } from "../support/machine.ts";
import { runProgram, tempDir } from "../support/programs.ts";
import { certificate } from "../support/servers.ts";

const doc = await Deno.readTextFile(new URL("../../docs/PRODUCTION.md", import.meta.url));
const haproxy = await findProgram("haproxy", "the configuration in docs/PRODUCTION.md");

/** The block after a heading, of a language. */
function blockOf(heading: string, language: string): string {
  const section = doc.slice(doc.indexOf(`## ${heading}\n`));
  return new RegExp(`\`\`\`${language}\n([^]*?)\n\`\`\``).exec(section)![1]!;
}

Deno.test({
  name: "haproxy takes the configuration of docs/PRODUCTION.md",
  ignore: haproxy === null,
  async fn() {
    const dir = tempDir();
    await Deno.writeTextFile(`${dir}/chat.pem`, certificate.cert + certificate.key);
    const configuration = blockOf("Behind a proxy", "text").replace("/etc/haproxy/chat.pem", `${dir}/chat.pem`);
    await Deno.writeTextFile(`${dir}/haproxy.cfg`, `${configuration}\n`);
    const { code, stderr } = await new Deno.Command(haproxy!, { args: ["-c", "-f", `${dir}/haproxy.cfg`] }).output();
    assertEquals([code, new TextDecoder().decode(stderr).match(/\[ALERT\].*/g)], [0, null]);
  },
});

Deno.test("the OpenTelemetry recipe of docs/PRODUCTION.md exports its metrics, and runs without OpenTelemetry too", async () => {
  const recipe = blockOf("OpenTelemetry", "ts");
  const without = await runProgram(recipe);
  assertEquals([without.code, without.stderr], [0, ""]);
  const env = { OTEL_DENO: "true", OTEL_EXPORTER_OTLP_PROTOCOL: "console" };
  const { code, stdout, stderr } = await runProgram(recipe, { env });
  assertEquals(code, 0, stderr);
  for (const name of ["connections.open", "connections.received", "connections.duration"]) {
    assertStringIncludes(stdout + stderr, name);
  }
});
