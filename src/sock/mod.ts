/**
 * Low-level socket calls, one at a time, as asyncio's `loop.sock_*`, over `Deno.Conn` and everything of its shape.
 *
 * Each call takes a `signal` and a `timeout`. When the signal aborts, it rejects with its reason at once, and when the time is
 * over with `TimedOut`; no system can be told to forget a call, so what is
 * known afterwards is this:
 *
 * | ended             | afterwards                                                                                          |
 * | ----------------- | --------------------------------------------------------------------------------------------------- |
 * | `sockConnect`     | nothing is left; a connection made all the same is closed                                           |
 * | `sockAccept`      | the next client is kept for the next `sockAccept` on the listener, or closed with the listener      |
 * | `sockRecv…`       | no byte is lost: what comes is kept for the next call on the connection. The memory is not used     |
 * | `sockRecvfrom`    | the same: the next datagram is kept for the next call                                               |
 * | `sockSendall`     | an unknown part was sent; later sends on the connection are refused. The memory is not used         |
 * | `sockSendfile`    | the same, if it was sending right then; between two blocks it ends with the file's position telling |
 * | `sockSendto`      | the datagram is sent or not                                                                         |
 *
 * To keep those promises a call with a signal or a timeout copies: without them `sockRecvInto` and `sockSendall` are free of copies.
 *
 * What is kept for the next call of these functions is not seen by others: once a receive was aborted, go on with these
 * functions and not with `conn.read`.
 *
 * @module
 */
import { type Bytes, copyMemory, plainView } from "../common/bytes.ts";
import { checkWait, limited, waitChecks, type WaitOptions, within } from "../common/wait.ts";
import { describe, describeType, quote } from "../common/describe.ts";
import type { ConnLike } from "../conn/conn.ts";
import { dial, dialUnix, tuneConn } from "../serving/dial.ts";
import { copyOf } from "../memory/handed_out.ts";
import { acquireBlock, releaseBlock } from "../memory/pool.ts";
import { SingleFlight } from "./single_flight.ts";
import { aBoolean, aPeerPort, aString, aUnixPath, checkOptions } from "../common/options.ts";
import { sendFile, type SendFileOptions } from "../streams/send_file.ts";
import { SockAcceptor } from "./acceptor.ts";
import type { DatagramConnLike, DatagramSock } from "./datagram.ts";
import { SockReceiver } from "./receiver.ts";
import { SockSender } from "./sender.ts";

export { type DatagramConnLike, type DatagramSock, sockDatagram } from "./datagram.ts";
export type { DatagramAddress, DatagramEndpointOptions } from "../datagram/endpoint.ts";
export type { ConnLike } from "../conn/conn.ts";
export type { SendFileOptions } from "../streams/send_file.ts";
export type { WaitOptions } from "../common/wait.ts";

/** What every call takes. */
export type SockOptions = WaitOptions;

/** Where {@linkcode sockConnect} connects to over TCP. */
export interface SockConnectTcpOptions extends SockOptions {
  /** TCP, which is the default. */
  transport?: "tcp" | undefined;
  /** The host name or IP address; `127.0.0.1` by default. */
  hostname?: string | undefined;
  /** The port. */
  port: number;
  /** Whether small writes leave at once (TCP_NODELAY); `true` by default. */
  noDelay?: boolean | undefined;
}

/** Where {@linkcode sockConnect} connects to over a Unix socket. */
export interface SockConnectUnixOptions extends SockOptions {
  /** A Unix socket. */
  transport: "unix";
  /** Its path. */
  path: string;
}

/** The options of {@linkcode sockAccept}. */
export interface SockAcceptOptions extends SockOptions {
  /** Whether small writes leave at once (TCP_NODELAY), over TCP; `true` by default. */
  noDelay?: boolean | undefined;
}

