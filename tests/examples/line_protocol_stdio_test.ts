// The line protocol through pipes: all at once, one line at a time, and with EOF inside a line.
import { assertEquals } from "@std/assert";
import { Example, runWell } from "./kit.ts";

const NAME = "line_protocol_stdio.ts";

Deno.test(`${NAME} answers each line of a whole input, LF or CR LF, and ends with it`, async () => {
  const stdout = await runWell(NAME, [], { input: "echo a b\r\nupper äh\nlength äh\nconstructor\n\necho no end" });
  assertEquals(
    stdout,
    'ok a b\nok ÄH\nok 3\nerror: there is no command "constructor"\nerror: there is no command ""\nok no end\n',
  );
});

Deno.test(`${NAME} answers a line before the next one is sent, and quits while stdin is open`, async () => {
  await using example = await Example.start(NAME);
  const encoder = new TextEncoder();
  await example.stdin.write(encoder.encode("up"));
  await example.stdin.write(encoder.encode("per one\n"));
  await example.stdoutMatch(/^ok ONE\n$/);
  await example.stdin.write(encoder.encode("echo two\n"));
  await example.stdoutMatch(/^ok ONE\nok two\n$/);
  await example.stdin.write(encoder.encode("quit\n"));
  assertEquals(await example.outcome(), { code: 0, stdout: "ok ONE\nok two\n", stderr: "" });
});

Deno.test(`${NAME} answers 20000 lines of one input`, async () => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `echo ${i}`);
  const stdout = await runWell(NAME, [], { input: lines.join("\n") });
  assertEquals(stdout, lines.map((line) => line.replace("echo", "ok") + "\n").join(""));
});
