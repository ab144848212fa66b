/**
 * Serving: listeners, their accept loops, and the connections that came of them.
 *
 * One accept loop per listener. It stops while `maxConnections` are open or in their TLS handshake; handshakes run off the
 * loop, so that a client that stalls delays nobody (SPEC V7, T2). An error of a single client is ignored, one of the system
 * (out of descriptors) is reported and the loop waits a second (V6).
 *
 * A server is `bound`, then `serving`, then `closed`; closed, it still has the connections that were open.
 *
 * @module
 */
import type { ConnLike } from "./conn.ts";
import { ConnTransport, type ConnTransportOptions } from "./conn_transport.ts";
import { tuneConn } from "./dial.ts";
import { toNetError } from "./errors.ts";
import { callExceptionHandler, callHandler, type ErrorContext } from "./exception_handler.ts";
import type { BaseProtocolLike, StreamProtocolLike } from "./transports.ts";

/** What makes a connection of an accepted conn: the conn itself, or the result of a TLS handshake. */
export interface Welcome {
  /** The conn to talk over. */
  conn: ConnLike;
  /** What is around its transport. */
  around: ConnTransportOptions;
}

/** What a server needs to know. */
export interface ServerOptions {
  /** Makes the protocol of a connection. */
  protocolFactory: () => BaseProtocolLike;
  /** Where to accept, each bound. */
  listeners: readonly Deno.Listener[];
  /** The handshake of an accepted conn, if there is one. */
  handshake?: (conn: Deno.Conn, signal: AbortSignal) => Promise<Welcome>;
  /** For TCP. */
  noDelay?: boolean | undefined;
  /** For TCP. */
  keepAlive?: boolean | undefined;
  /** How many connections at most. */
  maxConnections?: number | undefined;
  /** Where errors go. */
  onError?: ((error: Error, context: ErrorContext) => void) | undefined;
}

const ACCEPT_RETRY = 1000;
const DEFAULT_GRACE = 10000;
const DISPOSE_FLUSH = 5000;

// The errors of an accept that tell of one client only.
const clientErrors = [
  Deno.errors.ConnectionReset,
  Deno.errors.ConnectionAborted,
  Deno.errors.NotConnected,
  Deno.errors.BrokenPipe,
  Deno.errors.TimedOut,
  Deno.errors.ConnectionRefused,
];

/**
 * A server: what {@linkcode createServer} and {@linkcode startServer} return. As `asyncio.Server`.
 *
 * @example Serving until a signal
 * ```ts
 * import { startServer } from "@tideline/net";
 *
 * const server = await startServer((_reader, writer) => void writer.close(), { hostname: "127.0.0.1", port: 0 });
 * await server.serveForever({ signal: AbortSignal.timeout(10) });
 * await server.shutdown();
 * ```
 */
export class Server implements AsyncDisposable {
  readonly #options: ServerOptions;
  readonly #listeners: readonly Deno.Listener[];
  readonly #transports = new Set<ConnTransport>();
  readonly #handshakes = new Set<ConnLike>();
  readonly #closing = new AbortController();
  #state: "bound" | "serving" | "closed" = "bound";
  /** Loops that wait for a place below `maxConnections`. */
  readonly #waitForPlace: (() => void)[] = [];
  /** Who waits for the last connection to end. */
  readonly #waitForNone: (() => void)[] = [];
  #servingForever = false;

  /**
   * @param options What to serve, and where
   */
  constructor(options: ServerOptions) {
    this.#options = options;
    this.#listeners = options.listeners;
  }

  /** Where the server listens; empty once it is closed. */
  get addrs(): readonly Deno.Addr[] {
    return this.#state === "closed" ? [] : this.#listeners.map((listener) => listener.addr);
  }

  /** How many connections are open: from `connectionMade` to `connectionLost`. */
  get connections(): number {
    return this.#transports.size;
  }

