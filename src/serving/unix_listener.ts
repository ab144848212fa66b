/**
 * Listening on a Unix socket without harm to any other file or server (SPEC V8).
 *
 * Theory of operation. `Deno.listen` refuses a path where a dead server left its file, and its `close()` removes whatever
 * is at the path by then, even the socket of a later server. So the socket is bound to a temporary name in the same
 * directory and then hard-linked to the path. The link fails if the path exists, atomically for all processes. Only a
 * stale socket is removed to make room. On close the file is removed only if it still has the device and inode of the
 * socket that was bound.
 *
 * A socket is stale if no process can ever accept on it. Refusing a connection does not prove that: a socket that is bound
 * but not yet listening refuses as well. So a socket counts as stale only if it refuses for the whole of a short time,
 * which covers a server that is just starting, and if the system's table of Unix sockets does not list it as bound. Only
 * Linux has that table, it has the sockets of one network namespace, and Deno requires `--allow-all` to read it.
 *
 * All file operations use the absolute path, so that a later `Deno.chdir()` changes nothing.
 *
 * @module
 */
import { quote } from "../common/describe.ts";
import { explained } from "../common/errors.ts";
import { CancellableTimer } from "../common/timer.ts";
import { checkAbstractName } from "./unix_path.ts";

/**
 * Listens on a Unix socket.
 *
 * @param path The path, or a name in the abstract namespace with a leading NUL
 * @returns The listener. Its `addr` has the absolute path; its `close()` removes the file if it is still its own
 * @throws {Deno.errors.AddrInUse} If the path has a live server or another kind of file
 * @throws {Deno.errors.NotSupported} If the name is abstract and the platform has no abstract namespace
 */
export async function listenUnix(path: string): Promise<Deno.UnixListener> {
  try {
    if (checkAbstractName(path)) return Deno.listen({ transport: "unix", path });
    const place = placeOf(path);
    const [listener, own] = bindNear(place);
    const file = place.directory + own;
    const id = identityOf(Deno.lstatSync(file));
    try {
      while (!await linked(file, place.path)) await removeStale(place);
      removeIfStill(file, id);
      return atPath(listener, place.path, id);
    } catch (error) {
      listener.close();
      removeIfStill(file, id);
      throw error;
    }
  } catch (error) {
    throw explained(error, `listen on ${quote(path)}`);
  }
}

/** Where a socket is bound. */
interface Place {
  /** The absolute path. */
  path: string;
  /** The absolute path of the directory, with a slash at its end. */
  directory: string;
  /** The name in the directory. */
  name: string;
  /** The directory as the system calls get it: as given, if the absolute path does not fit into an address. */
  prefix: string;
}

function placeOf(given: string): Place {
  const base = given.lastIndexOf("/") + 1;
  const [prefix, name] = [given.slice(0, base), given.slice(base)];
  if (isAbsolute(given)) return { path: given, directory: prefix, name, prefix };
  const directory = Deno.realPathSync(prefix || ".").replace(/\/?$/, "/");
  const path = directory + name;
  const fits = new TextEncoder().encode(path).length <= LONGEST_PATH;
  return { path, directory, name, prefix: fits ? directory : prefix };
}

function isAbsolute(path: string): boolean {
  return path.startsWith("/") || (Deno.build.os === "windows" && /^([a-z]:)?[\\/]/i.test(path));
}

/** Binds a socket in the same directory, under a name no longer than the given one, because the length of paths is limited. */
function bindNear({ prefix, name }: Place): [listener: Deno.UnixListener, own: string] {
  const length = Math.min(name.length, LONGEST_OWN_NAME);
  for (let attempt = 1;; attempt++) {
    const own = crypto.randomUUID().slice(0, length);
    try {
      if (own !== name) return [Deno.listen({ transport: "unix", path: prefix + own }), own];
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse) || attempt >= MOST_ATTEMPTS) throw error;
    }
  }
}

