/** The order of callbacks, and where what they throw goes: the table alone, without any conn [C1, C6, C7, C8, C9]. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import type { BaseTransport, ErrorContext, StreamProtocolLike } from "../../mod.ts";
import { Callbacks, type CallbacksOwner } from "../../src/transport/callbacks.ts";

type Callback =
  | "connectionMade"
  | "dataReceived"
  | "getBuffer"
  | "bufferUpdated"
  | "eofReceived"
  | "pauseWriting"
  | "resumeWriting"
  | "connectionLost";

const transport = {} as BaseTransport;

/** Callbacks over a protocol that records its calls and runs the given actions. */
function recorded(kind: "plain" | "buffered" = "plain", act: Partial<Record<Callback, () => unknown>> = {}) {
  const calls: unknown[] = [];
  const reports: ErrorContext[] = [];
  const failures: Error[] = [];
  const owner = {
    report: (context: ErrorContext) => void reports.push(context),
    protocolFailed: (error: Error) => void failures.push(error),
  } as unknown as CallbacksOwner;
  const method = (name: Callback) => (...args: unknown[]) => {
    calls.push(args.length === 0 || args[0] === transport ? name : `${name} ${args[0]}`);
    return act[name]?.();
  };
  const shared = {
    connectionMade: method("connectionMade"),
    connectionLost: method("connectionLost"),
    eofReceived: method("eofReceived"),
    pauseWriting: method("pauseWriting"),
    resumeWriting: method("resumeWriting"),
  };
  const protocol = kind === "plain"
    ? { ...shared, dataReceived: method("dataReceived") }
    : { ...shared, getBuffer: method("getBuffer"), bufferUpdated: method("bufferUpdated") };
  const callbacks = new Callbacks(owner, protocol as unknown as StreamProtocolLike);
  return { calls, reports, failures, owner, protocol, callbacks };
}

const bytes = Uint8Array.of(1, 2);
const oops = new Error("oops");
const fail = () => {
  throw oops;
};
const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("Callbacks calls in order: made, data, end once, lost once, and nothing after it [C1]", () => {
  const { callbacks, calls } = recorded();
  callbacks.dataReceived(bytes);
  assertEquals(callbacks.eofReceived(), false);
  assertEquals(calls, []);
  callbacks.connectionMade(transport);
  callbacks.connectionMade(transport);
  callbacks.dataReceived(bytes);
  callbacks.pauseWriting();
  callbacks.eofReceived();
  callbacks.eofReceived();
  callbacks.dataReceived(bytes);
  callbacks.resumeWriting();
  callbacks.connectionLost(null);
  assertEquals(calls, [
    "connectionMade",
    "dataReceived 1,2",
    "pauseWriting",
    "eofReceived",
    "resumeWriting",
    "connectionLost null",
  ]);
  for (const call of ["connectionMade", "dataReceived", "bufferUpdated", "connectionLost"] as const) {
    callbacks[call](null as never);
  }
  callbacks.eofReceived();
  callbacks.getBuffer(1);
  callbacks.pauseWriting();
  callbacks.resumeWriting();
  assertEquals(calls.length, 6);
});

Deno.test("Callbacks: a connection that was never made is never lost [C1]", () => {
  const { callbacks, calls } = recorded();
  callbacks.connectionLost(oops);
  callbacks.connectionMade(transport);
  assertEquals(calls, []);
});

Deno.test("Callbacks: what connectionMade throws is reported, fails the protocol, and is thrown on [C6]", () => {
  const { callbacks, reports, failures, protocol, owner } = recorded("plain", { connectionMade: fail });
  assertStrictEquals(assertThrows(() => callbacks.connectionMade(transport)), oops);
  assertEquals(failures, [oops]);
  assertEquals(reports.length, 1);
  const [report] = reports;
  assertStrictEquals(report!.error, oops);
  assertStrictEquals(report!.protocol as unknown, protocol);
  assertStrictEquals(report!.transport, owner);
  assertEquals(report!.message, "connectionMade() failed");
});

