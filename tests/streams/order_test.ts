/** Everything leaves in call order, whole, whatever is awaited: files too [W3]. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import {
  ClosedError,
  connPair,
  openConnection,
  type StreamConnection,
  type StreamReader,
  type StreamReaderProtocol,
  StreamWriter,
  type Transport,
} from "../../mod.ts";
import { SeededRandom } from "../../src/testing/mod.ts";
import { certificate, kinds } from "../support/servers.ts";
import { assertSameBytes, bytes, concat } from "../support/bytes.ts";
import { turns } from "../../src/testing/turns.ts";

const SIZE = 1024 * 1024 + 17;
const content = new SeededRandom(11).fill(new Uint8Array(SIZE));

/** A temporary file with the content, or another. */
async function tempFile(data: Uint8Array = content): Promise<{ path: string; file: Deno.FsFile } & AsyncDisposable> {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, data);
  const file = await Deno.open(path);
  const dispose = async () => {
    file.close();
    await Deno.remove(path);
  };
  return { path, file, [Symbol.asyncDispose]: dispose };
}

/** Runs `send` on one end of a connection, and gives what the other end read until the end. */
type Carry = (send: (writer: StreamWriter) => unknown) => Promise<Uint8Array>;

const ways: [string, Carry][] = [
  ["memory", async (send) => {
    const [a, b] = connPair();
    await using near = await openConnection({ conn: a });
    await using far = await openConnection({ conn: b });
    const received = far.reader.read();
    await send(near.writer);
    return await received;
  }],
  ...kinds.map((kind): [string, Carry] => [kind.name, async (send) => {
    const received = Promise.withResolvers<Uint8Array>();
    await using server = await kind.startServer(async (reader: StreamReader) => {
      await reader.read().then(received.resolve, received.reject);
    });
    await using client = await kind.openConnection(server);
    await send(client.writer);
    return await received.promise;
  }]),
];

for (const [name, carry] of ways) {
  for (const end of ["close", "writeEof"] as const) {
    Deno.test(`sendfile() followed by write() and ${end}() without an await leaves in order, whole, ${name} [W3]`, async () => {
      await using temp = await tempFile();
      const data = bytes("sent");
      const sent: Promise<unknown>[] = [];
      const got = await carry((writer) => {
        writer.write("before");
        sent.push(writer.sendfile(temp.path), writer.sendall(data));
        writer.writelines(["be", "tween"]);
        sent.push(writer.sendfile(temp.file, { offset: 100, count: 300_000 }));
        writer.write("after");
        if (end === "close") void writer.close();
        else writer.writeEof();
      });
      assertSameBytes(
        got,
        concat([bytes("before"), content, data, bytes("between"), content.subarray(100, 300_100), bytes("after")]),
      );
      assertEquals(await Promise.all(sent), [SIZE, undefined, 300_000]);
      assertEquals(await temp.file.seek(0, Deno.SeekMode.Current), 300_100);
    });
  }
}

Deno.test("startTls() right after sendfile() sends the file in plain text, then upgrades [W3, S5]", async () => {
  await using temp = await tempFile();
  const { cert, key, caCert } = certificate;
  const [a, b] = connPair();
  await using near = await openConnection({ conn: a });
  const sending = near.writer.sendfile(temp.path);
  const upgraded = near.writer.startTls({ caCerts: [caCert], serverName: "localhost" });
  // No byte more: what follows is the handshake.
  const got = new Uint8Array(SIZE);
  for (let n = 0; n < SIZE;) n += await b.read(got.subarray(n)) ?? 0;
  assertSameBytes(got, content);
  await using far = await openConnection({ conn: b });
  await Promise.all([upgraded, far.writer.startTls({ cert, key, serverSide: true })]);
  assertEquals(await sending, SIZE);
  near.writer.write("secret\n");
  assertEquals(new TextDecoder().decode(await far.reader.readline()), "secret\n");
});

Deno.test("a handler that returns right after sendfile() closes after all of the file [W3, S4]", async () => {
  await using temp = await tempFile();
  for (const kind of kinds) {
    await using server = await kind.startServer((_, writer) => {
      writer.sendfile(temp.path);
      return Promise.resolve();
    });
    await using client = await kind.openConnection(server);
    assertSameBytes(await client.reader.read(), content);
  }
});

