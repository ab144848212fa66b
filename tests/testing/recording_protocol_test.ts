import { assertEquals, assertRejects, assertStrictEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { createConnection } from "../../mod.ts";
import { connPair } from "../../src/conn/conn_pair.ts";
import type { DatagramTransport, Transport } from "../../src/transport/types.ts";
import { RecordingBufferedProtocol, RecordingDatagramProtocol, RecordingProtocol } from "../../src/testing/mod.ts";
import { bytes } from "../support/bytes.ts";

const transport = {} as Transport;

Deno.test("RecordingProtocol records every callback in order, with its data [C1]", () => {
  const protocol = new RecordingProtocol({ keepOpen: true });
  const error = new Error("lost");
  protocol.connectionMade(transport);
  protocol.dataReceived(bytes("ab"));
  protocol.pauseWriting();
  protocol.dataReceived(bytes("c"));
  protocol.resumeWriting();
  assertEquals(protocol.eofReceived(), true);
  protocol.connectionLost(error);
  assertEquals(protocol.calls, [
    { name: "connectionMade" },
    { name: "dataReceived", data: bytes("ab") },
    { name: "pauseWriting" },
    { name: "dataReceived", data: bytes("c") },
    { name: "resumeWriting" },
    { name: "eofReceived" },
    { name: "connectionLost", error },
  ]);
  assertEquals(protocol.received, bytes("abc"));
  assertStrictEquals(protocol.transport, transport);
  protocol.assertOrder();
});

Deno.test("RecordingProtocol.assertOrder() fails for each callback out of order [C1] [W2]", () => {
  const cases: [(protocol: RecordingProtocol) => void, string][] = [
    [(p) => p.dataReceived(bytes("a")), "dataReceived() was called first"],
    [(p) => p.connectionLost(null), "connectionLost() was called first"],
    [(p) => (p.connectionMade(transport), p.connectionMade(transport)), "connectionMade() was called after conn"],
    [(p) => (p.connectionMade(transport), p.eofReceived(), p.eofReceived()), "eofReceived() was called after eof"],
    [(p) => (p.connectionMade(transport), p.eofReceived(), p.dataReceived(bytes("a"))), "dataReceived() was called a"],
    [(p) => (p.connectionMade(transport), p.connectionLost(null), p.connectionLost(null)), "connectionLost() was"],
    [(p) => (p.connectionMade(transport), p.connectionLost(null), p.resumeWriting()), "resumeWriting() was called a"],
    [(p) => (p.connectionMade(transport), p.resumeWriting()), "resumeWriting() was called while writing was running"],
    [
      (p) => (p.connectionMade(transport), p.pauseWriting(), p.pauseWriting()),
      "pauseWriting() was called while writing was paused",
    ],
  ];
  for (const [violate, message] of cases) {
    const protocol = new RecordingProtocol();
    violate(protocol);
    assertThrows(() => protocol.assertOrder(), Error, `Cannot accept the order of callbacks: ${message}`);
  }
});

Deno.test("RecordingProtocol.waitFor() finds what was and waits for what comes", async () => {
  const protocol = new RecordingProtocol();
  protocol.connectionMade(transport);
  assertEquals(await protocol.waitFor("connectionMade"), { name: "connectionMade" });
  const second = protocol.waitFor("dataReceived", 2);
  const three = protocol.waitForBytes(3);
  protocol.dataReceived(bytes("a"));
  protocol.dataReceived(bytes("bc"));
  assertEquals((await second).data, bytes("bc"));
  assertEquals(await three, bytes("abc"));
});

Deno.test("RecordingProtocol.waitFor() fails when it waits in vain, or the order is violated", async () => {
  const lost = new RecordingProtocol();
  lost.connectionMade(transport);
  for (let i = 0; i < 3; i++) lost.dataReceived(bytes(""));
  const waiting = assertRejects(() => lost.waitFor("eofReceived"), Error, "call 1 of eofReceived(): the connection is");
  const error = new Error("why");
  lost.connectionLost(error);
  const { message, cause } = await waiting;
  assertStrictEquals(cause, error);
  assertStringIncludes(message, "calls: connectionMade, dataReceived (3 times), connectionLost");
  await assertRejects(() => lost.waitForBytes(1), Error, "Cannot wait for 1 bytes");
  assertEquals((await lost.waitFor("connectionLost")).error, error);

  const wrong = new RecordingProtocol();
  const made = assertRejects(() => wrong.waitFor("connectionMade"), Error, "Cannot accept the order");
  wrong.eofReceived();
  await made;
});

Deno.test("RecordingProtocol calls onCall inside each callback, after it is recorded, and throws what that throws", () => {
  const error = new Error("mine");
  const seen: number[] = [];
  const protocol: RecordingProtocol = new RecordingProtocol({
    onCall: ({ name }) => {
      seen.push(protocol.calls.length);
      if (name === "dataReceived") throw error;
    },
  });
  protocol.connectionMade(transport);
  assertStrictEquals(assertThrows(() => protocol.dataReceived(bytes("a"))), error);
  assertEquals(seen, [1, 2]);
});

Deno.test("RecordingProtocol joins a connection that is made", () => {
  const protocol = new RecordingProtocol({ joins: true });
  protocol.resumeWriting();
  protocol.dataReceived(bytes("a"));
  protocol.assertOrder();
  assertThrows(() => protocol.transport, Error, "connectionMade() was not called yet");
});

Deno.test("RecordingBufferedProtocol records a copy of what its buffer was given", async () => {
  const [a, b] = connPair();
  const factory = () => new RecordingBufferedProtocol({ bufferSize: 2 });
  const { transport, protocol } = await createConnection(factory, { conn: a });
  await b.write(bytes("abc"));
  assertEquals(await protocol.waitForBytes(3), bytes("abc"));
  assertEquals(protocol.names, ["connectionMade", "bufferUpdated", "bufferUpdated"]);
  transport.abort();
  await protocol.waitFor("connectionLost");
  b.close();
});

Deno.test("RecordingDatagramProtocol records datagrams and errors", () => {
  const protocol = new RecordingDatagramProtocol();
  const addr: Deno.NetAddr = { transport: "udp", hostname: "::1", port: 1 };
  const error = new Error("refused");
  protocol.connectionMade({} as DatagramTransport);
  protocol.datagramReceived(bytes("a"), addr);
  protocol.errorReceived(error);
  protocol.connectionLost(null);
  assertEquals(protocol.calls.slice(1), [
    { name: "datagramReceived", data: bytes("a"), addr },
    { name: "errorReceived", error },
    { name: "connectionLost", error: null },
  ]);
  protocol.assertOrder();
});
