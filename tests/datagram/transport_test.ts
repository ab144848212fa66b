import { assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { SocketDatagramTransport } from "../../src/datagram/transport.ts";
import { DatagramProtocol } from "../../src/transport/protocols.ts";
import type { DatagramTransport } from "../../src/transport/types.ts";
import type { DatagramReceiver, DatagramSocket } from "../../src/datagram/udp_socket.ts";
import { bytes } from "../support/bytes.ts";
import { reportsOf } from "../support/reports.ts";

const local: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: 1000 };
const peer: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: 2000 };
const stranger: Deno.NetAddr = { transport: "udp", hostname: "127.0.0.1", port: 3000 };

/** A socket whose system is the test: it answers sends when told to. */
class ScriptedSocket implements DatagramSocket {
  readonly localAddr = local;
  readonly sends: { data: Uint8Array; to: Deno.NetAddr | null }[] = [];
  receiver: DatagramReceiver | null = null;
  closed = 0;
  #answer: ((error: Error | null) => void) | null = null;

  constructor(readonly remoteAddr: Deno.NetAddr | null) {}

  start(receiver: DatagramReceiver) {
    this.receiver = receiver;
  }
  send(data: Uint8Array, to: Deno.NetAddr | null, sent: (error: Error | null) => void) {
    assertStrictEquals(this.#answer, null, "two sends at a time");
    this.sends.push({ data, to });
    this.#answer = sent;
  }
  answer(error: Error | null = null) {
    const answer = this.#answer!;
    this.#answer = null;
    answer(error);
  }
  keepAlive(): void {}

  close(closed: () => void) {
    this.closed++;
    queueMicrotask(closed);
  }
  texts() {
    return this.sends.map(({ data }) => new TextDecoder().decode(data));
  }
}

/** A protocol that writes down what is called, and throws where it is told to. */
class Diary extends DatagramProtocol {
  readonly calls: string[] = [];
  readonly lost = Promise.withResolvers<Error | null>();
  transport!: DatagramTransport;
  throwing: Partial<Record<string, unknown>> = {};

  #note(name: string, detail = "") {
    this.calls.push(name + detail);
    if (name in this.throwing) throw this.throwing[name];
  }
  override connectionMade(transport: DatagramTransport) {
    this.transport = transport;
    this.#note("connectionMade");
  }
  override datagramReceived(data: Uint8Array, addr: Deno.NetAddr) {
    this.#note("datagramReceived", `(${data.length}, ${addr.port})`);
  }
  override errorReceived(error: Error) {
    this.#note("errorReceived", `(${error.message})`);
  }
  override pauseWriting() {
    this.#note("pauseWriting");
  }
  override resumeWriting() {
    this.#note("resumeWriting");
  }
  override connectionLost(error: Error | null) {
    this.lost.resolve(error);
    this.#note("connectionLost", `(${error?.message ?? null})`);
  }
}

function made(remoteAddr: Deno.NetAddr | null = peer) {
  const socket = new ScriptedSocket(remoteAddr);
  const protocol = new Diary();
  const transport = new SocketDatagramTransport(socket, protocol);
  transport.start();
  return { socket, protocol, transport };
}

Deno.test("DatagramTransport.sendto() sends one at a time, in call order, whole [W3]", async () => {
  const { socket, protocol, transport } = made();
  for (const text of ["a", "bb", "", "ccc"]) transport.sendto(bytes(text));
  assertEquals(socket.texts(), ["a"]);
  for (const text of ["a", "bb", "", "ccc"]) {
    assertEquals(socket.texts().at(-1), text);
    socket.answer();
  }
  transport.abort();
  await protocol.lost.promise;
});

Deno.test("DatagramTransport.sendto() hands a lone datagram over before it returns [W4]", () => {
  const { socket, transport } = made();
  transport.sendto(bytes("now"));
  assertEquals(socket.texts(), ["now"]);
});

Deno.test("DatagramTransport.sendto() is done with the caller's memory when it returns, a Buffer's too [M2]", async () => {
  const { Buffer } = await import("node:buffer");
  const { socket, transport } = made();
  const memory = Buffer.from("first");
  transport.sendto(memory);
  transport.sendto(memory);
  memory.fill(0);
  socket.answer();
  assertEquals(socket.texts(), ["first", "first"]);
});

