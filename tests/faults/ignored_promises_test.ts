/** Promises of writers and transports that nobody awaits, in every state of a connection: the process lives [S3, C11]. */
import { assert, assertEquals } from "@std/assert";
import { certificate } from "../support/servers.ts";
import { runProgram } from "../support/programs.ts";

/**
 * Has every call made, and ignored, in every state, in every way to give it up. An unhandled rejection ends it with code 1.
 */
const program = (kind: string) => `
import * as net from "@tideline/net";

const file = await Deno.makeTempFile();
await Deno.writeFile(file, new Uint8Array(100_000));
const cert = ${JSON.stringify(certificate.cert)}, key = ${JSON.stringify(certificate.key)};
const ca = ${JSON.stringify(certificate.caCert)};
const secure = ${kind === "TLS"} ? { tls: { cert, key } } : {};
const hello = new Uint8Array(10);
const large = new Uint8Array(1 << 20);

let accepted = Promise.withResolvers<net.StreamConnection>();
const server = ${kind === "memory"} ? null : await net.startServer((reader, writer) => {
  accepted.resolve({ reader, writer } as net.StreamConnection);
}, { hostname: "127.0.0.1", port: 0, ...secure, onError() {} });

/** Both ends of a connection; one is opened after the other, so that they belong together. */
let opened: Promise<unknown> = Promise.resolve();
function pair(): Promise<[net.StreamConnection, net.StreamConnection]> {
  const both = opened.then(open);
  opened = both;
  return both;
}

async function open(): Promise<[net.StreamConnection, net.StreamConnection]> {
  if (server === null) {
    const [a, b] = net.connPair();
    return [await net.openConnection({ conn: a }), await net.openConnection({ conn: b })];
  }
  accepted = Promise.withResolvers();
  const { port } = server.addrs[0] as Deno.NetAddr;
  const tls = ${kind === "TLS"} ? { tls: { caCerts: [ca] } } : {};
  const near = await net.openConnection({ hostname: "127.0.0.1", port, ...tls });
  return [near, await accepted.promise];
}

type End = net.StreamConnection;
const turns = async () => { for (let i = 0; i < 5; i++) await new Promise((done) => setTimeout(done, 1)); };

/** How a connection gets into a state, and how it is lost from there. */
const states: Record<string, (near: End, far: End) => void | Promise<void>> = {
  open() {},
  "not read by the peer": ({ writer }) => writer.write(large),
  ended: ({ writer }) => { if (writer.canWriteEof()) writer.writeEof(); },
  closing({ writer }) {
    writer.write(large);
    writer.close();
  },
  closed: async ({ writer }, far) => {
    far.reader.read().catch(() => {}).then(() => far.writer.close());
    await writer.close().catch(() => {});
  },
  aborted: ({ writer }) => writer.abort(),
  "aborted and lost": async ({ writer }) => {
    writer.abort();
    await turns();
  },
  // A close with bytes unread resets the connection, where it can be.
  reset: async ({ reader, writer }, far) => {
    writer.write(hello);
    await turns();
    far.writer.abort();
    await reader.read().catch(() => {});
    writer.write(hello);
    await turns();
  },
  "being reset": async ({ writer }, far) => {
    writer.write(large);
    await turns();
    far.writer.abort();
  },
  "being upgraded": ({ writer }) => void writer.startTls({ serverName: "localhost" }),
};

const calls: Record<string, (end: End, give: object) => unknown> = {
  drain: ({ writer }, give) => writer.drain(give),
  sendall: ({ writer }, give) => (writer.sendall as (...args: unknown[]) => unknown)(large, give),
  "sendall of little": ({ writer }, give) => (writer.sendall as (...args: unknown[]) => unknown)(hello, give),
  sendfile: ({ writer }, give) => writer.sendfile(file, give),
  "sendfile of no file": ({ writer }, give) => writer.sendfile(file + ".none", give),
  close: ({ writer }) => writer.close(),
  waitClosed: ({ writer }, give) => (writer.waitClosed as (...args: unknown[]) => unknown)(give),
  dispose: ({ writer }) => writer[Symbol.asyncDispose](),
  startTls: ({ writer }, give) => writer.startTls({ serverName: "localhost", ...give }),
  "startTls with wrong options": ({ writer }) => writer.startTls({ bogus: 1 } as never),
  "startTls of the transport": ({ writer }) =>
    net.startTls(writer.transport, writer.transport.getProtocol(), { serverName: "localhost" }),
  "sendall of the transport": ({ writer }) => writer.transport.sendall(large),
  "drain and sendall": ({ writer }) => {
    writer.write(large);
    writer.drain();
    return writer.sendall(large);
  },
};

const gives: Record<string, () => object> = {
  "": () => ({}),
  "with a signal": () => ({ signal: new AbortController().signal }),
  "with a signal that aborts": () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(Symbol("reason")), 1);
    return { signal: controller.signal };
  },
  "with a signal that has aborted": () => ({ signal: AbortSignal.abort() }),
};

let done = 0;
let where = "";
globalThis.addEventListener("unhandledrejection", (event) => {
  console.log("unhandled near:", where, event.reason);
});
for (const [state, enter] of Object.entries(states)) {
  const all = Object.entries(calls).flatMap(([call, make]) => Object.entries(gives).map(([how, give]) => ({ call, make, how, give })));
  await Promise.all(all.map(async ({ call, make, how, give }) => {
    const [near, far] = await pair();
    await enter(near, far);
    where = state + ", " + call + " " + how;
    try {
      make(near, give());
    } catch {
      // Refused by a throw.
    }
    await turns();
    far.writer.abort();
    await turns();
    near.writer.abort();
    await turns();
    done++;
  }));
}
await server?.shutdown({ grace: 0 });
await Deno.remove(file);
console.log("survived", done, "of", Object.keys(states).length * Object.keys(calls).length * Object.keys(gives).length);
`;

for (const kind of ["memory", "TCP", "TLS"]) {
  Deno.test(`${kind}: promises of writers that are ignored end no process, in any state [S3]`, async () => {
    const { code, stdout, stderr } = await runProgram(program(kind), { timeout: 60_000 });
    const [, done, all] = /survived (\d+) of (\d+)/.exec(stdout) ?? [];
    assertEquals({ code, stderr }, { code: 0, stderr: "" }, stdout);
    assert(done !== undefined && done === all && Number(all) > 400, stdout);
  });
}
