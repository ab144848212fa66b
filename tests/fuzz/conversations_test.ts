// Random conversations: of two ends of this package, of two of CPython's asyncio, and of one each, either way round. Whatever
// is written, read, half-closed and closed, all four come to the same. Each operation waits for what it needs to arrive, so
// that nothing depends on chance.
//
// Where this package differs on purpose (SPEC section 9) a conversation is led past the difference: `readline()` never meets
// a line that is too long, which asyncio would drop, and nothing is written by an end after its own `close()`.
import { assertEquals } from "@std/assert";
import {
  ClosedError,
  IncompleteReadError,
  LimitOverrunError,
  openConnection,
  type Server,
  startServer,
  type StreamConnection,
} from "../../mod.ts";
import { portOf } from "../support/servers.ts";
import { cases, pick, run, type SeededRandom } from "./kit.ts";
import { findProgram } from "../support/machine.ts";
import { text } from "../support/bytes.ts";

/** The limit of all readers, in bytes. */
const LIMIT = 100;
/** How much may lie unread at an end: as much as our `peek()` can wait for. */
const MOST_UNREAD = 2 * LIMIT;

type Operation =
  | { op: "write"; data: string }
  | { op: "drain" | "write_eof" | "close" | "readline" }
  | { op: "read" | "readexactly"; n: number }
  | { op: "readuntil"; separator: string };

/** Whose turn it is, how many bytes must have arrived there, and what it does then. */
interface Step {
  end: 0 | 1;
  unread: number;
  operation: Operation;
}

/** One end of a connection. */
interface End {
  arrived(n: number): Promise<void>;
  do(operation: Operation): Promise<unknown>;
}

/** Makes conversations up, and knows as much of them as is needed to ask for nothing that would wait forever. */
class Script {
  readonly steps: Step[] = [];
  readonly #random: SeededRandom;
  readonly #unread = ["", ""];
  readonly #state: ("open" | "ended" | "closed")[] = ["open", "open"];

