/**
 * Cooperative scheduling: hands the event loop back when bytes arrive, or leave, without end (SPEC C10).
 *
 * Theory of operation. A call of Deno that is ready settles as a microtask, and microtasks run before everything else:
 * before timers, signals, and the calls of other connections. Over TCP the loop turns after some 128 ready calls (the
 * cooperative budget of Tokio). But the calls of others that are polled in such a turn find that budget used up, so they do
 * not settle either. Over Deno's own TLS, and from memory, the loop does not turn at all. So each source of bytes (the reads
 * of a connection, its writes, a listener) has a {@linkcode LoopBudget} and spends from it. After some spending the budget
 * looks at the clock. A source that holds the loop for longer than a slice waits for its next one.
 *
 * Whether the loop turns is known only while an immediate is pending. So a look begins a *watch*: a chain of immediates, one
 * per turn. A source that looks twice in one turn does not wait for its bytes, and prolongs the watch. A source that waits
 * for its bytes, as an echo does, looks once in many turns, and the watch ends. A new watch begins rarely.
 *
 * | phase       | what happens                                                    | next                                      |
 * | ----------- | --------------------------------------------------------------- | ----------------------------------------- |
 * | idle        | no immediate is pending                                         | watching, at a look                       |
 * | watching    | turns are counted; no source waits, or those that do are released | idle; handingOver, when a slice is over |
 * | handingOver | sources wait, in order; everything else is served               | watching: the first source is released    |
 *
 * One turn is not enough to serve others. The JavaScript of an isolate is one task of Tokio. While that task is always ready,
 * Tokio asks the system about sockets and signals only once in 61 runs of a task (its `event_interval`). So handing over
 * takes 64 turns. They take 0.1 ms, where a `setTimeout(0)` takes 2 ms. With one turn a client waited during a flood 310 ms,
 * with 64 turns 6 ms.
 *
 * @module
 */

/** How long the loop is held before it is handed over, in milliseconds. */
const SLICE = 5;
/** How many turns it takes to hand the loop over. More than the `event_interval` of Tokio. */
const HAND_OVER_TURNS = 64;
/** After how many turns without a source that holds the loop a watch ends. A new watch ends with the turn. */
const WATCH_TURNS = 3;
/** How long after the beginning of a watch the next one may begin, in milliseconds. */
const WATCH_INTERVAL = 16;
/** How much is spent between two looks at the clock. */
const STRIDE = 32;
/** The same after the look that began a watch. */
const FIRST_STRIDE = 4;
/** The longest time that should lie between two looks of a source that holds the loop, in milliseconds. */
const LOOK_INTERVAL = 1;

/** What a call of the system costs. Larger amounts cost more, so that there is a look for each 128 KiB. */
const CALL_COST = 1;
/** What accepting a client costs, with what follows from it. */
export const ACCEPT_COST = 4;
const BYTES_PER_COST = 4096;

type Phase = "idle" | "watching" | "handingOver";

let phase: Phase = "idle";
/** Counts the turns of the loop, except while idle. */
let turn = 1;
/** How many turns are left of the phase. */
let turnsLeft = 0;
/** When the watch, or the slice, began. */
let began = -Infinity;
/** When a source looked last, or was released. */
let looked = 0;
/** Releases the sources that wait, in order. */
const waiting: (() => void)[] = [];

/**
 * Tells the cost of a call that moves bytes.
 *
 * @param n How many bytes
 * @returns The cost
 */
export function costOfCall(n: number): number {
  return CALL_COST + Math.floor(n / BYTES_PER_COST);
}

/** What one source of work may do before others have their turn. */
export class LoopBudget {
  #left = STRIDE;
  #stride = STRIDE;
  /** The turn of the last look. */
  #turn = 0;
  /** Resolves when this source, which waits, is released; `null` while it does not. */
  #released: Promise<void> | null = null;

  /**
   * Spends some of the budget.
   *
   * @param cost How much: 1 for something done from memory, or as {@linkcode costOfCall}
   * @returns `null` to go on at once, or a promise to wait for first; work of one source that waits goes on in order
   */
  spend(cost: number): Promise<void> | null {
    this.#left -= cost;
    return this.#left > 0 ? null : this.#look();
  }

  #look(): Promise<void> | null {
    if (this.#released !== null) return this.#released;
    const now = performance.now();
    if (phase === "idle") {
      this.#left = this.#stride;
      if (now - began >= WATCH_INTERVAL) this.#watch(now);
      return null;
    }
    this.#left = this.#stride = strideAfter(this.#stride, now - looked);
    looked = now;
    if (this.#turn !== turn) {
      this.#turn = turn;
      return null;
    }
    if (phase === "watching") {
      turnsLeft = WATCH_TURNS;
      if (now - began < SLICE) return null;
    }
    // Calls that spend meanwhile wait as well, so that the work of one source stays in order.
    this.#left = 0;
    return this.#released = handOver().then(() => {
      this.#released = null;
      this.#left = this.#stride;
    });
  }

  #watch(now: number): void {
    phase = "watching";
    turnsLeft = 1;
    began = looked = now;
    this.#turn = turn;
    this.#left = FIRST_STRIDE;
    setImmediate(onTurn);
  }
}

/**
 * Waits for the sources that wait now, if the loop is being handed over.
 *
 * @returns Resolves when they were released, and have done what they waited to do
 */
export async function afterHandOver(): Promise<void> {
  if (phase === "handingOver") await handOver();
}

/** Makes for more looks where the work between two of them took long. */
function strideAfter(stride: number, elapsed: number): number {
  return elapsed > LOOK_INTERVAL ? Math.max(1, stride >> 2) : Math.min(STRIDE, stride << 1);
}

/** Resolves when others were served; the sources that wait are released one after the other. */
function handOver(): Promise<void> {
  if (phase === "watching") beginToHandOver();
  return new Promise((resolve) => waiting.push(resolve));
}

function beginToHandOver(): void {
  phase = "handingOver";
  turnsLeft = HAND_OVER_TURNS;
}

function onTurn(): void {
  turn++;
  turnsLeft--;
  if (phase === "handingOver") {
    if (turnsLeft === 0) beginSlice();
  } else if (waiting.length > 0) {
    // The slice was too short for them.
    beginToHandOver();
  } else if (turnsLeft === 0) {
    phase = "idle";
    return;
  }
  setImmediate(onTurn);
}

function beginSlice(): void {
  phase = "watching";
  turnsLeft = WATCH_TURNS;
  // Each has an immediate of its own, so that what the one before does comes first.
  for (let i = 1; i < waiting.length; i++) setImmediate(releaseWithinSlice);
  began = looked = performance.now();
  release();
}

function releaseWithinSlice(): void {
  const now = performance.now();
  if (phase !== "watching" || now - began >= SLICE) return;
  looked = now;
  release();
}

function release(): void {
  waiting.shift()?.();
}