async function pair(capacity?: number): Promise<[StreamConnection, StreamConnection]> {
  const [a, b] = connPair(capacity === undefined ? {} : { capacity });
  return [await openConnection({ conn: a }), await openConnection({ conn: b })];
}

Deno.test("sendfile() of a file that is shorter than count resolves with what was sent, and the rest follows [W3]", async () => {
  await using temp = await tempFile(bytes("0123456789"));
  const [near, far] = await pair();
  const sending = near.writer.sendfile(temp.path, { offset: 4, count: 100 });
  near.writer.write("after");
  near.writer.close();
  assertEquals(await sending, 6);
  assertEquals(new TextDecoder().decode(await far.reader.read()), "456789after");
  await far.writer.close();
});

Deno.test("sendfile() of a file that cannot be read rejects, and what was written after it follows [W3]", async () => {
  await using temp = await tempFile(bytes("0123456789"));
  const failing = Object.create(temp.file) as Deno.FsFile;
  let reads = 0;
  failing.seek = (offset, whence) => temp.file.seek(offset, whence);
  failing.read = (p) =>
    ++reads === 1 ? temp.file.read(p.subarray(0, 4)) : Promise.reject(new Deno.errors.BadResource("Bad resource ID"));
  for (
    const [file, Class, sent] of [
      ["/no/such/file", Deno.errors.NotFound, ""],
      [Deno.build.os === "windows" ? "/no/such/file" : "/", Deno.errors.NotFound, ""],
      [failing, Error, "0123"],
    ] as const
  ) {
    const [near, far] = await pair();
    near.writer.write("before ");
    const sending = near.writer.sendfile(file);
    near.writer.write(" after");
    near.writer.close();
    const error = await assertRejects(() => sending);
    assertInstanceOf(error, file === "/" ? Deno.errors.IsADirectory : Class);
    assert(error.message.startsWith("Cannot send "), error.message);
    assertEquals(new TextDecoder().decode(await far.reader.read()), `before ${sent} after`);
    await far.writer.close();
  }
  assertEquals(await temp.file.seek(0, Deno.SeekMode.Current), 4);
});

