/**
 * The transports, as users see them, and the shape of the protocols that they call. They are declared together because
 * they name each other.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type { ConnLike } from "../conn/conn.ts";
import type { ProxyInfo } from "../proxy/header.ts";

/** What every protocol has: the calls about the connection as a whole. */
export interface BaseProtocolLike {
  /**
   * The connection is made. Called once, before any other callback.
   *
   * @param transport The transport, to be kept
   */
  connectionMade(transport: BaseTransport): void;
  /**
   * The connection is lost. Called once, after every other callback.
   *
   * @param error Why; `null` if it was closed in order, or by this side
   */
  connectionLost(error: Error | null): void;
  /** The write buffer grew above the high-water mark: write no more for now. */
  pauseWriting(): void;
  /** The write buffer shrank to the low-water mark: writing may go on. */
  resumeWriting(): void;
  /** The server of the connection begins to shut down: end the connection in order. Called at most once. */
  serverClosing?(): void;
}

/** The shape of a {@linkcode Protocol}: bytes are handed over as they come. */
export interface ProtocolLike extends BaseProtocolLike {
  /**
   * Bytes have arrived.
   *
   * @param data The bytes, at least one; they are the protocol's to keep
   */
  dataReceived(data: Bytes): void;
  /**
   * The peer sends no more.
   *
   * @returns `true` to keep the writing side open; else the transport closes, after what was written is sent
   */
  eofReceived(): boolean | void;
  /** The bytes that it was given and has not used, if it keeps any: `startTls` refuses them, or takes them for a handshake. */
  readonly unread?: UnreadBytes | undefined;
}

/** The shape of a {@linkcode BufferedProtocol}: bytes are read into memory of its own. */
export interface BufferedProtocolLike extends BaseProtocolLike {
  /**
   * Gives the memory to read into. It is in use until the next callback.
   *
   * @param sizeHint A good size, in bytes; any other above zero will do
   * @returns The memory; an empty one is an error of the protocol
   */
  getBuffer(sizeHint: number): Uint8Array;
  /**
   * Bytes have arrived in the memory that `getBuffer` gave.
   *
   * @param n How many bytes are at its start, at least one
   */
  bufferUpdated(n: number): void;
  /**
   * The peer sends no more.
   *
   * @returns `true` to keep the writing side open; else the transport closes, after what was written is sent
   */
  eofReceived(): boolean | void;
}

/** Either kind of stream protocol. */
export type StreamProtocolLike = ProtocolLike | BufferedProtocolLike;

/** The shape of a {@linkcode DatagramProtocol}. */
export interface DatagramProtocolLike extends BaseProtocolLike {
  /**
   * A datagram has arrived.
   *
   * @param data Its bytes, maybe none; they are the protocol's to keep
   * @param addr Its sender
   */
  datagramReceived(data: Bytes, addr: Deno.NetAddr): void;
  /**
   * A send failed, or the peer refused a datagram. The endpoint stays open.
   *
   * @param error Why
   */
  errorReceived(error: Error): void;
}

/** The shape of a {@linkcode SubprocessProtocol}. */
export interface SubprocessProtocolLike extends BaseProtocolLike {
  /**
   * The process wrote to a pipe.
   *
   * @param fd 1 for its stdout, 2 for its stderr
   * @param data The bytes; they are the protocol's to keep
   */
  pipeDataReceived(fd: number, data: Bytes): void;
  /**
   * A pipe ended.
   *
   * @param fd 0 for its stdin, 1 for its stdout, 2 for its stderr
   * @param error Why; `null` if it ended in order
   */
  pipeConnectionLost(fd: number, error: Error | null): void;
  /** The process exited. Its pipes may still bring data. */
  processExited(): void;
}

/** Who the peer of a TLS connection is, as its certificate says. */
export interface PeerCertificate {
  /** The subject, as name-value pairs, such as `CN`. */
  subject: Record<string, string | string[]>;
  /** The issuer, as name-value pairs. */
  issuer: Record<string, string | string[]>;
  /** The alternative names, such as `DNS:localhost, IP Address:127.0.0.1`; empty if there are none. */
  subjectAltName: string;
  /** When it becomes valid. */
  validFrom: Date;
  /** When it ceases to be valid. */
  validTo: Date;
  /** The SHA-256 fingerprint, as colon-separated hex digits. */
  fingerprint256: string;
  /** The certificate itself, in DER. */
  raw: Bytes;
}

/** What is known of a TLS connection. What the platform does not tell is undefined. */
export interface TlsInfo {
  /** The ALPN protocol agreed on, or `null`. */
  alpnProtocol: string | null;
  /** The version of TLS, such as `TLSv1.3`. */
  protocol?: string | undefined;
  /** The cipher suite, by its standard name. */
  cipher?: string | undefined;
  /** The server name: on the server the one the client asked for, on the client the one verified. */
  serverName?: string | undefined;
  /** The peer's certificate; `null` if it sent none. */
  peerCertificate?: PeerCertificate | null | undefined;
}