/** Links the file to the path; returns whether the path was free. */
async function linked(file: string, path: string): Promise<boolean> {
  try {
    await Deno.link(file, path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

/** Removes a stale socket. The new one is bound already, so no other file can get the inode meanwhile. */
async function removeStale(place: Place): Promise<void> {
  try {
    const info = await Deno.lstat(place.path);
    // Where the platform does not tell the kind, connecting does.
    if (info.isSocket === false) throw inUse(place.path, "there is a file that is no socket");
    const user = await userOf(place);
    if (user !== null) throw inUse(place.path, user);
    removeIfStill(place.path, identityOf(info));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** What uses the socket at the path; `null` if it is stale. */
async function userOf({ path, prefix, name }: Place): Promise<string | null> {
  for (let probe = 1; probe <= PROBES; probe++) {
    if (probe > 1) await new CancellableTimer(PROBE_INTERVAL).over;
    if (!await refuses(prefix + name)) return "a live server is there";
    if (silentSockets().some((bound) => isPath(bound, path))) return "a socket is bound there that does not listen yet";
  }
  return null;
}

async function refuses(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw error;
    // Any other error does not show that no process is there: the server may be busy, or closed to this user.
    return error instanceof Deno.errors.ConnectionRefused;
  }
}

/** The paths of sockets that are bound but neither listen nor are connected, as far as the system tells. */
function silentSockets(): string[] {
  if (Deno.build.os !== "linux" || !mayReadAll()) return [];
  try {
    const entries = Deno.readTextFileSync("/proc/net/unix").matchAll(TABLE_ENTRY);
    return [...entries].filter(([, flags]) => !(parseInt(flags!, 16) & LISTENS)).map(([, , path]) => path!);
  } catch {
    return [];
  }
}

// Deno shows /proc only to a program that may do everything, and would ask the user in any other.
function mayReadAll(): boolean {
  const names = ["read", "write", "net", "env", "run", "sys", "ffi"] as const;
  return names.every((name) => Deno.permissions.querySync({ name }).state === "granted");
}

/** Whether a path in the table means the same as an absolute one. A relative one may, so it counts as if it did. */
function isPath(bound: string, path: string): boolean {
  const nameOf = (one: string) => one.slice(one.lastIndexOf("/") + 1);
  if (bound === path) return true;
  if (nameOf(bound) !== nameOf(path)) return false;
  return !bound.startsWith("/") || realDirectory(bound) === realDirectory(path);
}

function realDirectory(path: string): string | null {
  try {
    return Deno.realPathSync(path.slice(0, path.lastIndexOf("/") + 1));
  } catch {
    return null;
  }
}

/** What tells one file from all others. */
type Identity = Pick<Deno.FileInfo, "dev" | "ino">;

function identityOf({ dev, ino }: Deno.FileInfo): Identity {
  return { dev, ino };
}

function removeIfStill(path: string, id: Identity): void {
  try {
    const { dev, ino } = Deno.lstatSync(path);
    if (dev === id.dev && ino === id.ino) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function atPath(listener: Deno.UnixListener, path: string, id: Identity): Deno.UnixListener {
  return {
    addr: { transport: "unix", path },
    accept: () => listener.accept(),
    close() {
      listener.close();
      removeIfStill(path, id);
    },
    ref: () => listener.ref(),
    unref: () => listener.unref(),
    [Symbol.asyncIterator]: () => listener[Symbol.asyncIterator](),
    [Symbol.dispose]() {
      this.close();
    },
  };
}

function inUse(path: string, why: string): Error {
  return new Deno.errors.AddrInUse(`Cannot listen on ${quote(path)}: ${why}`);
}

const LONGEST_OWN_NAME = 8;
/** In bytes: what the address of a Unix socket holds on every platform. */
const LONGEST_PATH = 103;
// There are few names of one letter.
const MOST_ATTEMPTS = 100;
// A server takes microseconds from bind to listen; on a loaded machine maybe some milliseconds.
const PROBES = 6;
const PROBE_INTERVAL = 20;
/** Num, RefCount, Protocol, Flags, Type, St (1: not connected), Inode, Path. */
const TABLE_ENTRY = /^\S+ +\S+ +\S+ +(\S+) +\S+ +01 +\S+ (.+)$/gm;
/** The flag of a socket that listens, `__SO_ACCEPTCON`. */
const LISTENS = 0x10000;
