/**
 * Waiting by turns of the event loop instead of by time.
 *
 * @module
 */

/**
 * Waits for turns of the event loop, in which pending input, output and timers are served.
 *
 * @param n The number of turns
 */
export async function turns(n = 1): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}
