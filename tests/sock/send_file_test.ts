import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { sendFile } from "../../src/streams/send_file.ts";
import { sockAccept, sockConnect, sockRecvInto, sockSendall, sockSendfile } from "../../src/sock/mod.ts";

async function withFile(data: Uint8Array, run: (file: Deno.FsFile, path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, data);
    using file = await Deno.open(path);
    await run(file, path);
  } finally {
    await Deno.remove(path);
  }
}

async function withConns(run: (client: Deno.Conn, server: Deno.Conn) => Promise<void>): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using client = await sockConnect({ port: listener.addr.port });
  using server = await sockAccept(listener);
  await run(client, server);
}

/** A sink that keeps copies of what it is given. */
function collector() {
  const blocks: Uint8Array[] = [];
  const sink = (block: Uint8Array) => {
    blocks.push(block.slice());
    return Promise.resolve();
  };
  return { sink, blocks, bytes: () => new Uint8Array(blocks.flatMap((block) => [...block])) };
}

const position = (file: Deno.FsFile) => file.seek(0, Deno.SeekMode.Current);
const digits = new TextEncoder().encode("0123456789");

for (
  const { options, expected } of [
    { options: {}, expected: "0123456789" },
    { options: { offset: 0, count: 10 }, expected: "0123456789" },
    { options: { offset: 3 }, expected: "3456789" },
    { options: { offset: 3, count: 4 }, expected: "3456" },
    { options: { count: 4 }, expected: "0123" },
    { options: { count: 0 }, expected: "" },
    { options: { offset: 8, count: 100 }, expected: "89" },
    { options: { offset: 10 }, expected: "" },
    { options: { offset: 99 }, expected: "" },
  ]
) {
  Deno.test(`sendFile(${JSON.stringify(options)}) sends "${expected}" and leaves the position after it`, async () => {
    await withFile(digits, async (file, path) => {
      await file.seek(5, Deno.SeekMode.Start); // offset is absolute: where the file stood does not count
      const { sink, bytes } = collector();
      assertEquals(await sendFile(sink, file, options), expected.length);
      assertEquals(new TextDecoder().decode(bytes()), expected);
      assertEquals(await position(file), ((options as { offset?: number }).offset ?? 0) + expected.length);

      const ofPath = collector();
      assertEquals(await sendFile(ofPath.sink, path, options), expected.length);
      assertEquals(ofPath.bytes(), bytes());
    });
  });
}

Deno.test("sendFile() sends block by block, one at a time, and fits the last one", async () => {
  const data = new Uint8Array(600_000).map((_, i) => i % 251);
  await withFile(data, async (file) => {
    const blocks: number[] = [];
    let under = 0;
    const received = new Uint8Array(data.length);
    let total = 0;
    const sent = await sendFile(
      async (block) => {
        assertEquals(++under, 1);
        await new Promise((resolve) => setTimeout(resolve));
        received.set(block, total); // only now: the memory must not have changed
        total += block.length;
        blocks.push(block.length);
        under--;
      },
      file,
      { offset: 0, count: 599_999 },
    );
    assertEquals(sent, 599_999);
    assertEquals(blocks, [262144, 262144, 75711]);
    assertEquals(received.subarray(0, total), data.subarray(0, total));
  });
});

Deno.test("sendFile() leaves the position after the last block that was sent when the sink fails", async () => {
  const error = new Error("from the sink");
  await withFile(new Uint8Array(600_000), async (file) => {
    let calls = 0;
    const sink = () => ++calls === 2 ? Promise.reject(error) : Promise.resolve();
    assertStrictEquals(await assertRejects(() => sendFile(sink, file, { offset: 1000 })), error);
    assertEquals(await position(file), 1000 + 262144);
    assertStrictEquals(await assertRejects(() => sendFile(() => Promise.reject(error), file, { offset: 7 })), error);
    assertEquals(await position(file), 7);
  });
});

