// Why TLS listens by Deno and not by node:net. When this test fails the platform has changed, and docs/TLS.md with it.
import { assertEquals } from "@std/assert";

const CLIENTS = 150;

Deno.test({
  name: "a server of node:net that was out of descriptors never accepts again",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const program = `
      import net from "node:net";
      const server = net.createServer((socket) => {
        socket.on("error", () => {});
        socket.on("data", (data) => socket.write(data));
        setTimeout(() => socket.destroy(), 300);
      });
      server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;
    const process = new Deno.Command("sh", {
      args: ["-c", `ulimit -n 100; exec "$0" run -A --no-config --ext=mjs -`, Deno.execPath()],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const stdin = process.stdin.getWriter();
    await stdin.write(new TextEncoder().encode(program));
    await stdin.close();
    const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const port = Number((await lines.read()).value);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => Deno.connect({ port })));
    // The server closed those that it had accepted: it has descriptors again.
    await clients[0]!.read(new Uint8Array(1)).catch(() => {});
    for (const client of clients) client.close();

    using late = await Deno.connect({ port });
    await late.write(new Uint8Array(1));
    const { promise, resolve } = Promise.withResolvers<string>();
    const timer = setTimeout(resolve, 2000, "nothing");
    const answer = await Promise.race([late.read(new Uint8Array(1)).then(() => "an answer", () => "a reset"), promise]);
    clearTimeout(timer);
    process.kill("SIGKILL");
    await Promise.all([process.status, lines.cancel()]);
    assertEquals(answer, "nothing");
  },
});
