/** Reporting errors that no call rejects with, and handlers that fail themselves [C11, S4]. */
import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import { type BaseTransport, type ErrorContext, setExceptionHandler } from "../../mod.ts";
import { callExceptionHandler, callHandler, reportOnTransport } from "../../src/transport/exception_handler.ts";
import { hostileValues } from "../support/hostile_values.ts";
import { printedBy } from "../support/reports.ts";
import { turns } from "../support/waiting.ts";

const oops = new Error("oops");
const peername: Deno.Addr = { transport: "tcp", hostname: "::1", port: 5123 };

/** A foreign transport that has a peer's address. */
function transportOf(peer: () => unknown): BaseTransport {
  return { getExtraInfo: peer } as unknown as BaseTransport;
}

Deno.test("setExceptionHandler() returns the handler before it", () => {
  const [first, second] = [() => {}, () => {}];
  assertStrictEquals(setExceptionHandler(first), null);
  assertStrictEquals(setExceptionHandler(second), first);
  for (const [, value] of hostileValues().filter(([, value]) => value !== null && typeof value !== "function")) {
    assertThrows(() => setExceptionHandler(value as never), TypeError, "it must be a function or null, not ");
  }
  assertStrictEquals(setExceptionHandler(null), second);
  assertStrictEquals(setExceptionHandler(null), null);
});

Deno.test("without a handler an error is printed once, one line that names the peer, and the error [S4]", async () => {
  const cases: [Partial<ErrorContext>, string][] = [
    [{}, "Handler failed:"],
    [{ peername }, "Handler failed for [::1]:5123:"],
    [{ transport: transportOf(() => peername) }, "Handler failed for [::1]:5123:"],
    [{ transport: transportOf(() => ({ transport: "unix", path: "" })) }, "Handler failed for a Unix socket:"],
    [{ transport: transportOf(() => undefined) }, "Handler failed:"],
    [{
      transport: transportOf(() => {
        throw oops;
      }),
    }, "Handler failed:"],
    ...hostileValues().filter(([, value]) => value !== undefined).map(([, value]): [Partial<ErrorContext>, string] => [
      { transport: transportOf(() => value) },
      "Handler failed:",
    ]),
  ];
  for (const [more, line] of cases) {
    const printed = await printedBy(() => callExceptionHandler({ message: "Handler failed", error: oops, ...more }));
    assertEquals(printed.length, 1);
    assert(`${printed[0]![0]}`.startsWith(line.slice(0, -1)), `${printed[0]![0]}`);
    assertStrictEquals(printed[0]![1], oops);
  }
});

Deno.test("a report has the peer's address", () => {
  const told: ErrorContext[] = [];
  callHandler((context) => told.push(context), { message: "m", error: oops, transport: transportOf(() => peername) });
  assertEquals(told[0]!.peername, peername);
});

Deno.test("a handler that throws or rejects, with whatever it may be, is printed, with the error it was told [C11]", async () => {
  for (const [name, value] of hostileValues()) {
    const failing = [
      () => {
        throw value;
      },
      () => Promise.reject(value),
      () => ({
        then(_resolve: unknown, reject: (reason: unknown) => void) {
          reject(value);
        },
      }),
      () => ({
        then() {
          throw value;
        },
      }),
      () => ({
        get then() {
          throw value;
        },
      }),
    ];
    for (const handler of failing) {
      const printed = await printedBy(async () => {
        setExceptionHandler(handler as () => void);
        callExceptionHandler({ message: "Handler failed", error: oops });
        setExceptionHandler(null);
        await turns(1);
      });
      assertEquals(printed.length, 2, name);
      assertStrictEquals(printed[0]![1], oops, name);
      const [line, error] = printed[1]!;
      assertEquals(line, "Exception handler failed:", name);
      assertInstanceOf(error, Error, name);
      assertEquals(error.cause, value, name);
    }
  }
});

Deno.test("an error that cannot be printed does not throw, nor does a console that throws [C11]", async () => {
  const { error: print } = console;
  const hostile = Object.defineProperties(new Error("x"), {
    stack: {
      get() {
        throw oops;
      },
    },
    [Symbol.for("Deno.customInspect")]: {
      value() {
        throw oops;
      },
    },
  });
  let calls = 0;
  console.error = (...args: unknown[]) => {
    calls++;
    Deno.inspect(args[1]);
    throw oops;
  };
  try {
    callExceptionHandler({ message: "Handler failed", error: hostile });
  } finally {
    console.error = print;
  }
  assertEquals(calls, 2);
  await Promise.resolve();
});

Deno.test("a handler that causes the error it gets ends in bounded depth [C11]", async () => {
  let calls = 0;
  const printed = await printedBy(() => {
    setExceptionHandler((context) => {
      calls++;
      callExceptionHandler(context);
    });
    callExceptionHandler({ message: "Handler failed", error: oops });
    callExceptionHandler({ message: "Handler failed", error: oops });
    setExceptionHandler(null);
  });
  assert(calls >= 2 && calls <= 16, `${calls}`);
  assertEquals(printed.length, 2);
});

Deno.test("what is for an onError only never reaches the exception handler [S4]", async () => {
  const told: unknown[][] = [];
  const reporter = { report: (...args: unknown[]) => told.push(args) } as unknown as BaseTransport;
  const context = { message: "Handler failed", error: oops };
  const printed = await printedBy(() => {
    reportOnTransport({ ...context, transport: reporter }, "onError");
    reportOnTransport({ ...context, transport: transportOf(() => undefined) }, "onError");
    reportOnTransport(context, "onError");
  });
  assertEquals(printed, []);
  assertEquals(told, [[{ ...context, transport: reporter }, "onError"]]);
});
