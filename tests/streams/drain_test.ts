/** drain() in every state of a connection, close() and waitClosed() [S2, S3]. */
import { assert, assertFalse, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { type ConnLike, connPair, openConnection, StreamWriter } from "../../mod.ts";
import { hookedConn, scriptedConn } from "../../src/testing/mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { kinds, plainKinds } from "../support/servers.ts";
import { until } from "../support/waiting.ts";

/** Whether a promise is settled, after the microtasks that are due. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(() => settled = true, () => settled = true);
  await turns(2);
  return settled;
}

async function drainAll(conn: ConnLike): Promise<number> {
  const p = new Uint8Array(65536);
  let total = 0;
  for (let n; (n = await conn.read(p)) !== null;) total += n;
  return total;
}

Deno.test("drain() passes while writing is not paused [S2]", async () => {
  const [a, b] = connPair();
  const { writer } = await openConnection({ conn: a });
  await writer.drain();
  writer.write("x");
  await writer.drain();
  writer.abort();
  b.close();
});

Deno.test("drain() waits while writing is paused; any number may wait [S2]", async () => {
  const [a, b] = connPair({ capacity: 1000 });
  const { writer } = await openConnection({ conn: a });
  writer.write(new Uint8Array(70_000));
  const drains = [writer.drain(), writer.drain(), writer.drain()];
  for (const drain of drains) assertFalse(await isSettled(drain));
  const p = new Uint8Array(1000);
  while (writer.transport.getWriteBufferSize() > 16384) {
    for (const drain of drains) assertFalse(await isSettled(drain));
    await b.read(p);
  }
  await Promise.all(drains);
  await writer.drain();
  writer.abort();
  b.close();
});

Deno.test("drain() gives up waiting when its signal aborts; the others wait on [S2]", async () => {
  const [a, b] = connPair({ capacity: 1000 });
  const { writer } = await openConnection({ conn: a });
  writer.write(new Uint8Array(70_000));
  const controller = new AbortController();
  const impatient = writer.drain({ signal: controller.signal });
  const patient = writer.drain();
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => impatient), reason);
  assertFalse(await isSettled(patient));
  assertStrictEquals(await assertRejects(() => writer.drain({ signal: AbortSignal.abort(reason) })), reason);
  void drainAll(b).then(() => b.close());
  await patient;
  await writer.close();
});

Deno.test("drain() throws the reader's exception, also while nothing is paused [S2]", async () => {
  const [a, b] = connPair();
  const { reader, writer } = await openConnection({ conn: a });
  const oops = new Error("oops");
  reader.setException(oops);
  assertStrictEquals(await assertRejects(() => writer.drain()), oops);
  writer.abort();
  b.close();
});

Deno.test("drain() on a closing transport yields once [S2]", async () => {
  const [a, b] = connPair({ capacity: 1000 });
  const { writer } = await openConnection({ conn: a });
  writer.write(new Uint8Array(5000));
  const closed = writer.close();
  let turned = false;
  setTimeout(() => turned = true);
  await writer.drain();
  assert(turned);
  await drainAll(b);
  await closed;
  b.close();
});

Deno.test("drain() on a lost connection throws ConnectionReset [S2]", async () => {
  const [a, b] = connPair();
  const { writer } = await openConnection({ conn: a });
  await writer.close();
  for (let i = 0; i < 3; i++) await assertRejects(() => writer.drain(), Deno.errors.ConnectionReset, "Cannot drain");
  b.close();
});

Deno.test("drain() on a connection lost with an error: the reader's exception, else ConnectionReset [S2]", async () => {
  const oops = new Deno.errors.ConnectionReset("Connection reset by peer");
  const conn = scriptedConn([{ readError: oops }]);
  const { reader, writer } = await openConnection({ conn });
  await assertRejects(() => reader.read(), Deno.errors.ConnectionReset);
  assertStrictEquals(await assertRejects(() => writer.drain()), reader.exception());
  const alone = new StreamWriter(writer.transport, writer.transport.getProtocol() as never, null);
  const error = await assertRejects(() => alone.drain(), Deno.errors.ConnectionReset, "Cannot drain");
  assertStrictEquals(error.cause, oops);
});

Deno.test("a connection lost meanwhile rejects every waiting drain() with its error [S2]", async () => {
  const oops = new Deno.errors.BrokenPipe("Broken pipe (os error 32)");
  const failing = Promise.withResolvers<never>();
  const [a, b] = connPair();
  const conn = hookedConn(a, { beforeWrite: () => failing.promise });
  const { writer } = await openConnection({ conn });
  writer.write(new Uint8Array(70_000));
  const drains = [writer.drain(), writer.drain()];
  await turns();
  failing.reject(oops);
  for (const drain of drains) assertStrictEquals(await assertRejects(() => drain), oops);
  assertStrictEquals(await assertRejects(() => writer.waitClosed()), oops);
  b.close();
});

Deno.test("an abort meanwhile rejects every waiting drain() with ConnectionReset [S2]", async () => {
  const [a, b] = connPair({ capacity: 1000 });
  const { writer } = await openConnection({ conn: a });
  writer.write(new Uint8Array(70_000));
  const drains = [writer.drain(), writer.drain()];
  writer.abort();
  for (const drain of drains) await assertRejects(() => drain, Deno.errors.ConnectionReset);
  await writer.waitClosed();
  b.close();
});

for (const kind of plainKinds) {
  Deno.test(`${kind.name}: a loop of write() and drain() ends when the peer is gone [S2]`, async () => {
    await using server = await kind.startServer((_reader, writer) => writer.abort());
    const { writer } = await kind.openConnection(server);
    const chunk = new Uint8Array(10_000);
    await assertRejects(async () => {
      for (;;) {
        writer.write(chunk);
        await writer.drain();
      }
    }, Error);
    await writer.close().catch(() => {});
  });

  Deno.test(`${kind.name}: drain() holds a writer back until the peer reads [S2, M4]`, async () => {
    const reading = Promise.withResolvers<void>();
    let received = 0;
    await using server = await kind.startServer(async (reader) => {
      await reading.promise;
      received = (await reader.read()).length;
    });
    await using client = await kind.openConnection(server);
    const chunk = new Uint8Array(100_000);
    let written = 0;
    let waiting: Promise<void>;
    do {
      client.writer.write(chunk);
      written += chunk.length;
      waiting = client.writer.drain();
      assert(written < 100_000_000, "nothing holds the writer back");
    } while (await isSettled(waiting));
    reading.resolve();
    await waiting;
    client.writer.writeEof();
    await until(() => received === written);
  });
}

for (const kind of kinds) {
  Deno.test(`${kind.name}: close() need not be awaited, waitClosed() is the same in the end [S3]`, async () => {
    await using server = await kind.startServer(async (reader, writer) => {
      writer.write(await reader.readline());
      await writer.drain();
    });
    const { reader, writer } = await kind.openConnection(server);
    writer.write("x\n");
    await reader.readline();
    const closed = writer.close();
    assert(writer.isClosing());
    assertThrows(() => writer.write("late"), Error, "Cannot write: the writer was closed");
    assertThrows(() => writer.writelines(["late"]), Error, "Cannot write: the writer was closed");
    await assertRejects(() => writer.sendall(new Uint8Array(1)), Error, "Cannot send: the writer was closed");
    await Promise.all([closed, writer.waitClosed(), writer.close()]);
    await writer.waitClosed();
  });
}

Deno.test("waitClosed() and close() throw the error the connection was lost with, again and again [S3]", async () => {
  const oops = new Deno.errors.ConnectionReset("Connection reset by peer");
  const conn = scriptedConn([{ readError: oops }]);
  const { reader, writer } = await openConnection({ conn });
  const early = writer.waitClosed();
  await assertRejects(() => reader.read(), Deno.errors.ConnectionReset);
  for (const late of [early, writer.waitClosed(), writer.close()]) {
    assertStrictEquals(await assertRejects(() => late), oops);
  }
});

Deno.test("`await using` closes the connection, whatever it was lost with [S3]", async () => {
  const conn = scriptedConn([{ readError: new Deno.errors.ConnectionReset("Connection reset by peer") }]);
  {
    await using connection = await openConnection({ conn });
    await assertRejects(() => connection.reader.read(), Deno.errors.ConnectionReset);
  }
  assert(conn.closed);
});
