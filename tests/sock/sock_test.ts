import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type ConnLike,
  sockAccept,
  sockConnect,
  sockRecv,
  sockRecvInto,
  sockSendall,
  sockSendfile,
} from "../../src/sock/mod.ts";
import { bytes, text } from "../support/bytes.ts";
import { hasIpv6, openDescriptors } from "../support/machine.ts";
import { until } from "../support/waiting.ts";

interface Pair extends Disposable {
  client: Deno.Conn;
  server: Deno.Conn;
}

/** Two ends of a connection, over each kind of socket that this machine has. */
const kinds: Record<string, () => Promise<Pair>> = {
  IPv4: () => tcpPair("127.0.0.1"),
  Unix: async () => {
    const dir = await Deno.makeTempDir();
    const path = `${dir}/socket`;
    const listener = Deno.listen({ transport: "unix", path });
    const accepted = sockAccept(listener);
    const client = await sockConnect({ transport: "unix", path });
    return pair(listener, client, await accepted, () => Deno.removeSync(dir, { recursive: true }));
  },
};
if (hasIpv6) kinds.IPv6 = () => tcpPair("::1");

async function tcpPair(hostname: string): Promise<Pair> {
  const listener = Deno.listen({ hostname, port: 0 });
  const accepted = sockAccept(listener);
  const client = await sockConnect({ hostname, port: (listener.addr as Deno.NetAddr).port });
  return pair(listener, client, await accepted, () => {});
}

function pair(listener: Deno.Listener, client: Deno.Conn, server: Deno.Conn, cleanUp: () => void): Pair {
  listener.close();
  const close = (conn: Deno.Conn) => {
    try {
      conn.close();
    } catch (error) {
      assertInstanceOf(error, Deno.errors.BadResource);
    }
  };
  return {
    client,
    server,
    [Symbol.dispose]() {
      close(client);
      close(server);
      cleanUp();
    },
  };
}

/** A signal that counts who listens. */
function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  return { controller, signal, listeners: () => listeners };
}

/** A conn whose system is the test: reads and writes settle when told to. */
class ScriptedConn implements ConnLike {
  readonly reads: { p: Uint8Array; settle: PromiseWithResolvers<number | null> }[] = [];
  readonly writes: { p: Uint8Array; settle: PromiseWithResolvers<number> }[] = [];
  read(p: Uint8Array) {
    const settle = Promise.withResolvers<number | null>();
    this.reads.push({ p, settle });
    return settle.promise;
  }
  write(p: Uint8Array) {
    const settle = Promise.withResolvers<number>();
    this.writes.push({ p, settle });
    return settle.promise;
  }
  close() {}
  bring(data: string) {
    const { p, settle } = this.reads.at(-1)!;
    p.set(bytes(data));
    settle.resolve(data.length);
  }
}

