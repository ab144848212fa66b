/**
 * A client that stays connected: connections one after the other, with a back-off between.
 *
 * @module
 */
import { Deadline } from "../common/deadlines.ts";
import { asError } from "../common/errors.ts";
import { aDelay, aFunction, anObject, checkOptions, type RangeProblem } from "../common/options.ts";
import { within } from "../common/wait.ts";
import { checkConnectOptions, type ConnectOptions, type TcpConnectOptions } from "../serving/create_connection.ts";
import { callHandler } from "../transport/exception_handler.ts";
import { openConnection, type StreamConnection, type StreamOptions, takeStreamOptions } from "./open_connection.ts";

/** Where a service is. */
export interface ServiceAddress {
  /** The host name or address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** How long to wait before connecting again. Times in milliseconds. */
export interface BackoffOptions {
  /** The longest wait after the first failure; 50 by default. */
  initial?: number | undefined;
  /** What the wait is multiplied by after each further failure; 2 by default. */
  factor?: number | undefined;
  /** The longest wait of all; 5000 by default. */
  max?: number | undefined;
  /** Which part of the wait is random, from 0 to 1; 1, all of it, by default, so that many clients do not come at once. */
  jitter?: number | undefined;
  /** How long a connection must have lived for the wait to begin at `initial` again; 5000 by default. */
  resetAfter?: number | undefined;
}

/** What {@linkcode reconnecting} takes beside where to connect to. */
export interface ReconnectCommonOptions extends StreamOptions {
  /** How long to wait before connecting again. */
  backoff?: BackoffOptions | undefined;
  /**
   * Gets each failure to connect, to each address. The next try follows.
   *
   * @param error The failure
   */
  onError?: ((error: Error) => void) | undefined;
}

/** Finds the addresses of a service before each try, instead of `hostname` and `port`. */
export interface ReconnectAddressesOptions extends Omit<TcpConnectOptions, "hostname" | "port"> {
  /**
   * Finds the addresses, which are tried in this order, each within `timeout`.
   *
   * @returns The addresses
   */
  addresses: () => readonly ServiceAddress[] | Promise<readonly ServiceAddress[]>;
  /** Not together with addresses. */
  hostname?: undefined;
  /** Not together with addresses. */
  port?: undefined;
}

/** What {@linkcode reconnecting} takes. */
export type ReconnectOptions =
  & ((ConnectOptions & { addresses?: undefined }) | ReconnectAddressesOptions)
  & ReconnectCommonOptions;

/**
 * Connects to a service, again and again: gives a fresh connection each time round a `for await`. asyncio has nothing like
 * it.
 *
 * The first try is made at once, each further one after a back-off, whether the one before failed or its connection ended:
 * a random time up to 50 ms, doubled each time up to 5000 ms, until a connection has lived for 5000 ms. Leaving the body of
 * the loop closes its connection. Nothing is ever sent again by itself: what was on its way when a connection was lost may
 * have arrived or not.
 *
 * An error that the body does not catch ends the loop, as in any loop: catch those of a lost connection inside it. Wrong
 * options and missing permissions are thrown, because trying again would not help; other failures to connect go to
 * `onError`.
 *
 * @param options As of {@linkcode openConnection}, with `addresses`, `backoff` and `onError`. `timeout` bounds each try to
 * connect. `signal` ends the loop at its next turn, a try or a wait that is under way at once; the body of the loop passes
 * it to its own reads
 * @returns The connections
 * @throws {TypeError | RangeError} If the options are wrong
 *
 * @example A subscriber that stays connected
 * ```ts
 * import { reconnecting, startServer } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * let clients = 0;
 * await using server = await startServer((_reader, writer) => {
 *   writer.write(`client ${++clients}\n`);
 *   writer.close();
 * }, { hostname: "127.0.0.1", port: 0 });
 *
 * const greetings: string[] = [];
 * for await (const { reader } of reconnecting({ port: server.port, timeout: 5000 })) {
 *   try {
 *     for await (const line of reader.lines({ timeout: 60_000 })) greetings.push(line);
 *   } catch (error) {
 *     console.warn(error);
 *   }
 *   if (greetings.length === 2) break;
 * }
 * assertEquals(greetings, ["client 1", "client 2"]);
 * ```
 *
 * @example The addresses of a service by DNS
 * ```ts ignore
 * import { reconnecting } from "@tideline/net";
 *
 * const connections = reconnecting({
 *   addresses: async () => {
 *     const records = await Deno.resolveDns("_xmpp-server._tcp.example.com", "SRV");
 *     return records.sort((a, b) => a.priority - b.priority).map(({ target, port }) => ({ hostname: target, port }));
 *   },
 *   timeout: 5000,
 * });
 * ```
 */
export function reconnecting(options: ReconnectOptions): AsyncIterableIterator<StreamConnection> {
  const { backoff, onError, addresses, ...connect } = options ?? {};
  checkOptions(DOING, { backoff, onError, addresses }, { backoff: anObject, onError: aFunction, addresses: aFunction });
  if (backoff !== undefined) checkOptions(DOING, backoff, backoffChecks);
  const { rest } = takeStreamOptions(DOING, connect as ConnectOptions & StreamOptions);
  if (rest.conn !== undefined) throw new TypeError("Cannot reconnect: a conn can be used once only");
  if (addresses !== undefined) {
    for (const name of ["hostname", "port", "path"] as const) {
      if (rest[name] !== undefined) {
        throw new TypeError(`Cannot reconnect: ${name} does not go together with addresses`);
      }
    }
    checkConnectOptions({ ...rest, hostname: "addresses", port: 1 } as TcpConnectOptions);
  } else checkConnectOptions(rest);
  return connections(connect as ConnectOptions & StreamOptions, addresses, new Backoff(backoff), onError);
}

type Addresses = ReconnectAddressesOptions["addresses"];

async function* connections(
  options: ConnectOptions & StreamOptions,
  addresses: Addresses | undefined,
  backoff: Backoff,
  onError: ((error: Error) => void) | undefined,
): AsyncGenerator<StreamConnection, undefined, undefined> {
  const { signal } = options;
  const failed = (error: Error): void => {
    if (signal?.aborted) return;
    if (isHopeless(error)) throw error;
    if (onError !== undefined) callHandler(() => onError(error), { message: "Cannot connect for a while", error });
  };
  while (!signal?.aborted) {
    const connection = await connectOnce(options, addresses, failed);
    if (connection !== null) {
      const begun = performance.now();
      let isLeft = true;
      try {
        yield connection;
        isLeft = false;
      } finally {
        // The next try does not wait for a peer that does not take what was written last.
        const closed = connection.writer.close();
        if (isLeft) await closed.catch(() => {});
      }
      backoff.lived(performance.now() - begun);
    }
    if (!signal?.aborted) await pause(backoff.next(), signal);
  }
}

/** Tries each address once. */
async function connectOnce(
  options: ConnectOptions & StreamOptions,
  addresses: Addresses | undefined,
  failed: (error: Error) => void,
): Promise<StreamConnection | null> {
  try {
    if (addresses === undefined) return await openConnection(options);
    const found = await within(DOING, new Promise<unknown>((resolve) => resolve(addresses())), options);
    for (const { hostname, port } of checkedAddresses(found)) {
      try {
        return await openConnection({ ...options, hostname, port } as TcpConnectOptions & StreamOptions);
      } catch (error) {
        failed(error as Error);
      }
    }
  } catch (thrown) {
    failed(asError(thrown, "addresses()"));
  }
  return null;
}

function checkedAddresses(found: unknown): readonly ServiceAddress[] {
  if (!Array.isArray(found)) throw new TypeError("Cannot reconnect: addresses() must return a list");
  if (found.length === 0) throw new Deno.errors.NotFound("Cannot reconnect: addresses() found none");
  return found;
}

/** Trying again would not help. */
function isHopeless(error: Error): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof Deno.errors.NotCapable;
}

