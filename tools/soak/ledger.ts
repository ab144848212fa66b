/**
 * The book of a soak: what was done, what failed as it should, and what is off.
 *
 * An error is as it should be if it has a class that the package promises: one of `Deno.errors`, one of its own, `TypeError`
 * or `RangeError` for misuse, the reason of a signal, or the {@linkcode Mishap} that a conversation throws on purpose.
 *
 * @module
 */
import { IncompleteReadError, LimitOverrunError } from "../../mod.ts";

/** What conversations throw on purpose, to see where it ends up. */
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

/** Counts, and collects what is off. */
export class Ledger {
  /** How many conversations of each kind were held to their end. */
  readonly conversations: Record<string, number> = {};
  /** How many errors of each class came where errors were to come. */
  readonly errors: Record<string, number> = {};
  /** Bytes that made the whole way, and were the right ones. */
  bytes = 0;
  /** What is off; nothing, if all is well. */
  readonly problems: string[] = [];

  /** A conversation came to its end. */
  done(kind: string): void {
    this.conversations[kind] = (this.conversations[kind] ?? 0) + 1;
  }

  /** Something is off. */
  problem(what: string): void {
    // The first ones tell; a flood of them would only hide them.
    if (this.problems.length < 50) this.problems.push(what);
  }

  /** An error came where one may come: it must have a class. */
  error(where: string, error: unknown): void {
    const name = error instanceof Error ? error.constructor.name : typeof error;
    this.errors[name] = (this.errors[name] ?? 0) + 1;
    if (!isTyped(error)) this.problem(`${where}: an error without a class of its own: ${describe(error)}`);
    else if (error instanceof AggregateError) { for (const one of error.errors) this.error(where, one); }
  }
}

/** An error and its stack, or what else was thrown. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? String(error) : Deno.inspect(error);
}

function isTyped(error: unknown): boolean {
  const hidden = error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource;
  return !hidden && classes.some((one) => error instanceof one);
}