for (const [kind, open] of Object.entries(kinds)) {
  Deno.test(`sockConnect(), sockAccept(), sockSendall(), sockRecv() talk over ${kind}`, async () => {
    using conns = await open();
    await sockSendall(conns.client, bytes("ping"));
    assertEquals(text(await sockRecv(conns.server, 100)), "ping");
    await sockSendall(conns.server, bytes("pong"));
    assertEquals(text(await sockRecv(conns.client, 2)), "po");
    assertEquals(text(await sockRecv(conns.client, 100)), "ng");
    conns.client.close();
    assertEquals(await sockRecv(conns.server, 100), new Uint8Array(0));
    assertEquals(await sockRecvInto(conns.server, new Uint8Array(10)), 0);
  });

  Deno.test(`sockSendall() sends megabytes over ${kind}, sockRecvInto() receives them [M3]`, async () => {
    using conns = await open();
    const data = crypto.getRandomValues(new Uint8Array(65536));
    const rounds = 64;
    const sending = (async () => {
      for (let i = 0; i < rounds; i++) await sockSendall(conns.client, data);
      conns.client.close();
    })();
    const received = new Uint8Array(rounds * data.length);
    let total = 0;
    for (let n; (n = await sockRecvInto(conns.server, received.subarray(total, total + 10000))) > 0;) total += n;
    await sending;
    assertEquals(total, received.length);
    const whole = await crypto.subtle.digest("SHA-256", received);
    const expected = new Uint8Array(received.length);
    for (let i = 0; i < rounds; i++) expected.set(data, i * data.length);
    assertEquals(whole, await crypto.subtle.digest("SHA-256", expected));
  });

  Deno.test(`sockRecv() swallows nothing when aborted over ${kind} [R7]`, async () => {
    using conns = await open();
    for (let i = 0; i < 5; i++) {
      const stop = new AbortController();
      const received = sockRecv(conns.server, 4, { signal: stop.signal });
      stop.abort(`stop ${i}`);
      assertEquals(await received.catch((reason) => reason), `stop ${i}`);
    }
    await sockSendall(conns.client, bytes("abcdef"));
    // The read that was abandoned had room for four; later ones want less and more.
    assertEquals(text(await sockRecv(conns.server, 1)), "a");
    assertEquals(text(await sockRecv(conns.server, 100)), "bcd");
    assertEquals(text(await sockRecv(conns.server, 100)), "ef");
  });
}

Deno.test("sockConnect() sets TCP_NODELAY unless told otherwise, and sockAccept() too [V1]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  using first = await sockConnect({ port });
  using _first = await sockAccept(listener);
  const calls: unknown[] = [];
  const prototype: Deno.TcpConn = Object.getPrototypeOf(first);
  const { setNoDelay } = prototype;
  prototype.setNoDelay = function (on) {
    calls.push(on);
    return setNoDelay.call(this, on);
  };
  try {
    using _a = await sockConnect({ port });
    using _b = await sockAccept(listener);
    assertEquals(calls.splice(0), [true, true]);
    using _c = await sockConnect({ port, noDelay: false });
    using _d = await sockAccept(listener, { noDelay: false });
    assertEquals(calls, [false, false]);
  } finally {
    prototype.setNoDelay = setNoDelay;
  }
});

Deno.test("sockConnect() rejects with ConnectionRefused where nobody listens, NotFound where there is no socket", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assertRejects(() => sockConnect({ port }), Deno.errors.ConnectionRefused, "Cannot connect to");
  const path = `${Deno.cwd()}/no-such-socket`;
  await assertRejects(() => sockConnect({ transport: "unix", path }), Deno.errors.NotFound, "Cannot connect to");
});