/** How long to wait before each try but the first. */
class Backoff {
  readonly #options: Required<{ [K in keyof BackoffOptions]: number }>;
  #longest: number;

  constructor({ initial = 50, factor = 2, max = 5000, jitter = 1, resetAfter = 5000 }: BackoffOptions = {}) {
    this.#options = { initial, factor, max, jitter, resetAfter };
    this.#longest = Math.min(initial, max);
  }

  /** A connection has lived for this long, in milliseconds. */
  lived(ms: number): void {
    const { initial, max, resetAfter } = this.#options;
    if (ms >= resetAfter) this.#longest = Math.min(initial, max);
  }

  /** The next wait, in milliseconds. */
  next(): number {
    const { factor, max, jitter } = this.#options;
    const longest = this.#longest;
    this.#longest = Math.min(longest * factor, max);
    return longest * (1 - jitter * Math.random());
  }
}

/** Waits; resolves early when the signal aborts. */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const over = Promise.withResolvers<void>();
  const deadline = new Deadline(over.resolve);
  const onAbort = () => over.resolve();
  deadline.arm(ms);
  signal?.addEventListener("abort", onAbort);
  await over.promise;
  signal?.removeEventListener("abort", onAbort);
  deadline.disarm();
}

function aNumberFrom(least: number, most: number) {
  return (value: unknown): string | RangeProblem | null => {
    if (typeof value !== "number") return "must be a number";
    if (value >= least && value <= most) return null;
    return { range: most === Infinity ? `must be at least ${least}` : `must be from ${least} to ${most}` };
  };
}

const backoffChecks = {
  initial: aDelay,
  factor: aNumberFrom(1, Infinity),
  max: aDelay,
  jitter: aNumberFrom(0, 1),
  resetAfter: aDelay,
};

const DOING = "reconnect";
