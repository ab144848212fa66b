/**
 * Every kind of conn and of transport, held to the conformance suites of the test kit. A new kind is one line of a table.
 */
import { assertEquals } from "@std/assert";
import {
  type BaseProtocolLike,
  type Connection,
  connFromStreams,
  createConnection,
  createServer,
  createUnixConnection,
  createUnixServer,
  type Server,
  startTls,
  type Transport,
} from "../mod.ts";
import type { ConnLike } from "../src/conn/conn.ts";
import {
  type ConformanceCase,
  connCases,
  type ConnCasesOptions,
  faultyConn,
  hookedConn,
  lockstepConnPair,
  type MakeTransportPair,
  RecordingProtocol,
  selfSignedCertificate,
  type StreamProtocolFactory,
  transportCases,
  type TransportCasesOptions,
} from "../src/testing/mod.ts";
import { tlsConnectConn, type TlsServerOptions } from "../src/tls/choose.ts";
import { kinds as adapters } from "./support/conn_kinds.ts";
import { ways } from "./support/tls_ways.ts";
import { skip } from "./support/machine.ts";

type MakeConns = () => Promise<[ConnLike, ConnLike]>;

const { cert, key, caCert } = await selfSignedCertificate();
const tls = { cert, key };
const denoTls: TlsServerOptions = { ...tls, engine: "deno" };
const trusting = { serverName: "localhost", caCerts: [caCert] };
const ADDRESS = { hostname: "127.0.0.1", port: 0 };

const faults = { shortReads: true, shortWrites: true, delayTurns: 3 };
const memory = adapters.find(({ name }) => name === "connPair")!;

interface ConnKind {
  name: string;
  make: MakeConns;
  conn: ConnCasesOptions;
  /** What a transport over it lacks. `null`: it has a kind of its own. */
  transport?: TransportCasesOptions | null;
}

const connKinds: ConnKind[] = [
  ...adapters.map(({ name, pair, bound, busy, halfClose, failsWrites }) => ({
    name,
    make: pair,
    conn: { bound, refusesOverlap: busy, halfClose, failsWrites },
    // A `duplexPair` does not tell of the end if one of its sides is destroyed.
    transport: { halfClose, noticesAbort: failsWrites },
  })),
  { name: "lockstepConnPair", make: () => Promise.resolve(lockstepConnPair()), conn: { bound: 0 } },
  {
    name: "hookedConn over connPair",
    make: async () => {
      const [a, b] = await memory.pair();
      return [hookedConn(a, { beforeRead: () => Promise.resolve() }), hookedConn(b, {})];
    },
    conn: { bound: memory.bound },
  },
  ...adapters.filter(({ name }) => name === "connPair" || name === "TCP").map(({ name, pair, bound }) => ({
    name: `faultyConn over ${name}`,
    make: async (): Promise<[ConnLike, ConnLike]> => {
      const [a, b] = await pair();
      return [faultyConn(a, { ...faults, seed: 1 }), faultyConn(b, { ...faults, seed: 2 })];
    },
    conn: { bound },
    transport: { survivesUnread: false },
  })),
  ...Object.entries(ways).map(([way, makeEnds]) => ({
    name: `TLS, ${way}`,
    make: async (): Promise<[ConnLike, ConnLike]> => {
      const ends = await makeEnds(tls);
      const [server, client] = await Promise.all([ends.accept(tls), tlsConnectConn(ends.client, trusting)]);
      return [client.conn, server.conn];
    },
    // Closing a TLS conn without `closeWrite()` looks like an attacker's cut. A transport does not do so.
    conn: { cleanClose: false, refusesOverlap: !way.includes("native") },
    transport: null,
  })),
];

/** Both ends over conns that are open already. */
function over(makeConns: MakeConns): MakeTransportPair {
  return async (factoryA, factoryB) => {
    const [connA, connB] = await makeConns();
    const { transport: b } = await createConnection(factoryB, { conn: connB });
    const { transport: a } = await createConnection(factoryA, { conn: connA }).catch((error) => {
      b.abort();
      throw error;
    });
    return { a, b };
  };
}