Deno.test("sendfile() sends a FIFO from where it is, and refuses an offset in it", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/fifo`;
  await new Deno.Command("mkfifo", { args: [path] }).output();
  const [near, far] = await pair();
  // Both ways, so that opening waits for nobody.
  using writing = await Deno.open(path, { read: true, write: true });
  const sending = near.writer.sendfile(path, { count: 300_000 });
  near.writer.write("after");
  near.writer.close();
  const received = far.reader.read();
  for (let rest = content.subarray(0, 300_000); rest.length > 0;) rest = rest.subarray(await writing.write(rest));
  assertEquals(await sending, 300_000);
  assertSameBytes(await received, concat([content.subarray(0, 300_000), bytes("after")]));
  const [one, other] = await pair();
  const refused = await assertRejects(() => one.writer.sendfile(path, { offset: 1 }));
  assert((refused as Error).message.startsWith("Cannot send the file "), String(refused));
  for (const { writer } of [one, other, far]) await writer.close();
  await Deno.remove(dir, { recursive: true });
});

for (const what of ["sendall", "sendfile"] as const) {
  Deno.test(`${what}() given up by its signal rejects with the reason, and aborts the connection [M3]`, async () => {
    await using temp = await tempFile();
    for (const ahead of [0, 70_000]) {
      const [near, far] = await pair(1000);
      const stop = new AbortController();
      const { signal } = stop;
      if (ahead > 0) near.writer.write(new Uint8Array(ahead));
      const transfer = what === "sendall"
        ? near.writer.sendall(content, { signal })
        : near.writer.sendfile(temp.file, { signal, offset: 5 });
      assertEquals((await far.reader.readexactly(500)).length, 500);
      const reason = new Error("enough");
      stop.abort(reason);
      assert(near.writer.isClosing());
      assertStrictEquals(await assertRejects(() => transfer as Promise<unknown>), reason);
      await near.writer.waitClosed();
      if (what === "sendfile") assertEquals(await temp.file.seek(0, Deno.SeekMode.Current), ahead > 0 ? 0 : 5);
      await temp.file.seek(0, Deno.SeekMode.Start);
      await assertRejects(() => near.writer.sendall(content), ClosedError).catch((error) => {
        // A connection that was aborted by a signal is lost, not closed by the writer.
        assertInstanceOf(error, Error);
      });
      // A signal that has aborted before refuses the call, and harms nothing.
      const [fresh, peer] = await pair();
      const again = what === "sendall"
        ? fresh.writer.sendall(content, { signal })
        : fresh.writer.sendfile(temp.path, { signal });
      assertStrictEquals(await assertRejects(() => again as Promise<unknown>), reason);
      fresh.writer.write("fine\n");
      assertEquals((await peer.reader.readline()).length, 5);
      for (const { writer } of [fresh, peer, far]) await writer.close();
    }
  });
}

Deno.test("a signal that aborts after a transfer is over harms nothing [M3]", async () => {
  const [near, far] = await pair();
  const stop = new AbortController();
  await near.writer.sendall(bytes("whole"), { signal: stop.signal });
  stop.abort();
  await turns(2);
  assertEquals(near.writer.isClosing(), false);
  await near.writer.close();
  assertEquals((await far.reader.read()).length, 5);
  await far.writer.close();
});

Deno.test("over a transport that cannot queue a file, writes during sendfile() are refused, and close() comes after it [W3]", async () => {
  await using temp = await tempFile();
  const [a, b] = connPair();
  const near = await openConnection({ conn: a });
  const far = await openConnection({ conn: b });
  // A transport with the public calls only.
  const transport = new Proxy(near.writer.transport, {
    get: (target, name) => {
      if (name === "sendSource") return undefined;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const protocol = near.writer.transport.getProtocol() as unknown as StreamReaderProtocol;
  const writer = new StreamWriter(transport as Transport, protocol, near.reader);
  const sending = writer.sendfile(temp.path);
  for (const call of [() => writer.write("x"), () => writer.writelines(["x"]), () => writer.writeEof()]) {
    assertInstanceOf(catchOf(call), Deno.errors.Busy);
  }
  await assertRejects(() => writer.sendall(bytes("x")), Deno.errors.Busy);
  await assertRejects(() => writer.sendfile(temp.path), Deno.errors.Busy);
  writer.close();
  assertSameBytes(await far.reader.read(), content);
  assertEquals(await sending, SIZE);
  await writer.waitClosed();
  await far.writer.close();
});

function catchOf(call: () => void): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
}

for (const [name, carry] of ways) {
  Deno.test(`pipeTo(writer.writable) resolves when all is sent, ${name} [W9]`, async () => {
    const piece = content.subarray(0, 50_000);
    const got = await carry(async (writer) => {
      let unsent = -1;
      await ReadableStream.from([piece, piece, piece, piece]).pipeTo(writer.writable);
      unsent = writer.transport.getWriteBufferSize();
      assertEquals(unsent, 0);
      if (!writer.canWriteEof()) await writer.waitClosed();
    });
    assertSameBytes(got, concat([piece, piece, piece, piece]));
  });
}

Deno.test("pipeTo(writer.writable) waits for a slow peer [W9]", async () => {
  const [near, far] = await pair(1000);
  let done = false;
  const piping = ReadableStream.from([content.subarray(0, 50_000)]).pipeTo(near.writer.writable).then(() =>
    done = true
  );
  for (let left = 50_000; left > 0;) {
    // What the memory between the two holds is sent.
    assert(!done || left <= 1000);
    left -= (await far.reader.read(1000)).length;
  }
  await piping;
  await near.writer.close();
  await far.writer.close();
});

Deno.test("sendall() of nothing resolves when what was written before is sent [W3]", async () => {
  const [near, far] = await pair(1000);
  near.writer.write(new Uint8Array(10_000));
  let sent = false;
  const nothing = near.writer.sendall(new Uint8Array(0)).then(() => sent = true);
  await turns(3);
  assertEquals(sent, false);
  await far.reader.readexactly(10_000);
  await nothing;
  assertEquals(near.writer.transport.getWriteBufferSize(), 0);
  await near.writer.close();
  await far.writer.close();
});
