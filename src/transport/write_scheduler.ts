/**
 * When what was written leaves: the flushes of all connections, scheduled together.
 *
 * A flush is a system call, so bytes that were written wait until the program has nothing more to add (SPEC W4):
 *
 * - until the reader of the connection has to wait, or a callback of its protocol returns: then its flush is *due* a hop of
 *   the microtask queue later, together with those of other connections. Writes that leave right after one another find the
 *   peer's process awake;
 * - else for a few hops, if the connection has nothing to answer: a lone write, from a timer say, leaves then. What is written
 *   after it in the same turn is not alone, and waits for the end of the turn;
 * - else until the microtask queue is empty, in the same turn of the event loop. `setImmediate` tells when that is. It costs
 *   1 µs, and 5 ms when it is first used, so it is asked for only if a few hops do not flush everything.
 *
 * A connection is in one of five states, which tell in which of the two lists it stands:
 *
 * | state   | in `written` | in `due` | is to be flushed      |
 * | ------- | ------------ | -------- | --------------------- |
 * | idle    | no           | maybe    | no                    |
 * | written | yes          | maybe    | at the end of the turn |
 * | ready   | yes          | yes      | at the next hop       |
 * | due     | no           | yes      | at the next hop       |
 * | flushed | yes          | maybe    | no                    |
 *
 * @module
 */

/** How a connection stands with the scheduler. */
export type FlushState = "idle" | "written" | "ready" | "due" | "flushed";

/** What can be flushed. */
export interface Flushable {
  /** The scheduler's; "idle" at first. */
  flushState: FlushState;
  /** The scheduler's; false at first. Whether it was flushed after a few hops, and not at the end of a turn since. */
  flushedAlone: boolean;
  /** Whether bytes arrived since the last flush, so that more answers may follow. */
  readonly answering: boolean;
  /** Begins to send what was written. Must not throw. */
  flush(): void;
}

/** For how many hops a flush may wait to become due. */
const HOPS = 4;

let written: Flushable[] = [];
let due: Flushable[] = [];
// Each takes turns with the list of its name, as new arrays would be garbage of every turn.
let otherWritten: Flushable[] = [];
let otherDue: Flushable[] = [];
/** How many in `written` are in that state. */
let waiting = 0;
/** What looks at `written` next. */
let next: "nothing" | "hop" | "endOfTurn" = "nothing";
let hopsLeft = 0;

/**
 * Schedules a flush for the end of the turn, unless it is scheduled already.
 *
 * @param flushable What was written to
 */
export function flushWhenIdle(flushable: Flushable): void {
  switch (flushable.flushState) {
    case "idle":
      written.push(flushable);
      break;
    case "flushed":
      break;
    default:
      return;
  }
  flushable.flushState = "written";
  waiting++;
  if (next !== "nothing") return;
  next = "hop";
  hopsLeft = HOPS;
  queueMicrotask(hop);
}

/**
 * Schedules a flush for the next hop of the microtask queue.
 *
 * @param flushable What was written to, and will not be for now
 */
export function flushSoon(flushable: Flushable): void {
  switch (flushable.flushState) {
    case "idle":
      flushable.flushState = "due";
      break;
    case "written":
      waiting--;
      flushable.flushState = "ready";
      break;
    case "flushed":
      flushable.flushState = "ready";
      break;
    default:
      return;
  }
  if (due.push(flushable) === 1) queueMicrotask(flushDue);
}

/**
 * Takes note that a flush is not wanted any more, because it was done or there is nothing to send.
 *
 * @param flushable What may have been scheduled
 */
export function cancelFlush(flushable: Flushable): void {
  switch (flushable.flushState) {
    case "written":
      waiting--;
      flushable.flushState = "flushed";
      break;
    case "ready":
      flushable.flushState = "flushed";
      break;
    case "due":
      flushable.flushState = "idle";
      break;
  }
}

function flushDue(): void {
  const list = due;
  due = otherDue;
  for (const flushable of list) {
    const { flushState } = flushable;
    // One whose flush was taken back stands here as well.
    if (flushState !== "ready" && flushState !== "due") continue;
    cancelFlush(flushable);
    flushable.flush();
  }
  list.length = 0;
  otherDue = list;
}

function hop(): void {
  if (waiting > 0 && --hopsLeft === 0) flushLoneWrites();
  if (waiting === 0) {
    next = "nothing";
    for (const flushable of written) flushable.flushState = flushable.flushState === "ready" ? "due" : "idle";
    written.length = 0;
  } else if (hopsLeft > 0) {
    queueMicrotask(hop);
  } else {
    next = "endOfTurn";
    setImmediate(endOfTurn);
  }
}

function flushLoneWrites(): void {
  for (const flushable of written) {
    if (flushable.flushState !== "written" || flushable.flushedAlone || flushable.answering) continue;
    flushable.flushedAlone = true;
    cancelFlush(flushable);
    flushable.flush();
  }
}

function endOfTurn(): void {
  const list = written;
  written = otherWritten;
  waiting = 0;
  next = "nothing";
  for (const flushable of list) {
    const { flushState } = flushable;
    flushable.flushState = "idle";
    flushable.flushedAlone = false;
    if (flushState !== "flushed") flushable.flush();
  }
  list.length = 0;
  otherWritten = list;
}
