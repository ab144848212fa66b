/** Users' code that throws or rejects with anything, in every place that calls it [C6, C11, S4]. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import * as net from "../../mod.ts";
import { FakeListener } from "../support/fake_listener.ts";
import { type Kind, plainKinds, tlsKinds } from "../support/servers.ts";
import { type HostileValue, hostileValues } from "../support/hostile_values.ts";
import { turns, until } from "../support/waiting.ts";
import { printedBy, reportsOf } from "../support/reports.ts";
import { text } from "../support/bytes.ts";

/** How users' code fails with a value. */
const manners: Record<string, (value: unknown) => unknown> = {
  "throws": (value) => {
    throw value;
  },
  "rejects": (value) => Promise.reject(value),
  "rejects later": (value) => new Promise((_, reject) => queueMicrotask(() => reject(value))),
  "returns a promise of a subclass that rejects": (value) => SubPromise.reject(value),
  "returns a thenable that rejects": (value) => ({
    then: (_: unknown, reject: (reason: unknown) => void) => reject(value),
  }),
  "returns a thenable whose then throws": (value) => ({
    then() {
      throw value;
    },
  }),
};

class SubPromise<T> extends Promise<T> {}

/** Whether an error is what a value became. */
function isOf(error: unknown, value: unknown): boolean {
  return error instanceof Error && Object.is(error.cause, value);
}

/** A server in memory: its clients come over `connPair`. */
class MemoryKind {
  readonly name = "memory";
  #listener = new FakeListener();

