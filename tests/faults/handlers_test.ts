/** Handlers that fail at every point of their way, and handlers that never end [S4, V5]. */
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertStrictEquals,
} from "@std/assert";
import type { ClientConnected, ErrorContext, StreamReader, StreamWriter } from "../../mod.ts";
import { showAddress } from "../../src/common/address.ts";
import { text } from "../support/bytes.ts";
import { printedBy, reportsOf } from "../support/reports.ts";
import { turns, until } from "../support/waiting.ts";
import { ignore, outcomeOf, Peer, realKinds, resettableKinds } from "./kit.ts";

const oops = new Error("oops");

function fail(): never {
  throw oops;
}

/** Handlers that fail, each at another point. What they have written by then arrives. */
const failing: Record<string, ClientConnected> = {
  "at once, without a promise": (_reader, writer) => {
    writer.write("sent");
    fail();
  },
  "before its first await": async (reader, writer) => {
    writer.write("sent");
    fail();
    await reader.read(1);
  },
  "after an await that waited": async (reader, writer) => {
    await reader.readexactly(1);
    writer.write("sent");
    fail();
  },
  "while another call of its own waits": async (reader, writer) => {
    writer.write("sent");
    const waiting = reader.readexactly(100).catch(() => {});
    await Promise.race([waiting, Promise.reject(oops)]);
  },
  "in a timer that it awaits": async (_reader, writer) => {
    writer.write("sent");
    await new Promise((_resolve, reject) => setTimeout(() => reject(oops), 1));
  },
  "after it closed its writer": async (_reader, writer) => {
    writer.write("sent");
    void writer.close();
    await Promise.resolve();
    fail();
  },
  "after it waited for its own end": async (_reader, writer) => {
    writer.write("sent");
    await writer.close();
    fail();
  },
};

for (const kind of realKinds) {
  Deno.test(`${kind.name}: a handler that fails is reported once, closed after flushing, and alone [S4]`, async () => {
    let handler: ClientConnected = () => {};
    const errors: Error[] = [];
    await using server = await kind.startServer((...streams) => handler(...streams), {
      onError: (error) => errors.push(error),
    });
    handler = async (reader, writer) => {
      for await (const line of reader) writer.write(line);
    };
    await using steady = await kind.openConnection(server);
    for (const [when, failingHandler] of Object.entries(failing)) {
      steady.writer.write("before\n");
      assertEquals(text(await steady.reader.readline()), "before\n", when);
      handler = failingHandler;
      const client = await kind.openConnection(server);
      client.writer.write("x");
      assertEquals(text(await client.reader.readexactly(4)), "sent", when);
      await outcomeOf(client.reader.read());
      await outcomeOf(client.writer.close());
      await until(() => server.connections === 1 && errors.length > 0);
      assertEquals(errors.length, 1, when);
      assertStrictEquals(errors.pop(), oops, when);
      steady.writer.write("after\n");
      assertEquals(text(await steady.reader.readline()), "after\n", when);
    }
    assert(server.isServing());
  });

  Deno.test(`${kind.name}: handlers that never end are ended by shutdown({ grace }), in bounded time [V5]`, async () => {
    const GRACE = 50;
    const never = new Promise<void>(() => {});
    const seen: (StreamReader | StreamWriter)[] = [];
    const outcomes: Promise<{ value: unknown } | { error: Error }>[] = [];
    const handlers: ClientConnected[] = [
      // One that waits for nothing of the connection.
      (reader) => {
        seen.push(reader);
        return never;
      },
      // One that waits for bytes: for it the stream ends.
      (reader) => {
        outcomes.push(outcomeOf(reader.readline()));
        return never;
      },
      // One that waits to send, to a client that never reads.
      (_reader, writer) => {
        seen.push(writer);
        writer.write(new Uint8Array(32 << 20));
        outcomes.push(outcomeOf(writer.drain()));
        return never;
      },
    ];
    const rest = [...handlers];
    const server = await kind.startServer((...streams) => rest.shift()!(...streams));
    const clients = [];
    for (const _ of handlers) {
      const before = rest.length;
      clients.push(await kind.openConnection(server));
      await until(() => rest.length < before);
    }
    const begun = performance.now();
    await server.shutdown({ grace: GRACE });
    const took = performance.now() - begun;
    assertGreaterOrEqual(took, GRACE - 1);
    assertLess(took, 5000);
    assertEquals(server.connections, 0);
    const [read, drained] = await Promise.all(outcomes);
    assertEquals(read, { value: new Uint8Array(0) });
    assert("error" in drained!);
    assertInstanceOf(drained.error, Deno.errors.ConnectionReset);
    for (const client of clients) client.writer.abort();
    assertEquals(seen.length, 2);
  });
}

