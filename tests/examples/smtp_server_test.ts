// The mail server with Python's smtplib, plain and over TLS; and with clients that mean no good, by hand.
import { assertEquals, assertMatch } from "@std/assert";
import { openConnection, type StreamConnection } from "../../mod.ts";
import { selfSignedCertificate } from "../../src/testing/mod.ts";
import { Example } from "./kit.ts";
import { assertSameBytes } from "../support/bytes.ts";
import { hasProgram } from "../support/machine.ts";

const NAME = "smtp_server.ts";
const noPython = !await hasProgram("python3", "the tests of smtp_server.ts against smtplib");

/** A mail server, and a directory for its certificates and for the mail. */
class Setup implements AsyncDisposable {
  private constructor(readonly server: Example, readonly port: number, readonly dir: string) {}

  static async make(): Promise<Setup> {
    const dir = await Deno.makeTempDir();
    await Deno.mkdir(`${dir}/mail`);
    const { cert, key, caCert } = await selfSignedCertificate();
    for (const [file, text] of Object.entries({ cert, key, ca: caCert })) {
      await Deno.writeTextFile(`${dir}/${file}.pem`, text);
    }
    const server = await Example.start(NAME, ["0", `${dir}/mail`, `${dir}/cert.pem`, `${dir}/key.pem`]);
    return new Setup(server, await server.port(), dir);
  }

  /** The messages that were saved. */
  async mail(): Promise<Uint8Array[]> {
    const entries = await Array.fromAsync(Deno.readDir(`${this.dir}/mail`));
    return await Promise.all(entries.map(({ name }) => Deno.readFile(`${this.dir}/mail/${name}`)));
  }