Deno.test("sockConnect() leaves nothing behind when aborted, before and during [V3]", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const dir = await Deno.makeTempDir();
  const path = `${dir}/socket`;
  using _unix = Deno.listen({ transport: "unix", path });
  const reason = new Error("no longer wanted");
  for (const options of [{ port }, { port, hostname: "localhost" }, { transport: "unix", path } as const]) {
    const connect = (signal: AbortSignal) => sockConnect({ ...options, signal } as Parameters<typeof sockConnect>[0]);
    assertStrictEquals(await assertRejects(() => connect(AbortSignal.abort(reason))), reason);
    const stop = new AbortController();
    const connecting = connect(stop.signal);
    stop.abort(reason);
    assertStrictEquals(await assertRejects(() => connecting), reason);
    // What the system connects all the same is closed: else the sanitizer finds it.
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("sockConnect() refuses options it does not know or cannot use [V2]", async () => {
  const refused = (options: unknown, kind: new (message: string) => Error, message: string) =>
    assertRejects(() => sockConnect(options as never), kind, message);
  await refused(undefined, TypeError, "options must be an object");
  await refused({}, TypeError, "port is needed");
  await refused({ transport: "unix" }, TypeError, "path is needed");
  await refused({ transport: "udp", port: 1 }, TypeError, 'transport must be "tcp" or "unix", not "udp"');
  await refused({ port: 1, path: "/x" }, TypeError, 'there is no option "path"');
  await refused({ transport: "unix", path: "/x", port: 1 }, TypeError, 'there is no option "port"');
  await refused({ port: 70000 }, RangeError, "not 70000");
  await refused({ port: "80" }, TypeError, 'not "80"');
});

Deno.test("sockAccept() keeps the client of an aborted accept for the next", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const stop = new AbortController();
  const accepted = sockAccept(listener, { signal: stop.signal });
  stop.abort("stop");
  assertEquals(await accepted.catch((reason) => reason), "stop");
  using client = await sockConnect({ port: listener.addr.port });
  using server = await sockAccept(listener);
  assertEquals(server.remoteAddr, client.localAddr);
  // And the one after that is a new one.
  using second = await sockConnect({ port: listener.addr.port });
  using other = await sockAccept(listener);
  assertEquals(other.remoteAddr, second.localAddr);
});

for (const way of ["close", "dispose"] as const) {
  for (const count of [1, 3]) {
    Deno.test(`sockAccept() leaks none of ${count} clients when the listener is closed after an abort (${way})`, async () => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const before = Object.getOwnPropertyNames(listener);
      const stop = new AbortController();
      const accepted = sockAccept(listener, { signal: stop.signal });
      stop.abort("stop");
      await accepted.catch(() => {});
      const descriptors = openDescriptors();
      const clients = [];
      for (let i = 0; i < count; i++) clients.push(await sockConnect({ port: listener.addr.port }));
      const ends = clients.map((client) => sockRecv(client, 1));
      // Both ends of each are open in this process.
      await until(() => openDescriptors() >= descriptors + 2 * count);
      // The user's own listener is left as it is.
      assertEquals(Object.getOwnPropertyNames(listener), before);
      if (way === "close") listener.close();
      else listener[Symbol.dispose]();
      for (const end of ends) assertEquals((await end).length, 0);
      await assertRejects(() => sockAccept(listener), Deno.errors.ConnectionAborted, "the listener was closed");
      for (const client of clients) client.close();
    });
  }
}

Deno.test("sockAccept() hands out the clients that came after an abort in their order, and no more than came", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const stop = new AbortController();
  const accepted = sockAccept(listener, { signal: stop.signal });
  stop.abort("stop");
  await accepted.catch(() => {});
  const clients = [];
  for (let i = 0; i < 100; i++) clients.push(await sockConnect({ port: listener.addr.port }));
  for (const client of clients) {
    using server = await sockAccept(listener);
    assertEquals(server.remoteAddr, client.localAddr);
    client.close();
  }
  const waiting = sockAccept(listener);
  using last = await sockConnect({ port: listener.addr.port });
  using server = await waiting;
  assertEquals(server.remoteAddr, last.localAddr);
});

Deno.test("sockAccept() rejects when the listener is closed, and a second one at a time with Busy", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = sockAccept(listener);
  await assertRejects(() => sockAccept(listener), Deno.errors.Busy, "Cannot accept: another call waits already");
  listener.close();
  await assertRejects(() => accepted, Deno.errors.ConnectionAborted, "Cannot accept: the listener was closed");
  await assertRejects(() => sockAccept(listener), Deno.errors.ConnectionAborted);
});

Deno.test("sockRecv() waits once at a time, sockRecvInto() too [R6]", async () => {
  const conn = new ScriptedConn();
  const first = sockRecv(conn, 10);
  await assertRejects(() => sockRecv(conn, 10), Deno.errors.Busy, "Cannot receive: another call waits already");
  await assertRejects(() => sockRecvInto(conn, new Uint8Array(1)), Deno.errors.Busy);
  conn.bring("first");
  assertEquals(text(await first), "first");
  assertEquals(conn.reads.length, 1);
});