  constructor(random: SeededRandom) {
    this.#random = random;
    for (let i = random.integer(2, 60); i > 0; i--) this.#add(pick(random, [0, 1] as const));
    for (const end of [0, 1] as const) if (this.#state[end] !== "closed") this.#push(end, { op: "close" });
  }

  #add(end: 0 | 1): void {
    const random = this.#random;
    const other = 1 - end as 0 | 1;
    const unread = this.#unread[end]!;
    const isOver = this.#state[other] !== "open" || this.#state[end] === "closed";
    switch (random.integer(0, 9)) {
      case 0:
      case 1:
      case 2: {
        if (this.#state[end] === "closed" || this.#state[other] === "closed") return;
        const most = MOST_UNREAD - this.#unread[other]!.length;
        const alphabet = random.next() < 0.3 ? "c" : "aabbcd\n\r";
        const length = random.integer(0, Math.min(most, pick(random, [random.size(150), 150])));
        const data = Array.from({ length }, () => pick(random, [...alphabet])).join("");
        if (this.#state[end] === "open") this.#unread[other] += data;
        return this.#push(end, { op: "write", data });
      }
      case 3:
        return this.#push(end, { op: "drain" });
      case 4: {
        const n = random.size(MOST_UNREAD);
        if (unread === "" && !isOver) return;
        this.#push(end, { op: "read", n });
        return this.#take(end, n);
      }
      case 5: {
        const n = random.size(MOST_UNREAD);
        if (unread.length < n && !isOver) return;
        this.#push(end, { op: "readexactly", n });
        return this.#take(end, n);
      }
      case 6: {
        const found = unread.indexOf("\n");
        if (found > LIMIT || found < 0 && (!isOver || unread.length > LIMIT)) return;
        this.#push(end, { op: "readline" });
        return this.#take(end, found < 0 ? unread.length : found + 1);
      }
      case 7: {
        const separator = pick(random, ["\n", "aa", "ab", "\r\n", "aba"]);
        const found = unread.indexOf(separator);
        const overruns = found > LIMIT || found < 0 && unread.length >= LIMIT + separator.length;
        if (found < 0 && !overruns && !isOver) return;
        this.#push(end, { op: "readuntil", separator });
        if (overruns) return;
        return this.#take(end, found < 0 ? unread.length : found + separator.length);
      }
      case 8:
        if (this.#state[end] === "closed" || random.next() < 0.75) return;
        this.#push(end, { op: "write_eof" });
        this.#state[end] = "ended";
        return;
      case 9:
        if (this.#state[end] === "closed" || random.next() < 0.85) return;
        this.#push(end, { op: "close" });
        this.#state[end] = "closed";
        return;
    }
  }

  #push(end: 0 | 1, operation: Operation): void {
    this.steps.push({ end, unread: this.#unread[end]!.length, operation });
  }

  #take(end: 0 | 1, n: number): void {
    this.#unread[end] = this.#unread[end]!.slice(n);
  }
}

class OurEnd implements End {
  readonly #streams: StreamConnection;

  constructor(streams: StreamConnection) {
    this.#streams = streams;
  }

  async arrived(n: number): Promise<void> {
    await this.#streams.reader.peek(n);
  }

  async do(operation: Operation): Promise<unknown> {
    try {
      return { result: await this.#attempt(operation) ?? null };
    } catch (error) {
      if (error instanceof IncompleteReadError) return { incomplete: text(error.partial), expected: error.expected };
      if (error instanceof LimitOverrunError) return { overrun: true };
      if (error instanceof Deno.errors.ConnectionReset) return { lost: true };
      if (error instanceof ClosedError) return { misuse: true };
      return { error: String(error) };
    }
  }

  async #attempt(operation: Operation): Promise<string | void> {
    const { reader, writer } = this.#streams;
    switch (operation.op) {
      case "write":
        return writer.write(operation.data);
      case "drain":
        return await writer.drain();
      case "write_eof":
        return writer.writeEof();
      case "close":
        return await writer.close();
      case "read":
        return text(await reader.read(operation.n));
      case "readexactly":
        return text(await reader.readexactly(operation.n));
      case "readline":
        return text(await reader.readline());
      case "readuntil":
        return text(await reader.readuntil(operation.separator));
    }
  }
}

/** CPython, in which any number of ends can be opened. */
class Python implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncIterator<string>;

  constructor(path: string) {
    this.#process = new Deno.Command(path, {
      args: [new URL("asyncio_peer.py", import.meta.url).pathname, `${LIMIT}`],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#stdin = this.#process.stdin.getWriter();
    this.#lines = linesOf(this.#process.stdout);
  }

  async do(request: object): Promise<unknown> {
    await this.#stdin.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    const { done, value } = await this.#lines.next();
    if (done) throw new Error("Cannot go on: CPython ended");
    return JSON.parse(value);
  }

  async number(request: object): Promise<number> {
    return (await this.do(request) as { result: number }).result;
  }

  end(number: number): End {
    return {
      arrived: async (n) => void await this.do({ op: "arrived", end: number, n }),
      do: (operation) => this.do({ ...operation, end: number }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdin.close();
    await this.#lines.return?.();
    await this.#process.status;
  }
}

async function* linesOf(readable: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (
    const piece of readable.pipeThrough(new TextDecoderStream() as never) as unknown as AsyncIterable<string>
  ) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}

/** Holds a conversation, and says what came of it. */
async function hold(steps: readonly Step[], ends: readonly End[]): Promise<unknown[]> {
  const outcomes: unknown[] = [];
  for (const { end, unread, operation } of steps) {
    await ends[end]!.arrived(unread);
    outcomes.push([end, operation, await ends[end]!.do(operation)]);
  }
  return outcomes;
}

const python = await findProgram("python3");

Deno.test({
  name: "conversations come to the same whether this package or CPython's asyncio holds either end of them",
  ignore: python === null,
  async fn() {
    let accepted = Promise.withResolvers<StreamConnection>();
    // It returns no promise, so that the connection stays until it is closed.
    const server: Server = await startServer((reader, writer) => {
      accepted.resolve({ reader, writer, [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose]() });
    }, { hostname: "127.0.0.1", port: 0, limit: LIMIT });
    await using cpython = new Python(python!);
    const theirPort = await cpython.number({ op: "listen" });
    const port = portOf(server);

    const ourServer = async () => new OurEnd(await accepted.promise);
    const ourClient = async (port: number) => new OurEnd(await openConnection({ port, limit: LIMIT }));
    const theirClient = async (port: number) => cpython.end(await cpython.number({ op: "connect", port }));
    const theirServer = async () => cpython.end(await cpython.number({ op: "accept" }));
    const pairs: Record<string, () => Promise<End[]>> = {
      "CPython with itself": async () => [await theirClient(theirPort), await theirServer()],
      "this package with itself": async () => [await ourClient(port), await ourServer()],
      "this package with CPython": async () => [await ourClient(theirPort), await theirServer()],
      "CPython with this package": async () => [await theirClient(port), await ourServer()],
    };
    for (const { name, random } of cases(60)) {
      const { steps } = new Script(random);
      let expected: unknown[] | null = null;
      for (const [who, open] of Object.entries(pairs)) {
        await run(`${name}, ${who}`, async () => {
          accepted = Promise.withResolvers();
          const outcomes = await hold(steps, await open());
          expected ??= outcomes;
          assertEquals(outcomes, expected);
        });
      }
    }
    await server.shutdown({ grace: 1000 });
  },
});
