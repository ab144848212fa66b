/**
 * The certificate of a server by the name that a client asks for (SNI, RFC 6066).
 *
 * What a function of the user answers is remembered for the names asked for last: a client may ask for any name, so their
 * number is bounded, and what is asked for often stays. That a name is unknown is not remembered. Clients that ask for the
 * same name at the same time share one call.
 *
 * @module
 */
import { asError } from "../common/errors.ts";
import { clip, quote } from "../common/describe.ts";
import { tlsName } from "./names.ts";
import { checkIdentity, type TlsIdentity, type TlsServerOptions } from "./options.ts";

type Found = TlsIdentity | undefined;
type Choose = (name: string) => Found | Promise<Found>;

/** How many names a server remembers the answers for. */
const MOST_NAMES = 1000;

/** Chooses certificates by name. */
export class ServerNames {
  readonly #choose: Choose;
  /** In the order in which they were asked for last. */
  readonly #answers = new Map<string, Promise<Found>>();
  readonly #known: ReadonlyMap<string, TlsIdentity> | null;

  private constructor(serverNames: NonNullable<TlsServerOptions["serverNames"]>) {
    this.#known = typeof serverNames === "function" ? null : knownNames(serverNames);
    this.#choose = typeof serverNames === "function" ? serverNames : () => undefined;
  }

  /**
   * The names of some options, remembered as long as these options live.
   *
   * @param options The options of a server
   * @returns The names; undefined if it has one certificate only
   */
  static of(options: TlsServerOptions): ServerNames | undefined {
    if (options.serverNames === undefined) return undefined;
    let names = ServerNames.#made.get(options);
    if (names === undefined) ServerNames.#made.set(options, names = new ServerNames(options.serverNames));
    return names;
  }

  static readonly #made = new WeakMap<TlsServerOptions, ServerNames>();

  /**
   * Looks a name up.
   *
   * @param name The name that the client asks for; empty if it asks for none
   * @returns The identity, undefined for the server's own; a promise if a function of the user is asked. It rejects with an
   * error that may be shown if that throws, or answers with something else
   */
  find(name: string): Found | Promise<Found> {
    const asked = name.toLowerCase();
    if (asked === "") return undefined;
    if (this.#known !== null) return this.#known.get(asked) ?? this.#known.get(asked.replace(/^[^.]*/, "*"));
    const before = this.#answers.get(asked);
    const answer = before ?? this.#ask(asked);
    // Last in the order.
    this.#answers.delete(asked);
    this.#answers.set(asked, answer);
    if (this.#answers.size > MOST_NAMES) this.#answers.delete(this.#answers.keys().next().value!);
    return answer;
  }

  #ask(name: string): Promise<Found> {
    const answer = askUser(this.#choose, name);
    const forget = () => {
      if (this.#answers.get(name) === answer) this.#answers.delete(name);
    };
    answer.then((found) => found === undefined && forget(), forget);
    return answer;
  }
}

function knownNames(identities: Record<string, TlsIdentity>): ReadonlyMap<string, TlsIdentity> {
  return new Map(Object.entries(identities).map(([name, identity]) => [serverNamePattern(name), identity]));
}

/**
 * Makes of a key of `serverNames` what clients ask for.
 *
 * @param name A host name, or `*.` and a host name
 * @returns The same as clients write it
 * @throws {TypeError} If it is none
 */
export function serverNamePattern(name: string): string {
  return name.startsWith("*.") ? `*.${tlsName(name.slice(2))}` : tlsName(name);
}

async function askUser(choose: Choose, name: string): Promise<Found> {
  let found: Found;
  try {
    found = await choose(name);
  } catch (thrown) {
    const error = asError(thrown, "serverNames()");
    throw new Error(`serverNames() failed for ${quote(name)}: ${clip(error.message)}`, { cause: error });
  }
  if (found !== undefined) checkIdentity(found, ` that serverNames() gave for ${quote(name)}`);
  return found;
}
