import { assert, assertEquals, assertRejects } from "@std/assert";
import { createConnection, type ProtocolLike, type Transport } from "../../mod.ts";
import { connPair } from "../../src/conn/conn_pair.ts";
import { checkTransport, type MakeTransportPair, transportCases } from "../../src/testing/mod.ts";

const QUICK = { transferSize: 100_000, quiet: 10, timeout: 400 };

/** A pair of which one end is broken, before its protocol gets it. */
function broken(breakIt: (transport: Transport, protocol: ProtocolLike) => void): MakeTransportPair {
  return async (factoryA, factoryB) => {
    const [connA, connB] = connPair();
    const { transport: b } = await createConnection(factoryB, { conn: connB });
    const breakFirst = () => {
      const protocol = factoryA() as ProtocolLike;
      const connectionMade = protocol.connectionMade;
      protocol.connectionMade = (transport) => {
        breakIt(transport as Transport, protocol);
        connectionMade.call(protocol, transport);
      };
      return protocol;
    };
    const { transport: a } = await createConnection(breakFirst, { conn: connA }).catch((error) => {
      b.abort();
      throw error;
    });
    return { a, b };
  };
}

/** Changes what a callback does. */
function wrap<K extends keyof ProtocolLike>(
  protocol: ProtocolLike,
  name: K,
  around: (call: () => void) => void,
): void {
  const method = protocol[name] as (...args: unknown[]) => unknown;
  if (method === undefined) return;
  protocol[name] = ((...args: unknown[]) => {
    let result: unknown;
    around(() => result = method.apply(protocol, args));
    return result;
  }) as ProtocolLike[K];
}

/** What is wrong with a transport, and the case that finds it. */
const mistakes: [string, string, Parameters<typeof broken>[0]][] = [
  [
    "loses its connection twice",
    "calls the protocol in order",
    (_, protocol) =>
      wrap(protocol, "connectionLost", (call) => {
        call();
        call();
      }),
  ],
  [
    "never loses its connection",
    "loses the connection when the peer aborts it",
    (_, protocol) => wrap(protocol, "connectionLost", () => {}),
  ],
  [
    "swallows the end",
    "withholds EOF from a paused protocol",
    (_, protocol) => wrap(protocol, "eofReceived", () => {}),
  ],
  ["does not pause in connectionMade", "delivers nothing to a Protocol that pauses", (transport) => {
    transport.pauseReading = () => {};
  }],
  ["does not pause", "delivers one piece at a time to a BufferedProtocol", (transport) => {
    transport.pauseReading = () => {};
  }],
  ["throws when it is closed twice", "accepts repeated calls", (transport) => {
    const close = transport.close.bind(transport);
    transport.close = () => {
      if (transport.isClosing()) throw new Error("closed");
      close();
    };
  }],
  [
    "survives a callback that throws",
    "aborts, and reports, when the callback that brings bytes to a Protocol",
    (_, protocol) =>
      wrap(protocol, "dataReceived", (call) => {
        try {
          call();
        } catch {
          // Swallowed.
        }
      }),
  ],
  [
    "never keeps the writing direction open",
    "keeps the writing direction open",
    (transport, protocol) =>
      wrap(protocol, "eofReceived", (call) => {
        call();
        transport.close();
      }),
  ],
  ["does not switch its protocol", "switches the protocol", (transport) => {
    transport.setProtocol = () => {};
  }],
  ["accepts an empty buffer", "aborts, and reports, when getBuffer returns an empty array", (_, protocol) => {
    Object.assign(protocol, { getBuffer: () => new Uint8Array(10) });
  }],
  ["takes any limits", "has write buffer limits", (transport) => {
    const set = transport.setWriteBufferLimits.bind(transport);
    transport.setWriteBufferLimits = (limits) => {
      try {
        set(limits);
      } catch {
        // Swallowed.
      }
    };
  }],
  ["never pauses its writer", "pauses writing inside the write", (_, protocol) => {
    wrap(protocol, "pauseWriting", () => {});
    wrap(protocol, "resumeWriting", () => {});
  }],
  [
    "pauses its writer late",
    "pauses writing inside the write",
    (_, protocol) => wrap(protocol, "pauseWriting", (call) => queueMicrotask(call)),
  ],
  ["keeps the memory of a write", "sends whole pieces in the order of the calls", (transport) => {
    const write = transport.write.bind(transport);
    transport.write = (data) => queueMicrotask(() => write(data));
  }],
  ["changes some bytes", "transfers bytes in both directions at once", (transport) => {
    const write = transport.write.bind(transport);
    let writes = 0;
    transport.write = (data) =>
      write(++writes % 2 === 0 && typeof data !== "string" ? data.map((byte) => byte ^ 1) : data);
  }],
  ["overwrites bytes that it handed out", "never writes again to bytes", (_, protocol) => {
    let last: Uint8Array | undefined;
    const { dataReceived } = protocol;
    protocol.dataReceived = (data) => {
      last?.fill(0);
      last = data;
      dataReceived.call(protocol, data);
    };
  }],
  ["hands out memory that it uses again", "hands out memory that is not shared", (_, protocol) => {
    const slab = new Uint8Array(65536);
    let used = 0;
    const { dataReceived } = protocol;
    protocol.dataReceived = (data) => {
      if (used + data.length > slab.length) used = 0;
      const view = slab.subarray(used, used += data.length);
      view.set(data);
      dataReceived.call(protocol, view);
    };
  }],
  ["resolves sendall too early", "uses the memory given to sendall() until", (transport) => {
    const { sendall } = transport;
    transport.sendall = (data) => {
      sendall.call(transport, data);
      return Promise.resolve();
    };
  }],
  ["holds back small writes", "sends a lone small write at once", (transport) => {
    const write = transport.write.bind(transport);
    const held: (Uint8Array | string)[] = [];
    transport.write = (data) => {
      held.push(data);
      if (held.length > 1) held.splice(0).forEach((one) => write(one));
    };
  }],
  ["writes numbers", "refuses data of a wrong type", (transport) => {
    const write = transport.write.bind(transport);
    transport.write = (data) => write(typeof data === "number" ? `${data}` : data);
  }],
  ["drops writes without a warning", "drops writes on a lost transport", (transport) => {
    const write = transport.write.bind(transport);
    transport.write = (data) => transport.isClosing() ? undefined : write(data);
  }],
  ["aborts when it is closed", "flushes before it closes", (transport) => {
    transport.close = () => transport.abort();
  }],
  ["closes when it is aborted", "can be aborted while it closes", (transport) => {
    transport.abort = () => transport.close();
  }],
  ["closes when it ends writing", "flushes before it ends writing", (transport) => {
    transport.writeEof = () => transport.close();
  }],
];