  createServer(factory: () => net.ProtocolLike | net.BufferedProtocolLike, options: Partial<net.ListenOptions> = {}) {
    return net.createServer(
      factory,
      { listener: this.#listener = new FakeListener(), ...options } as net.ListenOptions,
    );
  }

  startServer(handler: net.ClientConnected, options: Partial<net.ListenOptions> = {}) {
    return net.startServer(handler, { listener: this.#listener = new FakeListener(), ...options } as net.ListenOptions);
  }

  openConnection(_server: net.Server): Promise<net.StreamConnection> {
    return net.openConnection({ conn: this.#listener.connect() });
  }
}

type AnyKind = Pick<Kind, "name" | "openConnection"> & Pick<MemoryKind, "createServer" | "startServer">;

const everyKind: (() => AnyKind)[] = [
  () => new MemoryKind(),
  ...[plainKinds[0]!, plainKinds.at(-1)!, ...tlsKinds].map((kind) => () => kind as unknown as AnyKind),
];

type Callback =
  | "connectionMade"
  | "dataReceived"
  | "getBuffer"
  | "bufferUpdated"
  | "eofReceived"
  | "pauseWriting"
  | "resumeWriting"
  | "connectionLost";

const common: Callback[] = ["connectionMade", "eofReceived", "pauseWriting", "resumeWriting", "connectionLost"];
const callbacks: Record<"plain" | "buffered", Callback[]> = {
  plain: [...common, "dataReceived"],
  buffered: [...common, "getBuffer", "bufferUpdated"],
};
const informative: Callback[] = ["pauseWriting", "resumeWriting", "connectionLost"];

const ANSWER = 100_000;

/** Answers the first bytes with many, so that every callback is called; in one of them it fails. */
class Failing {
  readonly calls: Callback[] = [];
  lost: Error | null | undefined;
  #transport!: net.Transport;

  constructor(readonly where: Callback, readonly fail: () => unknown) {}

  #on(callback: Callback): unknown {
    this.calls.push(callback);
    return callback === this.where ? this.fail() : undefined;
  }

  protocol(kind: "plain" | "buffered"): net.ProtocolLike | net.BufferedProtocolLike {
    const received = (callback: Callback) => {
      if (this.calls.filter((one) => one === callback).length === 0) this.#transport.write(new Uint8Array(ANSWER));
      return this.#on(callback);
    };
    const memory = new Uint8Array(100);
    return {
      connectionMade: (transport: net.Transport) => {
        this.#transport = transport;
        transport.setWriteBufferLimits({ high: 1000 });
        return this.#on("connectionMade");
      },
      eofReceived: () => this.#on("eofReceived"),
      pauseWriting: () => this.#on("pauseWriting"),
      resumeWriting: () => this.#on("resumeWriting"),
      connectionLost: (error: Error | null) => {
        this.lost = error;
        return this.#on("connectionLost");
      },
      ...kind === "plain"
        ? { dataReceived: () => received("dataReceived") }
        : { getBuffer: () => this.#on("getBuffer") ?? memory, bufferUpdated: () => received("bufferUpdated") },
    } as never;
  }
}

/** A client that asks, reads what comes, and leaves, whatever happens. */
async function play(kind: AnyKind, server: net.Server): Promise<number> {
  const { reader, writer } = await kind.openConnection(server);
  let received = 0;
  try {
    writer.write("?");
    received = (await reader.readexactly(ANSWER)).length;
    writer.writeEof();
    await reader.read();
  } catch {
    // The server ended it.
  }
  writer.close();
  await writer.waitClosed().catch(() => {});
  return received;
}

/** Over sockets only the worst values: the others differ from them in nothing that a socket could see. */
function valuesFor(kind: AnyKind): HostileValue[] {
  const worst = ["a symbol", "an object without a prototype", "an object whose toString is no function", "undefined"];
  const all = hostileValues();
  return kind.name === "memory" ? all : all.filter(([name]) => worst.includes(name) || name.includes("proxy"));
}

for (const makeKind of everyKind) {
  const kind = makeKind();
  for (const make of ["plain", "buffered"] as const) {
    for (const callback of callbacks[make]) {
      Deno.test(`${kind.name}: ${make}: whatever ${callback} throws is reported, and ends its connection alone [C6, C11]`, async () => {
        let next: Failing | null = null;
        const told: Error[] = [];
        await using server = await kind.createServer(() => next?.protocol(make) ?? new Honest(), {
          onError: (error) => told.push(error),
        });
        for (const [name, value] of valuesFor(kind)) {
          for (const [manner, fail] of Object.entries(manners)) {
            const where = `${manner} ${name}`;
            const failing = next = new Failing(callback, () => fail(value));
            await play(kind, server);
            await until(() => server.connections === 0);
            assertEquals(failing.calls[0], "connectionMade", where);
            assertEquals(failing.calls.filter((one) => one === "connectionLost").length, 1, where);
            assertEquals(failing.calls.at(-1), "connectionLost", where);
            await until(() => told.length > 0);
            // The getBuffer of an async function fails at once as well: it gives a promise for memory.
            const ofValue = told.filter((error) => isOf(error, value));
            assert(ofValue.length > 0 || callback === "getBuffer", `${where}: ${told}`);
            // After eofReceived the connection is closed anyway, before an async one fails.
            const fatal = !informative.includes(callback) && !(callback === "eofReceived" && manner !== "throws");
            if (fatal) assert(failing.lost instanceof Error, where);
            else if (callback !== "eofReceived") assertStrictEquals(failing.lost, null, where);
            told.length = 0;
          }
        }
        next = null;
        assertEquals(await play(kind, server), ANSWER);
        assert(server.isServing());
      });
    }
  }

  Deno.test(`${kind.name}: whatever a handler throws is reported, and ends its connection alone [S4, C11]`, async () => {
    let fail: () => unknown = () => {};
    const told: [Error, net.ErrorContext][] = [];
    await using server = await kind.startServer(
      (async (reader: net.StreamReader, writer: net.StreamWriter) => {
        await reader.readexactly(1);
        writer.write("sent");
        return await fail();
      }) as net.ClientConnected,
      { onError: (...args) => told.push(args) },
    );
    await using atOnce = await kind.name === "memory" ? null : await kind.startServer(
      (() => fail()) as net.ClientConnected,
      { onError: (...args) => told.push(args) },
    );
    for (const [name, value] of valuesFor(kind)) {
      for (const [manner, failing] of Object.entries(manners)) {
        fail = () => failing(value);
        for (const one of atOnce === null ? [server] : [server, atOnce]) {
          const { reader, writer } = await kind.openConnection(one);
          writer.write("?");
          const received = await reader.read().catch(() => null);
          if (one === server) assertEquals(text(received!), "sent");
          await writer.close().catch(() => {});
          await until(() => one.connections === 0 && told.length > 0);
          assertEquals(told.length, 1, `${manner} ${name}`);
          const [error, context] = told.pop()!;
          assert(isOf(error, value), `${manner} ${name}: ${error}`);
          assertEquals(context.message, "Handler failed");
          assertStrictEquals(context.server, one);
          if (kind.name === "IPv4") assertEquals(context.peername?.transport, "tcp");
        }
      }
    }
    assert(server.isServing());
  });

  Deno.test(`${kind.name}: whatever a protocol factory throws or returns is reported, and costs its client alone [C11]`, async () => {
    let make: () => unknown = () => {};
    const told: [Error, net.ErrorContext][] = [];
    await using server = await kind.createServer((() => make()) as never, { onError: (...args) => told.push(args) });
    const attempt = async (what: string) => {
      await play(kind, server);
      await until(() => server.connections === 0 && told.length > 0);
      for (const [error, context] of told) {
        assertInstanceOf(error, Error, what);
        assertEquals(context.message, "Protocol factory failed", what);
      }
    };
    for (const [name, value] of valuesFor(kind)) {
      for (const [manner, failing] of Object.entries(manners)) {
        make = () => failing(value);
        await attempt(`${manner} ${name}`);
        await until(() => told.some(([error]) => isOf(error, value)));
        // An async factory is refused at once, and what it rejects with is reported as well.
        assertEquals(told.length, manner === "throws" ? 1 : 2, `${manner} ${name}`);
        told.length = 0;
      }
      make = () => value;
      await attempt(`returns ${name}`);
      told.length = 0;
    }
    make = () => Promise.resolve(new Honest());
    await attempt("returns a promise of a protocol");
    make = () => new Honest();
    assertEquals(await play(kind, server), ANSWER);
  });

  Deno.test(`${kind.name}: whatever an accept filter throws or returns is reported, and refuses its client [C11]`, async () => {
    let filter: () => unknown = () => true;
    const told: [Error, net.ErrorContext][] = [];
    await using server = await kind.createServer(() => new Honest(), {
      accept: () => filter() as boolean,
      onError: (...args) => told.push(args),
    });
    for (const [name, value] of valuesFor(kind)) {
      for (const [manner, failing] of Object.entries(manners)) {
        filter = () => failing(value);
        await play(kind, server).catch(() => {});
        await until(() => told.some(([error]) => isOf(error, value)));
        for (const [, { message }] of told) assertEquals(message, "accept() failed", `${manner} ${name}`);
        told.length = 0;
      }
    }
    filter = () => true;
    assertEquals(await play(kind, server), ANSWER);
    assertEquals(server.stats().accepted, 1);
  });

  Deno.test(`${kind.name}: whatever an onError throws does no harm, and is printed with the error it was told [C11]`, async () => {
    const oops = new Error("oops");
    for (const [name, value] of valuesFor(kind)) {
      for (const [manner, failing] of Object.entries(manners)) {
        const printed = await printedBy(async () => {
          await using server = await kind.startServer(() => Promise.reject(oops), {
            onError: () => failing(value) as void,
          });
          await play(kind, server);
          await until(() => server.connections === 0);
          assert(server.isServing());
        });
        assertEquals(printed.length, 2, `${manner} ${name}`);
        assertStrictEquals(printed[0]![1], oops);
        assert(isOf(printed[1]![1], value), `${manner} ${name}`);
      }
    }
  });
}

/** A protocol that answers as the failing ones do. */
class Honest extends net.Protocol {
  #transport!: net.Transport;

  override connectionMade(transport: net.Transport): void {
    this.#transport = transport;
  }

  override dataReceived(): void {
    this.#transport.write(new Uint8Array(ANSWER));
  }
}

Deno.test("createConnection() rejects with what the factory or connectionMade threw, and leaves nothing open [C6, C11]", async () => {
  for (const [name, value] of hostileValues()) {
    for (const where of ["the factory", "connectionMade"]) {
      const [conn, peer] = net.connPair();
      const fail = () => {
        throw value;
      };
      const protocol = Object.assign(new net.Protocol(), { connectionMade: fail });
      let error: unknown;
      const reports = await reportsOf(async () => {
        error = await assertRejects(() =>
          net.createConnection(where === "connectionMade" ? () => protocol : fail, { conn })
        );
      });
      assert(isOf(error, value), `${where}: ${name}`);
      assertEquals(reports.map((report) => report.error), where === "connectionMade" ? [error] : [], name);
      assertEquals(await peer.read(new Uint8Array(1)), null, name);
      peer.close();
    }
  }
});

Deno.test("createConnection() refuses whatever is no protocol, and closes the conn [C11]", async () => {
  for (const [name, value] of hostileValues()) {
    const [conn, peer] = net.connPair();
    // What `then` of a value throws is thrown.
    await assertRejects(() => net.createConnection(() => value as never, { conn }), Error, undefined, name);
    assertEquals(await peer.read(new Uint8Array(1)), null, name);
    peer.close();
  }
  const rejecting = () => Promise.reject(new Error("of the factory"));
  const [conn, peer] = net.connPair();
  const reports = await reportsOf(async () => {
    await assertRejects(
      () => net.createConnection(rejecting as never, { conn }),
      TypeError,
      "the protocol factory must return it, not a promise of it",
    );
  });
  assertEquals(reports.map(({ error }) => error.message), ["of the factory"]);
  peer.close();
});

Deno.test("a protocol that is frozen, changes, or has getters that throw ends its own connection at most [C8, C11]", async () => {
  const fail = () => {
    throw Symbol("getter");
  };
  const hostile: Record<string, () => object> = {
    "frozen": () => Object.freeze(new Honest()),
    "without pauseWriting": () => ({ connectionMade() {}, dataReceived() {}, eofReceived() {}, connectionLost() {} }),
    "without anything but dataReceived": () => ({ dataReceived() {} }),
    "with getters that throw": () => Object.defineProperty(new net.Protocol(), "dataReceived", { get: fail }),
    "with a connectionLost that throws when it is read": () =>
      Object.defineProperty(new net.Protocol(), "connectionLost", { get: fail }),
    "that loses its methods": () => {
      const protocol: Record<string, unknown> = new net.Protocol() as never;
      protocol.connectionMade = () => {
        for (const name of ["dataReceived", "eofReceived", "connectionLost"]) protocol[name] = undefined;
      };
      return protocol;
    },
    "that changes its kind": () => {
      const protocol: Record<string, unknown> = new net.Protocol() as never;
      protocol.connectionMade = () => {
        protocol.getBuffer = fail;
        protocol.bufferUpdated = fail;
        protocol.dataReceived = undefined;
      };
      return protocol;
    },
    "a proxy that throws at every second look": () => {
      let looks = 0;
      return new Proxy(new net.Protocol(), {
        get(target, name) {
          if (looks++ % 2 === 1) throw Symbol(String(name));
          return Reflect.get(target, name);
        },
      });
    },
  };
  for (const [what, make] of Object.entries(hostile)) {
    let next = make as () => net.Protocol;
    const kind = new MemoryKind();
    const told: Error[] = [];
    await using server = await kind.createServer(() => next(), { onError: (error) => told.push(error) });
    const { reader, writer } = await kind.openConnection(server);
    writer.write("?");
    writer.writeEof();
    await reader.read().catch(() => {});
    await writer.close().catch(() => {});
    await until(() => server.connections === 0);
    for (const error of told) assertInstanceOf(error, Error, what);
    next = () => new Honest();
    assertEquals(await play(kind, server), ANSWER, what);
  }
});

Deno.test("addresses of a conn that throw are not known, and fail nothing [C11]", async () => {
  for (const [, value] of hostileValues()) {
    const [near, peer] = net.connPair();
    const fail = () => {
      throw value;
    };
    const conn = Object.defineProperties(near, { localAddr: { get: fail }, remoteAddr: { get: fail } });
    const { reader, writer } = await net.openConnection({ conn });
    assertEquals(writer.getExtraInfo("peername"), undefined);
    assertEquals(writer.getExtraInfo("sockname", null), null);
    await peer.write(new Uint8Array(1));
    assertEquals((await reader.read(9)).length, 1);
    writer.abort();
    peer.close();
  }
});

Deno.test("an accept() that throws anything is reported, and the server lives [V6, C11]", async () => {
  for (const [name, value] of hostileValues()) {
    const listener = new FakeListener();
    const told: Error[] = [];
    const kept = Promise.withResolvers<void>();
    await using server = await net.createServer(() => new net.Protocol(), {
      listener,
      onError(error) {
        told.push(error);
        kept.resolve();
      },
    });
    listener.fail(value as Error);
    await kept.promise;
    assert(isOf(told[0], value), name);
    assert(server.isServing());
  }
});

Deno.test("datagrams: whatever a callback throws is reported, and ends its endpoint [C6, C11]", async () => {
  const names = ["connectionMade", "datagramReceived", "errorReceived", "pauseWriting", "connectionLost"] as const;
  for (const callback of names) {
    for (const [name, value] of hostileValues()) {
      for (const [manner, fail] of Object.entries(manners)) {
        const where = `${callback} ${manner} ${name}`;
        const lost = Promise.withResolvers<Error | null>();
        const protocol = new net.DatagramProtocol();
        Object.assign(protocol, {
          connectionLost(error: Error | null) {
            lost.resolve(error);
            if (callback === "connectionLost") return fail(value);
          },
          ...callback === "connectionLost" ? {} : { [callback]: () => fail(value) },
        });
        const reports = await reportsOf(async () => {
          const opened = net.createDatagramEndpoint(() => protocol, { localAddr: { hostname: "127.0.0.1" } });
          if (callback === "connectionMade" && manner === "throws") {
            assert(isOf(await assertRejects(() => opened), value), where);
          } else {
            const { transport } = await opened;
            const own = transport.getExtraInfo("sockname") as Deno.NetAddr;
            transport.setWriteBufferLimits({ high: callback === "pauseWriting" ? 0 : 100_000 });
            transport.sendto(new Uint8Array(1), own);
            // No datagram is that large.
            if (callback === "errorReceived") transport.sendto(new Uint8Array(70_000), own);
            if (callback === "pauseWriting" || callback === "connectionLost") transport.close();
          }
          const error = await lost.promise;
          assertEquals(error === null, callback === "pauseWriting" || callback === "connectionLost", where);
          await turns(1);
        });
        assert(reports.some(({ error }) => isOf(error, value)), where);
        assertEquals(reports[0]!.message, `${callback}() failed`, where);
      }
    }
  }
});

Deno.test("processes: whatever a callback throws is reported, and ends the process [C6, C11]", async () => {
  const names = [
    "connectionMade",
    "pipeDataReceived",
    "pipeConnectionLost",
    "processExited",
    "connectionLost",
  ] as const;
  const worst = hostileValues().filter(([name]) => /symbol|prototype|toString is|revoked/.test(name));
  for (const callback of names) {
    for (const [name, value] of worst) {
      for (const manner of ["throws", "rejects"]) {
        const where = `${callback} ${manner} ${name}`;
        const lost = Promise.withResolvers<Error | null>();
        const fail = () => manners[manner]!(value);
        const protocol = Object.assign(new net.SubprocessProtocol(), {
          connectionLost(error: Error | null) {
            lost.resolve(error);
            if (callback === "connectionLost") return fail();
          },
          ...callback === "connectionLost" ? {} : { [callback]: fail },
        });
        const reports = await reportsOf(async () => {
          const started = net.subprocessExec(() => protocol, "cat", [], { stderr: "null" });
          if (callback === "connectionMade" && manner === "throws") {
            assert(isOf(await assertRejects(() => started), value), where);
          } else {
            const stdin = (await started).transport.getPipeTransport(0)!;
            stdin.write("x");
            if (callback !== "pipeDataReceived") stdin.close();
          }
          const error = await lost.promise;
          // The process has ended before an async processExited fails.
          if (callback !== "processExited" || manner === "throws") {
            assertEquals(error === null, callback === "connectionLost", where);
          }
          await turns(1);
        });
        assert(reports.some(({ error }) => isOf(error, value)), where);
      }
    }
  }
});
