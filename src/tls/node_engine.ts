/**
 * TLS by `node:tls`: for servers over any conn, and for clients with a certificate or over what is no TCP conn.
 *
 * Measured on Deno 2.9: two thirds of the speed of Deno's own with small messages, and 15 ms more for the handshake of a
 * client with `caCerts`. It tells more of the peer, and releases everything at once when a handshake is given up. What the
 * engine refuses it tells the peer by an alert; what is refused here, after its handshake, ends without one.
 *
 * @module
 */
import type { X509Certificate } from "node:crypto";
import type { SecureContext, Server as TlsServer, TLSSocket } from "node:tls";
import { ipVersion } from "../common/address.ts";
import type { ConnLike } from "../conn/conn.ts";
import { isIssuedBy, peerCertificateOf } from "./certificate.ts";
import { boundHandshake, closeQuietly, type HandshakeLimits, type SecureConn } from "./handshake.ts";
import { type NodeModules, nodeModules } from "./node_modules.ts";
import { NodeTlsConn, type Outcome } from "./node_tls_conn.ts";
import type { TlsClientOptions, TlsIdentity, TlsServerOptions } from "./options.ts";
import { ServerNames } from "./server_names.ts";

export { nodeModules };

/** What a handshake over an open conn needs besides the options. */
export interface NodeHandshake extends HandshakeLimits {
  /** Bytes that were read from the conn already, if any. */
  prefix?: Uint8Array | undefined;
}

/**
 * Client handshake over any conn.
 *
 * @param conn The conn; closed if the handshake fails
 * @param options The options
 * @param name The name or address to verify and to send; none only if it is not verified
 * @param handshake When to give up, and what was read before
 * @returns The secure conn
 */
export async function connectNode(
  conn: ConnLike,
  options: TlsClientOptions,
  name: string | undefined,
  handshake: NodeHandshake,
): Promise<SecureConn> {
  const { caCerts, alpnProtocols, cert, key, unsafelyDisableHostnameVerification = false } = options;
  const { checkServerIdentity, connect, rootCertificates } = (await nodeModules()).tls;
  const verified = unsafelyDisableHostnameVerification ? undefined : name;
  const secure = await secured(conn, handshake, (tlsConn) =>
    tlsConn.handshake((stream, done) => {
      const socket = connect({
        socket: stream.duplex,
        // Here, unlike there, the authorities given would be the only ones.
        ...caCerts && { ca: [...rootCertificates, ...caCerts] },
        ...alpnProtocols?.length && { ALPNProtocols: alpnProtocols },
        ...cert !== undefined && key !== undefined && { cert, key },
        servername: name === undefined || ipVersion(name) !== null ? "" : name,
        // Else the environment could turn it off, by NODE_TLS_REJECT_UNAUTHORIZED.
        rejectUnauthorized: true,
        // Checked below: left out by node:tls when a session is resumed.
        checkServerIdentity: () => undefined,
      });
      socket.on("error", (error) => done(error));
      socket.once("secureConnect", () => settle(socket, checkName(socket), done));
    }, handshake.prefix));
  return { conn: secure.conn, info: { ...infoOf(secure.socket), serverName: verified } };

  function checkName(socket: TLSSocket): Error | undefined {
    if (verified === undefined) return undefined;
    // Without the subject, whose common name has long ceased to count (RFC 9525), as in Deno's own TLS.
    const { subjectaltname } = socket.getPeerCertificate();
    return checkServerIdentity(
      verified,
      { subject: {}, subjectaltname } as ReturnType<TLSSocket["getPeerCertificate"]>,
    );
  }
}

/**
 * Server handshake over any conn.
 *
 * @param conn The conn; closed if the handshake fails
 * @param options The options
 * @param handshake When to give up, and what was read before
 * @returns The secure conn
 */