for (const [what, name, breakIt] of mistakes) {
  Deno.test(`transportCases() finds a transport that ${what}`, async () => {
    const found = transportCases(broken(breakIt), QUICK).find((one) => one.name.startsWith(name))!;
    await assertRejects(() => found.fn());
    // With a sound transport the same case passes.
    await transportCases(broken(() => {}), { ...QUICK, timeout: 10_000 }).find((one) => one.name === found.name)!.fn();
  });
}

Deno.test("transportCases() fails when errors are reported that no case expects", async () => {
  const noisy = broken((_, protocol) =>
    wrap(protocol, "connectionLost", (call) => {
      call();
      throw new Error("noise");
    })
  );
  const [first] = transportCases(noisy, QUICK);
  await assertRejects(() => first!.fn(), Error, "noise");
});

Deno.test("transportCases() names each case differently, and covers the rules C1, C3 to C9, W1 to W9, M1, M3 and M5", () => {
  const cases = transportCases(broken(() => {}));
  assertEquals(new Set(cases.map(({ name }) => name)).size, cases.length);
  const wanted = ["C1", ..."3456789"].map((n) => n.padStart(2, "C"));
  const rules = new Set(cases.map(({ rule }) => rule));
  for (const rule of [...wanted, ...[..."123456789"].map((n) => `W${n}`), "M1", "M3", "M5"]) {
    assert(rules.has(rule), rule);
  }
});

Deno.test("checkTransport() has a case of its own for kinds without half-close", async () => {
  const makePair: MakeTransportPair = async (factoryA, factoryB) => {
    const [a, b] = connPair().map((conn) => ({
      read: (p: Uint8Array) => conn.read(p),
      write: (p: Uint8Array) => conn.write(p),
      close: () => conn.close(),
    }));
    const { transport } = await createConnection(factoryB, { conn: b! });
    const opened = await createConnection(factoryA, { conn: a! }).catch((error) => {
      transport.abort();
      throw error;
    });
    return { a: opened.transport, b: transport };
  };
  const report = await checkTransport(makePair, { ...QUICK, timeout: 10_000, halfClose: false });
  assert(report.passed.includes("refuses writeEof(), or closes instead [W9]"));
  assert(report.notApplicable.length > 0);
  assert(report.notApplicable.every(({ why }) => why === 'the kind lacks "halfClose"'));
});