Deno.test("DatagramTransport pauses and resumes writing at the water marks, in turn [W1] [W2]", () => {
  const { socket, protocol, transport } = made();
  assertEquals(transport.getWriteBufferLimits(), { low: 16384, high: 65536 });
  transport.setWriteBufferLimits({ high: 10, low: 4 });
  transport.sendto(new Uint8Array(10));
  assertEquals(protocol.calls, ["connectionMade"]);
  transport.sendto(new Uint8Array(4));
  assertEquals(protocol.calls.slice(1), ["pauseWriting"]);
  transport.sendto(new Uint8Array(1));
  assertEquals(transport.getWriteBufferSize(), 15);
  socket.answer();
  assertEquals(protocol.calls.slice(1), ["pauseWriting"]);
  socket.answer();
  assertEquals(protocol.calls.slice(1), ["pauseWriting", "resumeWriting"]);
  socket.answer();
  assertEquals(transport.getWriteBufferSize(), 0);
  assertEquals(protocol.calls.slice(1), ["pauseWriting", "resumeWriting"]);
  assertThrows(() => transport.setWriteBufferLimits({ high: 1, low: 2 }), RangeError);
});

Deno.test("DatagramTransport counts an empty datagram as one byte, so that their queue is bounded too [M4]", () => {
  const { protocol, transport } = made();
  transport.setWriteBufferLimits({ high: 3 });
  for (let i = 0; i < 3; i++) transport.sendto(new Uint8Array(0));
  assertEquals(protocol.calls.length, 1);
  transport.sendto(new Uint8Array(0));
  assertEquals(protocol.calls.at(-1), "pauseWriting");
});

Deno.test("DatagramTransport.sendto() reports a failed send and goes on [D1]", () => {
  const { socket, protocol, transport } = made();
  transport.sendto(bytes("a"));
  transport.sendto(bytes("b"));
  socket.answer(new Error("too big"));
  socket.answer();
  assertEquals(protocol.calls, ["connectionMade", "errorReceived(too big)"]);
  assertEquals(socket.texts(), ["a", "b"]);
  assertEquals(transport.isClosing(), false);
});

Deno.test("DatagramTransport.sendto() wants an address just where one is needed [D2]", () => {
  const connected = made();
  connected.transport.sendto(bytes("a"), peer);
  assertStrictEquals(connected.socket.sends[0]?.to, null);
  assertThrows(
    () => connected.transport.sendto(bytes("b"), stranger),
    TypeError,
    "Cannot send a datagram to 127.0.0.1:3000: the endpoint is connected to 127.0.0.1:2000",
  );
  const free = made(null);
  assertThrows(() => free.transport.sendto(bytes("a")), TypeError, "an address is needed");
  free.transport.sendto(bytes("a"), stranger);
  assertEquals(free.socket.sends[0]?.to, stranger);
});

Deno.test("DatagramTransport.sendto() knows its peer by every spelling of the address [D2]", () => {
  const { socket, transport } = made({ transport: "udp", hostname: "::1", port: 7 });
  transport.sendto(bytes("a"), { transport: "udp", hostname: "0:0:0:0:0:0:0:1", port: 7 });
  assertStrictEquals(socket.sends[0]?.to, null);
});

Deno.test("DatagramTransport.sendto() refuses what is no datagram or no address, in every phase [W5]", async () => {
  const { protocol, transport } = made(null);
  const check = () => {
    const sendto = (data: unknown, addr: unknown) => () => transport.sendto(data as never, addr as never);
    assertThrows(sendto("text", peer), TypeError, "data must be a Uint8Array, not a string");
    assertThrows(sendto(undefined, peer), TypeError);
    assertThrows(sendto(bytes("a"), { hostname: "", port: 1 }), TypeError);
    assertThrows(sendto(bytes("a"), { port: 1 }), TypeError);
    assertThrows(sendto(bytes("a"), { hostname: "127.0.0.1", port: "1" }), TypeError);
    assertThrows(sendto(bytes("a"), { ...peer, transport: "tcp" }), TypeError, 'not "tcp"');
    for (const port of [0, -1, 65536, 1.5, NaN]) {
      assertThrows(sendto(bytes("a"), { ...peer, port }), RangeError, `not ${port}`);
    }
  };
  check();
  transport.abort();
  check();
  await protocol.lost.promise;
  check();
});

Deno.test("DatagramTransport.close() stops receiving at once, flushes, then loses the connection [W7]", async () => {
  const { socket, protocol, transport } = made();
  transport.sendto(bytes("a"));
  transport.sendto(bytes("b"));
  transport.close();
  transport.close();
  assertEquals(transport.isClosing(), true);
  socket.receiver!.received(bytes("late"), peer);
  socket.answer();
  assertEquals(socket.closed, 0);
  socket.answer();
  assertEquals(await protocol.lost.promise, null);
  assertEquals(socket.texts(), ["a", "b"]);
  assertEquals(socket.closed, 1);
  assertEquals(protocol.calls, ["connectionMade", "connectionLost(null)"]);
});

