/**
 * The tests of CPython's `Lib/test/test_asyncio/test_streams.py` (3.13) that concern the StreamReader, each under its own
 * name. Where this package differs on purpose (SPEC section 9) the port says why.
 *
 * Left out: tests of the loop argument (`test_streamreader_constructor_*`), of `__repr__` and of pickling, for which there
 * is no counterpart; and those of servers, of TLS and of the writer alone.
 */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { connFromStreams } from "../../src/conn/conn_from_streams.ts";
import { createConnection } from "../../src/serving/create_connection.ts";
import { IncompleteReadError, LimitOverrunError } from "../../src/common/errors.ts";
import { openConnection, openUnixConnection } from "../../src/streams/open_connection.ts";
import { startServer, startUnixServer } from "../../src/streams/start_server.ts";
import { StreamReaderProtocol } from "../../src/streams/stream_reader_protocol.ts";
import { StreamReader } from "../../src/streams/stream_reader.ts";
import type { StreamWriter } from "../../src/streams/stream_writer.ts";
import { settle, text, watch } from "../support/reader_outcomes.ts";
import { bytes } from "../support/bytes.ts";

const DATA = "line1\nline2\nline3\n";

/** What is buffered; asyncio's tests look into `stream._buffer`. */
async function bufferOf(reader: StreamReader): Promise<string> {
  return text(await reader.peek(reader.buffered));
}

function fed(...pieces: string[]): StreamReader {
  return fedWithLimit(undefined, ...pieces);
}

function fedWithLimit(limit: number | undefined, ...pieces: string[]): StreamReader {
  const reader = new StreamReader(limit === undefined ? {} : { limit });
  for (const piece of pieces) reader.feedData(bytes(piece));
  return reader;
}

async function answerOverHttp(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await reader.readuntil("\r\n\r\n");
  writer.write("HTTP/1.0 200 OK\r\nContent-type: text/plain\r\n\r\nTest message");
  await writer.drain();
}

async function basetestOpenConnection(open: () => ReturnType<typeof openConnection>): Promise<void> {
  const { reader, writer } = await open();
  writer.write("GET / HTTP/1.0\r\n\r\n");
  assertEquals(text(await reader.readline()), "HTTP/1.0 200 OK\r\n");
  assert(text(await reader.read()).endsWith("\r\n\r\nTest message"));
  writer.close();
  await writer.waitClosed();
}

Deno.test("test_open_connection", async () => {
  await using server = await startServer(answerOverHttp, { hostname: "127.0.0.1", port: 0 });
  const { port } = server.addrs[0] as Deno.NetAddr;
  await basetestOpenConnection(() => openConnection({ hostname: "127.0.0.1", port }));
});

