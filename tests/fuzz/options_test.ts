// Every public function with garbage for arguments and options: it is refused with a TypeError, a RangeError or another
// error that has a class, and leaves nothing open; or it is taken, and works.
import { assert } from "@std/assert";
import * as net from "../../mod.ts";
import * as sock from "../../src/sock/mod.ts";
import { certificate } from "../support/servers.ts";
import { cases, isTyped, pick, run, type SeededRandom, watchErrors } from "./kit.ts";
import { openDescriptors } from "../support/machine.ts";
import { tempDir } from "../support/programs.ts";
import { until } from "../support/waiting.ts";

const { cert, key, caCert } = certificate;
const directory = tempDir();

/** A function that takes options, good options for it, and how to close what it opens. */
interface Target {
  call: (options: Record<string, unknown>) => unknown;
  good: Record<string, unknown>;
  /** Names of options to set to garbage, besides those of `good`. */
  names: string[];
}

// Any of this is wrong somewhere, and some of it right.
const garbage: unknown[] = [
  undefined,
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  0.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  2 ** 53,
  65536,
  1e300,
  10n,
  "",
  "x",
  "\0",
  "0",
  "8080",
  "no-such-host.invalid",
  "127.0.0.1",
  "::1",
  "x".repeat(300),
  "\ud800",
  Symbol("symbol"),
  [],
  ["x"],
  [""],
  [null],
  [1, 2],
  [[]],
  {},
  { hostname: 1 },
  { port: -1 },
  { port: "1" },
  { hostname: "127.0.0.1", port: 0 },
  { length: 1 },
  { aborted: true },
  { then: 1 },
  Object.create(null),
  new Map(),
  new Date(NaN),
  new Uint8Array(3),
  new Error("garbage"),
  () => {},
  () => {
    throw new TypeError("Cannot make a protocol: garbage");
  },
  AbortSignal.abort(new DOMException("garbage", "AbortError")),
  new AbortController(),
  Promise.resolve(),
  new Proxy({}, {}),
  certificate.cert,
  { cert, key },
  { cert: key, key: cert },
  { caCerts: [cert] },
  { caCerts: ["-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"] },
  { serverName: "x", cert: "x" },
];

// Not tested here is what really opens something: a connect that waits, a process that starts.
const connectNames = [
  "family",
  "localAddr",
  "happyEyeballsDelay",
  "noDelay",
  "keepAlive",
  "signal",
  "tls",
  "conn",
  "bogus",
];
const serveNames = ["tls", "startServing", "maxConnections", "onError", "signal", "bogus"];
const listenNames = [...serveNames, "listener", "backlog", "reusePort", "noDelay", "keepAlive"];
const tlsNames = [
  "serverName",
  "caCerts",
  "alpnProtocols",
  "handshakeTimeout",
  "shutdownTimeout",
  "clientAuth",
  "serverNames",
];
const streamNames = ["limit", "readAhead"];
const local = { hostname: "127.0.0.1" };

const protocol = () => new net.Protocol();

/** Closes at once, so that no handshake is waited for. */
class Closing extends net.Protocol {
  override connectionMade(transport: net.Transport): void {
    transport.close();
  }
}
const handler = () => Promise.resolve();

