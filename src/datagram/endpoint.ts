/**
 * Datagrams: opening a UDP endpoint.
 *
 * @module
 */
import type { DatagramAddress } from "./address.ts";
import { checkWait, limited, type WaitOptions, within } from "../common/wait.ts";
import { makeProtocol } from "../transport/callbacks.ts";
import { lazy } from "../common/lazy.ts";
import { aBoolean, aFunction, anObject, checkOptions } from "../common/options.ts";
import type { DatagramProtocolLike, DatagramTransport } from "../transport/types.ts";
import type { DatagramSocket } from "./udp_socket.ts";

export type { DatagramAddress };

/** The options of {@linkcode createDatagramEndpoint}: a local address, a remote one, or both. */
export interface DatagramEndpointOptions extends WaitOptions {
  /** The address to receive at. By default any port of the loopback interface if the peer is there, else of all interfaces. */
  localAddr?: DatagramAddress | undefined;
  /** The peer. The endpoint sends to it only, and receives from it only, unless `broadcast` is set. */
  remoteAddr?: DatagramAddress | undefined;
  /** Whether other sockets may be bound to the same address and port. `false` by default. */
  reuseAddr?: boolean | undefined;
  /**
   * Whether it may send to broadcast addresses. `false` by default. The datagrams of every sender are received then, because
   * a broadcast is answered by others than its address.
   */
  broadcast?: boolean | undefined;
}

/**
 * Opens a datagram endpoint (UDP). Resolves after the protocol's `connectionMade`.
 *
 * Datagrams leave whole and in the order of the calls of `sendto`. Those that the system has not taken yet count
 * for the write buffer, an empty one as one byte; above the high-water mark `pauseWriting` is called. The error of a
 * datagram that cannot be sent reaches `errorReceived`, and the endpoint goes on.
 *
 * With a `remoteAddr` datagrams of other senders are dropped, unless `broadcast` is set. That the peer refuses
 * datagrams (ICMP "port unreachable") reaches `errorReceived` as `Deno.errors.ConnectionRefused`; as Deno does not tell of it, the system is asked, which can
 * be done on Linux, and with the permission `--allow-ffi`. It is never asked for: without it refusals stay unknown.
 *
 * As `loop.create_datagram_endpoint` of asyncio.
 *
 * @typeParam P The protocol
 * @param protocolFactory Makes the protocol
 * @param options The addresses, at least one of them
 * @returns The transport and the protocol
 * @throws {TypeError} If there is no address, or an invalid one, or if the two are of different families; if an option is
 * unknown or of a wrong type
 * @throws {RangeError} If a port is out of range
 * @throws {Deno.errors.NotCapable | Deno.errors.PermissionDenied} If the net permission for an address is missing, the local
 * one (`0.0.0.0:0` by default) included
 * @throws {Deno.errors.TimedOut} If it takes longer than `timeout`
 * @throws {Deno.errors.AddrInUse} If the local address is taken; other system errors as their class in `Deno.errors`; an
 * `AggregateError` if a name has several addresses and they fail differently
 *
 * @example Asking an echo service
 * ```ts
 * import { createDatagramEndpoint, DatagramProtocol, type DatagramTransport } from "@tideline/net";
 * import { assertEquals } from "@std/assert";
 *
 * class Echo extends DatagramProtocol {
 *   #transport!: DatagramTransport;
 *   override connectionMade(transport: DatagramTransport) {
 *     this.#transport = transport;
 *   }
 *   override datagramReceived(data: Uint8Array, addr: Deno.NetAddr) {
 *     this.#transport.sendto(data, addr);
 *   }
 * }
 * class Client extends DatagramProtocol {
 *   readonly answer = Promise.withResolvers<Uint8Array>();
 *   override datagramReceived(data: Uint8Array) {
 *     this.answer.resolve(data);
 *   }
 * }
 *
 * const server = await createDatagramEndpoint(() => new Echo(), { localAddr: { hostname: "127.0.0.1" } });
 * const remoteAddr = server.transport.getExtraInfo("sockname") as Deno.NetAddr;
 * const { transport, protocol } = await createDatagramEndpoint(() => new Client(), { remoteAddr });
 * transport.sendto(new Uint8Array([1, 2, 3]));
 * assertEquals(await protocol.answer.promise, new Uint8Array([1, 2, 3]));
 * transport.close();
 * server.transport.close();
 * ```
 */
export async function createDatagramEndpoint<P extends DatagramProtocolLike>(
  protocolFactory: () => P,
  options: DatagramEndpointOptions,
): Promise<{ transport: DatagramTransport; protocol: P }> {
  checkOptions(DOING, { protocolFactory: protocolFactory ?? null }, { protocolFactory: aFunction });
  const [socket, { SocketDatagramTransport }] = await Promise.all([
    openDatagramSocket(options),
    transportModule(),
  ]);
  let transport, protocol;
  try {
    protocol = makeProtocol(protocolFactory);
    transport = new SocketDatagramTransport(socket, protocol);
  } catch (error) {
    await new Promise<void>((closed) => socket.close(closed));
    throw error;
  }
  transport.start();
  return { transport, protocol };
}

/**
 * Opens a socket for the first pair of addresses that works.
 *
 * @param options The addresses
 * @returns The socket
 */
export function openDatagramSocket(options: DatagramEndpointOptions): Promise<DatagramSocket> {
  const check = { localAddr: anObject, remoteAddr: anObject, reuseAddr: aBoolean, broadcast: aBoolean };
  try {
    checkWait(DOING, options, check);
  } catch (error) {
    return Promise.reject(error);
  }
  const { signal, timeout } = options;
  return limited(DOING, { signal, timeout }, (signal) => {
    return signal === undefined ? openAny(options) : openUntil(options, signal);
  });
}

async function openUntil(options: DatagramEndpointOptions, signal: AbortSignal): Promise<DatagramSocket> {
  const opening = openAny(options);
  try {
    return await within(DOING, opening, { signal });
  } catch (error) {
    // The system cannot be told to stop: what it brings later is closed.
    if (signal.aborted) opening.then((socket) => socket.close(() => {}), () => {});
    throw error;
  }
}

async function openAny(options: DatagramEndpointOptions): Promise<DatagramSocket> {
  const { localAddr, remoteAddr, reuseAddr = false, broadcast = false } = options;
  const [{ addressPairs }, { openUdpSocket }] = await Promise.all([addressModule(), udpSocketModule()]);
  const errors: Error[] = [];
  for (const { local, remote } of await addressPairs(localAddr, remoteAddr)) {
    try {
      return await openUdpSocket({ local, remote, reuseAddr, broadcast });
    } catch (error) {
      errors.push(error as Error);
    }
  }
  throw errors.length === 1 ? errors[0] : new AggregateError(errors, `Cannot ${DOING}: no address works`);
}

const addressModule = lazy(() => import("./address.ts"));
const transportModule = lazy(() => import("./transport.ts"));
const udpSocketModule = lazy(() => import("./udp_socket.ts"));

const DOING = "create a datagram endpoint";
