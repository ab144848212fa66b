/** What is secret is in no message, no cause and no print of an error, whatever is passed for it. */
import { assert, assertLess } from "@std/assert";
import * as net from "../../mod.ts";
import * as sock from "../../src/sock/mod.ts";
import { certificate } from "../support/servers.ts";

const SECRET = "hunter2hunter2";
const bytes = new TextEncoder().encode(SECRET);
const local = { hostname: "127.0.0.1", port: 0 };
const pem = `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`;

/** A value in every form in which it may be passed by mistake. */
const forms: Record<string, unknown> = {
  "text": SECRET,
  "PEM": pem,
  "bytes": bytes,
  "a list": [SECRET, pem, bytes],
  "an object": { secret: SECRET, toString: () => SECRET, [Symbol.toStringTag]: SECRET },
  "a record": { [`A`]: { secret: SECRET }, B: [SECRET] },
  "a Blob": new Blob([SECRET]),
  "a map": new Map([["A", SECRET]]),
  "a promise": Promise.resolve(SECRET),
  "an error": new Error(SECRET),
  "a number": Number(`${"7".repeat(14)}`),
};

/** How each form shows, if it does. */
const traces = [SECRET, String(bytes), [...bytes].join(", "), "7".repeat(14)];

/** Everything that takes something secret. */
const takers: Record<string, (value: never) => unknown> = {
  "key of a server": (key) => net.startServer(() => {}, { ...local, tls: { cert: certificate.cert, key } }),
  "cert of a server": (cert) => net.startServer(() => {}, { ...local, tls: { cert, key: certificate.key } }),
  "tls of a server": (tls) => net.startServer(() => {}, { ...local, tls }),
  "tls of a client": (tls) => net.openConnection({ ...local, port: 1, tls }),
  "serverNames": (identity) =>
    net.startServer(() => {}, {
      ...local,
      tls: { cert: certificate.cert, key: certificate.key, serverNames: { a: identity } },
    }),
  "caCerts": (caCerts) => net.openConnection({ ...local, port: 1, tls: { caCerts } }),
  "a certificate of caCerts": (caCert) => net.openConnection({ ...local, port: 1, tls: { caCerts: [caCert] } }),
  "key of a client": (key) => net.openConnection({ ...local, port: 1, tls: { cert: certificate.cert, key } }),
  "env": (env) => net.createSubprocessExec("true", [], { env }),
  "a value of env": (value) => net.createSubprocessExec("false", [], { env: { PASSWORD: value, N: 7 as never } }),
  "input of a process": async (input) => {
    const process = await net.createSubprocessExec("cat", [], { stdin: "piped", stdout: "piped" });
    try {
      await process.communicate(input);
    } finally {
      process.kill();
      process.stdin!.close();
      await process.wait();
      await process.stdout!.read();
    }
  },
  "what is written": (data) => withConnection((writer) => writer.write(data)),
  "what is written after the end": (data) =>
    withConnection((writer) => {
      writer.writeEof();
      writer.write(data);
    }),
  "lines that are written": (data) => withConnection((writer) => writer.writelines([data])),
  "what is sent": (data) => withConnection((writer) => writer.sendall(data)),
  "what is sent by ./sock": (data) => {
    const [a, b] = net.connPair();
    return sock.sockSendall(a, data).finally(() => [a, b].forEach((conn) => conn.close()));
  },
  "what a reader is fed": (data) => new net.StreamReader().feedData(data),
  "what a separator is": (separator) => {
    const reader = new net.StreamReader();
    reader.feedEof();
    return reader.readuntil(separator);
  },
  "what is read and incomplete": async (data) => {
    const reader = new net.StreamReader();
    reader.feedData(data);
    reader.feedEof();
    await reader.readexactly(100);
  },
  "a datagram": async (data) => {
    const { transport } = await net.createDatagramEndpoint(() => new net.DatagramProtocol(), { localAddr: local });
    try {
      transport.sendto(data, { transport: "udp", hostname: "127.0.0.1", port: 9 });
    } finally {
      transport.abort();
    }
  },
};

async function withConnection(use: (writer: net.StreamWriter) => unknown): Promise<void> {
  const [a, b] = net.connPair();
  const { writer } = await net.openConnection({ conn: a });
  try {
    await use(writer);
  } finally {
    writer.abort();
    b.close();
  }
}

/** All that there is to read of an error, without its stack, which quotes this file. */
function allOf(error: unknown): string {
  const { message, cause, errors } = error as AggregateError & { cause?: unknown };
  const shown = Deno.inspect(Object.assign(Object.create(null), error), {
    depth: 9,
    iterableLimit: 1000,
    strAbbreviateSize: 1e9,
  });
  return [message, shown, ...cause === undefined ? [] : [allOf(cause)], ...(errors ?? []).map(allOf)].join("\n");
}

for (const [what, take] of Object.entries(takers)) {
  Deno.test(`${what} is in no message and no print of an error`, async () => {
    let refused = 0;
    for (const [form, value] of Object.entries(forms)) {
      try {
        const made = await take(value as never);
        if (made instanceof net.Server) await made.shutdown({ grace: 0 });
        if (made instanceof net.Process) await made.wait();
      } catch (error) {
        refused++;
        assert(error instanceof Error);
        assertLess(error.message.length, 500, error.message);
        for (const trace of traces) {
          assert(!allOf(error).includes(trace), `${form}: ${error.message}`);
          assert(
            !Deno.inspect(error, { depth: 9 }).replaceAll(/^ {4}at .*$/gm, "").includes(trace),
            `${form}: ${error}`,
          );
        }
      }
    }
    assert(refused > 3, `${refused}`);
  });
}
