/**
 * The peer's certificate: as users see it, and whose it is.
 *
 * @module
 */
import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { PeerCertificate } from "../transport/types.ts";

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

/**
 * Tells whether a certificate was issued by one of some authorities, through others of the chain if need be.
 *
 * That alone does not make it good. It is for sessions that are resumed: their chain was verified when they began, but
 * maybe for another server of this process, with other authorities, because Deno keeps the sessions of all in one place.
 *
 * @param socket The socket, after its handshake
 * @param authorities The certificates of the authorities, as PEM texts
 * @param X509 The class, which is loaded late
 * @returns Whether it was
 */
export function isIssuedBy(socket: TLSSocket, authorities: string[], X509: typeof X509Certificate): boolean {
  const trusted = authorities.flatMap(splitPem).map((pem) => new X509(pem));
  let link = socket.getPeerCertificate(true);
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const certificate = new X509(link.raw);
    if (isOver(certificate) || (depth > 0 && !certificate.ca)) return false;
    if (trusted.some((authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey))) {
      return true;
    }
    const next = link.issuerCertificate;
    if (!next?.raw) return false;
    const issuer = new X509(next.raw);
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return false;
    link = next;
  }
  return false;
}

/** The longest chain looked at: an authority that issued itself would be looked at forever. */
const MAX_DEPTH = 8;

function isOver(certificate: X509Certificate): boolean {
  return new Date(certificate.validTo).getTime() < Date.now();
}

function splitPem(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}
