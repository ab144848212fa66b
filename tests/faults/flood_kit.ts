/** What the tests of fairness share: floods from processes of their own, and a client that asks questions beside them. */
import { assertGreater, assertLess } from "@std/assert";
import { TextLineStream } from "@std/streams";
import type { Server } from "../../mod.ts";
import { certificateFiles, type Kind, pathOf, portOf } from "../support/servers.ts";
import { turns } from "../../src/testing/turns.ts";
import { python } from "./kit.ts";

/** How many questions are asked beside a flood. */
const QUESTIONS = 40;
/** How long the 99th percentile of the answers, and a timer, may take on a machine with other work, in milliseconds. */
const LATE = 1000;

/** The question that every server answers with itself, and how it begins. */
export const QUESTION = "ask!\n";
export const A = QUESTION.charCodeAt(0);

const { ca } = await certificateFiles();

/** Where a server listens, as flood.py wants it. */
interface Address {
  address: string | [hostname: string, port: number];
  ca: string | null;
}

/** Tells where a server listens. */
export function addressOf(kind: Kind, server: Server): Address {
  return {
    address: kind.name === "Unix" ? pathOf(server) : ["127.0.0.1", portOf(server)],
    ca: kind.tls ? ca : null,
  };
}

/** What flood.py does. */
export type Role =
  | { role: "send"; data: string; connections?: number }
  | { role: "take"; data: string }
  | { role: "connect" }
  | { role: "ask"; questions: number };

/** A process that runs flood.py. */
export class Flood implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  }

  /** Starts one, and waits until it has begun. */
  static async start(role: Role, address: Address): Promise<Flood> {
    const script = new URL("flood.py", import.meta.url).pathname;
    const args = [script, JSON.stringify({ ...role, ...address })];
    const flood = new Flood(new Deno.Command(python!, { args, stdin: "piped", stdout: "piped" }).spawn());
    await flood.next();
    return flood;
  }

  /** The next line that it prints. */
  async next(): Promise<string> {
    const { value, done } = await this.#lines.read();
    if (done) throw new Error("Cannot read on: the process has ended");
    return value;
  }

  /** Sends it an empty line. */
  async go(): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("\n"));
    writer.releaseLock();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close().catch(() => {});
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#child.status;
    while (!(await this.#lines.read()).done);
  }
}

/**
 * Asks questions while something floods, and demands that the answers, a timer and a signal come in time.
 *
 * @param asked Where the one who asks connects, before the flood begins
 * @param begin Begins the flood; what it returns ends it
 * @param flooded How much of the flood has come so far
 */
export async function assertServedBeside(
  asked: Address,
  begin: () => Promise<AsyncDisposable>,
  flooded: () => number,
): Promise<void> {
  await using asker = await Flood.start({ role: "ask", questions: QUESTIONS }, asked);
  using signals = new Signals();
  using timer = new Timer();
  const answers: number[] = [];
  const before = flooded();
  {
    await using _flood = await begin();
    while (flooded() === before) await turns();
    const begun = flooded();
    signals.send();
    for (let round = 0; round < 1 || ((flooded() === begun || timer.count === 0) && round < 100); round++) {
      await asker.go();
      answers.push(...JSON.parse(await asker.next()) as number[]);
    }
    await signals.received;
    // Without a flood to the last question this would prove nothing.
    assertGreater(flooded(), begun);
  }
  answers.sort((a, b) => a - b);
  report({ answers, timer: timer.late });
  assertLess(answers[Math.floor(answers.length * 0.99)]!, LATE, "an answer beside the flood was late");
  assertLess(timer.late, LATE, "a timer beside the flood was late");
  assertGreater(timer.count, 0);
}

/** For measuring: FAIRNESS_REPORT=1 prints what was measured. */
function report({ answers, timer }: { answers: number[]; timer: number }): void {
  if (Deno.env.get("FAIRNESS_REPORT") === undefined) return;
  const at = (p: number) => answers[Math.floor(answers.length * p)]!.toFixed(1);
  console.log(`answers: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; timer late by ${timer.toFixed(1)} ms`);
}

/** A timer of 10 ms. */
class Timer implements Disposable {
  late = 0;
  count = 0;
  #due = performance.now() + 10;
  readonly #timer = setInterval(() => {
    const now = performance.now();
    this.count++;
    this.late = Math.max(this.late, now - this.#due);
    this.#due = now + 10;
  }, 10);

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Signals to this process, of a kind that nothing else here uses. */
class Signals implements Disposable {
  readonly #got = Promise.withResolvers<void>();
  readonly #listener = () => this.#got.resolve();

  constructor() {
    Deno.addSignalListener("SIGUSR2", this.#listener);
  }

  get received(): Promise<void> {
    return this.#got.promise;
  }

  send(): void {
    Deno.kill(Deno.pid, "SIGUSR2");
  }

  [Symbol.dispose](): void {
    Deno.removeSignalListener("SIGUSR2", this.#listener);
  }
}