/** One end of a client and one of a server. */
function served(
  serve: (factory: () => BaseProtocolLike) => Promise<Server>,
  connect: (factory: StreamProtocolFactory, addr: Deno.Addr) => Promise<Connection<BaseProtocolLike>>,
): MakeTransportPair {
  return async (factoryA, factoryB) => {
    const made = Promise.withResolvers<Transport>();
    const server = await serve(() => {
      const protocol = factoryB();
      const connectionMade = protocol.connectionMade;
      protocol.connectionMade = (transport) => {
        made.resolve(transport as Transport);
        connectionMade.call(protocol, transport);
      };
      return protocol;
    });
    const close = async () => {
      server.close();
      server.abortClients();
      await server.waitClosed();
    };
    try {
      const { transport: a } = await connect(factoryA, server.addrs[0]!);
      return { a, b: await made.promise, close };
    } catch (error) {
      await close();
      throw error;
    }
  };
}

function servedTcp(options: { tls?: TlsServerOptions } = {}): MakeTransportPair {
  return served(
    (factory) => createServer(factory, { ...ADDRESS, ...options }),
    (factory, addr) => {
      const { hostname, port } = addr as Deno.NetAddr;
      return createConnection(factory, { hostname, port, ...options.tls && { tls: trusting } });
    },
  );
}

