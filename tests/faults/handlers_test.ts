/** Handlers that fail at every point of their way, and handlers that never end [S4, V5]. */
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertStrictEquals,
} from "@std/assert";
import type { ClientConnected, StreamReader, StreamWriter } from "../../mod.ts";
import { text, until } from "../serving/kit.ts";
import { outcomeOf, realKinds } from "./kit.ts";

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
