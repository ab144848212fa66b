/**
 * How messages show values.
 *
 * A message may show what a caller passed, but never a secret, never more than 100 characters of it, and building it must
 * never fail. So of objects only the kind is named: their contents may be a key or a peer's bytes, and reading them runs
 * user code.
 *
 * @module
 */

/** The most characters of one value that a message shows. */
const MOST_SHOWN = 100;

/**
 * Describes a value for a message: strings in quotes, numbers bare, objects by their kind. Never throws.
 *
 * Not for values that may be secret, such as data to be sent: see {@linkcode describeType}.
 *
 * @param value Any value
 * @returns The description, such as `"localhost"`, `80`, `null` or `a Uint8Array`
 */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return isPem(value) ? "a PEM text" : quote(value);
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return clip(`${value}n`);
    case "boolean":
    case "undefined":
      return String(value);
    default:
      return describeType(value);
  }
}

/**
 * Describes only the kind of a value, for values that may be secret. Never throws.
 *
 * @param value Any value
 * @returns The description, such as `a string`, `null` or `a Uint8Array`
 */
export function describeType(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  try {
    if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array";
    // Not the object's own "constructor": that is content.
    const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
    return typeof name === "string" && isClassName.test(name) ? `${/^[AEIO]/.test(name) ? "an" : "a"} ${name}` : OBJECT;
  } catch {
    return OBJECT;
  }
}

/**
 * Puts a string into quotes, with control characters escaped and what is long cut off.
 *
 * @param text The string
 * @returns The string in quotes
 */
export function quote(text: string): string {
  const whole = text.length <= MOST_SHOWN ? JSON.stringify(text) : null;
  if (whole !== null && whole.length - 2 <= MOST_SHOWN) return whole;
  let shown = text.slice(0, MOST_SHOWN - 1);
  // Escapes take more room than what they stand for.
  while (JSON.stringify(shown).length - 2 > MOST_SHOWN - 1) shown = shown.slice(0, -1);
  return `${JSON.stringify(shown).slice(0, -1)}…"`;
}

/**
 * Cuts off what is long.
 *
 * @param text The text
 * @param most How many characters to keep at most
 * @returns The text, ending in "…" if it was cut
 */
export function clip(text: string, most = MOST_SHOWN): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function isPem(text: string): boolean {
  return text.slice(0, 4096).includes("-----BEGIN ");
}

const OBJECT = "an object";

/** Names of classes; `Object` has nothing to tell. */
const isClassName = /^(?!Object$)[A-Za-z_$][\w$]{0,49}$/;
