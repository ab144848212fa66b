// The UDP echo with itself, and each side with a peer that is not ours.
import { assertEquals, assertMatch } from "@std/assert";
import { Example, run, runWell } from "./kit.ts";
import { hasProgram } from "../support/machine.ts";

const NAME = "udp_echo.ts";
const noPython = !await hasProgram("python3", "the tests of udp_echo.ts against python3");

Deno.test(`${NAME} sends a message and gets it back`, async () => {
  await using server = await Example.start(NAME, ["serve", "0"]);
  const port = String(await server.port());
  for (const message of ["Hello World!", "ä", "x".repeat(1400)]) {
    assertEquals(await runWell(NAME, ["send", port, message]), `Received: ${message}\n`);
  }
});

Deno.test({
  name: `${NAME} serves a client in Python, empty datagrams too [D1]`,
  ignore: noPython,
  fn: async () => {
    await using server = await Example.start(NAME, ["serve", "0"]);
    const code = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.connect(("127.0.0.1", ${await server.port()}))
for data in b"one", b"", bytes(range(256)) * 100:
    s.send(data)
    assert s.recv(65536) == data, data
`;
    const { success, stderr } = await new Deno.Command("python3", { args: ["-c", code] }).output();
    assertEquals({ success, stderr: new TextDecoder().decode(stderr) }, { success: true, stderr: "" });
  },
});

Deno.test(`${NAME} fails when the port is closed, if Deno may ask the system [D1]`, {
  ignore: Deno.build.os !== "linux",
}, async () => {
  // A port that was free just now.
  await using server = await Example.start(NAME, ["serve", "0"]);
  const port = String(await server.port());
  await server[Symbol.asyncDispose]();
  const { code, stderr } = await run(NAME, ["send", port, "hello"], { flags: ["--allow-ffi"] });
  assertEquals(code, 1);
  assertMatch(stderr, /ConnectionRefused/);
});
