/**
 * A UDP socket by `node:dgram`, because Deno's own is unstable, with the few calls that a datagram transport needs and with
 * Deno's addresses and errors.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type { RemoteInfo, Socket } from "node:dgram";
import { showAddress } from "../common/address.ts";
import { quote } from "../common/describe.ts";
import { explained, toNetError } from "../common/errors.ts";
import { type RefusalWatch, watchRefusals } from "./udp_refusals.ts";

/** A UDP socket, as a datagram transport needs it. */
export interface DatagramSocket {
  /** The address of this side. */
  readonly localAddr: Deno.NetAddr;
  /** The peer that it sends to, or `null`. */
  readonly remoteAddr: Deno.NetAddr | null;
  /** Starts receiving. */
  start(receiver: DatagramReceiver): void;
  /** Sends one datagram; `sent` is called in a later turn. To be called for one at a time, or they overtake each other. */
  send(data: Uint8Array, to: Deno.NetAddr | null, sent: (error: Error | null) => void): void;
  /** Closes the socket, once. Nothing is received from now on; `closed` is called in a later turn, when the address is free. */
  close(closed: () => void): void;
  /** Sets whether receiving keeps the process alive; it does by default. */
  keepAlive(alive: boolean): void;
}

/** The callbacks of a socket. */
export interface DatagramReceiver {
  /** A datagram was received; its bytes belong to the receiver. */
  received(data: Bytes, from: Deno.NetAddr): void;
  /** A receive failed, or the peer refused a datagram. */
  failed(error: Error): void;
}

/** The addresses and options of a socket. The hosts are IP addresses of one family. */
export interface UdpSocketOptions {
  /** The address to bind to. */
  local: Deno.NetAddr;
  /** The peer; `null` for none. */
  remote: Deno.NetAddr | null;
  /** Whether other sockets may bind to the same address. */
  reuseAddr: boolean;
  /** Whether it may send to broadcast addresses. It is not connected to its peer then, because others answer. */
  broadcast: boolean;
}

/**
 * Opens a UDP socket.
 *
 * @param options The addresses, and whether the address is shared and broadcasts are allowed
 * @returns The socket
 * @throws {Deno.errors.AddrInUse} If the address is taken; other system errors as their class in `Deno.errors`
 */
export async function openUdpSocket(options: UdpSocketOptions): Promise<DatagramSocket> {
  const { createSocket } = await import("node:dgram");
  const { lookup } = await import("node:dns");
  const { local, remote, reuseAddr, broadcast } = options;
  const socket = createSocket({
    type: isIPv6(local.hostname) ? "udp6" : "udp4",
    reuseAddr,
    // For the catch only: without the permission bind() throws in a task of its own, which would end the process.
    lookup: (host, lookupOptions, callback) =>
      lookup(host, lookupOptions, (...found) => {
        try {
          callback(...found);
        } catch (error) {
          socket.emit("error", error);
        }
      }),
  });
  try {
    await until(socket, "listening", () => socket.bind(local.port, local.hostname));
    if (broadcast) socket.setBroadcast(true);
    else if (remote !== null) await until(socket, "connect", () => socket.connect(remote.port, remote.hostname));
  } catch (error) {
    socket.close();
    throw explained(error, `bind a datagram endpoint to ${showAddress(local)}`);
  }
  return new UdpSocket(socket, remote, remote !== null && !broadcast);
}

/**
 * Resolves a host to its IP addresses.
 *
 * @param host A name or an IP address
 * @returns The addresses, best first, at least one
 * @throws {Deno.errors.NotFound} If the name is unknown
 */
export async function resolveHost(host: string): Promise<string[]> {
  const { lookup } = await import("node:dns/promises");
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw explained(error, `resolve ${quote(host)}`);
  }
}

/**
 * Tells whether an IP address is of version 6.
 *
 * @param address The address
 * @returns Whether it is
 */
export function isIPv6(address: string): boolean {
  return address.includes(":");
}

/**
 * Tells whether two addresses are the same, however they are spelled.
 *
 * @param a An address
 * @param b Another
 * @returns Whether they are
 */
