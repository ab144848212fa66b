/**
 * The peer's certificate, as users see it.
 *
 * @module
 */
import type { TLSSocket } from "node:tls";
import type { PeerCertificate } from "../transports.ts";

/**
 * Asks a socket for its peer's certificate.
 *
 * @param socket The socket, after its handshake
 * @returns The certificate, or `null` if the peer sent none
 */
export function peerCertificateOf(socket: TLSSocket): PeerCertificate | null {
  const certificate = socket.getPeerCertificate();
  // Without one it is an empty object.
  if (!certificate?.raw) return null;
  return {
    subject: { ...certificate.subject },
    issuer: { ...certificate.issuer },
    subjectAltName: certificate.subjectaltname ?? "",
    validFrom: new Date(certificate.valid_from),
    validTo: new Date(certificate.valid_to),
    fingerprint256: certificate.fingerprint256,
    raw: new Uint8Array(certificate.raw),
  };
}
