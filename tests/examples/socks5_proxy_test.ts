// The proxy against curl and ncat, and byte by byte.
import { assertEquals, assertMatch } from "@std/assert";
import { Example } from "./kit.ts";
import { assertSameBytes, pattern } from "../support/bytes.ts";
import { readAll, writeAll } from "../support/conns.ts";
import { findProgram, hasIpv6 } from "../support/machine.ts";

const MIB = 1 << 20;

async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();
}

/** The request for a name and a port. */
function request(hostname: string, port: number, command = 1): Uint8Array {
  const name = new TextEncoder().encode(hostname);
  return new Uint8Array([5, command, 0, 3, name.length, ...name, port >> 8, port & 255]);
}

/** Connects to the proxy, and reads its answers to a greeting and a request. */
async function ask(port: number, ...messages: Uint8Array[]): Promise<{ conn: Deno.TcpConn; answers: number[][] }> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const answers: number[][] = [];
  for (const message of messages) {
    await writeAll(conn, message);
    const p = new Uint8Array(16);
    const n = await conn.read(p);
    answers.push([...p.subarray(0, n ?? 0)]);
  }
  return { conn, answers };
}

const GREETING = new Uint8Array([5, 1, 0]);

Deno.test("socks5_proxy.ts relays to names and addresses, both ways, with half-closes", async () => {
  await using proxy = await Example.start("socks5_proxy.ts", ["0"]);
  const port = await proxy.port();
  const data = pattern(16 * MIB);
  for (const hostname of ["127.0.0.1", ...hasIpv6 ? ["::1"] : []]) {
    using listener = Deno.listen({ hostname, port: 0 });
    const { port: to } = listener.addr;
    const last = [to >> 8, to & 255];
    const requests = hostname === "::1"
      ? [[5, 1, 0, 4, ...Array(15).fill(0), 1, ...last]]
      : [[5, 1, 0, 1, 127, 0, 0, 1, ...last], [...request("localhost", to)]];
    for (const one of requests) {
      const accepted = listener.accept();
      const { conn, answers } = await ask(port, GREETING, new Uint8Array(one));
      assertEquals(answers, [[5, 0], [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]]);
      using client = conn;
      using target = await accepted;
      const sending = writeAll(client, data).then(() => client.closeWrite());
      assertSameBytes(await readAll(target), data);
      await sending;
      await writeAll(target, new TextEncoder().encode("answer"));
      await target.closeWrite();
      assertEquals(new TextDecoder().decode(await readAll(client)), "answer");
    }
  }
});

Deno.test("socks5_proxy.ts says why it does not connect, and goes on", async () => {
  await using proxy = await Example.start("socks5_proxy.ts", ["0"]);
  const port = await proxy.port();
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  free.close();
  const cases: [Uint8Array[], number[]][] = [
    [[new Uint8Array([5, 1, 2])], [5, 255]],
    [[GREETING, request("127.0.0.1", free.addr.port)], [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]],
    [[GREETING, request("127.0.0.1", 80, 2)], [5, 7, 0, 1, 0, 0, 0, 0, 0, 0]],
    [[GREETING, new Uint8Array([5, 1, 0, 9])], [5, 8, 0, 1, 0, 0, 0, 0, 0, 0]],
    [[new Uint8Array([4, 1, 0, 80])], []],
  ];
  for (const [messages, answer] of cases) {
    const { conn, answers } = await ask(port, ...messages);
    assertEquals(answers.at(-1), answer);
    await readAll(conn).catch(() => {});
    conn.close();
  }
  await proxy.stderrMatch(/the client speaks version 4/);
});

const curl = await findProgram("curl", "socks5_proxy.ts with curl");
Deno.test("socks5_proxy.ts serves curl --socks5-hostname, 64 MiB with the same SHA-256", {
  ignore: curl === null,
}, async () => {
  const data = pattern(64 * MIB);
  await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => new Response(data));
  await using proxy = await Example.start("socks5_proxy.ts", ["0"]);
  const args = ["-s", "--socks5-hostname", `127.0.0.1:${await proxy.port()}`, `http://localhost:${http.addr.port}/`];
  const { success, stdout } = await new Deno.Command(curl!, { args }).output();
  assertEquals(success, true);
  assertEquals(await sha256(stdout as Uint8Array<ArrayBuffer>), await sha256(data));
});

const ncat = await findProgram("ncat", "socks5_proxy.ts with ncat");
Deno.test("socks5_proxy.ts serves ncat --proxy-type socks5", { ignore: ncat === null }, async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using proxy = await Example.start("socks5_proxy.ts", ["0"]);
  const through = ["--proxy-type", "socks5", "--proxy", `127.0.0.1:${await proxy.port()}`];
  const args = [...through, "127.0.0.1", String(listener.addr.port)];
  const accepted = listener.accept();
  const process = new Deno.Command(ncat!, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const stdin = process.stdin.getWriter();
  await stdin.write(new TextEncoder().encode("question\n"));
  using target = await accepted;
  await target.read(new Uint8Array(16));
  await writeAll(target, new TextEncoder().encode("answer\n"));
  target.close();
  await stdin.close().catch(() => {});
  assertMatch(new TextDecoder().decode((await process.output()).stdout), /^answer\n$/);
});