function targets(port: number, path: string): Record<string, Target> {
  const there = { ...local, port };
  const unixPath = () => `${directory}/${crypto.randomUUID().slice(0, 8)}`;
  const client = { caCerts: [caCert], serverName: "localhost" };
  return {
    createConnection: { call: (o) => net.createConnection(protocol, o as never), good: there, names: connectNames },
    openConnection: {
      call: (o) => net.openConnection(o as never),
      good: there,
      names: [...connectNames, ...streamNames],
    },
    createUnixConnection: {
      call: (o) => net.createUnixConnection(protocol, o as never),
      good: { path },
      names: ["tls", "signal", "bogus"],
    },
    openUnixConnection: {
      call: (o) => net.openUnixConnection(o as never),
      good: { path },
      names: ["tls", "signal", "bogus", ...streamNames],
    },
    createServer: { call: (o) => net.createServer(protocol, o), good: { ...local, port: 0 }, names: listenNames },
    startServer: {
      call: (o) => net.startServer(handler, o),
      good: { ...local, port: 0 },
      names: [...listenNames, ...streamNames],
    },
    createUnixServer: {
      call: (o) => net.createUnixServer(protocol, o as never),
      good: { path: unixPath() },
      names: serveNames,
    },
    startUnixServer: {
      call: (o) => net.startUnixServer(handler, o as never),
      good: { path: unixPath() },
      names: [...serveNames, ...streamNames],
    },
    "the tls options of createServer": {
      call: (tls) => net.createServer(protocol, { ...local, port: 0, tls: tls as never }),
      good: { cert, key },
      names: [...tlsNames, "bogus"],
    },
    "the tls options of createUnixConnection": {
      call: (tls) => net.createUnixConnection(protocol, { path, tls }),
      good: client,
      names: [...tlsNames, "cert", "key", "unsafelyDisableHostnameVerification", "bogus"],
    },
    "writer.startTls": {
      async call(o) {
        const [a, b] = net.connPair();
        const { writer } = await net.openConnection({ conn: a });
        b.close();
        try {
          await writer.startTls(o);
        } finally {
          writer.abort();
        }
      },
      good: client,
      names: [...tlsNames, "serverSide", "cert", "key", "bogus"],
    },
    createDatagramEndpoint: {
      call: (o) => net.createDatagramEndpoint(() => new net.DatagramProtocol(), o),
      good: { localAddr: local },
      names: ["remoteAddr", "reuseAddr", "broadcast", "bogus"],
    },
    sockDatagram: { call: (o) => sock.sockDatagram(o), good: { localAddr: local }, names: ["remoteAddr", "bogus"] },
    sockConnect: {
      call: (o) => sock.sockConnect(o as never),
      good: there,
      names: ["transport", "path", "noDelay", "keepAlive", "signal", "family", "bogus"],
    },
    subprocessExec: {
      call: (o) => net.subprocessExec(() => new net.SubprocessProtocol(), "true", [], o),
      good: { stdout: "null" },
      names: ["stdin", "stderr", "cwd", "env", "clearEnv", "signal", "bogus"],
    },
    createSubprocessExec: {
      call: (o) => net.createSubprocessExec("true", [], o),
      good: { stdout: "null" },
      names: ["stdin", "stderr", "cwd", "env", "clearEnv", "signal", "limit", "bogus"],
    },
    StreamReader: { call: (o) => new net.StreamReader(o), good: { limit: 10 }, names: [] },
    connPair: { call: (o) => net.connPair(o).forEach((conn) => conn.close()), good: { capacity: 10 }, names: [] },
  };
}

/** Functions of values that are no options: each argument becomes garbage in its turn. */
function calls(port: number): Record<string, [(...values: never[]) => unknown, unknown[]]> {
  const there = { ...local, port };
  const pipe = () => new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
  const withWriter = (use: (writer: net.StreamWriter, value: never) => unknown) => async (value: never) => {
    const [a, b] = net.connPair();
    const { writer } = await net.openConnection({ conn: a });
    try {
      await use(writer, value);
    } finally {
      writer.abort();
      b.close();
    }
  };
  const withConn =
    (use: (conn: net.ConnLike, value: never, options: never) => unknown) => async (value: never, options: never) => {
      const [a, b] = net.connPair();
      try {
        b.close();
        await use(a, value, options);
      } finally {
        a.close();
      }
    };
  return {
    createConnection: [net.createConnection, [protocol, there]],
    openConnection: [net.openConnection, [there]],
    createServer: [net.createServer, [protocol, { ...local, port: 0 }]],
    startServer: [net.startServer, [handler, { ...local, port: 0 }]],
    createUnixServer: [net.createUnixServer, [protocol, { path: `${directory}/${port}` }]],
    createDatagramEndpoint: [net.createDatagramEndpoint, [() => new net.DatagramProtocol(), { localAddr: local }]],
    subprocessExec: [net.subprocessExec, [() => new net.SubprocessProtocol(), "true", [], {}]],
    createSubprocessExec: [net.createSubprocessExec, ["true", [], {}]],
    connectReadPipe: [net.connectReadPipe, [protocol, pipe()]],
    connectWritePipe: [net.connectWritePipe, [protocol, new WritableStream()]],
    connFromStreams: [net.connFromStreams, [{ readable: pipe(), writable: new WritableStream() }]],
    connFromNode: [net.connFromNode, [{}]],
    setExceptionHandler: [net.setExceptionHandler, [null]],
    startTls: [net.startTls, [{}, {}, {}]],
    "StreamReader.feedData": [(data) => new net.StreamReader().feedData(data), [new Uint8Array(1)]],
    "StreamReader.setException": [(error) => new net.StreamReader().setException(error), [new Error("x")]],
    ...Object.fromEntries(
      (["read", "readexactly", "readuntil", "peek", "skipuntil", "readinto", "lines"] as const).map((name) => [
        `StreamReader.${name}`,
        [async (...values: never[]) => {
          const reader = new net.StreamReader();
          reader.feedEof();
          const result = reader[name](...values as [never]);
          if (name === "lines") await Array.fromAsync(result as AsyncIterable<string>);
          else await result;
        }, [name === "readinto" ? new Uint8Array(1) : name === "lines" ? {} : 1, {}]],
      ]),
    ),
    "StreamWriter.write": [withWriter((writer, data) => writer.write(data)), ["x"]],
    "StreamWriter.writelines": [withWriter((writer, chunks) => writer.writelines(chunks)), [["x"]]],
    "StreamWriter.sendall": [withWriter((writer, data) => writer.sendall(data)), [new Uint8Array(1)]],
    "StreamWriter.drain": [withWriter((writer, options) => writer.drain(options)), [{}]],
    "StreamWriter.sendfile": [withWriter((writer, file) => writer.sendfile(file)), [import.meta.filename]],
    "StreamWriter.startTls": [withWriter((writer, options) => writer.startTls(options)), [{ bogus: 1 }]],
    "Transport.setWriteBufferLimits": [
      withWriter((writer, limits) => writer.transport.setWriteBufferLimits(limits)),
      [{ high: 1 }],
    ],
    "Transport.setProtocol": [withWriter((writer, value) => writer.transport.setProtocol(value)), [protocol()]],
    sockConnect: [sock.sockConnect as (...values: never[]) => unknown, [there]],
    sockRecv: [withConn(sock.sockRecv), [1, {}]],
    sockRecvInto: [withConn(sock.sockRecvInto), [new Uint8Array(1), {}]],
    sockSendall: [withConn(sock.sockSendall), [new Uint8Array(1), {}]],
    sockSendfile: [withConn(sock.sockSendfile), [import.meta.filename, {}]],
    sockAccept: [sock.sockAccept, [{}, {}]],
    sockRecvfrom: [sock.sockRecvfrom, [{}, 1, {}]],
    sockSendto: [sock.sockSendto, [{}, new Uint8Array(1), local, {}]],
    sockDatagram: [sock.sockDatagram, [{ localAddr: local }]],
  };
}

