// The server is sent a signal amid requests, as a process manager does [V5].
import { assert, assertEquals, assertLess } from "@std/assert";
import { openConnection } from "../../mod.ts";
import { Example } from "./kit.ts";
import { text } from "../support/bytes.ts";

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`graceful_shutdown.ts answers what was asked, then exits with 0, at ${signal} [V5]`, async () => {
    await using example = await Example.start("graceful_shutdown.ts", ["0"]);
    const port = await example.port();
    const idle = await openConnection({ port });
    idle.writer.write("once\n");
    assertEquals(text(await idle.reader.readline()), "ONCE\n");
    // The second line is being handled when the first has been answered, as both came together.
    const busy = await Promise.all([1, 2, 3].map(() => openConnection({ port })));
    const long = "a".repeat(20_000);
    for (const { writer } of busy) writer.write(`first\n${long}\n`);
    // This one has sent a part of its second line.
    const slow = await openConnection({ port });
    slow.writer.write("first\nhalf a re");
    for (const { reader } of [...busy, slow]) assertEquals(text(await reader.readline()), "FIRST\n");

    const begun = performance.now();
    Deno.kill(example.pid, signal);
    await example.stdoutMatch(/shutting down/);
    slow.writer.write("quest\n");
    const answers = await Promise.all(busy.map(({ reader }) => reader.read()));
    for (const answer of answers) assertEquals(text(answer), `${long.toUpperCase()}\n`);
    assertEquals(text(await slow.reader.read()), "HALF A REQUEST\n");
    assertEquals((await idle.reader.read()).length, 0);
    const { code, stdout, stderr } = await example.outcome();
    // The grace is 8 s; nothing had to wait for its end.
    assertLess(performance.now() - begun, 6000);
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    assert(stdout.endsWith("shutting down\nserved 5 clients\n"), stdout);
    for (const { writer } of [idle, slow, ...busy]) await writer.close();
  });
}
