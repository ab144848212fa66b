/**
 * A conn with hooks in front of its calls.
 *
 * @module
 */
import type { ConnLike } from "../../conn/conn.ts";

/** What {@linkcode hookedConn} calls before the conn itself. What a hook throws, the call rejects with instead. */
export interface ConnHooks {
  /** Before `read(p)`; the read waits until it settles. */
  beforeRead?(p: Uint8Array): void | Promise<void>;
  /** Before `write(p)`; the write waits until it settles. */
  beforeWrite?(p: Uint8Array): void | Promise<void>;
  /** Before `closeWrite()`, which waits until it settles. */
  beforeCloseWrite?(): void | Promise<void>;
  /** Before `close()`. */
  beforeClose?(): void;
}

/**
 * Wraps a conn so that hooks are called before its calls: to count or watch them, hold them back, or fail them. As the
 * hooks of python-trio's `memory_stream_pair`.
 *
 * A call whose hook returns no promise reaches the conn before it returns, as without a hook.
 *
 * @param conn The conn, the wrapper's from now on
 * @param hooks What to call
 * @returns The conn with the hooks
 *
 * @example Counting the reads of a transport
 * ```ts
 * import { connPair, createConnection, Protocol } from "@tideline/net";
 * import { hookedConn } from "@tideline/net/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = connPair();
 * let reads = 0;
 * const conn = hookedConn(a, { beforeRead: () => void reads++ });
 * const { transport } = await createConnection(() => new Protocol(), { conn });
 * assertEquals(reads, 1);
 * transport.abort();
 * b.close();
 * ```
 */
export function hookedConn(conn: ConnLike, hooks: ConnHooks): ConnLike {
  const { closeWrite } = conn;
  return {
    read: (p) => after(() => hooks.beforeRead?.(p), () => conn.read(p)),
    write: (p) => after(() => hooks.beforeWrite?.(p), () => conn.write(p)),
    close() {
      hooks.beforeClose?.();
      conn.close();
    },
    ...(closeWrite !== undefined && {
      closeWrite: () => after(() => hooks.beforeCloseWrite?.(), () => closeWrite.call(conn)),
    }),
    ...(conn.localAddr !== undefined && { localAddr: conn.localAddr }),
    ...(conn.remoteAddr !== undefined && { remoteAddr: conn.remoteAddr }),
  };
}

function after<T>(hook: () => void | Promise<void>, call: () => Promise<T>): Promise<T> {
  try {
    const wait = hook();
    return wait === undefined ? call() : wait.then(call);
  } catch (error) {
    return Promise.reject(error);
  }
}