Deno.test("DatagramTransport.abort() drops the queue at once and tells in a later turn [W8] [C4]", async () => {
  const { socket, protocol, transport } = made();
  transport.setWriteBufferLimits({ high: 0 });
  transport.sendto(bytes("a"));
  transport.sendto(bytes("b"));
  transport.close();
  transport.abort();
  transport.abort();
  transport.close();
  assertEquals(transport.getWriteBufferSize(), 0);
  assertEquals(protocol.calls.at(-1), "pauseWriting");
  assertEquals(await protocol.lost.promise, null);
  socket.answer();
  socket.receiver!.received(bytes("late"), peer);
  socket.receiver!.failed(new Error("late"));
  assertEquals(socket.texts(), ["a"]);
  assertEquals(socket.closed, 1);
  assertEquals(protocol.calls, ["connectionMade", "pauseWriting", "connectionLost(null)"]);
});

Deno.test("DatagramTransport.sendto() drops on a closed endpoint and warns from the fifth on [W6]", async () => {
  const { socket, protocol, transport } = made();
  transport.close();
  const reports = await reportsOf(() => {
    for (let i = 0; i < 6; i++) transport.sendto(bytes("x"));
  });
  assertEquals(socket.sends.length, 0);
  assertEquals(reports.length, 2);
  assertEquals(
    reports[1]?.error.message,
    "Cannot send a datagram: the endpoint is closing; 6 datagrams were dropped",
  );
  assertStrictEquals(reports[1]?.protocol, protocol);
  assertStrictEquals(reports[1]?.transport, transport);
});

for (const name of ["datagramReceived", "errorReceived"]) {
  Deno.test(`DatagramTransport aborts with what ${name}() throws, and reports it [C6]`, async () => {
    const { socket, protocol, transport } = made();
    const error = new Error("from the callback");
    protocol.throwing = { [name]: error };
    const reports = await reportsOf(() => {
      if (name === "datagramReceived") socket.receiver!.received(bytes("a"), peer);
      else socket.receiver!.failed(new Error("a refusal"));
    });
    assertEquals(transport.isClosing(), true);
    assertStrictEquals(await protocol.lost.promise, error);
    assertEquals(reports.map((report) => report.error), [error]);
    assertStrictEquals(reports[0]?.transport, transport);
    assertEquals(socket.closed, 1);
  });
}

Deno.test("DatagramTransport only reports what pauseWriting(), resumeWriting() and connectionLost() throw [C6]", async () => {
  const { socket, protocol, transport } = made();
  protocol.throwing = { pauseWriting: "p", resumeWriting: "r", connectionLost: "c" };
  transport.setWriteBufferLimits({ high: 0 });
  const reports = await reportsOf(async () => {
    transport.sendto(bytes("a"));
    socket.answer();
    assertEquals(transport.isClosing(), false);
    transport.close();
    await protocol.lost.promise;
  });
  assertEquals(reports.map(({ error }) => error.cause), ["p", "r", "c"]);
  assertInstanceOf(reports[0]?.error, Error);
});

Deno.test("DatagramTransport takes the rejection of an async callback as a throw [C6]", async () => {
  const { socket, protocol, transport } = made();
  const error = new Error("later");
  protocol.datagramReceived = () => Promise.reject(error);
  const reports = await reportsOf(async () => {
    socket.receiver!.received(bytes("a"), peer);
    assertStrictEquals(await protocol.lost.promise, error);
  });
  assertEquals(reports.length, 1);
  assertEquals(transport.isClosing(), true);
});

Deno.test("DatagramTransport calls no resumeWriting() after an errorReceived() that aborts [C1]", async () => {
  const { socket, protocol, transport } = made();
  transport.setWriteBufferLimits({ high: 0 });
  transport.sendto(bytes("a"));
  protocol.errorReceived = () => transport.abort();
  socket.answer(new Error("too big"));
  await protocol.lost.promise;
  assertEquals(protocol.calls, ["connectionMade", "pauseWriting", "connectionLost(null)"]);
});

Deno.test("DatagramTransport.setProtocol() switches at any time and refuses other kinds [C8]", async () => {
  const { socket, protocol, transport } = made();
  const second = new Diary();
  socket.receiver!.received(bytes("a"), peer);
  transport.setProtocol(second);
  assertStrictEquals(transport.getProtocol(), second);
  socket.receiver!.received(bytes("bb"), peer);
  transport.close();
  await second.lost.promise;
  assertEquals(protocol.calls, ["connectionMade", "datagramReceived(1, 2000)"]);
  assertEquals(second.calls, ["datagramReceived(2, 2000)", "connectionLost(null)"]);
  for (const other of [null, {}, 1] as never[]) {
    assertThrows(() => transport.setProtocol(other), TypeError, "it must have datagramReceived()");
  }
});

Deno.test("DatagramTransport.getExtraInfo() tells the addresses, and defaults for the rest", () => {
  const { transport } = made();
  assertEquals(transport.getExtraInfo("sockname"), local);
  assertEquals(transport.getExtraInfo("peername"), peer);
  assertEquals(transport.getExtraInfo("tls"), undefined);
  assertEquals(transport.getExtraInfo("conn", "none"), "none");
  assertEquals(made(null).transport.getExtraInfo("peername", null), null);
});