const acceptors = new WeakMap<Deno.Listener, SockAcceptor>();
const receivers = new WeakMap<ConnLike, SockReceiver>();
const senders = new WeakMap<ConnLike, SockSender>();
const datagrams = new WeakMap<DatagramConnLike, SingleFlight<[Uint8Array, Deno.Addr]>>();

/**
 * Connects, over TCP or to a Unix socket. As `loop.sock_connect`.
 *
 * @param options Where to
 * @returns The connection
 * @throws {TypeError} If an option is missing, unknown or of a wrong type
 * @throws {RangeError} If the port is none, or the path is too long
 * @throws {Deno.errors.ConnectionRefused} If no server listens there; other system errors as their class in `Deno.errors`; an
 * `AggregateError` if the host has several addresses and all fail
 *
 * @example Connecting, sending and receiving
 * ```ts
 * import { sockAccept, sockConnect, sockRecv, sockSendall } from "@tideline/net/sock";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using client = await sockConnect({ port: listener.addr.port });
 * using server = await sockAccept(listener);
 * await sockSendall(client, new TextEncoder().encode("hello"));
 * assertEquals(new TextDecoder().decode(await sockRecv(server, 1024)), "hello");
 * ```
 */
export async function sockConnect(options: SockConnectTcpOptions): Promise<Deno.TcpConn>;
/**
 * Connects to a Unix socket. As `loop.sock_connect`.
 *
 * @param options Where to
 * @returns The connection
 */
export async function sockConnect(options: SockConnectUnixOptions): Promise<Deno.UnixConn>;
export async function sockConnect(
  options: SockConnectTcpOptions | SockConnectUnixOptions,
): Promise<Deno.TcpConn | Deno.UnixConn> {
  const isTransport = (value: unknown) => value === "tcp" || value === "unix" ? null : 'must be "tcp" or "unix"';
  if (options?.transport === "unix") {
    checkOptions("connect", options, { transport: isTransport, path: aUnixPath, ...waitChecks });
    required("connect", "path", options.path);
    checkWait("connect", { signal: options.signal });
    const { path } = options;
    return await limited(`connect to ${quote(path)}`, options, (signal) => dialUnix(path, signal)) as Deno.UnixConn;
  }
  const checks = { transport: isTransport, hostname: aString, port: aPeerPort, noDelay: aBoolean, ...waitChecks };
  checkOptions("connect", options, checks);
  required("connect", "port", options.port);
  // Without an address to bind to, what it makes is Deno's own.
  const where = `connect to ${quote(options.hostname ?? "127.0.0.1")} port ${options.port}`;
  return await limited(where, options, (signal) => dial({ ...options, signal })) as Deno.TcpConn;
}

/**
 * Accepts a client. As `loop.sock_accept`.
 *
 * @param listener The listener
 * @param options `signal` and `timeout` end it: the next client is then kept for the next call, or closed with the listener
 * @returns The connection
 * @throws {Deno.errors.Busy} If another call waits for a client already
 * @throws {Deno.errors.ConnectionAborted} If the listener is closed
 *
 * @example Waiting for a client, but not for ever
 * ```ts
 * import { sockAccept } from "@tideline/net/sock";
 * import { assertRejects } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * const stop = new AbortController();
 * const accepted = sockAccept(listener, { signal: stop.signal });
 * stop.abort();
 * await assertRejects(() => accepted, DOMException);
 * ```
 */
export async function sockAccept(listener: Deno.Listener, options: SockAcceptOptions = {}): Promise<Deno.Conn> {
  if (typeof listener?.accept !== "function") {
    throw new TypeError(`Cannot accept: the listener must be a Deno.Listener, not ${describe(listener)}`);
  }
  checkOptions("accept", options, { noDelay: aBoolean, ...waitChecks });
  const acceptor = stateOf(acceptors, listener, SockAcceptor);
  const conn = await limited("accept", options, (signal) => acceptor.accept(signal));
  try {
    tuneConn("accept", conn, options.noDelay, undefined);
  } catch (error) {
    conn.close();
    throw error;
  }
  return conn;
}