export function sameAddress(a: Deno.NetAddr, b: Deno.NetAddr): boolean {
  return a.port === b.port &&
    (a.hostname === b.hostname || canonicalHost(a.hostname) === canonicalHost(b.hostname));
}

class UdpSocket implements DatagramSocket {
  readonly localAddr: Deno.NetAddr;
  readonly remoteAddr: Deno.NetAddr | null;
  readonly #socket: Socket;
  readonly #isConnected: boolean;
  #refusals: RefusalWatch | null = null;

  constructor(socket: Socket, remote: Deno.NetAddr | null, isConnected: boolean) {
    const { address, port } = socket.address();
    this.localAddr = { transport: "udp", hostname: address, port };
    this.remoteAddr = remote;
    this.#socket = socket;
    this.#isConnected = isConnected;
  }

  start(receiver: DatagramReceiver): void {
    const peer = this.#isConnected ? this.remoteAddr : null;
    this.#socket.on("error", (error: Error) => receiver.failed(named(error, "receive a datagram")));
    this.#socket.on("message", (message: Uint8Array, { address, port }: RemoteInfo) => {
      const from: Deno.NetAddr = { transport: "udp", hostname: address, port };
      // A system filters by peer only on a connected descriptor, which it may not be under Deno: see udp_refusals.ts.
      if (peer !== null && !sameAddress(from, peer)) return;
      // A copy, because each message is a view of its own block of 64 KiB, which it would keep alive.
      receiver.received(new Uint8Array(message), from);
    });
    if (peer !== null) this.#refusals = watchRefusals(this.#socket, peer, (error) => receiver.failed(error));
  }

  send(data: Uint8Array, to: Deno.NetAddr | null, sent: (error: Error | null) => void): void {
    const target = to ?? this.remoteAddr!;
    const done = (error: Error | null) => {
      if (error === null) this.#refusals?.sent();
      sent(error && sendError(error, data.length, target));
    };
    this.#refusals?.look();
    if (to === null && this.#isConnected) this.#socket.send(data, done);
    else this.#socket.send(data, target.port, target.hostname, done);
  }

  close(closed: () => void): void {
    this.#refusals?.close();
    this.#refusals = null;
    this.#socket.removeAllListeners("message");
    this.#socket.close();
    // Deno holds the descriptor until it has cancelled its receive, in the next turn of the event loop; one turn later it is
    // free. Not by a timer, which the sanitizers of a test that closes last would report.
    setImmediate(() => setImmediate(closed));
  }

  keepAlive(alive: boolean): void {
    if (alive) this.#socket.ref();
    else this.#socket.unref();
  }
}

/** Starts an operation and waits for its event, or rejects at an error. */
function until(socket: Socket, event: "listening" | "connect", start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once(event, () => {
      socket.off("error", reject);
      resolve();
    });
    start();
  });
}

/** Turns an error of `node:dgram` into one with its class in `Deno.errors`, or at least with the name of what failed. */
function named(error: Error, doing: string): Error {
  const known = toNetError(error, doing);
  return known === error ? new Error(`Cannot ${doing}: ${error.message}`, { cause: error }) : known;
}

function sendError(error: Error & { code?: unknown }, size: number, target: Deno.NetAddr): Error {
  const host = showAddress(target);
  const doing = `send a datagram of ${size} bytes to ${host}`;
  // All that node:dgram says of a missing permission.
  const isVague = error.code === "UNKNOWN" || error.message.endsWith("UNKNOWN");
  if (isVague && Deno.permissions.querySync({ name: "net", host }).state !== "granted") {
    return new Deno.errors.NotCapable(`Cannot ${doing}: it needs the permission --allow-net=${host}`, { cause: error });
  }
  return named(error, doing);
}

/** Returns the notation of the URL parser, without a zone: received datagrams have none. */
function canonicalHost(host: string): string {
  const url = `http://${isIPv6(host) ? `[${host.replace(/%.*/, "")}]` : host}`;
  return URL.canParse(url) ? new URL(url).hostname : host;
}