  /**
   * Tells whether connections are accepted. As `asyncio.Server.is_serving`.
   *
   * @returns Whether they are
   */
  isServing(): boolean {
    return this.#state === "serving";
  }

  /**
   * Begins to accept; does nothing if it does already. As `asyncio.Server.start_serving`.
   *
   * @returns Resolves when it accepts
   * @throws {Error} If the server is closed
   */
  startServing(): Promise<void> {
    if (this.#state === "closed") return Promise.reject(new Error("Cannot start serving: the server is closed"));
    if (this.#state === "bound") {
      this.#state = "serving";
      for (const listener of this.#listeners) this.#acceptFrom(listener);
    }
    return Promise.resolve();
  }

  /**
   * Serves until the server is closed. As `asyncio.Server.serve_forever`.
   *
   * @param options `signal`: closes the server when it aborts
   * @returns Resolves when the server is closed
   * @throws {Deno.errors.Busy} If it is called a second time meanwhile
   * @throws {Error} If the server is closed
   */
  async serveForever(options: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.#servingForever) throw new Deno.errors.Busy("Cannot serve forever: it is being done already");
    await this.startServing();
    this.#servingForever = true;
    const close = () => this.close();
    options.signal?.addEventListener("abort", close);
    if (options.signal?.aborted) this.close();
    const closed = this.#closing.signal;
    if (!closed.aborted) {
      await new Promise((resolve) => closed.addEventListener("abort", resolve, { once: true }));
    }
    options.signal?.removeEventListener("abort", close);
    this.#servingForever = false;
  }

  /** Accepts no more; open connections go on, handshakes under way are dropped. As `asyncio.Server.close`. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    for (const listener of this.#listeners) listener.close();
    this.#closing.abort(new Deno.errors.ConnectionAborted("Cannot go on: the server is closed"));
    for (const proceed of this.#waitForPlace.splice(0)) proceed();
    this.#checkNone();
  }

  /** Closes all connections, after what was written is sent. As `asyncio.Server.close_clients`. */
  closeClients(): void {
    for (const transport of this.#transports) transport.close();
  }

  /** Aborts all connections. As `asyncio.Server.abort_clients`. */
  abortClients(): void {
    for (const transport of this.#transports) transport.abort();
  }

  /**
   * Waits until the server is closed and no connection is left. As `asyncio.Server.wait_closed`.
   *
   * @returns Resolves then
   */
  waitClosed(): Promise<void> {
    if (this.#gone) return Promise.resolve();
    return new Promise((resolve) => this.#waitForNone.push(resolve));
  }

  /**
   * Closes in order, in bounded time: accepts no more, gives connections time to end, closes those left, gives them the same
   * time again to send what was written, and aborts the rest.
   *
   * @param options `grace`: the time, in milliseconds; 10000 by default
   * @returns Resolves when no connection is left
   * @throws {RangeError} If `grace` is negative
   */
  async shutdown({ grace = DEFAULT_GRACE }: { grace?: number } = {}): Promise<void> {
    if (!(grace >= 0)) throw new RangeError(`Cannot shut down: grace must be at least 0 ms, not "${grace}"`);
    this.close();
    await this.#goneWithin(grace);
    await this.#endClients(grace);
  }

  /** Lets the process end only when the server is closed: the default. */
  ref(): void {
    for (const listener of this.#listeners) listener.ref();
  }

  /** Lets the process end while the server listens. */
  unref(): void {
    for (const listener of this.#listeners) listener.unref();
  }

  /** Closes the server and all connections, and waits at most 5 seconds for what was written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#endClients(DISPOSE_FLUSH);
  }

  get #gone(): boolean {
    return this.#state === "closed" && this.#transports.size === 0 && this.#handshakes.size === 0;
  }

  async #endClients(flush: number): Promise<void> {
    this.closeClients();
    await this.#goneWithin(flush);
    this.abortClients();
    await this.waitClosed();
  }

  async #goneWithin(ms: number): Promise<void> {
    if (this.#gone || ms === 0) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => timer = setTimeout(resolve, Math.min(ms, LONGEST_TIMER)));
    await Promise.race([this.waitClosed(), timeout]);
    clearTimeout(timer);
  }

  #checkNone(): void {
    if (this.#gone) { for (const resolve of this.#waitForNone.splice(0)) resolve(); }
  }

  async #acceptFrom(listener: Deno.Listener): Promise<void> {
    while (this.#state === "serving") {
      if (this.#transports.size + this.#handshakes.size >= (this.#options.maxConnections ?? Infinity)) {
        await new Promise<void>((resolve) => this.#waitForPlace.push(resolve));
        continue;
      }
      let conn: Deno.Conn;
      try {
        conn = await listener.accept();
      } catch (error) {
        await this.#acceptFailed(error);
        continue;
      }
      // The cap, or the state, may have changed while this waited; a conn that is accepted is served nevertheless.
      if (this.#isClosed()) conn.close();
      else if (this.#options.handshake === undefined) this.#welcomePlain(conn);
      else this.#welcomeAfter(this.#options.handshake, conn);
    }
  }

  async #acceptFailed(thrown: unknown): Promise<void> {
    if (this.#isClosed() || clientErrors.some((Class) => thrown instanceof Class)) return;
    const error = toNetError(thrown, "accept");
    this.#report({ message: "Cannot accept connections for a while", error });
    const closed = this.#closing.signal;
    await new Promise<void>((resolve) => {
      const proceed = () => {
        clearTimeout(timer);
        closed.removeEventListener("abort", proceed);
        resolve();
      };
      const timer = setTimeout(proceed, ACCEPT_RETRY);
      closed.addEventListener("abort", proceed);
    });
  }

  #welcomePlain(conn: Deno.Conn): void {
    try {
      if ("setNoDelay" in conn) tuneConn("serve", conn, this.#options.noDelay, this.#options.keepAlive);
    } catch {
      // The client has left; the first read tells.
    }
    this.#connect({ conn, around: {} });
  }

  async #welcomeAfter(handshake: NonNullable<ServerOptions["handshake"]>, conn: Deno.Conn): Promise<void> {
    this.#handshakes.add(conn);
    let welcome: Welcome | null = null;
    try {
      welcome = await handshake(conn, this.#closing.signal);
    } catch (error) {
      if (!this.#isClosed()) {
        this.#report({
          message: "Cannot serve a client: the TLS handshake failed",
          error: toNetError(error, "accept"),
        });
      }
    }
    this.#handshakes.delete(conn);
    if (welcome !== null && this.#isClosed()) welcome.conn.close();
    else if (welcome !== null) return this.#connect(welcome);
    this.#oneLess();
  }

  #connect({ conn, around }: Welcome): void {
    let transport: ConnTransport;
    try {
      const protocol = this.#options.protocolFactory() as StreamProtocolLike;
      transport = new ConnTransport(conn, protocol, {
        ...around,
        serverSide: true,
        report: this.#report,
        onLost: () => {
          this.#transports.delete(transport);
          this.#oneLess();
        },
      });
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(`The protocol factory threw "${thrown}"`);
      conn.close();
      this.#report({ message: "Cannot serve a client: the protocol factory failed", error });
      return this.#oneLess();
    }
    this.#transports.add(transport);
    try {
      transport.start();
    } catch {
      // It was reported, and the transport is aborted.
    }
  }

  #oneLess(): void {
    this.#waitForPlace.shift()?.();
    this.#checkNone();
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  readonly #report = (context: ErrorContext): void => {
    const { onError } = this.#options;
    const full = { ...context, server: this };
    if (onError === undefined) callExceptionHandler(full);
    else callHandler(() => onError(context.error, full), full);
  };
}

// What setTimeout takes at most.
const LONGEST_TIMER = 2 ** 31 - 1;
