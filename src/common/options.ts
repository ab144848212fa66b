/**
 * Checks of what users pass as options: bad input is refused before anything is changed.
 *
 * @module
 */

import { ipVersion } from "./address.ts";
import { describe, describeType, quote } from "./describe.ts";

/** A check of one option: returns what is wrong with a value, as in "must be a boolean", or `null`. */
export type Check = (value: unknown) => string | TypeProblem | RangeProblem | null;

/** A value of the wrong type, where not the whole value is to be shown. */
export interface TypeProblem {
  /** What the value must be, as in "must have strings as values". */
  readonly type: string;
  /** What it is instead, described. */
  readonly found: string;
}

/** A value of the right type that is out of range. */
export interface RangeProblem {
  /** What the value must be. */
  readonly range: string;
  /** What it is instead, described, where not the whole value is to be shown. */
  readonly found?: string;
}

/**
 * Checks options: unknown names, and the value of each known one that is not `undefined`.
 *
 * @param doing What the options are for, as in "connect"
 * @param options What the user passed
 * @param checks The known options
 * @throws {TypeError} If they are not an object, one is unknown, or one is of a wrong type
 * @throws {RangeError} If one is out of range
 */
export function checkOptions(doing: string, options: unknown, checks: Readonly<Record<string, Check>>): void {
  checkIsObject(doing, options);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name)) {
      throw new TypeError(`Cannot ${doing}: ${noOption(name, Object.keys(checks))}`);
    }
    if (value === undefined) continue;
    const problem = checks[name]!(value);
    if (problem === null) continue;
    if (typeof problem === "string") {
      throw new TypeError(`Cannot ${doing}: ${name} ${problem}, not ${describe(value)}`);
    }
    const found = problem.found ?? describe(value);
    if ("type" in problem) throw new TypeError(`Cannot ${doing}: ${name} ${problem.type}, not ${found}`);
    throw new RangeError(`Cannot ${doing}: ${name} ${problem.range}, not ${found}`);
  }
}

/**
 * Says that there is no such option, and which one may have been meant.
 *
 * @param name The unknown name
 * @param known The names of the known options
 * @returns The second half of a message
 */
export function noOption(name: string, known: readonly string[]): string {
  const alias = aliases.get(name);
  const meant = alias !== undefined && known.includes(alias) ? alias : closest(name, known);
  return `there is no option ${quote(name)}${meant === undefined ? "" : `; did you mean ${quote(meant)}?`}`;
}

/**
 * Checks that options are an object.
 *
 * @param doing What the options are for, as in "connect"
 * @param options What the user passed
 * @throws {TypeError} If they are not
 */
export function checkIsObject(doing: string, options: unknown): asserts options is object {
  if (anObject(options) !== null) {
    throw new TypeError(`Cannot ${doing}: the options must be an object, not ${describe(options)}`);
  }
}

/** A boolean. */
export const aBoolean: Check = (value) => typeof value === "boolean" ? null : "must be a boolean";

/** A function. */
export const aFunction: Check = (value) => typeof value === "function" ? null : "must be a function";

/** An object. Of what is none only the kind is shown: it may be a key that was meant to be in it. */
export const anObject: Check = (value) =>
  typeof value === "object" && value !== null ? null : { type: "must be an object", found: describeType(value) };

/** A string with something in it. */
export const aString: Check = (value) =>
  typeof value === "string" && value !== "" ? null : "must be a non-empty string";

/** An `AbortSignal`. */
export const aSignal: Check = (value) => value instanceof AbortSignal ? null : "must be an AbortSignal";

/** A port. */
export const aPort: Check = (value) => {
  if (typeof value !== "number") return "must be a number";
  return Number.isInteger(value) && value >= 0 && value <= 65535 ? null : { range: "must be from 0 to 65535" };
};

/** A port to connect to. */
export const aPeerPort: Check = (value) => value === 0 ? { range: "must be from 1 to 65535" } : aPort(value);