function servedUnix(options: { tls?: TlsServerOptions } = {}): MakeTransportPair {
  return async (factoryA, factoryB) => {
    const dir = await Deno.makeTempDir();
    const path = `${dir}/socket`;
    const make = served(
      (factory) => createUnixServer(factory, { path, ...options }),
      (factory) => createUnixConnection(factory, { path, ...options.tls && { tls: trusting } }),
    );
    try {
      return await make(factoryA, factoryB);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  };
}

/**
 * Both ends go over to TLS once their protocols know of them. A `quiet` protocol pauses until then, and Deno's own TLS can
 * take over a client on TCP; else a read is under way.
 */
function upgraded(makePair: MakeTransportPair, { quiet }: { quiet: boolean }): MakeTransportPair {
  return async (factoryA, factoryB) => {
    const resumed: Transport[] = [];
    const paused = (factory: StreamProtocolFactory): StreamProtocolFactory => () => {
      const protocol = factory();
      const connectionMade = protocol.connectionMade;
      protocol.connectionMade = (transport) => {
        connectionMade.call(protocol, transport);
        const stream = transport as Transport;
        if (stream.isReading()) resumed.push(stream);
        stream.pauseReading();
      };
      return protocol;
    };
    const pair = quiet ? await makePair(paused(factoryA), paused(factoryB)) : await makePair(factoryA, factoryB);
    const { a, b } = pair;
    // A protocol may have ended its connection already.
    if (a.isClosing() || b.isClosing()) return pair;
    try {
      await Promise.all([
        startTls(a, a.getProtocol(), { ...trusting, serverSide: false }),
        startTls(b, b.getProtocol(), { ...tls, serverSide: true }),
      ]);
    } catch (error) {
      a.abort();
      b.abort();
      await pair.close?.();
      throw error;
    }
    for (const transport of resumed) transport.resumeReading();
    return pair;
  };
}

/** The same pair, so that the questions are asked of the other end. */
function turned(makePair: MakeTransportPair): MakeTransportPair {
  return async (factoryA, factoryB) => {
    const pair = await makePair(factoryB, factoryA);
    return { a: pair.b, b: pair.a, close: () => pair.close?.() };
  };
}

const transportKinds: { name: string; make: MakeTransportPair; lacks?: TransportCasesOptions }[] = [
  ...connKinds.filter(({ transport }) => transport !== null).map(({ name, make, transport }) => ({
    name: `over ${name}`,
    make: over(make),
    lacks: transport ?? {},
  })),
  ...Object.entries({
    "TCP": servedTcp(),
    "Unix": servedUnix(),
    "TLS by Deno": servedTcp({ tls: denoTls }),
    "TLS by node:tls": servedTcp({ tls }),
    "TLS over Unix": servedUnix({ tls }),
    "TLS by startTls(), the client's by Deno": upgraded(servedTcp(), { quiet: true }),
    "TLS by startTls(), the client's by node:tls": upgraded(servedTcp(), { quiet: false }),
    "TLS by startTls() in memory": upgraded(over(memory.pair), { quiet: true }),
  }).flatMap(([name, make]) => [
    { name: `${name}, the client`, make },
    { name: `${name}, the server`, make: turned(make) },
  ]),
];

Deno.test("the connections upgraded by startTls() speak TLS, by Deno or by node:tls as their names say", async () => {
  for (const quiet of [true, false]) {
    const factory = () => new RecordingProtocol();
    const { a, b, close } = await upgraded(servedTcp(), { quiet })(factory, factory);
    // Only node:tls tells the version.
    assertEquals([a, b].map((transport) => transport.getExtraInfo("tls")?.alpnProtocol), [null, null]);
    assertEquals([a, b].map((transport) => transport.getExtraInfo("tls")?.protocol !== undefined), [!quiet, true]);
    a.abort();
    await close?.();
  }
});

function register(name: string, cases: ConformanceCase[]): void {
  for (const one of cases) {
    Deno.test({ ...one, name: `${name} ${one.name}` });
  }
}

/** Kinds that carry the suite's whole 8 MiB; the others are variations of them, and less takes less time. */
const whole = new Set([
  "connPair",
  "TCP",
  "Unix",
  "connFromStreams over TransformStreams",
  "connFromNode over node:net",
  "TLS, native to native over TCP",
  "TLS, node to node over TCP",
  "TCP, the client",
  "Unix, the client",
  "TLS by Deno, the client",
  "TLS by node:tls, the client",
]);
const effort = (name: string) => ({ quiet: 10, ...!whole.has(name) && { transferSize: 200_000 } });

for (const { name, make, conn } of connKinds) {
  const makePair = async () => {
    const [a, b] = await make();
    return { a, b };
  };
  register(`conn (${name})`, connCases(makePair, { ...effort(name), ...conn }));
}

/** Ends with a `cat` process in each direction between them, so that all bytes go through pipes of the system. */
function pipes(): { a: ConnLike; b: ConnLike; close: () => Promise<void> } {
  const cat = () => new Deno.Command("cat", { stdin: "piped", stdout: "piped" }).spawn();
  const [there, back] = [cat(), cat()];
  return {
    a: connFromStreams({ readable: back.stdout, writable: there.stdin }),
    b: connFromStreams({ readable: there.stdout, writable: back.stdin }),
    async close() {
      for (const process of [there, back]) {
        try {
          process.kill("SIGKILL");
        } catch {
          // It has ended already.
        }
        await process.status;
      }
    },
  };
}

if (Deno.build.os === "windows") {
  skip("the conformance of pipes", "there is no cat");
} else {
  // Whether the reader has gone, a pipe tells only the process in between.
  register(
    "conn (pipes)",
    // A long quiet time: the process in between needs its turn before the pipe is known to be full.
    connCases(() => Promise.resolve(pipes()), { quiet: 100, bound: 1 << 20, failsWrites: false }),
  );
  const make: MakeTransportPair = async (factoryA, factoryB) => {
    const { a, b, close } = pipes();
    try {
      return { ...await over(() => Promise.resolve([a, b]))(factoryA, factoryB), close };
    } catch (error) {
      await close();
      throw error;
    }
  };
  register("transport (over pipes)", transportCases(make, { quiet: 10, noticesAbort: false }));
}

for (const { name, make, lacks } of transportKinds) {
  register(`transport (${name})`, transportCases(make, { ...effort(name), ...lacks }));
}
