/**
 * Listening on a Unix socket without touching anybody else's file.
 *
 * `Deno.listen` refuses a path where a dead server left its file, and its `close()` removes whatever lies at the path by
 * then, also the socket of a server that came later. So the socket is bound under a name of its own in the same directory
 * and then linked to the path, which fails if something is there, at once and for everybody. What lies at the path is
 * removed only if it is a socket that refuses connections, and on close only if it is still ours (SPEC V8).
 *
 * @module
 */
import { explained } from "../common/errors.ts";

/**
 * Listens on a Unix socket.
 *
 * @param path Where
 * @returns The listener, whose `addr` is the path and whose `close()` removes the file if it is still its own
 * @throws {Deno.errors.AddrInUse} If a live server, or another kind of file, is there
 */
export async function listenUnix(path: string): Promise<Deno.UnixListener> {
  try {
    const [listener, own] = bindNear(path);
    try {
      const { ino } = await Deno.lstat(own);
      while (!await linked(own, path)) await removeStale(path);
      await Deno.remove(own);
      return atPath(listener, path, ino);
    } catch (error) {
      listener.close();
      throw error;
    }
  } catch (error) {
    throw explained(error, `listen on "${path}"`);
  }
}

/** Binds a socket in the same directory, under a name no longer than the one to be, as the length of paths is limited. */
function bindNear(path: string): [listener: Deno.UnixListener, own: string] {
  const base = path.lastIndexOf("/") + 1;
  const length = Math.min(path.length - base, LONGEST_OWN_NAME);
  for (let attempt = 1;; attempt++) {
    const own = path.slice(0, base) + crypto.randomUUID().slice(0, length);
    try {
      if (own !== path) return [Deno.listen({ transport: "unix", path: own }), own];
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse) || attempt === MOST_ATTEMPTS) throw error;
    }
  }
}

/** Tells whether the path was free; now it is a name of the file. */
async function linked(file: string, path: string): Promise<boolean> {
  try {
    await Deno.link(file, path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

/** Removes a socket that refuses connections. Ours is bound already, so that no other file can have its inode meanwhile. */
async function removeStale(path: string): Promise<void> {
  try {
    const { ino, isSocket } = await Deno.lstat(path);
    // Where the platform does not tell, connecting does.
    if (isSocket === false) throw inUse(path, "there is a file that is no socket");
    if (await refuses(path)) removeIfStill(path, ino);
    else throw inUse(path, "a live server is there");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function refuses(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw error;
    // Any other error does not say that nobody is there: it may be busy, or not for us.
    return error instanceof Deno.errors.ConnectionRefused;
  }
}

function removeIfStill(path: string, ino: number | null): void {
  if (Deno.lstatSync(path).ino === ino) Deno.removeSync(path);
}

function atPath(listener: Deno.UnixListener, path: string, ino: number | null): Deno.UnixListener {
  return {
    addr: { transport: "unix", path },
    accept: () => listener.accept(),
    close() {
      listener.close();
      try {
        removeIfStill(path, ino);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
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
  return new Deno.errors.AddrInUse(`Cannot listen on "${path}": ${why}`);
}

const LONGEST_OWN_NAME = 8;
// Of names of one letter there are few.
const MOST_ATTEMPTS = 100;