  async client(): Promise<Client> {
    return new Client(await openConnection({ port: this.port }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** A client that sends the given bytes, line ends included. */
class Client implements AsyncDisposable {
  readonly #lines: AsyncIterableIterator<string>;

  constructor(readonly connection: StreamConnection) {
    this.#lines = connection.reader.lines();
  }

  say(text: string): void {
    this.connection.writer.write(text);
  }

  /** The code of the next answer. */
  async code(): Promise<number> {
    return Number((await this.answer()).slice(0, 3));
  }

  /** The next answer, all its lines. */
  async answer(): Promise<string> {
    const lines: string[] = [];
    do lines.push((await this.#lines.next()).value ?? ""); while (lines.at(-1)![3] === "-");
    return lines.join("\n");
  }

  /** Says a line, and gives the code of the answer. */
  ask(line: string): Promise<number> {
    this.say(`${line}\r\n`);
    return this.code();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
  }
}

// Lines that begin with dots, and one that is a dot alone, must arrive as they are.
const MESSAGE = `Subject: a large one\r\n\r\n.\r\n..two\r\n${
  Array.from({ length: 15_000 }, (_, i) => `${i % 7 === 0 ? "." : ""}line ${i} ${"x".repeat(60)}\r\n`).join("")
}the end\r\n`;

for (const secure of [false, true]) {
  Deno.test({
    name: `${NAME} takes a message of 1 MiB from smtplib, ${secure ? "after STARTTLS [S5]" : "in plain text"}`,
    ignore: noPython,
    fn: async () => {
      await using setup = await Setup.make();
      await Deno.writeTextFile(`${setup.dir}/message`, MESSAGE);
      const code = `
import smtplib, ssl, sys
port, dir, secure = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "true"
message = open(dir + "/message", "rb").read()
assert len(message) > 1024 * 1024
with smtplib.SMTP("localhost", port, timeout=30) as smtp:
    if secure:
        smtp.ehlo()
        assert smtp.has_extn("starttls")
        assert smtp.starttls(context=ssl.create_default_context(cafile=dir + "/ca.pem"))[0] == 220
        smtp.ehlo()
        assert not smtp.has_extn("starttls")
    for i in range(2):
        assert smtp.sendmail("ann@example.com", ["bob@example.com", "eve@example.com"], message) == {}
    assert smtp.noop()[0] == 250
    assert smtp.verify("bob")[0] == 502
`;
      const args = ["-c", code, String(setup.port), setup.dir, String(secure)];
      const { success, stderr } = await new Deno.Command("python3", { args }).output();
      assertEquals({ success, stderr: new TextDecoder().decode(stderr) }, { success: true, stderr: "" });
      const mail = await setup.mail();
      assertEquals(mail.length, 2);
      for (const message of mail) assertSameBytes(message, new TextEncoder().encode(MESSAGE));
      const said = /from <ann@example.com> to <bob@example.com>, <eve@example.com>, (\d+) bytes/;
      assertEquals((await setup.server.stdoutMatch(said))[1], String(MESSAGE.length));
    },
  });
}

Deno.test(`${NAME} ends a connection with commands sent in plain text behind STARTTLS, and obeys none [S5]`, async () => {
  await using setup = await Setup.make();
  await using client = await setup.client();
  assertEquals(await client.code(), 220);
  assertEquals(await client.ask("EHLO me"), 250);
  client.say("STARTTLS\r\nMAIL FROM:<mallory@example.com>\r\n");
  // What comes, if anything, is the answer to STARTTLS alone.
  assertMatch(
    new TextDecoder().decode(await client.connection.reader.read().catch(() => undefined)),
    /^(220 .*\r\n)?$/,
  );
  await setup.server.stderrMatch(/Cannot start TLS: .*\n/);
});

Deno.test(`${NAME} forgets at STARTTLS what was said before`, async () => {
  await using setup = await Setup.make();
  const conn = await Deno.connect({ port: setup.port });
  await using before = new Client(await openConnection({ conn }));
  assertEquals(await before.code(), 220);
  assertEquals(await before.ask("EHLO me"), 250);
  assertEquals(await before.ask("MAIL FROM:<a@example.com>"), 250);
  assertEquals(await before.ask("STARTTLS"), 220);
  await before.connection.writer.startTls({
    serverName: "localhost",
    caCerts: [await Deno.readTextFile(`${setup.dir}/ca.pem`)],
  });
  assertEquals(await before.ask("RCPT TO:<b@example.com>"), 503);
  assertEquals(await before.ask("MAIL FROM:<a@example.com>"), 503);
  assertEquals(await before.ask("EHLO me"), 250);
  assertEquals(await before.ask("STARTTLS"), 503);
  assertEquals(await before.ask("QUIT"), 221);
});

Deno.test(`${NAME} answers commands that come all at once, in order`, async () => {
  await using setup = await Setup.make();
  await using client = await setup.client();
  client.say(
    "EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n.\r\nVRFY b\r\nNOOP\r\nNONSENSE\r\nQUIT\r\n",
  );
  const codes: number[] = [];
  for (let i = 0; i < 10; i++) codes.push(await client.code());
  assertEquals(codes, [220, 250, 250, 250, 354, 250, 502, 250, 500, 221]);
  assertEquals(await client.answer(), "");
  assertEquals(await setup.mail(), [new Uint8Array()]);
});

Deno.test(`${NAME} takes commands only in their order`, async () => {
  await using setup = await Setup.make();
  await using client = await setup.client();
  assertEquals(await client.code(), 220);
  const conversation: [string, number][] = [
    ["MAIL FROM:<a@example.com>", 503],
    ["EHLO", 501],
    ["HELO me", 250],
    ["RCPT TO:<b@example.com>", 503],
    ["DATA", 503],
    ["MAIL FROM a@example.com", 501],
    ["MAIL FROM:<a@example.com> SIZE=99999999", 552],
    ["MAIL FROM:<a@example.com> SIZE=10", 250],
    ["MAIL FROM:<a@example.com>", 503],
    ["RCPT TO:<>", 501],
    ["RCPT TO:<b@example.com>", 250],
    ["RSET", 250],
    ["DATA", 503],
    ["STARTTLS now", 501],
    ["EXPN all", 502],
    ["", 500],
  ];
  for (const [line, code] of conversation) assertEquals([line, await client.ask(line)], [line, code]);
});

Deno.test(`${NAME} skips what is too long or too large, answers, and goes on [R12]`, async () => {
  await using setup = await Setup.make();
  await using client = await setup.client();
  assertEquals(await client.code(), 220);
  assertEquals(await client.ask(`NOOP ${"x".repeat(200_000)}`), 500);
  assertEquals(await client.ask("EHLO me"), 250);
  const envelope = async () => {
    assertEquals(await client.ask("MAIL FROM:<a@example.com>"), 250);
    assertEquals(await client.ask("RCPT TO:<b@example.com>"), 250);
    assertEquals(await client.ask("DATA"), 354);
  };
  await envelope();
  assertEquals(await client.ask(`ok\r\n${"x".repeat(100_000)}\r\nok\r\n.`), 500);
  await envelope();
  const kilobyte = `${"x".repeat(1022)}\r\n`;
  for (let i = 0; i < 17; i++) {
    client.say(kilobyte.repeat(1024));
    await client.connection.writer.drain();
  }
  assertEquals(await client.ask("."), 552);
  await envelope();
  // Only CR LF ends a line, so neither of these dots ends the message.
  assertEquals(await client.ask("one\n.\nMAIL FROM:<mallory@example.com>\r.\r\nend\r\n."), 250);
  const [message, ...others] = await setup.mail();
  assertEquals(new TextDecoder().decode(message), "one\n.\nMAIL FROM:<mallory@example.com>\r.\r\nend\r\n");
  assertEquals(others, []);
});