Deno.test("sockRecv(0) is empty at once, and issues no read [R2]", async () => {
  const conn = new ScriptedConn();
  assertEquals((await sockRecv(conn, 0)).length, 0);
  assertEquals(await sockRecvInto(conn, new Uint8Array(0)), 0);
  assertEquals(conn.reads.length, 0);
});

Deno.test("sockRecv() refuses a bad n, and what is no conn", async () => {
  const conn = new ScriptedConn();
  for (const n of [-1, 1.5, NaN, Infinity]) {
    await assertRejects(() => sockRecv(conn, n), RangeError, `not ${n}`);
  }
  const any = (value: unknown) => value as never;
  await assertRejects(() => sockRecv(conn, any("1")), TypeError);
  await assertRejects(() => sockRecv(any(null), 1), TypeError);
  await assertRejects(() => sockRecv(conn, 1, any({ timeOut: 1 })), TypeError, 'there is no option "timeOut"');
  await assertRejects(() => sockRecvInto(conn, any([1])), TypeError);
  await assertRejects(() => sockSendall(conn, any("text")), TypeError);
  await assertRejects(() => sockSendall(any({}), bytes("x")), TypeError);
  await assertRejects(() => sockAccept(any({})), TypeError);
  assertEquals(conn.reads.length + conn.writes.length, 0);
});

Deno.test("sockRecv() gives bytes that are the caller's [M1]", async () => {
  const conn = new ScriptedConn();
  const first = sockRecv(conn, 10);
  conn.bring("first");
  const data = await first;
  const second = sockRecv(conn, 10);
  conn.bring("SECOND");
  await second;
  assertEquals(text(data), "first");
});

Deno.test("sockRecvInto() reads straight into the memory, with a signal it leaves it alone after the abort [M3]", async () => {
  const conn = new ScriptedConn();
  const p = new Uint8Array(5);
  const direct = sockRecvInto(conn, p);
  assertStrictEquals(conn.reads[0]?.p, p);
  conn.bring("abc");
  assertEquals(await direct, 3);

  const stop = new AbortController();
  p.fill(0);
  const aborted = sockRecvInto(conn, p, { signal: stop.signal });
  stop.abort("stop");
  await aborted.catch(() => {});
  conn.bring("kept!");
  assertEquals(p, new Uint8Array(5));
  assertEquals(await sockRecvInto(conn, p.subarray(0, 2)), 2);
  assertEquals(await sockRecvInto(conn, p), 3);
  assertEquals(text(p.subarray(0, 3)), "pt!");
  assertEquals(conn.reads.length, 2);
});

Deno.test("sockRecv() takes what arrives in the turn of the abort for the next call [R7]", async () => {
  for (const abortFirst of [true, false]) {
    const conn = new ScriptedConn();
    const stop = new AbortController();
    const received = sockRecv(conn, 10, { signal: stop.signal });
    if (abortFirst) stop.abort("stop");
    conn.bring("bytes");
    if (!abortFirst) stop.abort("stop");
    const first = await received.then(text, () => "");
    const all = first === "" ? text(await sockRecv(conn, 10)) : first;
    assertEquals(all, "bytes");
    assertEquals(conn.reads.length, 1);
  }
});

Deno.test("sockRecv() tells the next call of the error that an aborted one met, once", async () => {
  const conn = new ScriptedConn();
  const stop = new AbortController();
  const aborted = sockRecv(conn, 10, { signal: stop.signal });
  stop.abort("stop");
  await aborted.catch(() => {});
  conn.reads[0]!.settle.reject(new Deno.errors.ConnectionReset("reset"));
  await assertRejects(() => sockRecv(conn, 10), Deno.errors.ConnectionReset);
  const next = sockRecv(conn, 10);
  conn.bring("on");
  assertEquals(text(await next), "on");
});

