/** Files sent over every kind of connection: the part that was asked for, and the position afterwards. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { connPair, openConnection, type StreamReader, type StreamWriter } from "../../mod.ts";
import { SeededRandom } from "../../src/testing/mod.ts";
import { kinds } from "../support/servers.ts";

const SIZE = 3 * 1024 * 1024 + 17;
const content = new SeededRandom(8).fill(new Uint8Array(SIZE));

/** A temporary file with the content, open for reading. */
async function tempFile(): Promise<{ path: string; file: Deno.FsFile } & AsyncDisposable> {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, content);
  const file = await Deno.open(path);
  const dispose = async () => {
    file.close();
    await Deno.remove(path);
  };
  return { path, file, [Symbol.asyncDispose]: dispose };
}

/** Runs `send` on one end of a connection and gives what the other end read. */
type Carry = (send: (writer: StreamWriter) => Promise<void>) => Promise<Uint8Array>;

const ways: [string, Carry][] = [
  ["memory", async (send) => {
    const [a, b] = connPair();
    await using near = await openConnection({ conn: a });
    await using far = await openConnection({ conn: b });
    const received = far.reader.read();
    await send(near.writer);
    near.writer.close();
    return await received;
  }],
  ...kinds.map((kind): [string, Carry] => [kind.name, async (send) => {
    const received = Promise.withResolvers<Uint8Array>();
    await using server = await kind.startServer(async (reader: StreamReader) => {
      await reader.read().then(received.resolve, received.reject);
    });
    await using client = await kind.openConnection(server);
    await send(client.writer);
    client.writer.close();
    return await received.promise;
  }]),
];

for (const [name, carry] of ways) {
  Deno.test(`StreamWriter.sendfile() sends a whole file, in order with writes, ${name} [W3]`, async () => {
    await using temp = await tempFile();
    const got = await carry(async (writer) => {
      writer.write("before");
      assertEquals(await writer.sendfile(temp.path), SIZE);
      writer.write("after");
    });
    assertEquals(new TextDecoder().decode(got.subarray(0, 6)), "before");
    assertEquals(got.subarray(6, 6 + SIZE), content);
    assertEquals(new TextDecoder().decode(got.subarray(6 + SIZE)), "after");
  });

  Deno.test(`StreamWriter.sendfile() sends a part, and leaves the position behind it, ${name}`, async () => {
    await using temp = await tempFile();
    const got = await carry(async (writer) => {
      assertEquals(await writer.sendfile(temp.file, { offset: 1000, count: 700_000 }), 700_000);
      assertEquals(await temp.file.seek(0, Deno.SeekMode.Current), 701_000);
      // Past the end there is less.
      assertEquals(await writer.sendfile(temp.file, { offset: SIZE - 5, count: 100 }), 5);
      assertEquals(await temp.file.seek(0, Deno.SeekMode.Current), SIZE);
      assertEquals(await writer.sendfile(temp.file, { offset: 3, count: 0 }), 0);
      assertEquals(await temp.file.seek(0, Deno.SeekMode.Current), 3);
    });
    assertEquals(got.subarray(0, 700_000), content.subarray(1000, 701_000));
    assertEquals(got.subarray(700_000), content.subarray(SIZE - 5));
  });
}

Deno.test("StreamWriter.sendfile() leaves the position behind what was sent when the peer goes", async () => {
  await using temp = await tempFile();
  const [a, b] = connPair();
  await using near = await openConnection({ conn: a });
  const sending = near.writer.sendfile(temp.file, { offset: 100 });
  const p = new Uint8Array(400_000);
  for (let n = 0; n < p.length;) n += await b.read(p.subarray(n)) ?? 0;
  b.close();
  const error = await assertRejects(() => sending);
  assert(
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset,
    `an error of the connection, not ${error}`,
  );
  const position = await temp.file.seek(0, Deno.SeekMode.Current);
  assertEquals((position - 100) % 262144, 0, "whole blocks were confirmed");
  assert(position > 100 && position <= 100 + p.length, `${position}`);
});

Deno.test("StreamWriter.sendfile() refuses wrong parts, and a writer that was closed, and sends nothing", async () => {
  await using temp = await tempFile();
  const [a, b] = connPair();
  const { writer } = await openConnection({ conn: a });
  for (const options of [{ offset: -1 }, { offset: 0.5 }, { count: NaN }, { count: -3 }]) {
    await assertRejects(() => writer.sendfile(temp.file, options), RangeError);
  }
  await assertRejects(() => writer.sendfile(5 as never), TypeError);
  await assertRejects(() => writer.sendfile(temp.path + ".none"), Deno.errors.NotFound);
  await writer.close();
  await assertRejects(() => writer.sendfile(temp.file), Error, "closed");
  assertEquals(await b.read(new Uint8Array(10)), null);
  b.close();
});
