/**
 * Fairness [C10]: beside a connection that always has data, or that takes everything it is sent, the answers of another
 * connection, timers and signals come in time.
 */
import {
  BufferedProtocol,
  connectReadPipe,
  connFromNode,
  connFromStreams,
  type ConnLike,
  connPair,
  createConnection,
  createSubprocessExec,
  openConnection,
  Protocol,
  type Server,
  type StreamReader,
  StreamReaderProtocol,
  type StreamWriter,
  type Transport,
} from "../../mod.ts";
import { StreamReader as Reader } from "../../mod.ts";
import { sockAccept, sockRecv, sockRecvInto, sockSendall } from "../../src/sock/mod.ts";
import type { Kind } from "../support/servers.ts";
import { A, addressOf, assertServedBeside, Flood, QUESTION, type Role } from "./flood_kit.ts";
import { ignore, realKinds } from "./kit.ts";

const question = new TextEncoder().encode(QUESTION);

/** How much of floods has come, or gone, so far. */
let flooded = 0;

/** Reads in one of the ways there are: answers questions, and counts the rest. Ends at the end of the stream. */
type Reading = (reader: StreamReader, writer: StreamWriter) => Promise<void>;

const byLine: Record<string, Reading> = {
  "for await over lines": async (reader, writer) => {
    for await (const line of reader) handle(line, writer);
  },
  "readline()": async (reader, writer) => {
    for (let line; (line = await reader.readline()).length > 0;) handle(line, writer);
  },
  "readuntil()": async (reader, writer) => {
    for (;;) handle(await reader.readuntil("\n"), writer);
  },
  "lines()": async (reader, writer) => {
    for await (const line of reader.lines()) {
      if (line.length > 0) writer.write(`${line}\n`);
      else flooded++;
    }
  },
  "skipuntil()": async (reader, writer) => {
    for (let n; (n = await reader.skipuntil()) > 0;) {
      if (n > 1) writer.write(question);
      else flooded++;
    }
  },
};

const bySize: Record<string, Reading> = {
  "readexactly(5)": async (reader, writer) => {
    for (;;) handle(await reader.readexactly(5), writer);
  },
  "read(5)": async (reader, writer) => {
    for (let data; (data = await reader.read(5)).length > 0;) handle(data, writer);
  },
  "read(65536)": async (reader, writer) => {
    for (let data; (data = await reader.read(65536)).length > 0;) handle(data, writer);
  },
  "readinto()": async (reader, writer) => {
    const p = new Uint8Array(65536);
    for (let n; (n = await reader.readinto(p)) !== null;) handle(p.subarray(0, n), writer);
  },
  "readable": async (reader, writer) => {
    for await (const data of reader.readable) handle(data, writer);
  },
};

/** The ways of reading that are tried over every kind of connection; the others differ only above it. */
const EVERYWHERE = new Set(["for await over lines", "lines()", "readexactly(5)", "read(65536)", "readinto()"]);

function handle(data: Uint8Array, writer: Pick<StreamWriter, "write">): void {
  if (data[0] === A) writer.write(data);
  else flooded++;
}

class Counter extends Protocol {
  #transport!: Transport;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override dataReceived(data: Uint8Array): void {
    if (data[0] === A) return this.#transport.write(data);
    // As one does that looks for lines.
    for (let at = -1; (at = data.indexOf(10, at + 1)) !== -1;) flooded++;
  }
}

class BufferedCounter extends BufferedProtocol {
  readonly #memory = new Uint8Array(65536);
  #transport!: Transport;

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }

  override getBuffer(): Uint8Array {
    return this.#memory;
  }

  override bufferUpdated(n: number): void {
    handle(this.#memory.subarray(0, n), this.#transport);
  }
}

/** Serves by streams; that a client is killed is no error here. */
function serve(kind: Kind, handler: Reading): Promise<Server> {
  return kind.startServer(handler, { onError: () => {} });
}

/** Answers questions, and reads nothing else. */
async function answer(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for (let data; (data = await reader.read(5)).length > 0;) writer.write(data);
}

const floodOf = (data: string): Role => ({ role: "send", data });

