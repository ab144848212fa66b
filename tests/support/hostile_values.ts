/** Values that users' code may throw, return or pass, and that break code that inspects them carelessly. */

/** A value, with a name for the message of a test. */
export type HostileValue = readonly [name: string, value: unknown];

/** Makes one of each kind, anew with each call. None of them is an `Error` that can be read. */
export function hostileValues(): HostileValue[] {
  const fail = () => {
    throw new Error("a trap was called");
  };
  const traps = Object.fromEntries(
    Object.getOwnPropertyNames(Reflect).map((name) => [name, fail]),
  ) as ProxyHandler<object>;
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  return [
    ["undefined", undefined],
    ["null", null],
    ["false", false],
    ["NaN", NaN],
    ["a bigint", 10n ** 300n],
    ["a string", "text"],
    ["an empty string", ""],
    ["a huge string", "x".repeat(1 << 20)],
    ["a symbol", Symbol("symbol")],
    ["a function", () => {}],
    ["an object", {}],
    ["an object without a prototype", Object.create(null)],
    ["an object whose toString is no function", JSON.parse('{"toString":1,"valueOf":1,"then":1,"message":1}')],
    ["an object whose toString throws", { toString: fail, [Symbol.toPrimitive]: fail, toJSON: fail }],
    ["an object whose inspect throws", { [Symbol.for("Deno.customInspect")]: fail }],
    ["an object with an own constructor", JSON.parse('{"constructor":{"name":{}}}')],
    ["an object whose class has no name", new (class {})()],
    [
      "an object whose constructor throws",
      Object.create({
        get constructor() {
          return fail();
        },
      }),
    ],
    ["a cyclic object", cyclic],
    ["a frozen object", Object.freeze({ message: "frozen" })],
    ["a revoked proxy", proxy],
    ["a proxy with traps that throw", new Proxy({}, traps)],
    ["a proxy of an error with traps that throw", new Proxy(new Error("inner"), { get: fail })],
    ["an error whose message throws", Object.defineProperty(new Error("x"), "message", { get: fail })],
    ["an error whose message is a symbol", Object.assign(new Error("x"), { message: Symbol("x") })],
  ];
}
