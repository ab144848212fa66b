/**
 * Listening on a Unix socket without touching anybody else's file.
 *
 * `Deno.listen` refuses a path where a dead server left its file, and its `close()` removes whatever lies at the path by
 * then, also the socket of a server that came later. So the socket is bound under a name of its own in the same directory
 * and then linked to the path, which fails if something is there, at once and for everybody. What lies at the path is
 * removed beforehand only if it is a socket that refuses connections, and afterwards only if it is still ours (SPEC V8).
 *
 * @module
 */

/**
 * Listens on a Unix socket.
 *
 * @param path Where
 * @returns The listener, whose `addr` is the path and whose `close()` removes the file if it is still its own
 * @throws {Deno.errors.AddrInUse} If a live server, or another kind of file, is there
 */
export async function listenUnix(path: string): Promise<Deno.UnixListener> {
  await removeStale(path);
  const own = ownName(path);
  const listener = Deno.listen({ transport: "unix", path: own });
  try {
    const { ino } = await Deno.lstat(own);
    await Deno.link(own, path);
    await Deno.remove(own);
    return atPath(listener, path, ino);
  } catch (error) {
    listener.close();
    if (error instanceof Deno.errors.AlreadyExists) throw inUse(path, "another server was faster");
    throw error;
  }
}

async function removeStale(path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (info.isSocket === false) throw inUse(path, "there is a file that is no socket");
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return await Deno.remove(path);
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw inUse(path, "a live server is there");
}

/** A name in the same directory, no longer than needed, as the length of such paths is limited. */
function ownName(path: string): string {
  const directory = path.slice(0, path.lastIndexOf("/") + 1);
  return `${directory}.${crypto.randomUUID().slice(0, 8)}`;
}

function atPath(listener: Deno.UnixListener, path: string, ino: number | null): Deno.UnixListener {
  return {
    addr: { transport: "unix", path },
    accept: () => listener.accept(),
    close() {
      listener.close();
      try {
        if (Deno.lstatSync(path).ino === ino) Deno.removeSync(path);
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