/**
 * Receives bytes: as many as are there, but no more than `n`, and no more than 256 KiB. As `loop.sock_recv`.
 *
 * @param conn The connection
 * @param n How many bytes at most
 * @param options `signal` and `timeout` end it: what comes is then kept for the next call
 * @returns The bytes; none at the end of the stream, or if `n` is 0
 * @throws {RangeError} If `n` is negative or not an integer
 * @throws {Deno.errors.Busy} If another call receives on the connection already
 *
 * @example Aborting swallows nothing
 * ```ts
 * import { sockAccept, sockConnect, sockRecv, sockSendall } from "@tideline/net/sock";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using client = await sockConnect({ port: listener.addr.port });
 * using server = await sockAccept(listener);
 *
 * const stop = new AbortController();
 * const received = sockRecv(server, 5, { signal: stop.signal });
 * stop.abort("too slow");
 * assertEquals(await received.catch((reason) => reason), "too slow");
 *
 * await sockSendall(client, new TextEncoder().encode("hello"));
 * assertEquals(new TextDecoder().decode(await sockRecv(server, 5)), "hello");
 * ```
 */
export async function sockRecv(conn: ConnLike, n: number, options: SockOptions = {}): Promise<Bytes> {
  checkConn(conn, "receive");
  checkCount(n, "receive");
  checkWait("receive", options);
  if (n === 0) return new Uint8Array(0);
  const receiver = stateOf(receivers, conn, SockReceiver);
  return await limited("receive", options, (signal) => receiver.receive(n, signal)) ?? new Uint8Array(0);
}

/**
 * Receives bytes into memory of the caller's, which is used until the promise settles. As `loop.sock_recv_into`.
 *
 * @param conn The connection
 * @param p The memory
 * @param options `signal` and `timeout` end it: what comes is then kept for the next call. It costs a copy
 * @returns How many bytes were put at the start of `p`; 0 at the end of the stream, or if `p` is empty
 * @throws {TypeError} If the memory is detached meanwhile
 * @throws {Deno.errors.Busy} If another call receives on the connection already
 *
 * @example Receiving without fresh memory
 * ```ts
 * import { sockAccept, sockConnect, sockRecvInto, sockSendall } from "@tideline/net/sock";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using client = await sockConnect({ port: listener.addr.port });
 * using server = await sockAccept(listener);
 * await sockSendall(client, new Uint8Array([1, 2, 3]));
 * const memory = new Uint8Array(1024);
 * const n = await sockRecvInto(server, memory);
 * assertEquals(memory.subarray(0, n), new Uint8Array([1, 2, 3]));
 * ```
 */
export async function sockRecvInto(conn: ConnLike, p: Uint8Array, options: SockOptions = {}): Promise<number> {
  checkConn(conn, "receive");
  const memory = checkedBytes(p, "receive");
  checkWait("receive", options);
  if (memory.length === 0) return 0;
  const receiver = stateOf(receivers, conn, SockReceiver);
  return await limited("receive", options, (signal) => receiver.receiveInto(memory, signal)) ?? 0;
}

/**
 * Sends all bytes, from memory of the caller's, which must not change until the promise settles. As `loop.sock_sendall`.
 *
 * @param conn The connection
 * @param data The bytes
 * @param options `signal` and `timeout` end it: if bytes are on their way then, later sends are refused. It costs a copy
 * @throws {Deno.errors.Busy} If another call sends on the connection already
 * @throws {Deno.errors.ConnectionAborted} If an earlier send was aborted with bytes on their way
 *
 * @example Sending
 * ```ts
 * import { sockAccept, sockConnect, sockRecv, sockSendall } from "@tideline/net/sock";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using client = await sockConnect({ port: listener.addr.port });
 * using server = await sockAccept(listener);
 * await sockSendall(client, new Uint8Array([1, 2, 3]));
 * assertEquals(await sockRecv(server, 1024), new Uint8Array([1, 2, 3]));
 * ```
 */
