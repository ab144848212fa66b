/**
 * What a header of the PROXY protocol tells, in both versions.
 *
 * The protocol is HAProxy's: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 *
 * @module
 */

/** A field of a PROXY protocol header, version 2, as it is on the wire. */
export interface ProxyTlv {
  /** The type, from 0 to 255. */
  readonly type: number;
  /** The value. */
  readonly value: Uint8Array;
}

/** What a proxy that ended TLS tells of it: the field `PP2_TYPE_SSL`. */
export interface ProxySsl {
  /** Whether the client connected by TLS. */
  readonly tls: boolean;
  /** Whether the client showed a certificate on this connection. */
  readonly certificate: boolean;
  /** Whether the client showed a certificate at least once in this TLS session. */
  readonly sessionCertificate: boolean;
  /** Whether the client showed a certificate and the proxy verified it. */
  readonly verified: boolean;
  /** The version, such as "TLSv1.3". */
  readonly version?: string | undefined;
  /** The common name of the client's certificate. */
  readonly commonName?: string | undefined;
  /** The cipher, such as "ECDHE-RSA-AES128-GCM-SHA256". */
  readonly cipher?: string | undefined;
  /** The signature algorithm of the client's certificate. */
  readonly signatureAlgorithm?: string | undefined;
  /** The key algorithm of the client's certificate. */
  readonly keyAlgorithm?: string | undefined;
  /** Fields of other types. */
  readonly others?: readonly ProxyTlv[] | undefined;
}

/** The fields of a PROXY protocol header, version 2. */
export interface ProxyTlvs {
  /** The application protocol that was negotiated with the client, such as "h2". */
  readonly alpn?: string | undefined;
  /** The host name that the client asked for, such as the server name of TLS. */
  readonly authority?: string | undefined;
  /** What identifies the connection; at most 128 bytes. */
  readonly uniqueId?: Uint8Array | undefined;
  /** The name of the network namespace. */
  readonly netns?: string | undefined;
  /** What is known of the client's TLS. */
  readonly ssl?: ProxySsl | undefined;
  /** Fields of other types, in their order. */
  readonly others?: readonly ProxyTlv[] | undefined;
}

/** What to tell a server of a client, for whom the connection is made. */
export interface ProxiedConnection {
  /** The address of the client. */
  source: Deno.NetAddr;
  /** The address that the client connected to. */
  destination: Deno.NetAddr;
  /** The version of the protocol: 2, the default, or 1, which is text and has no fields. */
  version?: 1 | 2 | undefined;
  /** More fields, of version 2. */
  tlvs?: ProxyTlvs | undefined;
}

/** A header to send: about a client, or `"local"` for a connection of the proxy itself, such as a health check. */
export type ProxyHeader = ProxiedConnection | "local";

/** A header that was received. */
export interface ReceivedHeader {
  /** The version of the protocol. */
  readonly version: 1 | 2;
  /** Whether it is about a client, or a connection of the proxy itself, such as a health check. */
  readonly command: "proxy" | "local";
  /** The address of the client, IPv4 also where it is written as IPv6; `null` if the header does not tell it. */
  readonly source: Deno.Addr | null;
  /** The address that the client connected to; `null` if the header does not tell it. */
  readonly destination: Deno.Addr | null;
  /** The fields. */
  readonly tlvs: ProxyTlvs;
}

/** What `getExtraInfo("proxy")` tells of a connection that came with a PROXY protocol header. */
export interface ProxyInfo extends Omit<ReceivedHeader, "source"> {
  /** The address of the proxy itself. */
  readonly address: Deno.Addr;
}

/** How far the bytes of a header have been parsed: to its end, or not. */
export type Progress = ReceivedHeader | Missing;

/** The header is not complete. */
export interface Missing {
  /** The least number of bytes that are still missing: all of them belong to the header. */
  readonly missing: number;
}

/**
 * Makes the error of a header that breaks the protocol.
 *
 * @param what What is wrong, without any of the peer's bytes
 * @returns The error
 */
export function malformed(what: string): Deno.errors.InvalidData {
  return new Deno.errors.InvalidData(`Cannot read the PROXY protocol header: ${what}`);
}