/** What {@linkcode BaseTransport.getExtraInfo} can be asked, and the type of each answer. */
export interface ExtraInfo {
  /** The address of the peer. */
  peername: Deno.Addr;
  /** The address of this side. */
  sockname: Deno.Addr;
  /** The connection underneath. */
  conn: ConnLike;
  /** What is known of the TLS connection. */
  tls: TlsInfo;
  /** What the proxy in front of the server told, by the PROXY protocol. `peername` is then the address of its client. */
  proxy: ProxyInfo;
  /** The stream that a pipe transport was made of. */
  pipe: unknown;
  /** The process that a subprocess transport was made of. */
  subprocess: Deno.ChildProcess;
}

/** What a transport has done: see {@linkcode BaseTransport.stats}. Times as `Date.now()` has them, in milliseconds. */
export interface TransportStats {
  /** The bytes received, of TLS the decrypted ones. */
  readonly bytesRead: number;
  /** The bytes that the system has taken, of TLS before they are encrypted. */
  readonly bytesWritten: number;
  /** When the transport was made. */
  readonly openedAt: number;
  /**
   * When bytes were received or taken last; at first when the transport was made. The first bytes written after some were
   * received count as of those.
   */
  readonly lastActive: number;
  /** Since when writing is paused, because the peer does not read as fast as is written; `null` if it is not. */
  readonly pausedSince: number | null;
}

/** What all transports share. As `asyncio.BaseTransport`. */
export interface BaseTransport {
  /** Lets the transport keep the process alive: the default, where it is one of a socket; elsewhere without effect. */
  ref(): void;
  /** Lets the process end although the transport is open, where it is one of a socket; elsewhere without effect. */
  unref(): void;
  /**
   * Returns what is known of the connection underneath. As asyncio's `get_extra_info`.
   *
   * @param name What to return; {@linkcode ExtraInfo} has the names and types
   * @returns The value; `undefined` where it is not known
   */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | undefined;
  /**
   * Returns what is known of the connection underneath. As asyncio's `get_extra_info`.
   *
   * @param name What to return; {@linkcode ExtraInfo} has the names and types
   * @param defaultValue What to return where it is not known
   * @returns The value, or the default
   */
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, defaultValue: D): ExtraInfo[K] | D;
  /**
   * Tells what the transport has done. A process has the sums of its pipes, and `pausedSince` of its stdin.
   *
   * @returns The counts and times, as they are now
   */
  stats(): TransportStats;
  /**
   * Tells whether the transport is closing or closed.
   *
   * @returns Whether it is
   */
  isClosing(): boolean;
  /**
   * Closes the transport: reading stops, what was written is sent, then `connectionLost(null)` is called. Again it
   * does nothing.
   */
  close(): void;
  /**
   * Changes the protocol, also to one of another kind.
   *
   * @param protocol The protocol whose callbacks are called from now on
   * @throws {TypeError} If it is no protocol that the transport can use
   */
  setProtocol(protocol: BaseProtocolLike): void;
  /**
   * Returns the protocol in use.
   *
   * @returns The protocol
   */
  getProtocol(): BaseProtocolLike;
}

/** A transport that can be read from. As `asyncio.ReadTransport`. */
export interface ReadTransport extends BaseTransport {
  /**
   * Tells whether bytes are being received.
   *
   * @returns `false` if reading is paused, the transport is closing, or the peer's end was received
   */
  isReading(): boolean;
  /** Stops calling the protocol's read callbacks. What a pending read brings is kept until reading is resumed. */
  pauseReading(): void;
  /** Calls them again. */
  resumeReading(): void;
  /**
   * For transports whose reads cannot be taken back; optional. Tells when the read into the memory that `getBuffer` gave is
   * over: whatever it brought was handed over, or never will be, and nothing writes to that memory any more.
   *
   * Without this method, the protocol has its memory back when `bufferUpdated`, `eofReceived` or `connectionLost` is called.
   * With it, `connectionLost` may come first.
   *
   * @param settle Called once when the read is over; at once if none is under way
   * @returns What `settle` returns or throws; so the waiting read needs no promise of its own
   */
  afterRead?<T>(settle: () => T | Promise<T>): Promise<T>;
  /**
   * Takes bytes back from `dataReceived` while that runs; optional. They are delivered again, before all others, to the protocol
   * that is set when reading is not paused: in a microtask, or after `resumeReading`.
   *
   * @param data The bytes, which the caller does not use again; dropped on a transport that is closing
   */
  giveBack?(data: Bytes): void;
}

/** Bytes that a protocol was given and has not used yet. */
export interface UnreadBytes {
  /** How many there are. */
  readonly length: number;
  /** Takes all of them. */
  take(): Uint8Array;
}

/** The size of a write buffer, and when to pause and resume. In bytes. */
export interface WriteBufferLimits {
  /** At or below this size writing is resumed. */
  low: number;
  /** Above this size writing is paused. */
  high: number;
}

