/** Half-closes in every order, each followed by data the other way [S1, W9]. */
import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import type { StreamConnection, StreamReader, StreamWriter } from "../../mod.ts";
import { pattern } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";
import { realKinds } from "./kit.ts";

type End = Pick<StreamConnection, "reader" | "writer">;
type Side = "client" | "server";

/** The sides that half-close, in order; the side that has not yet then sends. */
const orders: [name: string, order: Side[]][] = [
  ["the client first", ["client", "server"]],
  ["the server first", ["server", "client"]],
];

for (const kind of realKinds) {
  for (const [name, [first, second]] of orders as [string, [Side, Side]][]) {
    Deno.test(`${kind.name}: half-closed by ${name}, then data the other way, then by the other [S1, W9]`, async () => {
      const streams = Promise.withResolvers<[StreamReader, StreamWriter]>();
      await using server = await kind.startServer((reader, writer) => streams.resolve([reader, writer]));
      await using client = await kind.openConnection(server);
      const [reader, writer] = await streams.promise;
      const ends: Record<Side, End> = { client, server: { reader, writer } };
      const [a, b] = [ends[first], ends[second]];

      const there = pattern(300_000);
      const back = pattern(500_000);
      a.writer.write(there);
      a.writer.writeEof();
      assertThrows(() => a.writer.write("x"), Error, "writeEof() was called before");
      assertEquals(await b.reader.read(), there);
      assert(b.reader.atEof());
      assertFalse(b.writer.isClosing());
      assertFalse(a.reader.atEof());

      // In two parts, with the first one arrived: the half that is open stays so.
      b.writer.write(back.subarray(0, 1000));
      assertEquals(await a.reader.readexactly(1000), back.subarray(0, 1000));
      b.writer.write(back.subarray(1000));
      b.writer.writeEof();
      assertEquals(await a.reader.read(), back.subarray(1000));

      await Promise.all([a.writer.close(), b.writer.close()]);
      await until(() => server.connections === 0);
    });
  }

  Deno.test(`${kind.name}: half-closed by both at once with data on its way: both arrive whole [S1, W9]`, async () => {
    const data = pattern(3_000_000);
    let received: Uint8Array | undefined;
    await using server = await kind.startServer(async (reader, writer) => {
      writer.write(data);
      writer.writeEof();
      received = await reader.read();
    });
    await using client = await kind.openConnection(server);
    client.writer.write(data);
    client.writer.writeEof();
    assertEquals(await client.reader.read(), data);
    await client.writer.close();
    await until(() => server.connections === 0);
    assertEquals(received, data);
  });
}
