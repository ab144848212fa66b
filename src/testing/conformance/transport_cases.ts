/**
 * The conformance suite of transports: what protocols rely on, checked on connected pairs.
 *
 * @module
 */
import {
  checkAll,
  type ConformanceCase,
  type ConformanceOptions,
  type ConformanceReport,
  having,
  lacking,
  makeCase,
  settingsOf,
} from "./conformance.ts";
import { callbackCases } from "./transport_callback_cases.ts";
import { memoryCases } from "./transport_memory_cases.ts";
import { type MakeTransportPair, Scene, type TransportCapabilities } from "./transport_scene.ts";
import { writingCases } from "./transport_writing_cases.ts";

/** Options of {@linkcode transportCases}. */
export interface TransportCasesOptions extends ConformanceOptions, TransportCapabilities {}

/**
 * Makes the conformance cases for a kind of transport, to be registered with any test runner. They check the rules C1 and
 * C3 to C9 of callbacks, W1 to W9 of writing, and M1 to M3 and M5 of memory.
 *
 * Each case makes one pair and checks `a`; swap the two to check the other end. While a case runs it replaces the exception
 * handler, and afterwards sets the default one. So cases must run one at a time, and servers in the pair must have no
 * `onError`.
 *
 * @param makePair Makes a connected pair for two protocols; if it fails it releases everything itself
 * @param options What the kind lacks; sizes in bytes and times in milliseconds
 * @returns The cases
 *
 * @example With a test runner
 * ```ts
 * import { connPair, createConnection } from "@tideline/net";
 * import { type MakeTransportPair, transportCases } from "@tideline/net/testing";
 *
 * const makePair: MakeTransportPair = async (factoryA, factoryB) => {
 *   const [connA, connB] = connPair();
 *   const { transport: b } = await createConnection(factoryB, { conn: connB });
 *   const { transport: a } = await createConnection(factoryA, { conn: connA });
 *   return { a, b };
 * };
 * for (const { name, ignore, fn } of transportCases(makePair, { transferSize: 10_000 })) {
 *   // In a test file: Deno.test({ name: `over memory ${name}`, ignore, fn });
 *   if (!ignore) await fn();
 * }
 * ```
 */
export function transportCases(makePair: MakeTransportPair, options: TransportCasesOptions = {}): ConformanceCase[] {
  const { halfClose = true, survivesUnread = true, noticesAbort = true } = options;
  const settings = { ...settingsOf(options), halfClose, survivesUnread, noticesAbort };
  return [...callbackCases, ...writingCases, ...memoryCases].map(({ what, rule, needs, lacks, run }) =>
    makeCase({
      what,
      rule,
      notApplicable: needs !== undefined && !settings[needs]
        ? lacking(needs)
        : lacks !== undefined && settings[lacks]
        ? having(lacks)
        : null,
      timeout: settings.timeout,
      open: () => Promise.resolve(new Scene(makePair, settings)),
      run,
      release: (scene) => scene.release(),
    })
  );
}

/**
 * Runs all conformance cases for a kind of transport.
 *
 * @param makePair Makes a connected pair for two protocols; if it fails it releases everything itself
 * @param options What the kind lacks; sizes in bytes and times in milliseconds
 * @returns Which cases passed, and which do not apply
 * @throws {AggregateError} If cases failed; the message has their names, `errors` the reasons
 *
 * @example Without any test runner
 * ```ts
 * import { connPair, createConnection } from "@tideline/net";
 * import { checkTransport } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const report = await checkTransport(async (factoryA, factoryB) => {
 *   const [connA, connB] = connPair();
 *   const { transport: b } = await createConnection(factoryB, { conn: connB });
 *   const { transport: a } = await createConnection(factoryA, { conn: connA });
 *   return { a, b };
 * }, { transferSize: 100_000 });
 * // The case for kinds without half-close does not apply.
 * assertEquals(report.notApplicable.length, 1);
 * ```
 */
export function checkTransport(
  makePair: MakeTransportPair,
  options: TransportCasesOptions = {},
): Promise<ConformanceReport> {
  return checkAll("transport", transportCases(makePair, options));
}
