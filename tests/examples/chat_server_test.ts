// The chat with members that are plain conns: lines reach all others, and a member who never reads disturbs no other.
import { assertEquals, assertMatch } from "@std/assert";
import { Example } from "./kit.ts";
import { skip } from "../support/machine.ts";

const MIB = 1024 * 1024;

/** A member that reads line by line. */
class Member implements Disposable {
  readonly conn: Deno.Conn;
  readonly #decoder = new TextDecoder();
  readonly #memory = new Uint8Array(65536);
  #text = "";

  private constructor(conn: Deno.Conn) {
    this.conn = conn;
  }

  static async join(port: number, name: string): Promise<Member> {
    const member = new Member(await Deno.connect({ hostname: "127.0.0.1", port }));
    assertEquals(await member.line(), "Your name?");
    await member.say(name);
    return member;
  }

  async say(text: string): Promise<void> {
    const data = new TextEncoder().encode(`${text}\n`);
    for (let rest = data; rest.length > 0;) rest = rest.subarray(await this.conn.write(rest));
  }

  /** The next line, or `null` at the end. */
  async line(): Promise<string | null> {
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end !== -1) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return line;
      }
      const n = await this.conn.read(this.#memory);
      if (n === null) return null;
      this.#text += this.#decoder.decode(this.#memory.subarray(0, n), { stream: true });
    }
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }
}

/** The most memory that a process had, in bytes, or `null` where the system does not tell. */
async function peakMemory(pid: number): Promise<number | null> {
  try {
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
  } catch {
    skip("how much memory the chat server takes", "there is no /proc here");
    return null;
  }
}

Deno.test("chat_server.ts tells the others who comes, what is said, and who leaves", async () => {
  await using server = await Example.start("chat_server.ts", ["0"]);
  const port = await server.port();
  using ann = await Member.join(port, "Ann");
  const bob = await Member.join(port, "Bob");
  assertEquals(await ann.line(), "* Bob is here");
  await bob.say("hello");
  assertEquals(await ann.line(), "Bob: hello");
  await ann.say("hi");
  assertEquals(await bob.line(), "Ann: hi");
  bob[Symbol.dispose]();
  assertEquals(await ann.line(), "* Bob has left");
});

Deno.test("chat_server.ts disconnects a member that sends too long a line, and prints why", async () => {
  await using server = await Example.start("chat_server.ts", ["0"]);
  const port = await server.port();
  using ann = await Member.join(port, "Ann");
  using bob = await Member.join(port, "Bob");
  assertEquals(await ann.line(), "* Bob is here");
  await bob.say("x".repeat(5000));
  assertEquals(await ann.line(), "* Bob has left");
  await server.stderrMatch(/Cannot read a line: .*\n/);
});

Deno.test("chat_server.ts drops a member who never reads, while 50 MiB go to the others in bounded memory [M4, W2]", async () => {
  await using server = await Example.start("chat_server.ts", ["0"]);
  const port = await server.port();
  using ann = await Member.join(port, "Ann");
  using _slow = await Member.join(port, "Slow");
  assertEquals(await ann.line(), "* Slow is here");
  using bob = await Member.join(port, "Bob");
  assertEquals(await ann.line(), "* Bob is here");
  const before = await peakMemory(server.pid);

  const text = "x".repeat(1000);
  const count = Math.ceil(50 * MIB / (text.length + "Bob: \n".length));
  const block = `${text}\n`.repeat(50).slice(0, -1);
  const sending = (async () => {
    for (let sent = 0; sent < count; sent += 50) await bob.say(block);
    await bob.say("done");
  })();

  let received = 0;
  let left = false;
  for (let line; (line = await ann.line()) !== "Bob: done";) {
    if (line === "* Slow has left") left = true;
    else if (line !== null && line.length === text.length + 5) received++;
    else throw new Error(`Ann was told "${line}"`);
  }
  await sending;
  assertEquals({ received, left }, { received: Math.ceil(count / 50) * 50, left: true });

  const after = await peakMemory(server.pid);
  if (before !== null && after !== null) {
    assertEquals(after - before < 40 * MIB, true, `The server's memory grew by ${after - before} bytes`);
  }
  assertMatch((await say(ann, bob))!, /^Ann: still here$/);
});

async function say(from: Member, to: Member): Promise<string | null> {
  await from.say("still here");
  for (;;) {
    const line = await to.line();
    if (line !== "* Slow has left") return line;
  }
}
