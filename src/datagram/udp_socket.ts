/**
 * A UDP socket: `node:dgram` (Deno's own is unstable) behind the few calls that a datagram transport makes, with addresses
 * and errors as Deno has them.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type { RemoteInfo, Socket } from "node:dgram";
import { showAddress } from "../common/address.ts";
import { quote } from "../common/describe.ts";
import { toNetError } from "../common/errors.ts";
import { type RefusalWatch, watchRefusals } from "./udp_refusals.ts";

/** What a datagram transport needs of a socket. */
export interface DatagramSocket {
  /** The address of this side. */
  readonly localAddr: Deno.NetAddr;
  /** The peer it is connected to, or `null`. */
  readonly remoteAddr: Deno.NetAddr | null;
  /** Starts receiving. */
  start(receiver: DatagramReceiver): void;
  /** Sends one datagram; `sent` is called in a later turn. One at a time, or they overtake each other. */
  send(data: Uint8Array, to: Deno.NetAddr | null, sent: (error: Error | null) => void): void;
  /** Closes it, once: nothing is received from now on. In a later turn, when the address is free, `closed` is called. */
  close(closed: () => void): void;
  /** Says whether receiving keeps the process alive: it does by default. */
  keepAlive(alive: boolean): void;
}

/** What a socket calls. */
export interface DatagramReceiver {
  /** A datagram came; its bytes are the receiver's to keep. */
  received(data: Bytes, from: Deno.NetAddr): void;
  /** A receive failed, or the peer refused a datagram. */
  failed(error: Error): void;
}

/** Where to bind, where to connect, and how. The hosts are IP addresses of one family. */
export interface UdpSocketOptions {
  /** Where to bind. */
  local: Deno.NetAddr;
  /** Where to connect; `null` for nowhere. */
  remote: Deno.NetAddr | null;
  /** Whether others may bind there too. */
  reuseAddr: boolean;
  /** Whether it may send to broadcast addresses. */
  broadcast: boolean;
}

/**
 * Opens a UDP socket.
 *
 * @param options Where to bind and to connect, and how
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
    // Only for the catch: without the permission, bind() throws where no caller is, and that would end the process.
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
    if (remote !== null) await until(socket, "connect", () => socket.connect(remote.port, remote.hostname));
    if (broadcast) socket.setBroadcast(true);
  } catch (error) {
    socket.close();
    throw toNetError(error, `bind a datagram endpoint to ${showAddress(local)}`);
  }
  return new UdpSocket(socket, remote);
}

/**
 * Finds the IP addresses of a host.
 *
 * @param host A name or an IP address
 * @returns The addresses, best first, at least one
 * @throws {Deno.errors.NotFound} If the name is not known
 */
export async function resolveHost(host: string): Promise<string[]> {
  const { lookup } = await import("node:dns/promises");
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw toNetError(error, `resolve ${quote(host)}`);
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
  #refusals: RefusalWatch | null = null;

  constructor(socket: Socket, remote: Deno.NetAddr | null) {
    const { address, port } = socket.address();
    this.localAddr = { transport: "udp", hostname: address, port };
    this.remoteAddr = remote;
    this.#socket = socket;
  }

  start(receiver: DatagramReceiver): void {
    const peer = this.remoteAddr;
    this.#socket.on("error", (error: Error) => receiver.failed(named(error, "receive a datagram")));
    this.#socket.on("message", (message: Uint8Array, { address, port }: RemoteInfo) => {
      const from: Deno.NetAddr = { transport: "udp", hostname: address, port };
      // A system keeps strangers out only if it knows of the peer, and under Deno it may not: see udp_refusals.ts.
      if (peer !== null && !sameAddress(from, peer)) return;
      // A copy, because each message is a view of a block of 64 KiB of its own, which it would keep alive.
      receiver.received(new Uint8Array(message), from);
    });
    if (peer !== null) this.#refusals = watchRefusals(this.#socket, peer, (error) => receiver.failed(error));
  }

  send(data: Uint8Array, to: Deno.NetAddr | null, sent: (error: Error | null) => void): void {
    const done = (error: Error | null) => {
      if (error === null) this.#refusals?.sent();
      sent(error && named(error, `send a datagram of ${data.length} bytes to ${showAddress(to ?? this.remoteAddr!)}`));
    };
    this.#refusals?.look();
    if (to === null) this.#socket.send(data, done);
    else this.#socket.send(data, to.port, to.hostname, done);
  }

  close(closed: () => void): void {
    this.#refusals?.close();
    this.#refusals = null;
    this.#socket.removeAllListeners("message");
    this.#socket.close();
    // Deno holds the descriptor until it has cancelled its receive, in the next turn of the event loop: one turn later it is
    // free for sure. Not a timer, which a test that closes last of all would be told to have left behind.
    setImmediate(() => setImmediate(closed));
  }

  keepAlive(alive: boolean): void {
    if (alive) this.#socket.ref();
    else this.#socket.unref();
  }
}

/** Starts something and waits for the event that says it is done; rejects at an error instead. */
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

/** An error of `node:dgram` as one of ours: with its class in `Deno.errors`, or at least with a name for what failed. */
function named(error: Error, doing: string): Error {
  const known = toNetError(error, doing);
  return known === error ? new Error(`Cannot ${doing}: ${error.message}`, { cause: error }) : known;
}

/** The one spelling that the URL parser leaves; the zone of a link-local address is not told of datagrams received. */
function canonicalHost(host: string): string {
  const url = `http://${isIPv6(host) ? `[${host.replace(/%.*/, "")}]` : host}`;
  return URL.canParse(url) ? new URL(url).hostname : host;
}