for (const kind of realKinds) {
  const beside = (server: Server, role: Role) => {
    const address = addressOf(kind, server);
    return assertServedBeside(address, () => Flood.start(role, address), () => flooded);
  };

  for (const [data, readings] of [["\n", byLine], ["other", bySize]] as const) {
    for (const [name, reading] of Object.entries(readings)) {
      if (kind !== realKinds[0] && !EVERYWHERE.has(name)) continue;
      Deno.test({
        name: `${kind.name}: beside a flood that is read by ${name} others are served in time [C10]`,
        ignore,
        async fn() {
          await using server = await serve(kind, reading);
          await beside(server, floodOf(data));
        },
      });
    }
  }

  for (
    const [name, factory] of [["dataReceived", () => new Counter()], [
      "bufferUpdated",
      () => new BufferedCounter(),
    ]] as const
  ) {
    Deno.test({
      name: `${kind.name}: beside a flood that goes to ${name}() others are served in time [C10]`,
      ignore,
      async fn() {
        await using server = await kind.createServer(factory, { onError: () => {} });
        await beside(server, floodOf("\n"));
      },
    });
  }

  const gives: Record<string, Reading> = {
    "write() and drain()": async (_reader, writer) => {
      for (;; flooded++) {
        writer.write("a line\n");
        await writer.drain();
      }
    },
    "sendall()": async (_reader, writer) => {
      const line = new TextEncoder().encode("a line\n");
      for (;; flooded++) await writer.sendall(line);
    },
    "sendall() of 64 KiB": async (_reader, writer) => {
      const block = new Uint8Array(65536);
      for (;; flooded++) await writer.sendall(block);
    },
  };
  for (const [name, give] of Object.entries(gives)) {
    Deno.test({
      name: `${kind.name}: beside a peer that takes everything from ${name} others are served in time [C10]`,
      ignore,
      async fn() {
        await using server = await serve(kind, async (reader, writer) => {
          const first = await reader.readline();
          if (first[0] !== A) return await give(reader, writer);
          writer.write(first);
          await answer(reader, writer);
        });
        await beside(server, { role: "take", data: "give\n" });
      },
    });
  }

  Deno.test({
    name:
      `${kind.name}: beside a peer that takes everything a protocol writes on resumeWriting() others are served in time [C10]`,
    ignore,
    async fn() {
      class Giver extends Counter {
        #transport!: Transport;
        override connectionMade(transport: Transport): void {
          super.connectionMade(transport);
          this.#transport = transport;
        }
        override dataReceived(data: Uint8Array): void {
          if (data[0] === A) super.dataReceived(data);
          else this.resumeWriting();
        }
        override resumeWriting(): void {
          flooded++;
          this.#transport.write(new Uint8Array(100_000));
        }
      }
      await using server = await kind.createServer(() => new Giver(), { onError: () => {} });
      await beside(server, { role: "take", data: "give\n" });
    },
  });
}

const tcp = realKinds[0]!;

for (const connections of [2, 100]) {
  Deno.test({
    name: `beside ${connections} floods at once others are served in time [C10]`,
    ignore,
    async fn() {
      await using server = await serve(tcp, byLine["for await over lines"]!);
      const address = addressOf(tcp, server);
      const role = { role: "send", data: "\n", connections } as const;
      await assertServedBeside(address, () => Flood.start(role, address), () => flooded);
    },
  });
}

Deno.test({
  name: "beside a flood of lines that take 1 ms each others are served in time [C10]",
  ignore,
  async fn() {
    await using server = await serve(tcp, async (reader, writer) => {
      for await (const line of reader) {
        if (line[0] === A) {
          writer.write(line);
          continue;
        }
        flooded++;
        for (const end = performance.now() + 1; performance.now() < end;);
      }
    });
    const address = addressOf(tcp, server);
    await assertServedBeside(address, () => Flood.start(floodOf("\n"), address), () => flooded);
  },
});

Deno.test({
  name: "beside a flood of connects others are served in time [C10]",
  ignore,
  async fn() {
    await using server = await serve(tcp, async (reader, writer) => {
      flooded++;
      await answer(reader, writer);
    });
    const address = addressOf(tcp, server);
    await assertServedBeside(address, () => Flood.start({ role: "connect" }, address), () => flooded);
  },
});

/** Serves the one who asks, while something else in this process floods. */
async function besideWork(begin: () => Promise<AsyncDisposable>): Promise<void> {
  await using server = await serve(tcp, answer);
  await assertServedBeside(addressOf(tcp, server), begin, () => flooded);
}

/** Does something again and again, until it is disposed of. */
function again(work: () => Promise<unknown>, end: () => void | Promise<unknown>): AsyncDisposable {
  let ended = false;
  const done = (async () => {
    while (!ended) {
      await work();
      flooded++;
    }
  })();
  done.catch(() => {});
  return {
    async [Symbol.asyncDispose]() {
      ended = true;
      await end();
      await done.catch(() => {});
    },
  };
}

const lines = new TextEncoder().encode("\n".repeat(65536));

