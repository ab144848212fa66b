/** Ten thousand connections, opened and closed: every descriptor comes back, and so does the memory. */
import { assertEquals, assertGreaterOrEqual, assertLess } from "@std/assert";
import { createConnection, createServer, openConnection, startServer } from "../../mod.ts";
import { RecordingProtocol } from "../../src/testing/mod.ts";
import { EchoProtocol, kinds, plainKinds, portOf } from "../support/servers.ts";
import { openDescriptors, skip } from "../support/machine.ts";
import { liveBytes } from "../support/heap.ts";
import { until } from "../support/waiting.ts";

const TOTAL = 10_000;
const BATCH = 200;
const ROUNDS = 5;

Deno.test(`${TOTAL} connections, ${BATCH} at a time, leave no descriptor and no memory behind`, async () => {
  await using server = await startServer(async (reader, writer) => {
    writer.write(await reader.readline());
    await writer.drain();
  }, { hostname: "127.0.0.1", port: 0, backlog: 1024 });
  const port = portOf(server);
  const one = async () => {
    await using connection = await openConnection({ port });
    connection.writer.write("hello\n");
    assertEquals((await connection.reader.readline()).length, 6);
  };
  const batch = async () => {
    await Promise.all(Array.from({ length: BATCH }, one));
    await until(() => server.connections === 0);
  };
  // What the platform and the caches keep, they have from here on.
  for (let i = 0; i < 5; i++) await batch();
  const descriptors = openDescriptors();
  const growths: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = await liveBytes();
    for (let i = 0; i < TOTAL / ROUNDS / BATCH; i++) await batch();
    growths.push(await liveBytes() - before);
  }
  await until(() => openDescriptors() <= descriptors);
  // A heap may grow now and then, a leak grows in every round: each leaked connection costs 7 KiB or more.
  assertLess(Math.min(...growths), 1024 * TOTAL / ROUNDS, `the memory grew each time: by "${growths}" bytes`);
});

/** The limit of descriptors of a process, if the system tells it. */
function descriptorLimit(): number {
  try {
    return Number(/Max open files\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/limits"))?.[1] ?? 1024);
  } catch {
    return 1024;
  }
}

// Two descriptors for each connection, as both ends are here.
const OPEN = Math.min(2000, Math.floor((descriptorLimit() - 400) / 2 / BATCH) * BATCH);
if (OPEN < 2000) skip(`all but ${OPEN} of many connections`, "this process may have no more");

Deno.test(`${OPEN} connections open at a time all live, and all end with the server`, async () => {
  const server = await createServer(() => new EchoProtocol(), { hostname: "127.0.0.1", port: 0, backlog: 1024 });
  const port = portOf(server);
  const before = openDescriptors();
  const clients: { protocol: RecordingProtocol; transport: RecordingProtocol["transport"] }[] = [];

  while (clients.length < OPEN) {
    clients.push(
      ...await Promise.all(
        Array.from({ length: BATCH }, () => createConnection(() => new RecordingProtocol(), { port })),
      ),
    );
  }
  await until(() => server.connections === OPEN);
  assertGreaterOrEqual(openDescriptors(), before + 2 * OPEN - 50);
  for (const { transport } of clients) transport.write("x");
  await Promise.all(clients.map(({ protocol }) => protocol.waitForBytes(1)));
  await server.shutdown({ grace: 0 });
  await Promise.all(clients.map(({ protocol }) => protocol.waitFor("connectionLost")));
  assertEquals(server.connections, 0);
  // The listener's is gone as well.
  await until(() => openDescriptors() <= before - 1);
});

for (const kind of kinds) {
  Deno.test(`${kind.name}: connections that end in every way leave no descriptor behind`, async () => {
    const server = await kind.startServer(async (reader, writer) => {
      switch (String.fromCharCode((await reader.readexactly(1))[0]!)) {
        case "a":
          return writer.abort();
        case "c":
          return await writer.close();
        case "e":
          return writer.writeEof();
        case "t":
          throw new Error("as asked");
        default:
          await reader.read();
      }
    }, { onError: () => {} });
    const one = async (way: string, i: number) => {
      const { reader, writer } = await kind.openConnection(server);
      writer.write(way);
      if (i % 2 === 0) writer.write(new Uint8Array(100_000));
      if (way === "z") writer.abort();
      else if (way === "E") writer.writeEof();
      else if ("act".includes(way)) await reader.read().catch(() => {});
      await writer.close().catch(() => {});
    };
    const round = async () => {
      await Promise.all([..."acetEzx"].map(one));
      await until(() => server.connections === 0);
    };
    await round();
    const before = openDescriptors();
    for (let i = 0; i < 10; i++) await round();
    await until(() => openDescriptors() <= before);
    await server.shutdown({ grace: 0 });
    await until(() => openDescriptors() < before);
  });
}

for (const kind of plainKinds) {
  Deno.test(`${kind.name}: a server started and closed 200 times leaves no descriptor behind`, async () => {
    const once = async () => {
      const server = await kind.createServer(() => new EchoProtocol());
      await server[Symbol.asyncDispose]();
    };
    await once();
    const before = openDescriptors();
    for (let i = 0; i < 200; i++) await once();
    await until(() => openDescriptors() <= before);
  });
}