export async function sockSendall(conn: ConnLike, data: Uint8Array, options: SockOptions = {}): Promise<void> {
  checkConn(conn, "send");
  const bytes = checkedBytes(data, "send");
  checkWait("send", options);
  const sender = stateOf(senders, conn, SockSender);
  await sender.exclusive(() => {
    return limited("send", options, (signal) => {
      return signal === undefined ? sender.sendWhole(bytes, signal) : sender.sendCopy(bytes, signal);
    });
  });
}

/**
 * Sends a file, or a part of it. As `loop.sock_sendfile`.
 *
 * A file that is passed open stays open; its position is afterwards `offset` plus the bytes sent, also after a failure.
 *
 * @param conn The connection
 * @param file The file, or the path of one
 * @param options `offset`: where to begin, in bytes from the start of the file, 0 by default; `count`: how many bytes at
 * most, all by default; `signal` and `timeout` end it: if bytes are on their way then, later sends are refused
 * @returns How many bytes were sent, fewer than `count` if the file has no more
 * @throws {RangeError} If `offset` or `count` is negative or not an integer
 * @throws {Deno.errors.Busy} If another call sends on the connection already
 * @throws {Deno.errors.ConnectionAborted} If an earlier send was aborted with bytes on their way
 *
 * @example Sending a part of a file
 * ```ts
 * import { sockAccept, sockConnect, sockRecv, sockSendfile } from "@tideline/net/sock";
 * import { assertEquals } from "@std/assert";
 *
 * using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
 * using client = await sockConnect({ port: listener.addr.port });
 * using server = await sockAccept(listener);
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "0123456789");
 * assertEquals(await sockSendfile(client, path, { offset: 2, count: 3 }), 3);
 * assertEquals(new TextDecoder().decode(await sockRecv(server, 1024)), "234");
 * await Deno.remove(path);
 * ```
 */
export async function sockSendfile(
  conn: ConnLike,
  file: Deno.FsFile | string,
  options: SendFileOptions = {},
): Promise<number> {
  checkConn(conn, "send a file");
  // Their values are for sendFile to check.
  checkWait("send a file", options, { offset: () => null, count: () => null });
  const sender = stateOf(senders, conn, SockSender);
  return await sender.exclusive(() => {
    return limited("send a file", options, (signal) => {
      return sendFile((block) => sender.sendWhole(block, signal), file, { ...options, signal });
    });
  });
}

/**
 * Receives a datagram. As `loop.sock_recvfrom`.
 *
 * @param sock What {@linkcode sockDatagram} opened, or a `Deno.DatagramConn`
 * @param n How many bytes at most; the rest of a longer datagram is dropped
 * @param options `signal` and `timeout` end it: the next datagram is then kept for the next call
 * @returns The bytes, and who sent them
 * @throws {RangeError} If `n` is negative or not an integer
 * @throws {Deno.errors.Busy} If another call receives on the socket already
 * @throws {Deno.errors.ConnectionRefused} If the connected peer refused a datagram
 *
 * @example Receiving a datagram
 * ```ts
 * import { sockDatagram, sockRecvfrom, sockSendto } from "@tideline/net/sock";
 * import { assertEquals } from "@std/assert";
 *
 * using server = await sockDatagram({ localAddr: { hostname: "127.0.0.1" } });
 * using client = await sockDatagram({ remoteAddr: server.addr });
 * await sockSendto(client, new Uint8Array([1, 2, 3]));
 * const [data, from] = await sockRecvfrom(server, 1500);
 * assertEquals(data, new Uint8Array([1, 2, 3]));
 * assertEquals(from, client.addr);
 * ```
 */