Deno.test("sockRecv() on a conn closed on this side rejects with ConnectionAborted", async () => {
  using conns = await tcpPair("127.0.0.1");
  const received = sockRecv(conns.client, 10);
  conns.client.close();
  await assertRejects(() => received, Deno.errors.ConnectionAborted);
  await assertRejects(() => sockRecv(conns.client, 10), Deno.errors.ConnectionAborted);
  await assertRejects(() => sockSendall(conns.client, bytes("x")), Deno.errors.ConnectionAborted);
});

Deno.test("sockSendall() goes on after partial writes, in order, without a copy [W3] [M3]", async () => {
  const conn = new ScriptedConn();
  const data = bytes("abcdef");
  const sent = sockSendall(conn, data);
  await assertRejects(() => sockSendall(conn, bytes("x")), Deno.errors.Busy, "another call sends already");
  assertStrictEquals(conn.writes[0]?.p, data);
  conn.writes[0]!.settle.resolve(4);
  while (conn.writes.length < 2) await new Promise((resolve) => setTimeout(resolve));
  assertEquals(text(conn.writes[1]!.p), "ef");
  conn.writes[1]!.settle.resolve(2);
  await sent;
});

Deno.test("sockSendall() refuses to send after an abort with bytes on their way, and leaves the memory alone", async () => {
  const conn = new ScriptedConn();
  const stop = new AbortController();
  const data = bytes("abcdef");
  const sent = sockSendall(conn, data, { signal: stop.signal });
  stop.abort("stop");
  assertEquals(await sent.catch((reason) => reason), "stop");
  data.fill(0);
  assertEquals(text(conn.writes[0]!.p), "abcdef");
  conn.writes[0]!.settle.resolve(3);
  for (let i = 0; i < 2; i++) {
    await assertRejects(
      () => sockSendall(conn, bytes("more")),
      Deno.errors.ConnectionAborted,
      "Cannot send: an earlier send was aborted, and how much of it was sent is not known",
    );
  }
  await assertRejects(() => sockSendfile(conn, "/dev/null"), Deno.errors.ConnectionAborted);
  assertEquals(conn.writes.length, 1);
});

Deno.test("sockSendall() aborted before it began changes nothing", async () => {
  using conns = await tcpPair("127.0.0.1");
  const signal = AbortSignal.abort("never");
  assertEquals(await sockSendall(conns.client, bytes("no"), { signal }).catch((reason) => reason), "never");
  assertEquals(await sockRecv(conns.client, 1, { signal }).catch((reason) => reason), "never");
  await sockSendall(conns.client, bytes("yes"), { signal: new AbortController().signal });
  assertEquals(text(await sockRecv(conns.server, 10)), "yes");
});

Deno.test("sockSendall() to a peer that reads nothing can be aborted", async () => {
  using conns = await tcpPair("127.0.0.1");
  const stop = new AbortController();
  const sent = sockSendall(conns.client, new Uint8Array(64 << 20), { signal: stop.signal });
  await sockRecv(conns.server, 1);
  stop.abort("stop");
  assertEquals(await sent.catch((reason) => reason), "stop");
});

Deno.test("sockSendall() rejects when the peer has closed", async () => {
  using conns = await tcpPair("127.0.0.1");
  conns.server.close();
  const error = await assertRejects(async () => {
    for (;;) await sockSendall(conns.client, new Uint8Array(65536));
  });
  assertEquals(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset, true);
});

Deno.test("sock calls leave no listener on a signal that lives on", async () => {
  using conns = await tcpPair("127.0.0.1");
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { signal, listeners } = countedSignal();
  for (let i = 0; i < 3; i++) {
    await sockSendall(conns.client, bytes("x"), { signal });
    await sockRecv(conns.server, 1, { signal });
    await sockSendall(conns.client, bytes("x"), { signal });
    await sockRecvInto(conns.server, new Uint8Array(1), { signal });
    using _client = await sockConnect({ port: listener.addr.port, signal });
    using _server = await sockAccept(listener, { signal });
  }
  assertEquals(listeners(), 0);
});
