/** Waiting for what another part of the program does. */
import { delay } from "@std/async";

export { turns } from "../../src/testing/turns.ts";

/** Lets the event loop turn `n` times, with a millisecond at least for each turn. */
export async function ticks(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await delay(1);
}

/** Waits until a condition holds, and looks once in a turn of the event loop; fails after `ms` milliseconds. */
export async function until(condition: () => boolean, ms = 10_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Cannot wait any longer: ${condition} does not hold after ${ms} ms`);
    await ticks(1);
  }
}
