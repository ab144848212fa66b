/** The order of callbacks, and where what they throw goes: the table alone, without any conn [C1, C6, C7, C8, C9]. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import type { BaseTransport, ErrorContext, StreamProtocolLike } from "../../mod.ts";
import { Lifecycle, type LifecycleOwner } from "../../src/lifecycle.ts";

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

/** A lifecycle over a protocol that records, and does what it is told to. */
function recorded(kind: "plain" | "buffered" = "plain", act: Partial<Record<Callback, () => unknown>> = {}) {
  const calls: unknown[] = [];
  const reports: ErrorContext[] = [];
  const failures: Error[] = [];
  const owner = {
    report: (context: ErrorContext) => void reports.push(context),
    protocolFailed: (error: Error) => void failures.push(error),
  } as unknown as LifecycleOwner;
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
  const lifecycle = new Lifecycle(owner, protocol as unknown as StreamProtocolLike);
  return { calls, reports, failures, owner, protocol, lifecycle };
}

const bytes = Uint8Array.of(1, 2);
const oops = new Error("oops");
const fail = () => {
  throw oops;
};
const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("Lifecycle calls in order: made, data, end once, lost once, and nothing after it [C1]", () => {
  const { lifecycle, calls } = recorded();
  lifecycle.dataReceived(bytes);
  assertEquals(lifecycle.eofReceived(), false);
  assertEquals(calls, []);
  lifecycle.connectionMade(transport);
  lifecycle.connectionMade(transport);
  lifecycle.dataReceived(bytes);
  lifecycle.pauseWriting();
  lifecycle.eofReceived();
  lifecycle.eofReceived();
  lifecycle.dataReceived(bytes);
  lifecycle.resumeWriting();
  lifecycle.connectionLost(null);
  assertEquals(calls, [
    "connectionMade",
    "dataReceived 1,2",
    "pauseWriting",
    "eofReceived",
    "resumeWriting",
    "connectionLost null",
  ]);
  for (const call of ["connectionMade", "dataReceived", "bufferUpdated", "connectionLost"] as const) {
    lifecycle[call](null as never);
  }
  lifecycle.eofReceived();
  lifecycle.getBuffer(1);
  lifecycle.pauseWriting();
  lifecycle.resumeWriting();
  assertEquals(calls.length, 6);
});

Deno.test("Lifecycle: a connection that was never made is never lost [C1]", () => {
  const { lifecycle, calls } = recorded();
  lifecycle.connectionLost(oops);
  lifecycle.connectionMade(transport);
  assertEquals(calls, []);
});

Deno.test("Lifecycle: what connectionMade throws is reported, fails the protocol, and is thrown on [C6]", () => {
  const { lifecycle, reports, failures, protocol, owner } = recorded("plain", { connectionMade: fail });
  assertStrictEquals(assertThrows(() => lifecycle.connectionMade(transport)), oops);
  assertEquals(failures, [oops]);
  assertEquals(reports.length, 1);
  const [report] = reports;
  assertStrictEquals(report!.error, oops);
  assertStrictEquals(report!.protocol as unknown, protocol);
  assertStrictEquals(report!.transport, owner);
  assertEquals(report!.message, "Cannot finish connectionMade(): the protocol threw");
});

for (const kind of ["plain", "buffered"] as const) {
  const fatal: [Callback, (lifecycle: Lifecycle) => unknown][] = [
    ...kind === "plain"
      ? [["dataReceived", (l: Lifecycle) => l.dataReceived(bytes)] as [Callback, (l: Lifecycle) => unknown]]
      : [
        ["getBuffer", (l: Lifecycle) => l.getBuffer(9)] as [Callback, (l: Lifecycle) => unknown],
        ["bufferUpdated", (l: Lifecycle) => l.bufferUpdated(2)] as [Callback, (l: Lifecycle) => unknown],
      ],
    ["eofReceived", (lifecycle) => lifecycle.eofReceived()],
  ];
  for (const [name, call] of fatal) {
    Deno.test(`Lifecycle, ${kind}: what ${name} throws is reported, and fatal [C6]`, () => {
      const { lifecycle, reports, failures } = recorded(kind, { [name]: fail });
      lifecycle.connectionMade(transport);
      assert(!call(lifecycle));
      assertEquals([failures, reports.map(({ error }) => error)], [[oops], [oops]]);
    });

    if (name === "getBuffer") continue;
    Deno.test(`Lifecycle, ${kind}: an async ${name} that rejects is reported, and fatal, later [C6]`, async () => {
      const { lifecycle, reports, failures } = recorded(kind, { [name]: () => Promise.reject(oops) });
      lifecycle.connectionMade(transport);
      call(lifecycle);
      assertEquals(failures, []);
      await turn();
      assertEquals([failures, reports.map(({ error }) => error)], [[oops], [oops]]);
    });
  }

  for (const name of ["pauseWriting", "resumeWriting", "connectionLost"] as const) {
    for (const [how, act] of [["throws", fail], ["rejects with", () => Promise.reject(oops)]] as const) {
      Deno.test(`Lifecycle, ${kind}: what ${name} ${how} is reported only [C6]`, async () => {
        const { lifecycle, reports, failures } = recorded(kind, { [name]: act });
        lifecycle.connectionMade(transport);
        lifecycle[name](null);
        await turn();
        assertEquals([failures, reports.map(({ error }) => error)], [[], [oops]]);
      });
    }
  }
}