for (const kind of ["plain", "buffered"] as const) {
  const fatal: [Callback, (callbacks: Callbacks) => unknown][] = [
    ...kind === "plain"
      ? [["dataReceived", (l: Callbacks) => l.dataReceived(bytes)] as [Callback, (l: Callbacks) => unknown]]
      : [
        ["getBuffer", (l: Callbacks) => l.getBuffer(9)] as [Callback, (l: Callbacks) => unknown],
        ["bufferUpdated", (l: Callbacks) => l.bufferUpdated(2)] as [Callback, (l: Callbacks) => unknown],
      ],
    ["eofReceived", (callbacks) => callbacks.eofReceived()],
  ];
  for (const [name, call] of fatal) {
    Deno.test(`Callbacks, ${kind}: what ${name} throws is reported, and fatal [C6]`, () => {
      const { callbacks, reports, failures } = recorded(kind, { [name]: fail });
      callbacks.connectionMade(transport);
      assert(!call(callbacks));
      assertEquals([failures, reports.map(({ error }) => error)], [[oops], [oops]]);
    });

    if (name === "getBuffer") continue;
    Deno.test(`Callbacks, ${kind}: an async ${name} that rejects is reported, and fatal, later [C6]`, async () => {
      const { callbacks, reports, failures } = recorded(kind, { [name]: () => Promise.reject(oops) });
      callbacks.connectionMade(transport);
      call(callbacks);
      assertEquals(failures, []);
      await turn();
      assertEquals([failures, reports.map(({ error }) => error)], [[oops], [oops]]);
    });
  }

  for (const name of ["pauseWriting", "resumeWriting", "connectionLost"] as const) {
    for (const [how, act] of [["throws", fail], ["rejects with", () => Promise.reject(oops)]] as const) {
      Deno.test(`Callbacks, ${kind}: what ${name} ${how} is reported only [C6]`, async () => {
        const { callbacks, reports, failures } = recorded(kind, { [name]: act });
        callbacks.connectionMade(transport);
        callbacks[name](null);
        await turn();
        assertEquals([failures, reports.map(({ error }) => error)], [[], [oops]]);
      });
    }
  }
}

Deno.test("Callbacks: an async connectionMade that rejects is reported, and fatal, later [C6]", async () => {
  const { callbacks, reports, failures } = recorded("plain", { connectionMade: () => Promise.reject(oops) });
  callbacks.connectionMade(transport);
  await turn();
  assertEquals([failures, reports.map(({ error }) => error)], [[oops], [oops]]);
});

Deno.test("Callbacks: a failure after the connection is lost is reported, and no more [C6]", async () => {
  const { callbacks, reports, failures } = recorded("plain", { dataReceived: () => Promise.reject(oops) });
  callbacks.connectionMade(transport);
  callbacks.dataReceived(bytes);
  callbacks.connectionLost(null);
  await turn();
  assertEquals([failures, reports.length], [[], 1]);
});

Deno.test("Callbacks: what is thrown and no Error becomes one [C6]", () => {
  for (const thrown of ["text", 7, null, undefined]) {
    const { callbacks, failures } = recorded("plain", {
      dataReceived() {
        throw thrown;
      },
    });
    callbacks.connectionMade(transport);
    callbacks.dataReceived(bytes);
    assertInstanceOf(failures[0], Error);
    assertEquals(
      failures[0].message,
      `Cannot finish dataReceived(): it threw ${typeof thrown === "string" ? `"${thrown}"` : thrown}`,
    );
    assertStrictEquals(failures[0].cause, thrown);
  }
});

Deno.test("Callbacks.eofReceived() tells true only where the protocol did [C7]", () => {
  for (const [answer, expected] of [[true, true], [false, false], [undefined, false], [1, false]] as const) {
    const { callbacks } = recorded("plain", { eofReceived: () => answer });
    callbacks.connectionMade(transport);
    assertEquals(callbacks.eofReceived(), expected);
  }
});

Deno.test("Callbacks: an empty buffer, and what is none, are fatal errors of the protocol [C9]", () => {
  for (const memory of [new Uint8Array(0), undefined, null, "text", new ArrayBuffer(8), [1, 2]]) {
    const { callbacks, reports, failures } = recorded("buffered", { getBuffer: () => memory });
    callbacks.connectionMade(transport);
    assertEquals(callbacks.getBuffer(1024), null);
    assertEquals([failures.length, reports.length], [1, 1]);
    assertInstanceOf(failures[0], TypeError);
    assert(failures[0].message.startsWith("Cannot read: getBuffer() "), failures[0].message);
  }
});

Deno.test("Callbacks: the protocol may be switched, and its kind [C8]", () => {
  const plain = recorded();
  const buffered = recorded("buffered", { getBuffer: () => bytes });
  const { callbacks } = plain;
  callbacks.connectionMade(transport);
  assertEquals(callbacks.buffered, null);
  callbacks.protocol = buffered.protocol as unknown as StreamProtocolLike;
  assertStrictEquals(callbacks.protocol as unknown, buffered.protocol);
  assertStrictEquals(callbacks.buffered as unknown, buffered.protocol);
  assertStrictEquals(callbacks.getBuffer(5), bytes);
  callbacks.bufferUpdated(2);
  callbacks.protocol = plain.protocol as unknown as StreamProtocolLike;
  callbacks.dataReceived(bytes);
  callbacks.connectionLost(null);
  assertEquals(plain.calls, ["connectionMade", "dataReceived 1,2", "connectionLost null"]);
  assertEquals(buffered.calls, ["getBuffer 5", "bufferUpdated 2"]);
  for (const none of [null, undefined, {}, "text", { getBuffer() {} }, { bufferUpdated() {} }]) {
    assertThrows(() => callbacks.protocol = none as never, TypeError, "as a protocol: it must have");
  }
});