Deno.test("test_open_unix_connection", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/socket`;
    await using _server = await startUnixServer(answerOverHttp, { path });
    await basetestOpenConnection(() => openUnixConnection({ path }));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("test_open_connection_error", async () => {
  // asyncio calls connection_lost() on the protocol of an open connection.
  const reader = new StreamReader();
  const protocol = new StreamReaderProtocol(reader);
  protocol.connectionLost(new RangeError("division by zero"));
  await assertRejects(() => reader.read(), RangeError, "division by zero");
  await protocol.waitClosed().catch(() => {});
});

Deno.test("test_feed_empty_data", async () => {
  const stream = fed("");
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_feed_nonempty_data", async () => {
  const stream = fed(DATA);
  assertEquals(await bufferOf(stream), DATA);
});

Deno.test("test_read_zero", async () => {
  const stream = fed(DATA);
  assertEquals(text(await stream.read(0)), "");
  assertEquals(await bufferOf(stream), DATA);
});

Deno.test("test_read", async () => {
  const stream = new StreamReader();
  const read = stream.read(30);
  queueMicrotask(() => stream.feedData(bytes(DATA)));
  assertEquals(text(await read), DATA);
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_read_line_breaks", async () => {
  const stream = fed("line1", "line2");
  assertEquals(text(await stream.read(5)), "line1");
  assertEquals(await bufferOf(stream), "line2");
});

Deno.test("test_read_eof", async () => {
  const stream = new StreamReader();
  const read = stream.read(1024);
  queueMicrotask(() => stream.feedEof());
  assertEquals(text(await read), "");
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_read_until_eof", async () => {
  const stream = new StreamReader();
  const read = stream.read(-1);
  queueMicrotask(() => {
    stream.feedData(bytes("chunk1\n"));
    stream.feedData(bytes("chunk2"));
    stream.feedEof();
  });
  assertEquals(text(await read), "chunk1\nchunk2");
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_read_exception", async () => {
  const stream = fed("line\n");
  assertEquals(text(await stream.read(2)), "li");
  stream.setException(new RangeError());
  // asyncio throws at once; an error never hides buffered bytes here (R8).
  assertEquals(text(await stream.read(2)), "ne");
  assertEquals(text(await stream.read(2)), "\n");
  await assertRejects(() => stream.read(2), RangeError);
});

Deno.test("test_invalid_limit", () => {
  assertThrows(() => new StreamReader({ limit: 0 }), RangeError, "imit");
  assertThrows(() => new StreamReader({ limit: -1 }), RangeError, "imit");
});

Deno.test("test_read_limit", async () => {
  const stream = fedWithLimit(3, "chunk");
  assertEquals(text(await stream.read(5)), "chunk");
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_readline", async () => {
  const stream = fed("chunk1 ");
  const read = stream.readline();
  queueMicrotask(() => {
    stream.feedData(bytes("chunk2 "));
    stream.feedData(bytes("chunk3 "));
    stream.feedData(bytes("\n chunk4"));
  });
  assertEquals(text(await read), "chunk1 chunk2 chunk3 \n");
  assertEquals(await bufferOf(stream), " chunk4");
});

Deno.test("test_readline_limit_with_existing_data", async () => {
  let stream = fedWithLimit(3, "li", "ne1\nline2\n");
  // asyncio throws a ValueError and drops the line; here nothing is dropped, and skipuntil() drops the line (R5).
  await assertRejects(() => stream.readline(), LimitOverrunError);
  assertEquals(stream.buffered, 12);
  assertEquals(await stream.skipuntil(), 6);
  assertEquals(await bufferOf(stream), "line2\n");

  stream = fedWithLimit(3, "li", "ne1", "li");
  await assertRejects(() => stream.readline(), LimitOverrunError);
  assertEquals(stream.buffered, 7);
});

Deno.test("test_at_eof", async () => {
  const stream = new StreamReader();
  assertEquals(stream.atEof(), false);

  stream.feedData(bytes("some data\n"));
  assertEquals(stream.atEof(), false);

  await stream.readline();
  assertEquals(stream.atEof(), false);

  stream.feedData(bytes("some data\n"));
  stream.feedEof();
  await stream.readline();
  assertEquals(stream.atEof(), true);
});

Deno.test("test_readline_limit", async () => {
  let stream = new StreamReader({ limit: 7 });
  let read = stream.readline();
  let rejected = assertRejects(() => read, LimitOverrunError);
  stream.feedData(bytes("chunk1"));
  stream.feedData(bytes("chunk2"));
  stream.feedData(bytes("chunk3\n"));
  stream.feedEof();
  await rejected;
  // asyncio has dropped the line (R5).
  assertEquals(stream.buffered, 19);
  assertEquals(await stream.skipuntil(), 19);

  stream = new StreamReader({ limit: 7 });
  read = stream.readline();
  rejected = assertRejects(() => read, LimitOverrunError);
  stream.feedData(bytes("chunk1"));
  stream.feedData(bytes("chunk2\n"));
  stream.feedData(bytes("chunk3\n"));
  stream.feedEof();
  await rejected;
  assertEquals(await stream.skipuntil(), 13);
  assertEquals(await bufferOf(stream), "chunk3\n");

  // check strictness of the limit
  stream = fedWithLimit(7, "1234567\n");
  assertEquals(text(await stream.readline()), "1234567\n");
  assertEquals(await bufferOf(stream), "");

  stream.feedData(bytes("12345678\n"));
  await assertRejects(() => stream.readline(), LimitOverrunError);
  assertEquals(await stream.skipuntil(), 9);

  stream.feedData(bytes("12345678"));
  await assertRejects(() => stream.readline(), LimitOverrunError);
  assertEquals(await bufferOf(stream), "12345678");
});

Deno.test("test_readline_nolimit_nowait", async () => {
  const stream = fed(DATA.slice(0, 6), DATA.slice(6));
  assertEquals(text(await stream.readline()), "line1\n");
  assertEquals(await bufferOf(stream), "line2\nline3\n");
});

Deno.test("test_readline_eof", async () => {
  const stream = fed("some data");
  stream.feedEof();
  assertEquals(text(await stream.readline()), "some data");
});

Deno.test("test_readline_empty_eof", async () => {
  const stream = new StreamReader();
  stream.feedEof();
  assertEquals(text(await stream.readline()), "");
});

Deno.test("test_readline_read_byte_count", async () => {
  const stream = fed(DATA);
  await stream.readline();
  assertEquals(text(await stream.read(7)), "line2\nl");
  assertEquals(await bufferOf(stream), "ine3\n");
});

Deno.test("test_readline_exception", async () => {
  const stream = fed("line\n");
  assertEquals(text(await stream.readline()), "line\n");
  stream.setException(new RangeError());
  await assertRejects(() => stream.readline(), RangeError);
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_readuntil_separator", async () => {
  const stream = new StreamReader();
  // ValueError in asyncio.
  await assertRejects(() => stream.readuntil(""), TypeError, "is empty");
  await assertRejects(() => stream.readuntil([""]), TypeError, "is empty");
  await assertRejects(() => stream.readuntil([]), TypeError, "the list of separators is empty");
});

Deno.test("test_readuntil_multi_chunks", async () => {
  const stream = fed("lineAAA");
  assertEquals(text(await stream.readuntil("AAA")), "lineAAA");
  assertEquals(await bufferOf(stream), "");

  stream.feedData(bytes("lineAAA"));
  assertEquals(text(await stream.readuntil(bytes("AAA"))), "lineAAA");
  assertEquals(await bufferOf(stream), "");

  stream.feedData(bytes("lineAAAxxx"));
  assertEquals(text(await stream.readuntil("AAA")), "lineAAA");
  assertEquals(await bufferOf(stream), "xxx");
});

Deno.test("test_readuntil_multi_chunks_1", async () => {
  const stream = new StreamReader();
  for (const pieces of [["QWEaa", "XYaa", "a"], ["QWEaa", "XYa", "aa"], ["aaa"], ["Xaaa"], ["XXX", "a", "a", "a"]]) {
    for (const piece of pieces) stream.feedData(bytes(piece));
    assertEquals(text(await stream.readuntil("aaa")), pieces.join(""));
    assertEquals(await bufferOf(stream), "");
  }
});

Deno.test("test_readuntil_eof", async () => {
  const stream = fed("some dataAA");
  stream.feedEof();
  const error = await assertRejects(() => stream.readuntil("AAA"), IncompleteReadError, "a separator");
  assertEquals(text(error.partial), "some dataAA");
  assertEquals(error.expected, null);
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_readuntil_limit_found_sep", async () => {
  const stream = fedWithLimit(3, "some dataAA");
  await assertRejects(() => stream.readuntil("AAA"), LimitOverrunError, "there is none within the limit");
  assertEquals(stream.buffered, 11);

  // asyncio finds it now, and overruns by where it is; here the first limit + L bytes decide alone (R4).
  stream.feedData(bytes("A"));
  const error = await assertRejects(() => stream.readuntil("AAA"), LimitOverrunError);
  assertEquals(error.consumed, 4);
  assertEquals(text(await stream.read(100)), "some dataAAA");
});

Deno.test("test_readuntil_multi_separator", async () => {
  const stream = fed("line 1\nline 2\r");
  assertEquals(text(await stream.readuntil(["\r", "\n"])), "line 1\n");
  assertEquals(text(await stream.readuntil(["\r", "\n"])), "line 2\r");
  assertEquals(await bufferOf(stream), "");

  // First end position matches, even if that's a longer match
  stream.feedData(bytes("ABCDEFG"));
  assertEquals(text(await stream.readuntil(["DEF", "BCDE"])), "ABCDE");
  assertEquals(await bufferOf(stream), "FG");
});

Deno.test("test_readuntil_multi_separator_limit", async () => {
  const stream = fedWithLimit(3, "some dataA");
  const error = await assertRejects(
    () => stream.readuntil(["A", "ome dataA"]),
    LimitOverrunError,
    "it starts after 9 bytes",
  );
  assertEquals(error.consumed, 9);
  assertEquals(text(await stream.read(100)), "some dataA");
});

Deno.test("test_readuntil_multi_separator_negative_offset", async () => {
  const stream = fed("data");
  const read = stream.readuntil(["A", "long sep"]);
  queueMicrotask(() => stream.feedData(bytes("Z")));
  queueMicrotask(() => stream.feedData(bytes("Aaaa")));
  assertEquals(text(await read), "dataZA");
  assertEquals(await bufferOf(stream), "aaa");
});

Deno.test("test_readuntil_bytearray", async () => {
  const stream = fed("some data\r\n");
  assertEquals(text(await stream.readuntil(bytes("\r\n"))), "some data\r\n");
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_readexactly_zero_or_less", async () => {
  const stream = fed(DATA);
  assertEquals(text(await stream.readexactly(0)), "");
  assertEquals(await bufferOf(stream), DATA);
  await assertRejects(() => stream.readexactly(-1), RangeError, "not -1");
  assertEquals(await bufferOf(stream), DATA);
});

Deno.test("test_readexactly", async () => {
  const stream = new StreamReader();
  const n = 2 * DATA.length;
  const read = stream.readexactly(n);
  queueMicrotask(() => {
    for (let i = 0; i < 3; i++) stream.feedData(bytes(DATA));
  });
  assertEquals(text(await read), DATA + DATA);
  assertEquals(await bufferOf(stream), DATA);
});

Deno.test("test_readexactly_limit", async () => {
  const stream = fedWithLimit(3, "chunk");
  assertEquals(text(await stream.readexactly(5)), "chunk");
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_readexactly_eof", async () => {
  const stream = new StreamReader();
  const n = 2 * DATA.length;
  const read = stream.readexactly(n);
  queueMicrotask(() => {
    stream.feedData(bytes(DATA));
    stream.feedEof();
  });
  const error = await assertRejects(() => read, IncompleteReadError);
  assertEquals(text(error.partial), DATA);
  assertEquals(error.expected, n);
  assertEquals(error.message, "Cannot read 36 bytes: the stream ended after 18 bytes");
  assertEquals(await bufferOf(stream), "");
});

Deno.test("test_readexactly_exception", async () => {
  const stream = fed("line\n");
  assertEquals(text(await stream.readexactly(2)), "li");
  stream.setException(new RangeError());
  // asyncio throws at once; here only a read that the buffered bytes do not satisfy does (R8).
  await assertRejects(() => stream.readexactly(4), RangeError);
  assertEquals(text(await stream.readexactly(2)), "ne");
});

Deno.test("test_exception", () => {
  const stream = new StreamReader();
  assertEquals(stream.exception(), null);
  const error = new RangeError();
  stream.setException(error);
  assertStrictEquals(stream.exception(), error);
});

Deno.test("test_exception_waiter", async () => {
  const stream = new StreamReader();
  const read = stream.readline();
  queueMicrotask(() => stream.setException(new RangeError()));
  await assertRejects(() => read, RangeError);
});

Deno.test("test_exception_cancel", async () => {
  const stream = new StreamReader();
  const controller = new AbortController();
  const read = watch(stream.readline({ signal: controller.signal }));
  await settle();
  controller.abort(new Error("cancelled"));
  await settle();
  stream.setException(new TypeError("message"));
  await settle();
  assertEquals(read.outcome, "Error: cancelled");
  // asyncio looks whether the waiter is gone: then the next read is not refused.
  await assertRejects(() => stream.readline(), TypeError, "message");
});

Deno.test("test_read_all_from_pipe_reader", async () => {
  // A limit such that twice it is less than what the process writes.
  const code = `Deno.stdout.writeSync(new TextEncoder().encode("data"))`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdin: "piped", stdout: "piped" }).spawn();
  const reader = new StreamReader({ limit: 1 });
  const conn = connFromStreams({ readable: child.stdout, writable: child.stdin });
  const protocol = new StreamReaderProtocol(reader, undefined, { readAhead: true });
  const { transport } = await createConnection(() => protocol, { conn });
  assertEquals((await child.status).code, 0);
  assertEquals(text(await reader.read(-1)), "data");
  transport.abort();
  await protocol.waitClosed();
});

Deno.test("test_wait_closed_on_close_with_unread_data", async () => {
  await using server = await startServer(answerOverHttp, { hostname: "127.0.0.1", port: 0 });
  const { port } = server.addrs[0] as Deno.NetAddr;
  const { reader, writer } = await openConnection({ hostname: "127.0.0.1", port });
  writer.write("GET / HTTP/1.0\r\n\r\n");
  assertEquals(text(await reader.readline()), "HTTP/1.0 200 OK\r\n");
  writer.close();
  await writer.waitClosed();
});

Deno.test("test_eof_feed_when_closing_writer", async () => {
  // See https://github.com/python/cpython/issues/79594
  await using server = await startServer(async (reader) => void await reader.read(), {
    hostname: "127.0.0.1",
    port: 0,
  });
  const { port } = server.addrs[0] as Deno.NetAddr;
  const { reader, writer } = await openConnection({ hostname: "127.0.0.1", port });
  writer.close();
  await writer.waitClosed();
  assertEquals(reader.atEof(), true);
  assertEquals(text(await reader.read()), "");
});

Deno.test("test_IncompleteReadError_pickleable, as far as there is a counterpart: what the errors tell", () => {
  const incomplete = new IncompleteReadError(bytes("abc"), 10);
  assertInstanceOf(incomplete, Deno.errors.UnexpectedEof);
  assertEquals([incomplete.name, incomplete.expected], ["IncompleteReadError", 10]);
  assertEquals(text(incomplete.partial), "abc");
  const overrun = new LimitOverrunError("message", 10);
  assertEquals([overrun.name, overrun.message, overrun.consumed], ["LimitOverrunError", "message", 10]);
});
