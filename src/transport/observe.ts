/**
 * Observers of all connections of the process, for logs and metrics.
 *
 * Without observers this costs a test of an empty list when a connection is opened, lost or refused. Nothing is done per read
 * or write: what an observer wants to know of those it takes from `transport.stats()`.
 *
 * @module
 */
import { asError } from "../common/errors.ts";
import { describeType } from "../common/describe.ts";
import { promiseOf } from "../common/promise_of.ts";
import { callExceptionHandler } from "./exception_handler.ts";
import type { Transport } from "./types.ts";

/** What is told of connections; each method may be left out. What one throws goes to the exception handler. */
export interface Observer {
  /** A connection was opened, by either side, after its TLS handshake and before `connectionMade`. */
  opened?(transport: Transport): void;
  /** A connection was lost, after `connectionLost`; with the same error. */
  lost?(transport: Transport, error: Error | null): void;
  /** The TLS handshake of a client failed, at a server. */
  handshakeFailed?(error: Error, peername: Deno.Addr): void;
  /** A server refused a client: by `accept`, by `maxConnectionsPerPeer`, or for its PROXY protocol header. */
  refused?(peername: Deno.Addr, why: RefusalReason): void;
}

/** Why a server refused a client. */
export type RefusalReason = "filter" | "perPeer" | "proxyHeader";

/** Each call of `observe` has an entry of its own, so that one observer may be registered twice. */
let observers: readonly { readonly observer: Observer }[] = [];

/**
 * Watches every connection of the process, for logs and metrics, until the result is disposed. Pipes and datagram endpoints
 * are no connections. It costs nothing while nobody observes.
 *
 * @param observer What to tell
 * @returns Ends the watch when it is disposed; again it does nothing
 * @throws {TypeError} If the observer is no object, or one of its methods is no function
 *
 * @example One line of JSON per connection
 * ```ts
 * import { observe, openConnection, startServer } from "@tideline/net";
 *
 * using _log = observe({
 *   lost(transport, error) {
 *     const peer = transport.getExtraInfo("peername");
 *     console.log(JSON.stringify({ peer, ...transport.stats(), error: error?.message }));
 *   },
 * });
 *
 * await using server = await startServer((_reader, writer) => writer.close(), { hostname: "127.0.0.1", port: 0 });
 * await using _client = await openConnection({ port: server.port });
 * ```
 */
export function observe(observer: Observer): Disposable {
  if (typeof observer !== "object" || observer === null) {
    throw new TypeError(`Cannot observe: the observer must be an object, not ${describeType(observer)}`);
  }
  for (const name of NAMES) {
    const method: unknown = observer[name];
    if (method === undefined || typeof method === "function") continue;
    throw new TypeError(`Cannot observe: ${name} must be a function, not ${describeType(method)}`);
  }
  const entry = { observer };
  observers = [...observers, entry];
  return {
    [Symbol.dispose]() {
      observers = observers.filter((one) => one !== entry);
    },
  };
}

/**
 * Tells all observers.
 *
 * @param name The method
 * @param args Its arguments
 */
export function tell<K extends keyof Observer>(name: K, ...args: Parameters<Required<Observer>[K]>): void {
  for (const { observer } of observers) {
    try {
      const method = observer[name] as ((...args: unknown[]) => unknown) | undefined;
      promiseOf(method?.apply(observer, args))?.catch((thrown) => failed(name, thrown));
    } catch (thrown) {
      failed(name, thrown);
    }
  }
}

const NAMES = ["opened", "lost", "handshakeFailed", "refused"] as const satisfies readonly (keyof Observer)[];

function failed(name: string, thrown: unknown): void {
  callExceptionHandler({ message: `${name}() of an observer failed`, error: asError(thrown, `${name}()`) });
}
