/**
 * A soak test: servers of every kind in this process, and clients that hold random conversations with them, some orderly,
 * some that reset, vanish, send garbage or make handlers throw.
 *
 * `deno task soak --minutes 10 --seed 7`. Conversation i of a seed always has the same kind and size; their number depends on
 * the time. `--only i` repeats a single one.
 *
 * Memory is sampled after each of several rounds, when no conversation is open. At the end one line of JSON tells what was
 * done. The exit status is 1 after any fault: wrong bytes, an error without a class, an unhandled rejection, a
 * conversation that did not end, a connection or a descriptor that is still open, memory that grows.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type Server, setExceptionHandler } from "../mod.ts";
import { SeededRandom } from "../src/testing/mod.ts";
import { type Conversation, conversations } from "./soak/conversations.ts";
import { describe, Ledger } from "./soak/ledger.ts";
import { growthOf, openDescriptors, type Sample, sampleMemory } from "./soak/resources.ts";
import { openScene, type Scene } from "./soak/scene.ts";

/** The number of conversations at the same time. */
const WORKERS = 24;
/** The number of rounds, and of those that warm up. */
const ROUNDS = 12;
const WARM_UP = 4;
/** The longest time of a conversation, in milliseconds. */
const LONGEST = 60_000;
/** The longest time until connections and descriptors are released, in milliseconds. */
const LONGEST_RELEASE = 10_000;
/** The most that memory may grow after the warm-up, in bytes. */
const MOST_GROWTH = {
  heap: 2 << 20,
  // The package keeps up to 8 MiB of blocks of each of three sizes.
  external: 24 << 20,
  rss: 96 << 20,
};

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  throw new RangeError("Cannot soak: --minutes above 0, --seed an integer");
}

const ledger = new Ledger();
setExceptionHandler(({ message, error }) => ledger.error(`the exception handler: ${message}`, error));
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  ledger.problem(`an unhandled rejection: ${describe(event.reason)}`);
});
addEventListener("error", (event) => {
  event.preventDefault();
  ledger.problem(`an uncaught error: ${describe(event.error)}`);
});

const begun = performance.now();
await warmUp();
const descriptorsBefore = openDescriptors();
const scene = await openScene(ledger);
const samples: Sample[] = [];
let next = 0;

if (values.only !== undefined) {
  await hold(scene, Number(values.only));
  await quiet(scene);
} else {
  for (let round = 1; round <= ROUNDS; round++) {
    const end = begun + minutes * 60_000 * round / ROUNDS;
    await Promise.all(Array.from({ length: WORKERS }, () => work(scene, end)));
    await quiet(scene);
    samples.push(await sampleMemory(next));
  }
}
await scene.close();
await checkDescriptors(descriptorsBefore);
const settled = samples.slice(WARM_UP);
const growth = settled.length > 1 ? growthOf(settled) : null;
for (const what of ["heap", "external", "rss"] as const) {
  if (growth === null || growth[what] <= MOST_GROWTH[what]) continue;
  ledger.problem(`memory (${what}) grew by "${growth[what]}" bytes, more than ${MOST_GROWTH[what]}`);
}

const { problems, bytes, errors, conversations: held } = ledger;
for (const problem of problems) console.error(`OFF  ${problem}`);
console.log(JSON.stringify({
  ok: problems.length === 0,
  seed,
  seconds: Math.round((performance.now() - begun) / 1000),
  conversations: next,
  megabytes: megabytes(bytes),
  rss: samples.map(({ rss }) => megabytes(rss)),
  heap: samples.map(({ heap }) => megabytes(heap)),
  external: samples.map(({ external }) => megabytes(external)),
  growth,
  kinds: held,
  errors,
  problems: problems.length,
}));
Deno.exit(problems.length === 0 ? 0 : 1);

/** Runs one conversation after the other. */
async function work(scene: Scene, end: number): Promise<void> {
  while (performance.now() < end) await hold(scene, next++);
}

/** Runs conversation i. */
async function hold(scene: Scene, i: number): Promise<void> {
  const random = new SeededRandom(seed * 1_000_003 + i);
  const [kind, conversation] = pick(random);
  const name = `conversation ${i} (--seed ${seed} --only ${i}), ${kind}`;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it has not ended after ${LONGEST} ms`)), LONGEST);
  });
  try {
    ledger.bytes += await Promise.race([conversation(scene, random), tooLong]);
    ledger.done(kind);
  } catch (error) {
    ledger.problem(`${name}: ${describe(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

function pick(random: SeededRandom): [kind: string, conversation: Conversation] {
  const all = Object.entries(conversations);
  let left = random.integer(1, all.reduce((sum, [, [weight]]) => sum + weight, 0));
  const [kind, [, conversation]] = all.find(([, [weight]]) => (left -= weight) <= 0)!;
  return [kind, conversation];
}

/** Runs one conversation of each kind, so that everything that the platform loads once is loaded. */
async function warmUp(): Promise<void> {
  const scene = await openScene(ledger);
  for (const [, conversation] of Object.values(conversations)) await conversation(scene, new SeededRandom(1));
  await scene.close();
  await sampleMemory(0);
}

/** Waits until no server has a connection; one that stays is a fault. */
async function quiet({ servers }: Scene): Promise<void> {
  const open = (): [string, Server][] => Object.entries(servers).filter(([, server]) => server.connections > 0);
  if (await isSoon(() => open().length === 0)) return;
  for (const [name, { connections }] of open()) {
    ledger.problem(`server "${name}" has "${connections}" connections left`);
  }
}

async function checkDescriptors(before: Map<string, string>): Promise<void> {
  if (await isSoon(() => openDescriptors().size <= before.size)) return;
  const left = [...openDescriptors()].filter(([fd, what]) => before.get(fd) !== what);
  ledger.problem(`"${left.length}" descriptors are left: ${left.map(([fd, what]) => `${fd} ${what}`).join(", ")}`);
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}

async function isSoon(condition: () => boolean): Promise<boolean> {
  const deadline = performance.now() + LONGEST_RELEASE;
  while (!condition()) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}
