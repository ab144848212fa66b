/**
 * A {@linkcode ConnLike} over a `node:stream` Duplex, such as a socket of `node:net` or `node:tls`.
 *
 * The stream stays in paused mode: a read takes what it has buffered, or else waits for an event: more bytes, the end or an
 * error. The state is read from the stream itself each time, and not remembered from events, so nothing is missed that
 * happened between two reads.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { plainView } from "../common/bytes.ts";
import type { ConnLike } from "./conn.ts";
import { toNetError } from "../common/errors.ts";
import { brokenError, busyError, closedError, detachedError, interruptedError, resetError } from "./conn_errors.ts";

/**
 * Makes a conn of any `node:stream` Duplex, which is the conn's alone from then on.
 *
 * A write is done when the stream calls back, so back pressure goes through; it takes at most 65536 bytes, of which the
 * stream gets a copy, because a stream may keep what it is given. The stream itself reads ahead up to its
 * `readableHighWaterMark`. Its `allowHalfOpen` is set, so that the end of one direction leaves the other usable.
 * `closeWrite()` is `end()`, `close()` is `end()` and `destroy()`.
 *
 * A socket of Deno's `node:tls` loses the end of the stream if that comes while it holds more than its
 * `readableHighWaterMark`, that is, if it is read late: a read then waits for ever. This package's own TLS has no such
 * limit and needs no such socket.
 *
 * @param duplex The stream; a socket must be connected
 * @returns The conn, with `localAddr` and `remoteAddr` if the stream is a TCP or TLS socket
 * @throws {TypeError} If the stream carries objects or text instead of bytes
 *
 * @example Streams over a socket of node:net
 * ```ts
 * import { connect } from "node:net";
 * import { once } from "node:events";
 * import { connFromNode, openConnection, startServer } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await startServer(async (reader, writer) => writer.write(await reader.readline()), {
 *   hostname: "127.0.0.1",
 *   port: 0,
 * });
 * const socket = connect(server.port, "127.0.0.1");
 * await once(socket, "connect");
 * await using connection = await openConnection({ conn: connFromNode(socket) });
 * connection.writer.write("hello\n");
 * assertEquals(new TextDecoder().decode(await connection.reader.readline()), "hello\n");
 * ```
 */
export function connFromNode(duplex: Duplex): ConnLike {
  if (duplex.readableObjectMode || duplex.writableObjectMode || duplex.readableEncoding !== null) {
    throw new TypeError("Cannot make a conn of a node stream: it carries objects or text, not bytes");
  }
  return new NodeConn(duplex);
}

/** The most that one write hands to the stream. */
const MAX_WRITE = 65536;

class NodeConn implements ConnLike {
  readonly localAddr?: Deno.Addr;
  readonly remoteAddr?: Deno.Addr;
  readonly #duplex: Duplex;
  #state: "open" | "ended" | "closed" = "open";
  #wakeReader: (() => void) | undefined;
  #rejectWrite: ((error: Error) => void) | undefined;
  #ending: Promise<void> | undefined;

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
    const { localAddress, localPort, remoteAddress, remotePort } = duplex as Partial<SocketAddresses>;
    if (localAddress) this.localAddr = tcpAddr(localAddress, localPort);
    if (remoteAddress) this.remoteAddr = tcpAddr(remoteAddress, remotePort);
    duplex.allowHalfOpen = true;
    for (const event of ["readable", "end", "error", "close"]) duplex.on(event, () => this.#wakeReader?.());
    // A stream that is destroyed forgets the write that was under way.
    duplex.on("close", () => {
      this.#rejectWrite?.(this.#errorOf(null, "write"));
      this.#rejectWrite = undefined;
    });
  }

  async read(p: Uint8Array): Promise<number | null> {
    if (this.#state === "closed") throw closedError("read");
    if (this.#wakeReader !== undefined) throw busyError("read");
    const memory = plainView(p);
    if (memory.length === 0) return 0;
    for (;;) {
      const outcome = this.#tryRead(memory);
      if (outcome !== "wait") return outcome;
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
      this.#wakeReader = undefined;
      if (this.#isClosed()) throw interruptedError("read");
      if (memory.length === 0) throw detachedError("read");
    }
  }

  write(p: Uint8Array): Promise<number> {
    if (this.#state === "closed") return Promise.reject(closedError("write"));
    if (this.#state === "ended") {
      return Promise.reject(brokenError("this direction was ended"));
    }
    if (this.#rejectWrite !== undefined) return Promise.reject(busyError("write"));
    const bytes = plainView(p);
    if (bytes.length === 0) return Promise.resolve(0);
    const chunk = new Uint8Array(bytes.subarray(0, MAX_WRITE));
    return new Promise((resolve, reject) => {
      this.#rejectWrite = reject;
      this.#duplex.write(chunk, (error) => {
        this.#rejectWrite = undefined;
        if (error) reject(this.#errorOf(error, "write"));
        else resolve(chunk.length);
      });
    });
  }

  closeWrite(): Promise<void> {
    if (this.#state === "closed") return Promise.reject(closedError("end writing"));
    this.#state = "ended";
    return this.#ending ??= new Promise((resolve, reject) => {
      // Typed without it, but called with the error where the stream fails before the end is out.
      this.#duplex.end((error?: Error | null) => {
        if (error) reject(this.#errorOf(error, "end writing"));
        else resolve();
      });
    });
  }

  close(): void {
    if (this.#state === "closed") throw closedError("close");
    // Where nothing is under way, the other side gets an end, as from a socket: destroy() alone may not tell it.
    if (this.#state === "open" && this.#rejectWrite === undefined) this.#duplex.end();
    this.#state = "closed";
    this.#duplex.destroy();
    this.#rejectWrite?.(interruptedError("write"));
    this.#wakeReader?.();
  }

  #tryRead(p: Uint8Array): number | null | "wait" {
    const duplex = this.#duplex;
    // Makes a stream without bytes fetch some, or say that it has ended.
    if (duplex.readableLength === 0) duplex.read(0);
    if (duplex.readableLength > 0) {
      const chunk: Uint8Array | null = duplex.read(Math.min(duplex.readableLength, p.length));
      if (chunk !== null) {
        p.set(chunk);
        return chunk.length;
      }
    }
    if (duplex.errored) throw this.#errorOf(duplex.errored, "read");
    if (duplex.readableEnded) return null;
    if (duplex.destroyed) throw resetError("read", "the stream was destroyed");
    return "wait";
  }

  #errorOf(error: Error | null, doing: string): Error {
    if (this.#isClosed()) return interruptedError(doing);
    const cause = [error, this.#duplex.errored].find((error) => error && !onlySaysGone(error));
    return cause ? toNetError(cause, doing) : resetError(doing, "the stream was destroyed");
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }
}

/** What sockets of node:net and node:tls have. */
interface SocketAddresses {
  localAddress: string;
  localPort: number;
  remoteAddress: string;
  remotePort: number;
}

// The codes of calls that were under way, or came, when the stream was destroyed; the error that destroyed it says why.
const goneCodes = new Set<unknown>(["ECANCELED", "ERR_STREAM_DESTROYED", "ERR_STREAM_PREMATURE_CLOSE"]);

function onlySaysGone(error: Error): boolean {
  return goneCodes.has((error as { code?: unknown }).code);
}

function tcpAddr(hostname: string, port = 0): Deno.NetAddr {
  return { transport: "tcp", hostname, port };
}