Deno.test("sendFile() ends between two blocks when aborted, with the position telling", async () => {
  await withFile(new Uint8Array(600_000), async (file) => {
    const stop = new AbortController();
    const sink = () => {
      stop.abort("stop");
      return Promise.resolve();
    };
    const { signal } = stop;
    assertEquals(await sendFile(sink, file, { signal }).catch((reason) => reason), "stop");
    assertEquals(await position(file), 262144);
    await file.seek(5, Deno.SeekMode.Start);
    assertEquals(await sendFile(sink, file, { signal }).catch((reason) => reason), "stop");
    assertEquals(await position(file), 5); // aborted before it began: not even the position
  });
});

Deno.test("sendFile() refuses a bad offset or count, and what is no file", async () => {
  await withFile(digits, async (file) => {
    await file.seek(5, Deno.SeekMode.Start);
    const { sink, blocks } = collector();
    for (const bad of [-1, NaN, 1.5, Infinity]) {
      await assertRejects(() => sendFile(sink, file, { offset: bad }), RangeError, `not ${bad}`);
      await assertRejects(() => sendFile(sink, file, { count: bad }), RangeError, `not ${bad}`);
    }
    const any = (value: unknown) => value as never;
    await assertRejects(() => sendFile(sink, file, { offset: any("1") }), TypeError);
    await assertRejects(() => sendFile(sink, any(null)), TypeError, "it must be a Deno.FsFile or a path");
    await assertRejects(() => sendFile(sink, any(digits)), TypeError);
    assertEquals(blocks, []);
    assertEquals(await position(file), 5);
  });
  await assertRejects(() => sendFile(() => Promise.resolve(), "/no/such/file"), Deno.errors.NotFound);
});

Deno.test("sockSendfile() sends 16 MiB whole, among other sends", async () => {
  const data = new Uint8Array(16 << 20);
  for (let i = 0; i < data.length; i += 65536) crypto.getRandomValues(data.subarray(i, i + 65536));
  await withFile(data, (file) =>
    withConns(async (client, server) => {
      const sending = (async () => {
        await sockSendall(client, new Uint8Array([1]));
        const sent = await sockSendfile(client, file);
        await sockSendall(client, new Uint8Array([2]));
        client.close();
        return sent;
      })();
      const received = new Uint8Array(data.length + 3);
      let total = 0;
      for (let n; (n = await sockRecvInto(server, received.subarray(total))) > 0;) total += n;
      assertEquals(await sending, data.length);
      assertEquals(total, data.length + 2);
      assertEquals([received[0], received[total - 1]], [1, 2]);
      assertEquals(
        await crypto.subtle.digest("SHA-256", received.subarray(1, total - 1)),
        await crypto.subtle.digest("SHA-256", data),
      );
      assertEquals(await position(file), data.length);
    }).catch((error) => {
      // The client is closed by the test itself, and then once more.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }));
});

Deno.test("sockSendfile() holds off other sends until it is done", async () => {
  await withFile(new Uint8Array(1 << 20), (file) =>
    withConns(async (client, server) => {
      const sending = sockSendfile(client, file);
      await assertRejects(() => sockSendall(client, new Uint8Array(1)), Deno.errors.Busy);
      const p = new Uint8Array(1 << 20);
      for (let total = 0; total < p.length;) total += await sockRecvInto(server, p);
      assertEquals(await sending, p.length);
      await sockSendall(client, new Uint8Array(1));
    }));
});

Deno.test("sockSendfile() to a peer that reads nothing can be aborted: the position is that of the last block", async () => {
  await withFile(new Uint8Array(32 << 20), (file) =>
    withConns(async (client, server) => {
      const stop = new AbortController();
      const sending = sockSendfile(client, file, { signal: stop.signal });
      for (let total = 0; total < 1 << 20;) total += await sockRecvInto(server, new Uint8Array(65536));
      stop.abort("stop");
      assertEquals(await sending.catch((reason) => reason), "stop");
      const at = await position(file);
      assertEquals(at % 262144, 0);
      assertEquals(at > 0 && at < 32 << 20, true);
    }));
});

Deno.test("sockSendfile() refuses options it does not know", async () => {
  await withFile(digits, (file) =>
    withConns(async (client) => {
      await assertRejects(() => sockSendfile(client, file, { fallback: true } as never), TypeError, '"fallback"');
      await assertRejects(() => sockSendfile(client, file, { offset: -1 }), RangeError);
      assertEquals(await sockSendfile(client, file), 10);
    }));
});
