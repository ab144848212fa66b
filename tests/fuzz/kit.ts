/**
 * What the fuzz tests share: seeds, numbers of cases, a corpus, and ways to spoil bytes.
 *
 * Every test here is the same in each run. `FUZZ_SEED=7 deno test -A tests/fuzz` tries other cases, `FUZZ_ROUNDS=100` a
 * hundred times as many. What once was found lies in `corpus/`, a file each, and is tried first.
 */
import { setExceptionHandler } from "../../mod.ts";
import { SeededRandom } from "../../src/testing/mod.ts";

export { SeededRandom };

/** The seed of this run. */
export const seed = Number(Deno.env.get("FUZZ_SEED") ?? 1);
const rounds = Number(Deno.env.get("FUZZ_ROUNDS") ?? 1);

/** The numbers of the cases of a test, each with random numbers of its own. */
export function* cases(count: number): Generator<{ name: string; random: SeededRandom }> {
  for (let i = 0; i < count * rounds; i++) {
    yield { name: `case ${i} of FUZZ_SEED=${seed}`, random: new SeededRandom(seed * 1_000_003 + i) };
  }
}

/** The files of the corpus whose names begin so, as bytes. */
export function corpus(prefix: string): [name: string, bytes: Uint8Array<ArrayBuffer>][] {
  const folder = new URL("corpus/", import.meta.url);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.startsWith(prefix)).sort();
  if (names.length === 0) throw new Error(`Cannot fuzz: no file of the corpus begins with "${prefix}"`);
  return names.map((name) => [name, Deno.readFileSync(new URL(name, folder))]);
}

/** One of a list. */
export function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[random.integer(0, list.length - 1)]!;
}

/** Random bytes. */
export function randomBytes(random: SeededRandom, size: number): Uint8Array<ArrayBuffer> {
  return random.fill(new Uint8Array(size));
}

/** The same bytes but for a few changes, such as networks, attackers and bugs make. */
export function mutate(
  random: SeededRandom,
  bytes: Uint8Array,
  changes = random.integer(1, 4),
): Uint8Array<ArrayBuffer> {
  let all = [...bytes];
  for (let i = 0; i < changes; i++) {
    const at = random.integer(0, all.length);
    const length = Math.min(random.size(64), all.length - at);
    switch (random.integer(0, 7)) {
      case 0: // a bit flips
        if (at < all.length) all[at]! ^= 1 << random.integer(0, 7);
        break;
      case 1: // a byte becomes an odd one
        if (at < all.length) all[at] = pick(random, [0, 1, 10, 13, 127, 128, 254, 255]);
        break;
      case 2: // bytes are lost
        all.splice(at, length);
        break;
      case 3: // bytes come twice
        all.splice(at, 0, ...all.slice(at, at + length));
        break;
      case 4: // random bytes come in between
        all.splice(at, 0, ...randomBytes(random, random.size(16)));
        break;
      case 5: // the end is lost
        all = all.slice(0, at);
        break;
      case 6: // two parts change places
        all = [...all.slice(at), ...all.slice(0, at)];
        break;
      case 7: // a length lies
        if (at + 1 < all.length) all.splice(at, 2, ...pick(random, [[0, 0], [255, 255], [64, 1], [0, 1]]));
        break;
    }
  }
  return Uint8Array.from(all);
}

/** The same bytes in pieces. */
export function cut(random: SeededRandom, bytes: Uint8Array, most = 200): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let rest = bytes; rest.length > 0;) {
    const n = Math.min(rest.length, random.size(most));
    pieces.push(rest.subarray(0, n));
    rest = rest.subarray(n);
  }
  return pieces;
}

/** Bytes as a text that shows them all. */
export function show(bytes: Uint8Array): string {
  return Array.from(
    bytes,
    (byte) => byte > 32 && byte < 127 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`,
  )
    .join("");
}

/** Tells whether an error has a class that users can tell it by (SPEC section 7). */
export function isTyped(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isTyped);
  if (error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.BadResource) return false;
  const classes = [TypeError, RangeError, DOMException, ...Object.values(Deno.errors)];
  return classes.some((one) => error instanceof one);
}

/** Collects reported errors until it is disposed of; then all of them must have a class. */
export function watchErrors(): Disposable & { readonly errors: Error[]; onError: (error: Error) => void } {
  const errors: Error[] = [];
  const onError = (error: Error) => void errors.push(error);
  setExceptionHandler(({ error }) => onError(error));
  return {
    errors,
    onError,
    [Symbol.dispose]() {
      setExceptionHandler(null);
      const untyped = errors.filter((error) => !isTyped(error));
      if (untyped.length > 0) throw new Error("Errors without a class were reported", { cause: untyped[0] });
    },
  };
}

/** Runs a case; what it throws tells which case it was. */
export async function run(name: string, body: () => void | Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    throw new Error(`${name}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
