/**
 * Checks of what users pass as options: bad input is refused before anything is changed.
 *
 * @module
 */

/** A check of one option: returns what is wrong with a value, as in "must be a boolean", or `null`. */
export type Check = (value: unknown) => string | RangeProblem | null;

/** A value of the right type that is out of range. */
export interface RangeProblem {
  /** What the value must be. */
  readonly range: string;
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
    if (!Object.hasOwn(checks, name)) throw new TypeError(`Cannot ${doing}: there is no option "${name}"`);
    if (value === undefined) continue;
    const problem = checks[name]!(value);
    if (problem === null) continue;
    if (typeof problem === "string") throw new TypeError(`Cannot ${doing}: ${name} ${problem}, not "${show(value)}"`);
    throw new RangeError(`Cannot ${doing}: ${name} ${problem.range}, not "${show(value)}"`);
  }
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
    throw new TypeError(`Cannot ${doing}: the options must be an object, not "${show(options)}"`);
  }
}

/** A boolean. */
export const aBoolean: Check = (value) => typeof value === "boolean" ? null : "must be a boolean";

/** A function. */
export const aFunction: Check = (value) => typeof value === "function" ? null : "must be a function";

/** An object. */
export const anObject: Check = (value) => typeof value === "object" && value !== null ? null : "must be an object";

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

/** A local address, with an optional host and port. */
export const anAddress: Check = (value) => {
  if (typeof value !== "object" || value === null) return "must be an object";
  const { hostname, port, ...rest } = value as { hostname?: unknown; port?: unknown };
  for (const unknown in rest) return `must have no "${unknown}"`;
  if (hostname !== undefined && !isIpAddress(hostname)) return "must have an IP address as hostname";
  return port === undefined ? null : aPort(port) === null ? null : { range: "must have a port from 0 to 65535" };
};

/** A path that fits into the address of a Unix socket. */
export const aUnixPath: Check = (value) => {
  if (typeof value !== "string" || value === "") return "must be a non-empty string";
  if (value.includes("\0")) return "must not contain NUL";
  const bytes = new TextEncoder().encode(value).length;
  const most = Deno.build.os === "linux" ? 107 : 103;
  return bytes <= most ? null : { range: `must be at most ${most} bytes long` };
};

function show(value: unknown): string {
  return typeof value === "object" && value !== null ? Deno.inspect(value, { depth: 1 }) : String(value);
}

function isIpAddress(value: unknown): boolean {
  return typeof value === "string" && /^(\d+\.\d+\.\d+\.\d+|[\da-f.]*:[\da-f:.]*(%.+)?)$/i.test(value);
}
