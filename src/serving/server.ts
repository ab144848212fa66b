/**
 * Serving: listeners, their accept loops, and the connections that they accepted.
 *
 * There is one accept loop per listener. It stops while `maxConnections` are open or in their TLS handshake; handshakes run
 * outside of the loop, so that a client that stalls delays no other (SPEC V7, T2). An error of a single client is ignored;
 * one of the system (out of descriptors) is reported, and the loop waits a second (V6). The pending accept keeps the process
 * alive; a loop that waits for something else has a timer for that (V9).
 *
 * A server is `bound`, then `serving`, then `closing` until the system has released its addresses, then `closed`. Open
 * connections continue in both.
 *
 * A shutdown tells every protocol first (`serverClosing`), so that each can end its connection in its own way: streams do so
 * as soon as they are idle. The last part of the grace is kept for the flush of what the remaining connections have written.
 *
 * @module
 */
import { addressOf, closeQuietly, type ConnLike } from "../conn/conn.ts";
import { ConnTransport, type ConnTransportOptions } from "../transport/conn_transport.ts";
import { ACCEPT_COST, LoopBudget } from "../common/loop_budget.ts";
import { tuneConn } from "./dial.ts";
import { type ProxiedClient, ProxyProtocol, type ProxyProtocolOptions } from "./proxy_protocol.ts";
import { tell } from "../transport/observe.ts";
import { Admission, type AdmissionRules, type Refusal } from "./admission.ts";
import { asError, ClosedError, toNetError } from "../common/errors.ts";
import { FACTORY_FAILED, makeProtocol } from "../transport/callbacks.ts";
import { type Audience, callExceptionHandler, callHandler, type ErrorContext } from "../transport/exception_handler.ts";
import { aDelay, aSignal, checkOptions } from "../common/options.ts";
import { checkWait, type WaitOptions, within } from "../common/wait.ts";
import { CancellableTimer } from "../common/timer.ts";
import type { TlsServerOptions } from "../tls/choose.ts";
import type { BaseProtocolLike, ExtraInfo, StreamProtocolLike, Transport } from "../transport/types.ts";

/** What a TLS handshake makes of an accepted conn. */
export interface Welcome {
  /** The conn to talk over. */
  conn: ConnLike;
  /** The options of its transport. */
  transportOptions: ConnTransportOptions;
}

/** What a server needs to know. */
export interface ServerOptions {
  /** Makes the protocol of a connection. */
  protocolFactory: (server: Server) => BaseProtocolLike;
  /** Where to accept, each bound. */
  listeners: readonly Deno.Listener[];
  /** The addresses; several may belong to one listener. */
  addrs: readonly Deno.Addr[];
  /** The handshake of an accepted conn, if there is one. */
  handshake?: (conn: Deno.Conn, signal: AbortSignal) => Promise<Welcome>;
  /** Changes the TLS options for handshakes from now on. */
  setTls?: (options: TlsServerOptions) => void;
  /** For TCP. */
  noDelay?: boolean | undefined;
  /** For TCP. */
  keepAlive?: boolean | undefined;
  /** How many connections at most. */
  maxConnections?: number | undefined;
  /** Which clients are taken; `undefined` if all are. */
  admission?: AdmissionRules | undefined;
  /** Which clients come through a proxy that tells their addresses. */
  proxyProtocol?: ProxyProtocolOptions | undefined;
  /** Gets the errors of the server. */
  onError?: ((error: Error, context: ErrorContext) => void) | undefined;
  /** How long closing a connection may take, in milliseconds. */
  closeTimeout?: number | undefined;
  /** For how long a connection may be idle, in milliseconds. */
  idleTimeout?: number | undefined;
}