/** A whole number above 0. */
export const aCount: Check = (value) => {
  if (typeof value !== "number") return "must be a number";
  return (Number.isInteger(value) || value === Infinity) && value > 0
    ? null
    : { range: "must be a whole number above 0" };
};

/** A number of bytes above 0. */
export const aLimit: Check = (value) => {
  if (typeof value !== "number") return "must be a number";
  return (Number.isInteger(value) || value === Infinity) && value > 0
    ? null
    : { range: "must be a whole number above 0 bytes" };
};

/** How many connections the system may keep waiting. */
export const aBacklog: Check = (value) => {
  if (typeof value !== "number") return "must be a number";
  return Number.isInteger(value) && value > 0 && value < 2 ** 31
    ? null
    : { range: "must be a whole number from 1 to 2147483647" };
};

/** A number of milliseconds, maybe 0. */
export const aDelay: Check = (value) => {
  if (typeof value !== "number") return "must be a number";
  return value >= 0 ? null : { range: "must be at least 0 ms" };
};

/** A number of milliseconds above 0; `Infinity` for no limit. */
export const aTimeout: Check = (value) => {
  if (typeof value !== "number") return "must be a number";
  return value > 0 ? null : { range: "must be more than 0 ms" };
};

/** A local address, with an optional host and port. */
export const anAddress: Check = (value) => {
  if (typeof value !== "object" || value === null) return "must be an object";
  const { hostname, port, ...rest } = value as { hostname?: unknown; port?: unknown };
  for (const unknown in rest) return { type: "must have a hostname and a port only", found: quote(unknown) };
  if (hostname !== undefined && (typeof hostname !== "string" || ipVersion(hostname) === null)) {
    return { type: "must have an IP address as hostname", found: describe(hostname) };
  }
  return port === undefined || aPort(port) === null
    ? null
    : { range: "must have a port from 0 to 65535", found: describe(port) };
};

/** A path of a Unix socket, or a name in the abstract namespace after a NUL, of a length that fits into an address. */
export const aUnixPath: Check = (value) => {
  if (typeof value !== "string" || value === "") return "must be a non-empty string";
  const isAbstract = value.startsWith("\0");
  if (value === "\0") return "must have a name after the NUL";
  if (!isAbstract && value.includes("\0")) return "must not contain NUL after its start";
  if (!isAbstract && value.endsWith("/")) return 'must not end in "/"';
  const bytes = new TextEncoder().encode(value).length;
  // A path has a NUL at its end.
  const most = (Deno.build.os === "linux" ? 107 : 103) + (isAbstract ? 1 : 0);
  return bytes <= most ? null : { range: `must be at most ${most} bytes long` };
};

/** Names that other libraries have for these options. */
const aliases: ReadonlyMap<string, string> = new Map([
  ["address", "hostname"],
  ["alpn", "alpnProtocols"],
  ["ca", "caCerts"],
  ["host", "hostname"],
  ["requestCert", "clientAuth"],
  ["server_hostname", "serverName"],
  ["sni", "serverName"],
  ["SNICallback", "serverNames"],
  ["ssl", "tls"],
  ["ssl_handshake_timeout", "handshakeTimeout"],
  ["ssl_shutdown_timeout", "shutdownTimeout"],
]);

/** The known name that is nearest, if it is so near that it may be what was meant. */
function closest(name: string, known: readonly string[]): string | undefined {
  // More than two slips are another word; in a short word, two are.
  const most = name.length < 5 ? 1 : 2;
  if (name.length > 64) return undefined;
  const distances = known.map((one) => editDistance(name.toLowerCase(), one.toLowerCase()));
  const least = Math.min(...distances);
  return least <= most ? known[distances.indexOf(least)] : undefined;
}

/** How many letters must be inserted, removed or replaced, or neighbours exchanged, to make one word of the other. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, before[j - 2]! + 1);
      row.push(least);
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}