/** What a handler does with the error that its connection was lost with. */
const passedOn: Record<string, (error: Error) => unknown> = {
  "as it is": (error) => error,
  "as a cause": (error) => new Error("Cannot answer", { cause: error }),
  "as a cause of a cause": (error) => new Error("Cannot serve", { cause: new TypeError("x", { cause: error }) }),
  "among others": (error) => new AggregateError([oops, new Error("Cannot answer", { cause: error })]),
};

for (const kind of resettableKinds) {
  Deno.test({
    name:
      `${kind.name}: a handler that fails by the loss of its connection is reported to onError only, and never printed [S4]`,
    ignore,
  }, async () => {
    for (const [how, passOn] of Object.entries(passedOn)) {
      for (const withOnError of [true, false]) {
        const told: [Error, ErrorContext][] = [];
        const begun = Promise.withResolvers<void>();
        const ended = Promise.withResolvers<unknown>();
        const handler: ClientConnected = async (reader) => {
          const reading = reader.readexactly(1000);
          begun.resolve();
          try {
            await reading;
          } catch (error) {
            const thrown = passOn(error as Error);
            ended.resolve(thrown);
            throw thrown;
          }
        };
        const reports: ErrorContext[] = [];
        const printed = await printedBy(async () => {
          reports.push(
            ...await reportsOf(async () => {
              const onError = (...args: [Error, ErrorContext]) => told.push(args);
              await using server = await kind.startServer(handler, withOnError ? { onError } : {});
              await using peer = await Peer.connectedTo(kind, server);
              await begun.promise;
              await peer.tell("reset");
              await ended.promise;
              await until(() => server.connections === 0);
              await turns(2);
            }),
          );
        });
        assertEquals([reports, printed], [[], []], how);
        assertEquals(told.map(([error]) => error), withOnError ? [await ended.promise as Error] : [], how);
        for (const [, { peername }] of told) assertEquals((peername as Deno.NetAddr).hostname, "127.0.0.1");
      }
    }
  });
}

Deno.test("TCP: a handler that fails for another reason prints one report, which names the peer [S4]", async () => {
  for (const handler of [() => Promise.reject(oops), fail, async () => await Promise.reject(oops)]) {
    let peer = "";
    const printed = await printedBy(async () => {
      await using server = await realKinds[0]!.startServer(handler);
      const { reader, writer } = await realKinds[0]!.openConnection(server);
      peer = showAddress(writer.getExtraInfo("sockname")!);
      await reader.read();
      await writer.close();
      await until(() => server.connections === 0);
    });
    assertEquals(printed, [[`Handler failed for ${peer}:`, oops]]);
  }
});

Deno.test({
  name: "TCP: a sendall() that fails by the loss of its connection is as little printed [S4]",
  ignore,
}, async () => {
  const kind = realKinds[0]!;
  const reports: ErrorContext[] = [];
  const begun = Promise.withResolvers<void>();
  let ended = false;
  const printed = await printedBy(async () => {
    reports.push(
      ...await reportsOf(async () => {
        await using server = await kind.startServer((_reader, writer) => {
          const sending = writer.sendall(new Uint8Array(64 << 20));
          begun.resolve();
          return sending.finally(() => ended = true);
        });
        await using peer = await Peer.connectedTo(kind, server);
        await begun.promise;
        await peer.tell("recv", 1000);
        await peer.tell("reset");
        await until(() => ended && server.connections === 0);
        await turns(2);
      }),
    );
  });
  assertEquals([reports, printed], [[], []]);
});