Deno.test("Lifecycle: an async connectionMade that rejects is reported, and fatal, later [C6]", async () => {
  const { lifecycle, reports, failures } = recorded("plain", { connectionMade: () => Promise.reject(oops) });
  lifecycle.connectionMade(transport);
  await turn();
  assertEquals([failures, reports.map(({ error }) => error)], [[oops], [oops]]);
});

Deno.test("Lifecycle: a failure after the connection is lost is reported, and no more [C6]", async () => {
  const { lifecycle, reports, failures } = recorded("plain", { dataReceived: () => Promise.reject(oops) });
  lifecycle.connectionMade(transport);
  lifecycle.dataReceived(bytes);
  lifecycle.connectionLost(null);
  await turn();
  assertEquals([failures, reports.length], [[], 1]);
});

Deno.test("Lifecycle: what is thrown and no Error becomes one [C6]", () => {
  for (const thrown of ["text", 7, null, undefined]) {
    const { lifecycle, failures } = recorded("plain", {
      dataReceived() {
        throw thrown;
      },
    });
    lifecycle.connectionMade(transport);
    lifecycle.dataReceived(bytes);
    assertInstanceOf(failures[0], Error);
    assertEquals(failures[0].message, `dataReceived() threw "${thrown}"`);
    assertStrictEquals(failures[0].cause, thrown);
  }
});

Deno.test("Lifecycle.eofReceived() tells true only where the protocol did [C7]", () => {
  for (const [answer, expected] of [[true, true], [false, false], [undefined, false], [1, false]] as const) {
    const { lifecycle } = recorded("plain", { eofReceived: () => answer });
    lifecycle.connectionMade(transport);
    assertEquals(lifecycle.eofReceived(), expected);
  }
});

Deno.test("Lifecycle: an empty buffer, and what is none, are fatal errors of the protocol [C9]", () => {
  for (const memory of [new Uint8Array(0), undefined, null, "text", new ArrayBuffer(8), [1, 2]]) {
    const { lifecycle, reports, failures } = recorded("buffered", { getBuffer: () => memory });
    lifecycle.connectionMade(transport);
    assertEquals(lifecycle.getBuffer(1024), null);
    assertEquals([failures.length, reports.length], [1, 1]);
    assertInstanceOf(failures[0], TypeError);
    assert(failures[0].message.startsWith("Cannot read: getBuffer() "), failures[0].message);
  }
});

Deno.test("Lifecycle: the protocol may be switched, and its kind [C8]", () => {
  const plain = recorded();
  const buffered = recorded("buffered", { getBuffer: () => bytes });
  const { lifecycle } = plain;
  lifecycle.connectionMade(transport);
  assertEquals(lifecycle.buffered, null);
  lifecycle.protocol = buffered.protocol as unknown as StreamProtocolLike;
  assertStrictEquals(lifecycle.protocol as unknown, buffered.protocol);
  assertStrictEquals(lifecycle.buffered as unknown, buffered.protocol);
  assertStrictEquals(lifecycle.getBuffer(5), bytes);
  lifecycle.bufferUpdated(2);
  lifecycle.protocol = plain.protocol as unknown as StreamProtocolLike;
  lifecycle.dataReceived(bytes);
  lifecycle.connectionLost(null);
  assertEquals(plain.calls, ["connectionMade", "dataReceived 1,2", "connectionLost null"]);
  assertEquals(buffered.calls, ["getBuffer 5", "bufferUpdated 2"]);
  for (const none of [null, undefined, {}, "text", { getBuffer() {} }, { bufferUpdated() {} }]) {
    assertThrows(() => lifecycle.protocol = none as never, TypeError, "Cannot use a protocol");
  }
});
