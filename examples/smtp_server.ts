/**
 * A mail server (SMTP, RFC 5321) with STARTTLS (RFC 3207): takes messages and saves each in a directory.
 *
 *     deno run --allow-net=127.0.0.1 --allow-read --allow-write examples/smtp_server.ts 2525 directory [cert.pem key.pem]
 *
 * Lines and messages have limits; the excess is skipped and answered, and the connection goes on. Only CR LF ends a line,
 * so that a message cannot hide another one. Plain commands that were sent in front of the TLS handshake, to be executed
 * after it, end the connection: startTls() refuses them.
 */
import {
  IncompleteReadError,
  LimitOverrunError,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@tideline/net";

const LONGEST_COMMAND = 512;
const LONGEST_LINE = 4096;
const LARGEST_MESSAGE = 16 * 1024 * 1024;
const MOST_RECIPIENTS = 100;
/** How long a client may be silent, in milliseconds. */
const PATIENCE = 5 * 60_000;

const [port, directory, certFile, keyFile] = Deno.args;
if (directory === undefined) {
  console.error("usage: smtp_server.ts <port> <directory> [<certificate file> <key file>]");
  Deno.exit(2);
}
const tls = certFile !== undefined && keyFile !== undefined
  ? { cert: await Deno.readTextFile(certFile), key: await Deno.readTextFile(keyFile) }
  : null;

class Session {
  readonly #reader: StreamReader;
  readonly #writer: StreamWriter;
  #client: string | null = null;
  #sender: string | null = null;
  #recipients: string[] = [];

  constructor(reader: StreamReader, writer: StreamWriter) {
    this.#reader = reader;
    this.#writer = writer;
  }

  async run(): Promise<void> {
    await this.#reply("220 Ready");
    for (let going = true; going;) {
      const line = await this.#readLine(LONGEST_COMMAND);
      const [, verb = "", argument = ""] = /^(\S+) *(.*)\r\n$/s.exec(new TextDecoder().decode(line ?? undefined)) ?? [];
      const answer = line === null ? "500 The line is too long" : await this.#obey(verb.toUpperCase(), argument.trim());
      if (answer !== null) await this.#reply(answer);
      going = verb.toUpperCase() !== "QUIT";
    }
  }

  /** Returns the answer, or `null` if there is none. */
  #obey(verb: string, argument: string): string | null | Promise<string | null> {
    switch (verb) {
      case "HELO":
      case "EHLO":
        return this.#greet(verb, argument);
      case "MAIL":
        return this.#mailFrom(argument);
      case "RCPT":
        return this.#recipientTo(argument);
      case "DATA":
        return this.#data();
      case "STARTTLS":
        return this.#startTls(argument);
      case "RSET":
        this.#forgetMessage();
        return "250 Forgotten";
      case "NOOP":
        return "250 Nothing done";
      case "VRFY":
      case "EXPN":
        return "502 Nobody is told who has a mailbox here";
      case "QUIT":
        return "221 Bye";
      default:
        return "500 There is no such command";
    }
  }

  #greet(verb: string, client: string): string {
    if (client === "") return "501 Who is there?";
    this.#client = client;
    this.#forgetMessage();
    const extensions = ["8BITMIME", "PIPELINING", `SIZE ${LARGEST_MESSAGE}`];
    if (tls !== null && !this.#secure) extensions.push("STARTTLS");
    const lines = verb === "HELO" ? ["Hello"] : ["Hello", ...extensions];
    return lines.map((line, i) => `250${i < lines.length - 1 ? "-" : " "}${line}`).join("\r\n");
  }

  #mailFrom(argument: string): string {
    const [, sender, parameters = ""] = /^FROM: ?<([^<>]*)>(.*)$/i.exec(argument) ?? [];
    if (this.#client === null) return "503 Say EHLO first";
    if (this.#sender !== null) return "503 One message at a time";
    if (sender === undefined) return "501 Say MAIL FROM:<address>";
    if (Number(/ SIZE=(\d+)/i.exec(parameters)?.[1] ?? 0) > LARGEST_MESSAGE) return "552 The message is too large";
    this.#sender = sender;
    return "250 OK";
  }

  #recipientTo(argument: string): string {
    const [, recipient] = /^TO: ?<([^<>]+)>/i.exec(argument) ?? [];
    if (this.#sender === null) return "503 Say MAIL FROM first";
    if (recipient === undefined) return "501 Say RCPT TO:<address>";
    if (this.#recipients.length >= MOST_RECIPIENTS) return "452 These are enough";
    this.#recipients.push(recipient);
    return "250 OK";
  }

  async #data(): Promise<string> {
    if (this.#recipients.length === 0) return "503 Say RCPT TO first";
    await this.#reply("354 Go on, and end with a line of a single dot");
    const memory = new ArrayBuffer(0, { maxByteLength: LARGEST_MESSAGE });
    const message = new Uint8Array(memory); // Its length follows that of its buffer.
    let refusal: string | null = null;
    for (;;) {
      const line = await this.#readLine(LONGEST_LINE);
      if (line === null) {
        refusal = "500 A line is too long";
        continue;
      }
      const dotted = line[0] === DOT;
      if (dotted && line.length === 3) break;
      // The client puts a dot before each line that begins with a dot (RFC 5321, 4.5.2).
      const text = dotted ? line.subarray(1) : line;
      const offset = message.length;
      if (offset + text.length > LARGEST_MESSAGE) refusal = "552 The message is too large";
      if (refusal !== null) continue;
      memory.resize(offset + text.length);
      message.set(text, offset);
    }
    const answer = refusal ?? await this.#save(message);
    this.#forgetMessage();
    return answer;
  }

  async #save(message: Uint8Array): Promise<string> {
    const id = crypto.randomUUID();
    await Deno.writeFile(`${directory}/${id}.eml`, message);
    console.log(`${id}: from <${this.#sender}> to <${this.#recipients.join(">, <")}>, ${message.length} bytes`);
    return `250 Saved as ${id}`;
  }

  async #startTls(argument: string): Promise<string | null> {
    if (argument !== "") return "501 STARTTLS stands alone";
    if (tls === null) return "502 There is no TLS here";
    if (this.#secure) return "503 This is TLS already";
    this.#writer.write("220 Begin the handshake\r\n");
    await this.#writer.startTls(tls);
    // Earlier commands came in plain text, and may be an attacker's.
    this.#client = null;
    this.#forgetMessage();
    return null;
  }

  get #secure(): boolean {
    return this.#writer.getExtraInfo("tls") !== undefined;
  }

  #forgetMessage(): void {
    this.#sender = null;
    this.#recipients = [];
  }

  async #reply(text: string): Promise<void> {
    this.#writer.write(`${text}\r\n`);
    await this.#writer.drain();
  }

  /** Returns a line with its end, or `null` for one that is too long, which is dropped. */
  async #readLine(limit: number): Promise<Uint8Array | null> {
    const signal = AbortSignal.timeout(PATIENCE);
    try {
      return await this.#reader.readuntil("\r\n", { limit, signal });
    } catch (error) {
      if (!(error instanceof LimitOverrunError)) throw error;
      await this.#reader.skipuntil("\r\n", { signal });
      return null;
    }
  }
}

const DOT = ".".charCodeAt(0);

const server = await startServer((reader, writer) => new Session(reader, writer).run(), {
  hostname: "127.0.0.1",
  port: Number(port),
  maxConnections: 1000,
  onError: (error) => {
    // A client may leave without QUIT.
    if (!(error instanceof IncompleteReadError)) console.error(error.message);
  },
});

console.log(`Serving on port ${server.port}`);
await server.serveForever();
