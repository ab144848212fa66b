/**
 * The transports, as users see them, and the shape of the protocols that they call. They are declared together because
 * they name each other.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import type { ConnLike } from "../conn/conn.ts";

/** What every protocol has: the calls about the connection as a whole. */
export interface BaseProtocolLike {
  /** The connection is made; called once, first. */
  connectionMade(transport: BaseTransport): void;
  /** The connection is lost; called once, last. `null`: closed in order, or by this side. */
  connectionLost(error: Error | null): void;
  /** The write buffer grew beyond the high-water mark: write no more for now. */
  pauseWriting(): void;
  /** The write buffer shrank to the low-water mark: go on. */
  resumeWriting(): void;
  /** The server of the connection begins to shut down: end the connection in order. Called at most once. */
  serverClosing?(): void;
}

/** The shape of a {@linkcode Protocol}: bytes are handed over as they come. */
export interface ProtocolLike extends BaseProtocolLike {
  /** Bytes came; they are the protocol's to keep. */
  dataReceived(data: Bytes): void;
  /** The peer sends no more. `true` keeps the writing side open. */
  eofReceived(): boolean | void;
}

/** The shape of a {@linkcode BufferedProtocol}: bytes are read into memory of its own. */
export interface BufferedProtocolLike extends BaseProtocolLike {
  /** Gives the memory to read into, of any size but zero. */
  getBuffer(sizeHint: number): Uint8Array;
  /** So many bytes were put at the start of that memory. */
  bufferUpdated(n: number): void;
  /** The peer sends no more. `true` keeps the writing side open. */
  eofReceived(): boolean | void;
}

/** Either kind of stream protocol. */
export type StreamProtocolLike = ProtocolLike | BufferedProtocolLike;

/** The shape of a {@linkcode DatagramProtocol}. */
export interface DatagramProtocolLike extends BaseProtocolLike {
  /** A datagram came. */
  datagramReceived(data: Bytes, addr: Deno.NetAddr): void;
  /** A send failed, or the peer refused one; the endpoint lives. */
  errorReceived(error: Error): void;
}

/** The shape of a {@linkcode SubprocessProtocol}. */
export interface SubprocessProtocolLike extends BaseProtocolLike {
  /** The process wrote to a pipe: 1 is its stdout, 2 its stderr. */
  pipeDataReceived(fd: number, data: Bytes): void;
  /** A pipe ended. */
  pipeConnectionLost(fd: number, error: Error | null): void;
  /** The process ended. */
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
  /** The stream that a pipe transport was made of. */
  pipe: unknown;
  /** The process that a subprocess transport was made of. */
  subprocess: Deno.ChildProcess;
}

/** What all transports share. As `asyncio.BaseTransport`. */
export interface BaseTransport {
  /** Lets the transport keep the process alive: the default, where it is one of a socket; elsewhere without effect. */
  ref(): void;
  /** Lets the process end although the transport is open, where it is one of a socket; elsewhere without effect. */
  unref(): void;
  /** Tells about what is underneath, or the default where that is not known. */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | undefined;
  /** Tells about what is underneath, or the default where that is not known. */
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, defaultValue: D): ExtraInfo[K] | D;
  /** Tells whether the transport is closing or closed. */
  isClosing(): boolean;
  /** Closes it, after what was written has been sent. */
  close(): void;
  /** Changes the protocol, also to one of another kind. */
  setProtocol(protocol: BaseProtocolLike): void;
  /** The protocol in use. */
  getProtocol(): BaseProtocolLike;
}

/** A transport that can be read from. As `asyncio.ReadTransport`. */
export interface ReadTransport extends BaseTransport {
  /** Tells whether bytes are being received: neither paused nor closing nor at the end. */
  isReading(): boolean;
  /** Holds back the protocol's read callbacks. */
  pauseReading(): void;
  /** Lets them come again. */
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
  /** Writes bytes, or a string as UTF-8; done with the caller's memory when it returns. */
  write(data: Uint8Array | string): void;
  /** Writes several pieces in order. */
  writelines(chunks: Iterable<Uint8Array | string>): void;
  /** Writes without a copy: the memory must not change until the promise settles. */
  sendall(data: Uint8Array): Promise<void>;
  /** Sends what was written, then ends this direction. */
  writeEof(): void;
  /** Tells whether {@linkcode WriteTransport.writeEof} can be done. */
  canWriteEof(): boolean;
  /** Closes at once; what was written and not yet sent is dropped. */
  abort(): void;
  /** How many bytes were written and not yet taken by the system. */
  getWriteBufferSize(): number;
  /** The water marks. */
  getWriteBufferLimits(): WriteBufferLimits;
  /** Sets the water marks, in bytes. */
  setWriteBufferLimits(limits?: { high?: number; low?: number }): void;
}

/** A transport both ways: a connection. As `asyncio.Transport`. */
export interface Transport extends ReadTransport, WriteTransport {}

/** A transport of datagrams. As `asyncio.DatagramTransport`. */
export interface DatagramTransport extends BaseTransport {
  /** Sends one datagram; without an address to the connected peer. */
  sendto(data: Uint8Array, addr?: Deno.NetAddr): void;
  /** Closes at once; what was not yet sent is dropped. */
  abort(): void;
  /** How many bytes wait to be sent. */
  getWriteBufferSize(): number;
  /** The water marks. */
  getWriteBufferLimits(): WriteBufferLimits;
  /** Sets the water marks, in bytes. */
  setWriteBufferLimits(limits?: { high?: number; low?: number }): void;
}

/** A transport of a process and its pipes. As `asyncio.SubprocessTransport`. */
export interface SubprocessTransport extends BaseTransport {
  /** The process id. */
  getPid(): number;
  /** The exit code, the negative signal number, or `null` while it runs. */
  getReturncode(): number | null;
  /** The transport of a pipe: 0 stdin (to write), 1 stdout, 2 stderr (to read); `null` where it is not a pipe. */
  getPipeTransport(fd: 0): WriteTransport | null;
  /** The transport of a pipe: 0 stdin (to write), 1 stdout, 2 stderr (to read); `null` where it is not a pipe. */
  getPipeTransport(fd: 1 | 2): ReadTransport | null;
  /** The transport of a pipe: 0 stdin (to write), 1 stdout, 2 stderr (to read); `null` where it is not a pipe. */
  getPipeTransport(fd: number): BaseTransport | null;
  /** Sends a signal; nothing after the exit. */
  sendSignal(signal: Deno.Signal): void;
  /** Sends SIGTERM. */
  terminate(): void;
  /** Sends SIGKILL. */
  kill(): void;
}