export async function acceptNode(
  conn: ConnLike,
  options: TlsServerOptions,
  handshake: NodeHandshake,
): Promise<SecureConn> {
  const { alpnProtocols, clientAuth = "none" } = options;
  const names = ServerNames.of(options);
  const { tls, X509Certificate } = await nodeModules();
  const secure = await secured(conn, handshake, (tlsConn) =>
    tlsConn.handshake((stream, done) => {
      const choose = (name: string, callback: SniCallback) => {
        const answer = (found: TlsIdentity | undefined) => callback(null, contextOf(options, found ?? options, tls));
        const found = names!.find(name);
        if (!(found instanceof Promise)) return answer(found);
        found.then(answer, (error) => {
          // Without a certificate the engine refuses, with an alert.
          callback(null, tls.createSecureContext());
          done(error);
        }).then(() => stream.poke());
      };
      const server = tls.createServer({
        ...alpnProtocols?.length && { ALPNProtocols: alpnProtocols },
        requestCert: clientAuth !== "none",
        // Else a client without a certificate would get no alert.
        rejectUnauthorized: clientAuth === "require",
        // None of its own: it would hold a socket whose handshake failed for two minutes.
        handshakeTimeout: -1,
        ...names && { SNICallback: choose },
      });
      setContext(server, contextOf(options, options, tls), options);
      server.on("tlsClientError", (error, socket) => {
        // The handshake was done before the engine looked: the client must not take it for a success.
        if (socket.authorizationError) done(certificateRefused(socket), true);
        else done(hasNoCertificate(error) ? new Error(NO_CERTIFICATE, { cause: error }) : error);
      });
      server.on("secureConnection", (socket) => settle(socket, refusal(socket, options, X509Certificate), done));
      server.emit("connection", stream.duplex);
    }, handshake.prefix));
  const serverName = (secure.socket as { servername?: string | false }).servername || undefined;
  return { conn: secure.conn, info: { ...infoOf(secure.socket), serverName } };
}

/** What node:tls made of a certificate. Its key is checked then, which takes 0.4 ms: so it is made once. */
const contexts = new WeakMap<TlsServerOptions, WeakMap<TlsIdentity, SecureContext>>();

function contextOf(options: TlsServerOptions, identity: TlsIdentity, tls: NodeModules["tls"]): SecureContext {
  let made = contexts.get(options);
  if (made === undefined) contexts.set(options, made = new WeakMap());
  let context = made.get(identity);
  if (context === undefined) {
    const { caCerts } = options;
    context = tls.createSecureContext({ ...caCerts && { ca: caCerts }, cert: identity.cert, key: identity.key });
    made.set(identity, context);
  }
  return context;
}

/** Lets a server use a context; one of node:tls makes its own of the options, unless it is where it is kept. */
function setContext(server: TlsServer, context: SecureContext, { cert, key, caCerts }: TlsServerOptions): void {
  if ("_sharedCreds" in server) server._sharedCreds = context;
  else server.setSecureContext({ ...caCerts && { ca: caCerts }, cert, key });
}

type Done = (outcome: Outcome, silent?: boolean) => void;
type SniCallback = (error: Error | null, context?: ReturnType<typeof import("node:tls").createSecureContext>) => void;

async function secured(
  conn: ConnLike,
  limits: NodeHandshake,
  handshake: (tlsConn: NodeTlsConn) => Promise<TLSSocket>,
): Promise<{ conn: NodeTlsConn; socket: TLSSocket }> {
  const tlsConn = await NodeTlsConn.make(conn);
  const socket = await boundHandshake(() => handshake(tlsConn), limits, () => closeQuietly(tlsConn));
  return { conn: tlsConn, socket };
}

/** Destroyed at once, so that what would tell the peer of success, or let it resume the session, is never sent. */
function settle(socket: TLSSocket, refused: Error | undefined, done: Done): void {
  if (refused === undefined) return done(socket);
  done(refused, true);
  socket.destroy();
}

/** A certificate that is shown must be good, whether it was required or not. */
function refusal(socket: TLSSocket, options: TlsServerOptions, X509: typeof X509Certificate): Error | undefined {
  const { clientAuth = "none", caCerts = [] } = options;
  if (clientAuth === "none") return undefined;
  if (peerCertificateOf(socket) === null) {
    return clientAuth === "require" ? new Error(NO_CERTIFICATE) : undefined;
  }
  if (!socket.authorized) return certificateRefused(socket);
  if (socket.isSessionReused() && !isIssuedBy(socket, caCerts, X509)) {
    return new Error("the client's certificate is refused: its session is another server's");
  }
  return undefined;
}

const NO_CERTIFICATE = "the client sent no certificate";

function hasNoCertificate(error: Error): boolean {
  return (error as { code?: unknown }).code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE";
}

function certificateRefused({ authorizationError }: TLSSocket): Error {
  return new Error(`the client's certificate is refused: ${authorizationError}`);
}

function infoOf(socket: TLSSocket) {
  return {
    alpnProtocol: socket.alpnProtocol || null,
    protocol: socket.getProtocol() ?? undefined,
    cipher: socket.getCipher()?.standardName,
    peerCertificate: peerCertificateOf(socket),
  };
}
