/**
 * The record of a soak: what was done, which expected errors came, and the faults.
 *
 * An error is expected if it has a class that the package promises: one of `Deno.errors`, one of its own, `TypeError`
 * or `RangeError` for misuse, the reason of a signal, or the {@linkcode Mishap} that a conversation throws on purpose.
 *
 * @module
 */
import { IncompleteReadError, LimitOverrunError } from "../../mod.ts";

/** The error that conversations throw on purpose, to see where it is reported. */
export class Mishap extends Error {
  override name = "Mishap";
}

const classes = [
  ...Object.values(Deno.errors),
  IncompleteReadError,
  LimitOverrunError,
  AggregateError,
  DOMException,
  Mishap,
];

/** Counts conversations and errors, and collects faults. */
export class Ledger {
  /** The number of completed conversations of each kind. */
  readonly conversations: Record<string, number> = {};
  /** The number of expected errors of each class. */
  readonly errors: Record<string, number> = {};
  /** The number of verified bytes. */
  bytes = 0;
  /** The faults. */
  readonly problems: string[] = [];

  /** Counts a completed conversation. */
  done(kind: string): void {
    this.conversations[kind] = (this.conversations[kind] ?? 0) + 1;
  }

  /** Adds a fault. */
  problem(what: string): void {
    // A flood of faults would hide the first ones.
    if (this.problems.length < 50) this.problems.push(what);
  }

  /** Counts an error where one is expected. One without a class is a fault. */
  error(where: string, error: unknown): void {
    const name = error instanceof Error ? error.constructor.name : typeof error;
    this.errors[name] = (this.errors[name] ?? 0) + 1;
    if (!isTyped(error)) this.problem(`${where}: an error without a class of its own: ${describe(error)}`);
    else if (error instanceof AggregateError) { for (const one of error.errors) this.error(where, one); }
  }
}

/** Describes an error with its stack, or another thrown value. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? String(error) : Deno.inspect(error);
}

function isTyped(error: unknown): boolean {
  const hidden = error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource;
  return !hidden && classes.some((one) => error instanceof one);
}
