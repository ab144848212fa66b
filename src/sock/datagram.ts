/**
 * A datagram socket with the calls of `Deno.DatagramConn`, but without unstable flags.
 *
 * Datagrams that arrive while no receive waits are kept up to a bound. Beyond it they are dropped, as a system does.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { type DatagramEndpointOptions, openDatagramSocket } from "../datagram/endpoint.ts";
import { LoopBudget } from "../common/loop_budget.ts";
import { targetOf } from "../datagram/address.ts";
import type { DatagramSocket } from "../datagram/udp_socket.ts";

/** What `sockRecvfrom` and `sockSendto` need of a datagram socket. Every `Deno.DatagramConn` has this shape. */
export interface DatagramConnLike {
  /** Waits for a datagram, puts it into `p`, and resolves with that part of `p` and the sender. */
  receive(p: Uint8Array): Promise<[Uint8Array, Deno.Addr]>;
  /** Sends a datagram; resolves with its size in bytes. */
  send(p: Uint8Array, addr: Deno.Addr): Promise<number>;
}

/** A datagram socket, as {@linkcode sockDatagram} opens it. */
export interface DatagramSock extends DatagramConnLike, Disposable {
  /** The address of this side. */
  readonly addr: Deno.NetAddr;
  /** The peer, if it is connected to one. */
  readonly remoteAddr: Deno.NetAddr | null;
  /** Sends a datagram, to the connected peer if no address is given; resolves with its size in bytes. */
  send(p: Uint8Array, addr?: Deno.Addr): Promise<number>;
  /** Closes the socket; a waiting receive rejects. */
  close(): void;
}

/** The bound of kept datagrams, in bytes, and the bytes that each counts for besides its own. */
const MOST_KEPT = 262144;
const PRICE = 64;

/**
 * Opens a datagram socket (UDP), for {@linkcode sockRecvfrom} and {@linkcode sockSendto}.
 *
 * The socket keeps up to 256 KiB of received datagrams, each counted with 64 bytes more than its own; further ones are
 * dropped, as a system does. With a `remoteAddr` it is connected, see `createDatagramEndpoint`; a refusal of the peer
 * rejects the next receive.
 *
 * As `socket.socket(AF_INET, SOCK_DGRAM)` with `bind` and `connect` in Python.
 *
 * @param options The addresses, at least one of them
 * @returns The socket
 * @throws {TypeError} If there is no address, or an invalid one
 * @throws {Deno.errors.AddrInUse} If the local address is taken; other system errors as their class in `Deno.errors`
 *
 * @example Sending a datagram to oneself
 * ```ts
 * import { sockDatagram, sockRecvfrom, sockSendto } from "@tideline/net/sock";
 * import { assertEquals } from "@std/assert";
 *
 * using sock = await sockDatagram({ localAddr: { hostname: "127.0.0.1" } });
 * await sockSendto(sock, new Uint8Array([1, 2]), sock.addr);
 * const [data, from] = await sockRecvfrom(sock, 1500);
 * assertEquals(data, new Uint8Array([1, 2]));
 * assertEquals(from, sock.addr);
 * ```
 */
export async function sockDatagram(options: DatagramEndpointOptions): Promise<DatagramSock> {
  return new PulledDatagrams(await openDatagramSocket(options));
}

type Arrival = { data: Bytes; from: Deno.NetAddr } | { error: Error };

class PulledDatagrams implements DatagramSock {
  readonly #socket: DatagramSocket;
  readonly #budget = new LoopBudget();
  readonly #kept: Arrival[] = [];
  readonly #waiting: PromiseWithResolvers<Arrival>[] = [];
  #size = 0;
  #lastSend: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(socket: DatagramSocket) {
    this.#socket = socket;
    socket.start({
      received: (data, from) => this.#arrived({ data, from }),
      failed: (error) => this.#arrived({ error }),
    });
  }

  get addr(): Deno.NetAddr {
    return this.#socket.localAddr;
  }

  get remoteAddr(): Deno.NetAddr | null {
    return this.#socket.remoteAddr;
  }

  async receive(p: Uint8Array): Promise<[Uint8Array, Deno.Addr]> {
    const turn = this.#budget.spend(1);
    if (turn !== null) await turn;
    if (this.#closed) throw closedError("receive a datagram");
    let arrival = this.#kept.shift();
    if (arrival === undefined) {
      const waiter = Promise.withResolvers<Arrival>();
      this.#waiting.push(waiter);
      arrival = await waiter.promise;
    } else {
      this.#size -= priceOf(arrival);
    }
    if ("error" in arrival) throw arrival.error;
    const part = arrival.data.subarray(0, p.length);
    p.set(part);
    return [p.subarray(0, part.length), arrival.from];
  }

  send(p: Uint8Array, addr?: Deno.Addr): Promise<number> {
    const sent = this.#lastSend.then(() => this.#send(p, addr));
    // One at a time, or they overtake each other. A failure does not stop the next one.
    this.#lastSend = sent.catch(() => {});
    return sent;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#kept.length = 0;
    this.#socket.close(() => {});
    for (const waiter of this.#waiting.splice(0)) waiter.resolve({ error: closedError("receive a datagram") });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #send(p: Uint8Array, addr: Deno.Addr | undefined): Promise<number> {
    if (this.#closed) throw closedError("send a datagram");
    const to = targetOf(this.#socket, addr as Deno.NetAddr | undefined);
    return new Promise((resolve, reject) => {
      this.#socket.send(p, to, (error) => error === null ? resolve(p.length) : reject(error));
    });
  }

  #arrived(arrival: Arrival): void {
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) return waiter.resolve(arrival);
    if (this.#size + priceOf(arrival) > MOST_KEPT) return;
    this.#size += priceOf(arrival);
    this.#kept.push(arrival);
  }
}

function priceOf(arrival: Arrival): number {
  return PRICE + ("data" in arrival ? arrival.data.length : 0);
}

function closedError(doing: string): Error {
  return new Deno.errors.ConnectionAborted(`Cannot ${doing}: the socket was closed on this side`);
}