export async function sockRecvfrom(
  sock: DatagramConnLike,
  n: number,
  options: SockOptions = {},
): Promise<[Uint8Array, Deno.Addr]> {
  if (typeof sock?.receive !== "function") {
    throw new TypeError(
      `Cannot receive a datagram: it must be received from a datagram socket, not from ${describe(sock)}`,
    );
  }
  checkCount(n, "receive a datagram");
  checkOptions("receive a datagram", options, waitChecks);
  let receives = datagrams.get(sock);
  if (receives === undefined) datagrams.set(sock, receives = new SingleFlight());
  const [data, from] = await limited("receive a datagram", options, (signal) => {
    return receives.take("receive a datagram", () => receiveWhole(sock), signal);
  });
  return [data.length > n ? copyOf(data, n) : data, from];
}

/**
 * Sends a datagram, from memory of the caller's, which must not change until the promise settles. As `loop.sock_sendto`.
 *
 * @param sock What {@linkcode sockDatagram} opened, or a `Deno.DatagramConn`
 * @param data The bytes, maybe none
 * @param addr Where to; the connected peer by default
 * @param options `signal` and `timeout` end it: the datagram is then sent or not. It costs a copy
 * @returns How many bytes were sent
 * @throws {TypeError} If an address is needed, or it is not that of the connected peer
 *
 * @example Sending a datagram
 * ```ts
 * import { sockDatagram, sockSendto } from "@tideline/net/sock";
 * import { assertEquals } from "@std/assert";
 *
 * using sock = await sockDatagram({ localAddr: { hostname: "127.0.0.1" } });
 * assertEquals(await sockSendto(sock, new Uint8Array([1, 2, 3]), sock.addr), 3);
 * ```
 */
export async function sockSendto(
  sock: DatagramConnLike | DatagramSock,
  data: Uint8Array,
  addr?: Deno.Addr,
  options: SockOptions = {},
): Promise<number> {
  if (typeof sock?.send !== "function") {
    throw new TypeError(`Cannot send a datagram: it must be sent on a datagram socket, not on ${describe(sock)}`);
  }
  checkedBytes(data, "send a datagram");
  checkWait("send a datagram", options);
  // A socket that needs an address throws itself.
  const sent = sock.send(copyMemory(data, "send a datagram"), addr as Deno.Addr);
  return await within("send a datagram", sent, options);
}

/** The largest datagram there can be, in bytes, and a little more. */
const LARGEST_DATAGRAM = 65536;

/** Receives a datagram in memory of its own, whole, since the call that waits for it may not be the one that gets it. */
async function receiveWhole(sock: DatagramConnLike): Promise<[Uint8Array, Deno.Addr]> {
  const block = acquireBlock(LARGEST_DATAGRAM);
  try {
    const [data, from] = await sock.receive(block);
    return [copyOf(data, data.length), from];
  } finally {
    releaseBlock(block);
  }
}

function stateOf<K extends object, S>(states: WeakMap<K, S>, key: K, State: new (key: K) => S): S {
  let state = states.get(key);
  if (state === undefined) states.set(key, state = new State(key));
  return state;
}

function checkConn(conn: ConnLike, doing: string): void {
  if (typeof conn?.read === "function" && typeof conn.write === "function") return;
  throw new TypeError(`Cannot ${doing}: the connection must have read() and write(), not be ${describeType(conn)}`);
}

function checkedBytes(data: Uint8Array, doing: string): Uint8Array {
  if (data instanceof Uint8Array) return plainView(data);
  throw new TypeError(`Cannot ${doing}: the memory must be a Uint8Array, not ${describeType(data)}`);
}

function checkCount(n: number, doing: string): void {
  if (typeof n !== "number") throw new TypeError(`Cannot ${doing}: n must be a number, not ${describe(n)}`);
  if (!Number.isSafeInteger(n) || n < 0) {
    throw new RangeError(`Cannot ${doing}: n must be an integer of at least 0, not ${describe(n)}`);
  }
}

function required(doing: string, name: string, value: unknown): void {
  if (value === undefined) throw new TypeError(`Cannot ${doing}: ${name} is needed`);
}
