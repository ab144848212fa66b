/**
 * Waiting by turns of the event loop, which is what time is made of in a test.
 *
 * @module
 */

/**
 * Lets the event loop turn.
 *
 * @param n How often
 */
export async function turns(n = 1): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}