/** A transport that can be written to. As `asyncio.WriteTransport`. */
export interface WriteTransport extends BaseTransport {
  /**
   * Writes bytes. They are sent in the order of the calls; the memory may be reused when this returns. Detached memory counts
   * as empty.
   *
   * @param data The bytes, or a string to be sent as UTF-8
   * @throws {TypeError} If it is neither
   * @throws {ClosedError} After `writeEof()`
   */
  write(data: Uint8Array | string): void;
  /**
   * Writes several pieces in order, as `write` does each.
   *
   * @param chunks The pieces
   * @throws {TypeError} If one of them is neither bytes nor a string; then none is written
   * @throws {ClosedError} After `writeEof()`
   */
  writelines(chunks: Iterable<Uint8Array | string>): void;
  /**
   * Writes bytes without a copy. The memory must not change until the promise settles.
   *
   * @param data The bytes
   * @returns Resolves when all are sent; rejects with the error the connection is lost with. It may be ignored
   * @throws {TypeError} If they are no bytes
   * @throws {ClosedError} After `writeEof()`
   */
  sendall(data: Uint8Array): Promise<void>;
  /**
   * Ends the writing direction, after what was written is sent. Reading goes on.
   *
   * @throws {Error} If the connection cannot end one direction alone: see {@linkcode WriteTransport.canWriteEof}
   */
  writeEof(): void;
  /**
   * Tells whether the connection can end its writing direction alone.
   *
   * @returns Whether it can
   */
  canWriteEof(): boolean;
  /**
   * Closes the transport at once. What was written and not yet sent is dropped. `connectionLost(null)` is called in a
   * later turn.
   */
  abort(): void;
  /**
   * Returns the size of the write buffer.
   *
   * @returns How many bytes were written and not yet taken by the system
   */
  getWriteBufferSize(): number;
  /**
   * Returns the water marks.
   *
   * @returns The marks, in bytes
   */
  getWriteBufferLimits(): WriteBufferLimits;
  /**
   * Sets the water marks. As asyncio's `set_write_buffer_limits`.
   *
   * @param limits `high`, 65536 by default, and `low`, a quarter of `high` by default, in bytes; `low` alone sets
   * `high` to four times as much
   * @throws {TypeError} If one of them is no number
   * @throws {RangeError} Unless high ≥ low ≥ 0
   */
  setWriteBufferLimits(limits?: { high?: number | undefined; low?: number | undefined }): void;
}

/** A transport both ways: a connection. As `asyncio.Transport`. */
export interface Transport extends ReadTransport, WriteTransport {}

/** A transport of datagrams. As `asyncio.DatagramTransport`. */
export interface DatagramTransport extends BaseTransport {
  /**
   * Sends one datagram. The memory may be reused when this returns.
   *
   * @param data The bytes of the datagram
   * @param addr Where to; by default the peer that the endpoint is connected to
   * @throws {TypeError} If there is no address, or another one than the peer's
   */
  sendto(data: Uint8Array, addr?: Deno.NetAddr): void;
  /** Closes the transport at once. What was not yet sent is dropped. */
  abort(): void;
  /**
   * Returns the size of the write buffer.
   *
   * @returns How many bytes wait to be sent; an empty datagram counts as one
   */
  getWriteBufferSize(): number;
  /**
   * Returns the water marks.
   *
   * @returns The marks, in bytes
   */
  getWriteBufferLimits(): WriteBufferLimits;
  /**
   * Sets the water marks, as {@linkcode WriteTransport.setWriteBufferLimits}.
   *
   * @param limits `high` and `low`, in bytes
   * @throws {TypeError} If one of them is no number
   * @throws {RangeError} Unless high ≥ low ≥ 0
   */
  setWriteBufferLimits(limits?: { high?: number | undefined; low?: number | undefined }): void;
}

/** A transport of a process and its pipes. As `asyncio.SubprocessTransport`. */
export interface SubprocessTransport extends BaseTransport {
  /**
   * Returns the process id.
   *
   * @returns The id
   */
  getPid(): number;
  /**
   * Returns the exit code.
   *
   * @returns The exit code, or the negative number of the signal that ended the process; `null` while it runs
   */
  getReturncode(): number | null;
  /**
   * Returns the transport of stdin.
   *
   * @param fd 0
   * @returns The transport; `null` if stdin is not a pipe
   */
  getPipeTransport(fd: 0): WriteTransport | null;
  /**
   * Returns the transport of stdout or stderr.
   *
   * @param fd 1 for stdout, 2 for stderr
   * @returns The transport; `null` if it is not a pipe
   */
  getPipeTransport(fd: 1 | 2): ReadTransport | null;
  /**
   * Returns the transport of a pipe.
   *
   * @param fd 0 for stdin, 1 for stdout, 2 for stderr
   * @returns The transport; `null` if it is not a pipe
   */
  getPipeTransport(fd: number): BaseTransport | null;
  /**
   * Sends a signal. After the exit it does nothing.
   *
   * @param signal The signal
   * @throws {TypeError} If there is no such signal
   */
  sendSignal(signal: Deno.Signal): void;
  /** Sends SIGTERM. After the exit it does nothing. */
  terminate(): void;
  /** Sends SIGKILL. After the exit it does nothing. */
  kill(): void;
}