/** What a server has done since it was opened: see {@linkcode Server.stats}. */
export interface ServerStats {
  /** The clients that were accepted, without those refused. */
  readonly accepted: number;
  /** The clients that `accept` or `maxConnectionsPerPeer` refused, or whose PROXY protocol header was not as it must be. */
  readonly refused: number;
  /** The TLS handshakes that failed. */
  readonly handshakesFailed: number;
  /** The bytes received, of TLS the decrypted ones. */
  readonly bytesRead: number;
  /** The bytes that the system has taken, of TLS before they are encrypted. */
  readonly bytesWritten: number;
}

// In milliseconds.
const ACCEPT_RETRY = 1000;
// Docker kills 10 s after it has asked to stop.
const DEFAULT_GRACE = 10000;
const DISPOSE_FLUSH = 5000;
const MOST_SHUTDOWN_FLUSH = 5000;
const MOST_RELEASE = 100;
/** The part of a shutdown's grace that is kept for the last flush. */
const FLUSH_PART = 1 / 5;
/** How many microtasks may lie between the promise of a call that opens a server and the caller's own code. */
const MOST_AWAITS = 32;

// The errors of an accept that concern one client only.
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
  readonly #admission: Admission | null;
  readonly #proxyProtocol: ProxyProtocol | null;
  /** The open connections, and the addresses that they were admitted by. */
  readonly #transports = new Map<ConnTransport, Deno.Addr>();
  readonly #handshakes = new Set<ConnLike>();
  readonly #closing = new AbortController();
  readonly #loops: Promise<void>[] = [];
  #state: "bound" | "serving" | "closing" | "closed" = "bound";
  /** Loops that wait until there are fewer than `maxConnections`. */
  readonly #full = new Set<CancellableTimer>();
  /** Loops that wait until the system may have recovered. */
  readonly #failed = new Set<CancellableTimer>();
  /** Resolve the calls of `waitClosed`. */
  readonly #waitForNone: (() => void)[] = [];
  /** Of the connections that are lost, and of the clients that had none. */
  readonly #stats = { accepted: 0, refused: 0, handshakesFailed: 0, bytesRead: 0, bytesWritten: 0 };
  #servingForever = false;
  #shuttingDown = false;
  #keepsAlive = true;

  /**
   * Made only by the functions that open servers, such as {@linkcode createServer}.
   *
   * @param options What to serve, and where
   */
  constructor(options: ServerOptions) {
    this.#options = options;
    this.#listeners = options.listeners;
    this.#admission = options.admission === undefined ? null : new Admission(options.admission);
    this.#proxyProtocol = options.proxyProtocol === undefined ? null : new ProxyProtocol(options.proxyProtocol);
    this.#transportOptions.closeTimeout = options.closeTimeout;
    this.#transportOptions.idleTimeout = options.idleTimeout;
  }

  /** The addresses that the server listens on; empty once it is closed. */
  get addrs(): readonly Deno.Addr[] {
    return this.#isClosed() ? [] : this.#options.addrs;
  }

  /**
   * The port that the server listens on, which all of its addresses have.
   *
   * @throws {TypeError} If it listens on a Unix socket
   * @throws {ClosedError} If it is closed
   */
  get port(): number {
    const [addr] = this.addrs;
    if (addr === undefined) throw new ClosedError("Cannot tell the port: the server is closed");
    if (addr.transport === "tcp") return addr.port;
    throw new TypeError("Cannot tell the port: the server does not listen on TCP");
  }

  /** How many connections are open: from `connectionMade` to `connectionLost`. */
  get connections(): number {
    return this.#transports.size;
  }

  /**
   * Lists the connections that are open now.
   *
   * @returns Their transports; the list does not change
   *
   * @example Sending to all clients
   * ```ts
   * import { createServer, Protocol } from "@tideline/net";
   *
   * await using server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 });
   * for (const transport of server.transports()) transport.write("The time is up.\n");
   * ```
   */
  transports(): Iterable<Transport> {
    return [...this.#transports.keys()];
  }

  /**
   * Counts what the server has done since it was opened.
   *
   * @returns The counts; the bytes include those of open connections
   *
   * @example
   * ```ts
   * import { createServer, Protocol } from "@tideline/net";
   * import { assertEquals } from "@std/assert";
   *
   * await using server = await createServer(() => new Protocol(), { hostname: "127.0.0.1", port: 0 });
   * assertEquals(server.stats().accepted, 0);
   * ```
   */
  stats(): ServerStats {
    const stats = { ...this.#stats };
    for (const { bytesRead, bytesWritten } of this.#transports.keys()) {
      stats.bytesRead += bytesRead;
      stats.bytesWritten += bytesWritten;
    }
    return stats;
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
    if (this.#isClosed()) return Promise.reject(new ClosedError("Cannot start serving: the server is closed"));
    if (this.#state === "bound") {
      this.#state = "serving";
      this.#loops.push(...this.#listeners.map((listener) => this.#acceptFrom(listener)));
    }
    return Promise.resolve();
  }

  /**
   * Replaces the TLS options for handshakes from now on, as when a certificate was renewed. Open connections go on with
   * what they agreed on.
   *
   * @param options As `tls` of the server, all of them
   * @throws {TypeError | RangeError} If the options are wrong, or the server does not speak TLS by the default engine
   * @throws {ClosedError} If the server is closed
   *
   * @example A certificate that is renewed while the server runs
   * ```ts
   * import { startServer } from "@tideline/net";
   * import { selfSignedCertificate } from "@tideline/net/testing";
   *
   * const { cert, key } = await selfSignedCertificate();
   * await using server = await startServer((_reader, writer) => void writer.close(), { port: 0, tls: { cert, key } });
   * const renewed = await selfSignedCertificate();
   * server.setTls({ cert: renewed.cert, key: renewed.key });
   * ```
   */
  setTls(options: TlsServerOptions): void {
    if (this.#isClosed()) throw new ClosedError("Cannot set the TLS options: the server is closed");
    const { setTls } = this.#options;
    if (setTls === undefined) throw new TypeError("Cannot set the TLS options: the server was opened without tls");
    setTls(options);
  }

  /**
   * Serves until the server is closed. As `asyncio.Server.serve_forever`.
   *
   * @param options `signal`: closes the server when it aborts
   * @returns Resolves when the server is closed
   * @throws {Deno.errors.Busy} If it is called a second time meanwhile
   * @throws {Error} If the server is closed
   */
  async serveForever(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    checkOptions("serve forever", options, { signal: aSignal });
    if (this.#servingForever) throw new Deno.errors.Busy("Cannot serve forever: it is being done already");
    if (options.signal?.aborted) this.close();
    else await this.#serveUntil(options.signal);
  }

  /** Accepts no more; open connections go on, handshakes under way are dropped. As `asyncio.Server.close`. */
  close(): void {
    if (this.#isClosed()) return;
    this.#state = "closing";
    for (const listener of this.#listeners) this.#closeListener(listener);
    this.#closing.abort(new Deno.errors.ConnectionAborted("Cannot go on: the server is closed"));
    for (const pause of [...this.#full, ...this.#failed]) pause.end();
    this.#release();
  }

  /** Closes all connections, after what was written is sent. As `asyncio.Server.close_clients`. */
  closeClients(): void {
    for (const transport of this.#transports.keys()) transport.close();
  }

  /** Aborts all connections. As `asyncio.Server.abort_clients`. */
  abortClients(): void {
    for (const transport of this.#transports.keys()) transport.abort();
  }

  /**
   * Waits until the server is closed and no connection is left. As `asyncio.Server.wait_closed`.
   *
   * @param options `signal` and `timeout` end the wait
   * @returns Resolves then; the addresses may be bound again
   * @throws {Deno.errors.TimedOut} If the time is over
   */
  async waitClosed(options: WaitOptions = {}): Promise<void> {
    checkWait("wait for the end", options);
    await within("wait for the end", this.#end(), options);
  }

  #end(): Promise<void> {
    if (this.#gone) return Promise.resolve();
    return new Promise((resolve) => this.#waitForNone.push(resolve));
  }

  /**
   * Ends the server in order, in bounded time. It accepts no more clients, and tells every protocol, by `serverClosing`, and
   * every handler of streams, by `context.signal`. Streams that are idle are closed: their handler waits in a read, nothing
   * is buffered, and nothing is unsent. The other connections have until the last fifth of the grace (at most 5000 ms) to end
   * by themselves; then they are closed. When the grace is over, those that have not sent what was written are aborted.
   *
   * @param options `grace`: the time for all of this, in milliseconds; 10000 by default. `signal` and `timeout` end the wait
   * for it, while the shutdown goes on
   * @returns Resolves when no connection is left
   * @throws {Deno.errors.TimedOut} If the time is over
   * @throws {TypeError | RangeError} If `grace` is no number, or negative
   *
   * @example Ending when the system asks the process to
   * ```ts
   * import { startServer } from "@tideline/net";
   *
   * await using server = await startServer(async (reader, writer) => {
   *   for await (const line of reader) writer.write(line);
   * }, { hostname: "127.0.0.1", port: 0 });
   * const stop = () => void server.shutdown();
   * Deno.addSignalListener("SIGTERM", stop);
   * // …
   * Deno.removeSignalListener("SIGTERM", stop);
   * await server.shutdown({ grace: 100 });
   * ```
   */
  async shutdown(options: { grace?: number | undefined } & WaitOptions = {}): Promise<void> {
    checkWait("shut down", options, { grace: aDelay });
    await within("shut down", this.#shutDown(options.grace ?? DEFAULT_GRACE), options);
  }

  async #shutDown(grace: number): Promise<void> {
    const flush = Math.min(grace * FLUSH_PART, MOST_SHUTDOWN_FLUSH);
    this.#beginShutdown();
    await this.#goneWithin(grace - flush);
    await this.#endClients(flush);
  }

  /** Lets the process end only when the server is closed: the default. */
  ref(): void {
    this.#keepsAlive = true;
    for (const waiter of this.#waiters) waiter.ref();
  }

  /**
   * Lets the process end while the server listens. Deno's own TLS does not know of that (2.9): a server by `engine: "deno"`
   * keeps the process alive all the same.
   */
  unref(): void {
    this.#keepsAlive = false;
    for (const waiter of this.#waiters) waiter.unref();
  }

  /** Closes the server and all connections, as `shutdown({ grace: 0 })`, but gives them 5000 ms to send what was written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#beginShutdown();
    await this.#endClients(DISPOSE_FLUSH);
  }

  get #gone(): boolean {
    return this.#state === "closed" && this.#transports.size === 0 && this.#handshakes.size === 0;
  }

  /** What keeps the process alive. */
  get #waiters(): Iterable<Pick<Deno.Listener, "ref" | "unref">> {
    return [...this.#listeners, ...this.#full, ...this.#failed];
  }

  async #serveUntil(signal: AbortSignal | undefined): Promise<void> {
    const close = () => this.close();
    const closed = new Promise((resolve) => this.#closing.signal.addEventListener("abort", resolve));
    signal?.addEventListener("abort", close);
    this.#servingForever = true;
    try {
      await this.startServing();
      await closed;
    } finally {
      signal?.removeEventListener("abort", close);
      this.#servingForever = false;
    }
  }

  /** Waits until the system has released the addresses, which takes until the pending accept rejects in a later turn. */
  async #release(): Promise<void> {
    // A listener that is not Deno's own may tell it nothing.
    const pause = new CancellableTimer(MOST_RELEASE);
    await Promise.race([Promise.all(this.#loops), pause.over]);
    pause.end();
    this.#state = "closed";
    this.#checkNone();
  }

  #beginShutdown(): void {
    this.close();
    if (this.#shuttingDown) return;
    this.#shuttingDown = true;
    for (const transport of this.#transports.keys()) transport.serverClosing();
  }

  async #endClients(flush: number): Promise<void> {
    this.closeClients();
    await this.#goneWithin(flush);
    this.abortClients();
    await this.waitClosed();
  }

  async #goneWithin(ms: number): Promise<void> {
    if (this.#gone || ms === 0) return;
    const pause = new CancellableTimer(ms);
    await Promise.race([this.waitClosed(), pause.over]);
    pause.end();
  }

  #checkNone(): void {
    if (this.#gone) { for (const resolve of this.#waitForNone.splice(0)) resolve(); }
  }

  async #acceptFrom(listener: Deno.Listener): Promise<void> {
    const budget = new LoopBudget();
    // A waiting client is accepted in a microtask. The code that opens the server gets it before.
    for (let i = 0; i < MOST_AWAITS; i++) await undefined;
    while (this.#state === "serving") {
      while (this.#isFull()) await this.#pause(Infinity, this.#full);
      let conn: Deno.Conn;
      try {
        const turn = budget.spend(ACCEPT_COST);
        if (turn !== null) await turn;
        conn = await listener.accept();
      } catch (error) {
        await this.#acceptFailed(error);
        continue;
      }
      // The last place may have gone to a client of another listener meanwhile: this one waits for the next.
      while (this.#isFull()) await this.#pause(Infinity, this.#full);
      if (this.#isClosed()) closeQuietly(conn);
      else if (this.#proxyProtocol?.expects(conn)) this.#welcomeProxied(this.#proxyProtocol, conn);
      else if (this.#admits(conn, conn.remoteAddr)) this.#welcome(conn, conn.remoteAddr, {});
    }
  }

  /** A client that comes through a proxy is admitted by its own address. */
  async #welcomeProxied(protocol: ProxyProtocol, conn: Deno.Conn): Promise<void> {
    this.#handshakes.add(conn);
    let client: ProxiedClient | null = null;
    try {
      client = await protocol.receive(conn, this.#closing.signal);
    } catch (thrown) {
      const error = asError(thrown, "the connection");
      if (!this.#isClosed()) this.#headerFailed(error, addressOf(conn, "remoteAddr"));
    }
    this.#handshakes.delete(conn);
    if (client !== null && this.#isClosed()) closeQuietly(conn);
    else if (client !== null && this.#admits(conn, client.peername)) {
      return this.#welcome(conn, client.peername, client);
    }
    this.#placeFreed();
  }

  #headerFailed(error: Error, peername: Deno.Addr | undefined): void {
    this.#stats.refused++;
    if (peername !== undefined) tell("refused", peername, "proxyHeader");
    // A connection that ends without a byte is a health check more often than not.
    const audience = error instanceof Deno.errors.UnexpectedEof ? "onError" : "everyone";
    this.#report({ message: "PROXY protocol header refused", error, peername }, audience);
  }

  #admits(conn: Deno.Conn, peername: Deno.Addr): boolean {
    let refusal: Refusal | null = null;
    const failed = (thrown: unknown) => {
      this.#report({ message: "accept() failed", error: asError(thrown, "accept()"), peername });
    };
    try {
      refusal = this.#admission?.enter(peername, failed) ?? null;
    } catch (thrown) {
      refusal = "filter";
      failed(thrown);
    }
    this.#stats[refusal === null ? "accepted" : "refused"]++;
    if (refusal === null) return true;
    closeQuietly(conn);
    tell("refused", peername, refusal);
    return false;
  }

  #isFull(): boolean {
    const count = this.#transports.size + this.#handshakes.size;
    return !this.#isClosed() && count >= (this.#options.maxConnections ?? Infinity);
  }

  async #acceptFailed(reason: unknown): Promise<void> {
    const thrown = asError(reason, "accept()");
    if (this.#isClosed() || clientErrors.some((Class) => thrown instanceof Class)) return;
    const error = toNetError(thrown, "accept");
    if (thrown instanceof Deno.errors.BadResource || thrown instanceof Deno.errors.Interrupted) {
      this.#report({ message: "Cannot accept connections: the listener was closed from outside", error });
      return this.close();
    }
    this.#report({ message: "Cannot accept connections for a while", error });
    await this.#pause(ACCEPT_RETRY, this.#failed);
  }

  async #pause(ms: number, among: Set<CancellableTimer>): Promise<void> {
    if (this.#isClosed()) return;
    const pause = new CancellableTimer(ms);
    if (!this.#keepsAlive) pause.unref();
    among.add(pause);
    await pause.over;
    among.delete(pause);
  }

  #closeListener(listener: Deno.Listener): void {
    try {
      listener.close();
    } catch (error) {
      if (error instanceof Deno.errors.BadResource) return;
      this.#report({ message: "Cannot close a listener in order", error: toNetError(error, "close") });
    }
  }

  #welcome(conn: Deno.Conn, peername: Deno.Addr, extra: Partial<ExtraInfo>): void {
    try {
      if ("setNoDelay" in conn) tuneConn("serve", conn, this.#options.noDelay, this.#options.keepAlive);
    } catch {
      // The client has left; the first read tells.
    }
    const { handshake } = this.#options;
    if (handshake !== undefined) this.#connectAfter(handshake, conn, peername, extra);
    else if (extra.proxy === undefined) this.#connect(conn, this.#transportOptions, peername);
    else this.#connect(conn, { ...this.#transportOptions, extra }, peername);
  }

  async #connectAfter(
    handshake: NonNullable<ServerOptions["handshake"]>,
    conn: Deno.Conn,
    peername: Deno.Addr,
    extra: Partial<ExtraInfo>,
  ): Promise<void> {
    this.#handshakes.add(conn);
    let welcome: Welcome | null = null;
    try {
      welcome = await handshake(conn, this.#closing.signal);
    } catch (thrown) {
      this.#stats.handshakesFailed++;
      if (!this.#isClosed()) {
        const error = toNetError(thrown, "accept");
        this.#report({ message: "TLS handshake failed", error, peername });
        tell("handshakeFailed", error, peername);
      }
    }
    this.#handshakes.delete(conn);
    if (welcome !== null && this.#isClosed()) closeQuietly(welcome.conn);
    else if (welcome !== null) {
      const { transportOptions } = welcome;
      return this.#connect(
        welcome.conn,
        { ...transportOptions, ...this.#transportOptions, extra: { ...extra, ...transportOptions.extra } },
        peername,
      );
    }
    this.#clientEnded(peername);
  }

  #connect(conn: ConnLike, transportOptions: ConnTransportOptions, peername: Deno.Addr): void {
    let transport: ConnTransport;
    try {
      const protocol = makeProtocol(() => this.#options.protocolFactory(this), this.#report) as StreamProtocolLike;
      transport = new ConnTransport(conn, protocol, transportOptions);
    } catch (thrown) {
      conn.close();
      const error = asError(thrown, "the protocol factory");
      this.#report({ message: FACTORY_FAILED, error, peername });
      return this.#clientEnded(peername);
    }
    this.#transports.set(transport, peername);
    try {
      transport.start();
    } catch {
      // It was reported, and the transport is aborted.
    }
  }

  #clientEnded(peername: Deno.Addr): void {
    this.#admission?.leave(peername);
    this.#placeFreed();
  }

  #placeFreed(): void {
    for (const pause of this.#full) pause.end();
    this.#checkNone();
  }

  #isClosed(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  readonly #report = (context: ErrorContext, audience: Audience = "everyone"): void => {
    const { onError } = this.#options;
    const full = { ...context, server: this };
    if (onError !== undefined) callHandler((context) => onError(context.error, context), full);
    else if (audience === "everyone") callExceptionHandler(full);
  };

  /** The options of all transports: one object, because there may be many transports. */
  readonly #transportOptions: ConnTransportOptions = {
    serverSide: true,
    report: this.#report,
    onLost: (transport) => {
      const peername = this.#transports.get(transport)!;
      this.#transports.delete(transport);
      this.#stats.bytesRead += transport.bytesRead;
      this.#stats.bytesWritten += transport.bytesWritten;
      this.#clientEnded(peername);
    },
  };
}