/** Calls, judges what is thrown, and closes what is opened. */
async function attempt(call: () => unknown): Promise<void> {
  let opened: unknown;
  try {
    opened = await call();
  } catch (error) {
    // Deno has no class for a path that is too long.
    const isClear = isTyped(error) || (error as Error).message.includes("File name too long");
    assert(isClear, `an error without a class: ${error instanceof Error ? error.stack : Deno.inspect(error)}`);
    return;
  }
  await closeAll(opened);
}

async function closeAll(opened: unknown): Promise<void> {
  if (typeof opened !== "object" || opened === null) return;
  const { transport, writer } = opened as Record<string, unknown>;
  if (opened instanceof net.Server) await opened.shutdown({ grace: 0 });
  else if (opened instanceof net.Process) await opened.wait();
  else if (writer instanceof net.StreamWriter) writer.abort();
  else if (transport !== undefined) (transport as net.Transport).close();
  else if (Symbol.dispose in opened) (opened as Disposable)[Symbol.dispose]();
  else if ("close" in opened) (opened as Deno.Conn).close();
}

/** One or two options are garbage, or all of them. */
function spoil(random: SeededRandom, { good, names }: Target): Record<string, unknown> {
  if (random.next() < 0.05) return pick(random, garbage) as Record<string, unknown>;
  const options: Record<string, unknown> = { ...good };
  const all = [...Object.keys(good), ...names];
  for (let i = random.integer(1, 2); i > 0; i--) options[pick(random, all)] = pick(random, garbage);
  return options;
}

Deno.test("garbage for options is refused with a clear error, and leaves nothing open", async () => {
  using _watch = watchErrors();
  await using server = await net.createServer(() => new Closing(), { ...local, port: 0 });
  const path = `${directory}/u`;
  await using unixServer = await net.createUnixServer(() => new Closing(), { path });
  const all = Object.entries(targets((server.addrs[0] as Deno.NetAddr).port, path));
  const before = openDescriptors();
  for (const { name, random } of cases(1000)) {
    const [what, target] = pick(random, all);
    const options = spoil(random, target);
    await run(`${name}, ${what}(${Deno.inspect(options, { depth: 1, strAbbreviateSize: 40 })})`, async () => {
      await attempt(() => target.call(options));
    });
  }
  await until(() => server.connections + unixServer.connections === 0);
  await until(() => openDescriptors() <= before);
});

Deno.test("garbage for arguments is refused with a clear error, and leaves nothing open", async () => {
  using _watch = watchErrors();
  await using server = await net.createServer(() => new Closing(), { ...local, port: 0 });
  const all = Object.entries(calls((server.addrs[0] as Deno.NetAddr).port));
  const before = openDescriptors();
  for (const [what, [call, good]] of all) {
    for (const i of good.keys()) {
      for (const value of garbage) {
        await run(`${what}(), argument ${i}: ${Deno.inspect(value, { strAbbreviateSize: 40 })}`, async () => {
          await attempt(() => call(...good.with(i, value) as never[]));
        });
      }
    }
  }
  await until(() => server.connections === 0);
  await until(() => openDescriptors() <= before);
});