/** Conns that always have data, without any peer that is a process. */
const endless: Record<string, () => ConnLike | Promise<ConnLike>> = {
  "connPair()": () => {
    const [conn, peer] = connPair();
    (async () => {
      for (;;) await peer.write(lines);
    })().catch(() => peer.close());
    return conn;
  },
  "connFromStreams()": () =>
    connFromStreams({
      readable: new ReadableStream({ pull: (controller) => controller.enqueue(lines) }),
      writable: new WritableStream(),
    }),
  "connFromNode()": async () => {
    const { Duplex } = await import("node:stream");
    return connFromNode(
      new Duplex({
        read() {
          this.push(lines);
        },
        write: (_chunk, _encoding, done) => done(),
      }),
    );
  },
};

for (const [name, make] of Object.entries(endless)) {
  Deno.test({
    name: `${name}: beside a flood of lines others are served in time, by streams [C10]`,
    ignore,
    fn: () =>
      besideWork(async () => {
        const { reader, writer } = await openConnection({ conn: await make() });
        return again(() => reader.readline(), () => writer.abort());
      }),
  });

  Deno.test({
    name: `${name}: beside a flood others are served in time, by protocols [C10]`,
    ignore,
    fn: () =>
      besideWork(async () => {
        const { transport } = await createConnection(() => new Counter(), { conn: await make() });
        return again(() => new Promise((resolve) => setTimeout(resolve, 1)), () => transport.abort());
      }),
  });

  Deno.test({
    name: `${name}: beside a flood others are served in time, by sockRecv() [C10]`,
    ignore,
    fn: () =>
      besideWork(async () => {
        const conn = await make();
        return again(() => sockRecv(conn, 65536), () => conn.close());
      }),
  });
}

for (const name of ["for await over lines", "lines()", "read(65536)"]) {
  const reading = { ...byLine, ...bySize }[name]!;
  Deno.test({
    name: `a process that floods its stdout, read by ${name}: others are served in time [C10]`,
    ignore,
    fn: () =>
      besideWork(async () => {
        const yes = await createSubprocessExec("yes", [""], { stdout: "piped" });
        const done = reading(yes.stdout!, { write() {} } as unknown as StreamWriter);
        return {
          async [Symbol.asyncDispose]() {
            yes.kill();
            await yes.wait();
            await done.catch(() => {});
          },
        };
      }),
  });
}

Deno.test({
  name: "a pipe that always has data: others are served in time [C10]",
  ignore,
  fn: () =>
    besideWork(async () => {
      const reader = new Reader();
      const { transport } = await connectReadPipe(() => new StreamReaderProtocol(reader), await Deno.open("/dev/zero"));
      return again(() => reader.read(100), () => transport.close());
    }),
});

Deno.test({
  name: "connPair(): a loop of raw reads leaves the event loop its turns, and serves others in time [C10]",
  ignore,
  fn: () =>
    besideWork(() => {
      const [conn, peer] = connPair();
      const p = new Uint8Array(100);
      return Promise.resolve(again(
        async () => {
          await peer.write(p);
          await conn.read(p);
        },
        () => {
          conn.close();
          peer.close();
        },
      ));
    }),
});

for (
  const [name, call] of Object.entries({
    "sockRecv()": (conn: Deno.Conn) => sockRecv(conn, 65536),
    "sockRecvInto()": (conn: Deno.Conn) => sockRecvInto(conn, new Uint8Array(1000)),
  })
) {
  Deno.test({
    name: `beside a loop of ${name} that always has data others are served in time [C10]`,
    ignore,
    fn: () =>
      besideWork(async () => {
        const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        const flood = Flood.start(floodOf("\n"), { address: ["127.0.0.1", listener.addr.port], ca: null });
        const conn = await sockAccept(listener);
        listener.close();
        const process = await flood;
        return again(() => call(conn), async () => {
          await process[Symbol.asyncDispose]();
          conn.close();
        });
      }),
  });
}

Deno.test({
  name: "beside a loop of sockSendall() to a peer that takes everything others are served in time [C10]",
  ignore,
  fn: () =>
    besideWork(async () => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const taking = Flood.start({ role: "take", data: "give\n" }, {
        address: ["127.0.0.1", listener.addr.port],
        ca: null,
      });
      const conn = await sockAccept(listener);
      listener.close();
      const process = await taking;
      return again(() => sockSendall(conn, lines), async () => {
        await process[Symbol.asyncDispose]();
        conn.close();
      });
    }),
});

Deno.test({
  name: "beside a loop of sockAccept() in a flood of connects others are served in time [C10]",
  ignore,
  fn: () =>
    besideWork(async () => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const process = await Flood.start({ role: "connect" }, {
        address: ["127.0.0.1", listener.addr.port],
        ca: null,
      });
      const accepting = again(async () => (await sockAccept(listener)).close(), () => {});
      return {
        async [Symbol.asyncDispose]() {
          await process[Symbol.asyncDispose]();
          listener.close();
          await accepting[Symbol.asyncDispose]();
        },
      };
    }),
});
