/**
 * A connection that calls hooks before its own methods.
 *
 * @module
 */
import type { ConnLike } from "../../conn/conn.ts";

/** The hooks of {@linkcode hookedConn}. If a hook throws, the call fails with that and does not reach the connection. */
export interface ConnHooks {
  /** Called before `read(p)`, which waits for its promise. */
  beforeRead?(p: Uint8Array): void | Promise<void>;
  /** Called before `write(p)`, which waits for its promise. */
  beforeWrite?(p: Uint8Array): void | Promise<void>;
  /** Called before `closeWrite()`, which waits for its promise. */
  beforeCloseWrite?(): void | Promise<void>;
  /** Called before `close()`. */
  beforeClose?(): void;
}

/**
 * Wraps a connection so that hooks are called before its methods, to count, watch, delay or fail calls. As the hooks of
 * python-trio's `memory_stream_pair`.
 *
 * If the hook returns no promise, the call reaches the connection before it returns, as without a hook.
 *
 * @param conn The connection, to be used by the wrapper only from now on
 * @param hooks The functions to call
 * @returns The connection with the hooks
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
