/**
 * Detects that the peer of a connected UDP socket refuses datagrams. `node:dgram` under Deno does not report it.
 *
 * Theory of operation. A refusal is an ICMP message, which the system reports only to a connected socket. Under Deno
 * `connect()` of `node:dgram` does not connect the descriptor (denoland/deno#36492 is to change that), so it is connected
 * here, by a call of the C library. The error then stays in the socket and does not wake the receiver. So it is polled
 * (`SO_ERROR`): right after a send, when a refusal by this machine is already there, then a few times more with growing
 * delays, as long as one may still arrive.
 *
 * Calling the C library needs the permission `--allow-ffi`, which is never requested. Without it, and on systems other
 * than Linux, refusals stay unknown.
 *
 * @module
 */
import { showAddress } from "../common/address.ts";
import type { Socket } from "node:dgram";

/** Looks for refusals on one socket. */
export interface RefusalWatch {
  /** Reports a pending refusal, which would otherwise fail the next send. */
  look(): void;
  /** To be called after a send: looks now, and for some time. */
  sent(): void;
  /** Stops looking, and releases the descriptor. */
  close(): void;
}

const LIBRARY = "libc.so.6";

const symbols = {
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

// Linux, every architecture that Deno runs on.
const AF_INET = 2;
const AF_INET6 = 10;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const ECONNREFUSED = 111;

const FIRST_DELAY = 1;
const LAST_DELAY = 4096;

/**
 * Connects the descriptor of a socket, and watches it.
 *
 * @param socket The socket, bound
 * @param peer Its peer; the host is an IP address
 * @param onRefusal Called with each refusal, never from inside a call of the watch
 * @returns The watch; `null` if the platform does not support it
 */
export function watchRefusals(
  socket: Socket,
  peer: Deno.NetAddr,
  onRefusal: (error: Error) => void,
): RefusalWatch | null {
  if (Deno.build.os !== "linux" || peer.hostname.includes("%")) return null;
  if (Deno.permissions.querySync({ name: "ffi", path: LIBRARY }).state !== "granted") return null;
  let libc;
  try {
    libc = Deno.dlopen(LIBRARY, symbols);
  } catch {
    return null; // a system with another C library
  }
  const fd = duplicateDescriptor(socket);
  if (fd !== null) {
    const address = socketAddress(peer);
    if (libc.symbols.connect(fd, address, address.length) === 0) return new SocketErrorWatch(libc, fd, peer, onRefusal);
    libc.symbols.close(fd);
  }
  libc.close();
  return null;
}

class SocketErrorWatch implements RefusalWatch {
  readonly #libc: Deno.DynamicLibrary<typeof symbols>;
  readonly #fd: number;
  readonly #peer: Deno.NetAddr;
  readonly #onRefusal: (error: Error) => void;
  readonly #errno = new Int32Array(1);
  readonly #length = new Uint32Array([4]);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #delay = FIRST_DELAY;

  constructor(
    libc: Deno.DynamicLibrary<typeof symbols>,
    fd: number,
    peer: Deno.NetAddr,
    onRefusal: (error: Error) => void,
  ) {
    this.#libc = libc;
    this.#fd = fd;
    this.#peer = peer;
    this.#onRefusal = onRefusal;
  }

  look(): void {
    this.#libc.symbols.getsockopt(this.#fd, SOL_SOCKET, SO_ERROR, this.#errno, this.#length);
    const errno = this.#errno[0];
    if (errno === 0) return;
    const doing = `Cannot send a datagram to ${showAddress(this.#peer)}`;
    const error = errno === ECONNREFUSED
      ? new Deno.errors.ConnectionRefused(`${doing}: it was refused`)
      : new Error(`${doing}: the system reports error ${errno}`);
    // Not at once, because this may run inside a call of the user.
    queueMicrotask(() => this.#onRefusal(error));
  }

  sent(): void {
    this.#delay = FIRST_DELAY;
    // A running timer starts again with the shortest delay: one timer for any number of sends.
    this.#timer ??= setTimeout(this.#again, FIRST_DELAY);
    this.look();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#libc.symbols.close(this.#fd);
    this.#libc.close();
  }

  readonly #again = (): void => {
    this.#timer = this.#delay > LAST_DELAY ? undefined : setTimeout(this.#again, this.#delay);
    this.#delay *= 4;
    this.look();
  };
}

/** Duplicates the descriptor of the socket; the copy is closed by this file. */
function duplicateDescriptor(socket: Socket): number | null {
  // Not through `socket._handle`, which warns that it is deprecated.
  for (const key of Object.getOwnPropertySymbols(socket)) {
    const handle = (socket as unknown as Record<symbol, { handle?: { fdForIpc?: () => number } } | undefined>)[key]
      ?.handle;
    const fd = handle?.fdForIpc?.();
    if (fd !== undefined && fd >= 0) return fd;
  }
  return null;
}

/** A `struct sockaddr_in` or `sockaddr_in6`. */
function socketAddress({ hostname, port }: Deno.NetAddr): Uint8Array<ArrayBuffer> {
  const six = hostname.includes(":");
  const bytes = new Uint8Array(six ? 28 : 16);
  new Uint16Array(bytes.buffer, 0, 1)[0] = six ? AF_INET6 : AF_INET;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  if (six) bytes.set(ipv6Bytes(hostname), 8);
  else bytes.set(hostname.split(".").map(Number), 4);
  return bytes;
}

function ipv6Bytes(hostname: string): number[] {
  // The URL parser accepts every notation, and returns hexadecimal groups with at most one "::".
  const [head = "", tail] = new URL(`http://[${hostname}]`).hostname.slice(1, -1).split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = new Array<string>(8 - before.length - after.length).fill("0");
  return [...before, ...zeros, ...after].flatMap((group) => {
    const n = parseInt(group, 16);
    return [n >> 8, n & 0xff];
  });
}
