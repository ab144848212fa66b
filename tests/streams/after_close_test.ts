/** What a writer and a transport do after one's own end [W5, W6, SPEC 7], and promises that nobody awaits [S3]. */
import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  ClosedError,
  connPair,
  createConnection,
  openConnection,
  Protocol,
  setExceptionHandler,
  type StreamConnection,
} from "../../mod.ts";
import { turns } from "../../src/testing/turns.ts";
import { kinds } from "../support/servers.ts";
import { bytes } from "../support/bytes.ts";
import { runProgram } from "../support/programs.ts";

const ends = ["close", "abort", "writeEof"] as const;

for (const kind of kinds) {
  for (const end of ends) {
    Deno.test(`after one's own ${end}() every call that sends fails with ClosedError, even with nothing to send, ${kind.name} [W5, W6]`, async () => {
      const held = Promise.withResolvers<void>();
      await using server = await kind.startServer(() => held.promise);
      const { writer } = await kind.openConnection(server);
      const ended = writer[end]();
      for (const settled of [false, true]) {
        if (settled) await turns(3);
        for (const data of ["x", "", bytes("x"), new Uint8Array(0)]) {
          assertThrows(() => writer.write(data), ClosedError, "Cannot write: ");
          assertThrows(() => writer.writelines([data]), ClosedError, "Cannot write: ");
        }
        assertThrows(() => writer.writelines([]), ClosedError, "Cannot write: ");
        for (const data of [bytes("x"), new Uint8Array(0)]) {
          await assertRejects(() => writer.sendall(data), ClosedError, "Cannot send: ");
        }
        await assertRejects(() => writer.sendfile("/dev/null"), ClosedError, "Cannot send");
        await assertRejects(() => writer.startTls({ serverName: "x" }), ClosedError);
      }
      if (end === "writeEof") writer.abort();
      held.resolve();
      await ended;
    });
  }
}

Deno.test("a transport that was closed drops writes, warns from the fifth on, and rejects sendall() [W6]", async () => {
  const warnings: string[] = [];
  const before = setExceptionHandler(({ error }) => warnings.push(error.message));
  try {
    for (const end of ["close", "abort"] as const) {
      warnings.length = 0;
      const [conn, peer] = connPair();
      const { transport } = await createConnection(() => new Protocol(), { conn });
      transport[end]();
      for (let i = 1; i <= 6; i++) {
        transport.write(i % 2 === 0 ? "text" : bytes("bytes"));
        transport.write("");
        transport.writelines([]);
        assertEquals(warnings.length, Math.max(0, i - 4), `${i} writes`);
      }
      assertEquals(warnings.at(-1), "Cannot write: the connection is closing; 6 writes were dropped");
      await assertRejects(() => transport.sendall(bytes("x")), ClosedError, "Cannot send: the connection was closed");
      await assertRejects(() => transport.sendall(new Uint8Array(0)), ClosedError);
      await turns(3);
      await assertRejects(() => transport.sendall(bytes("x")), ClosedError);
      peer.close();
    }
  } finally {
    setExceptionHandler(before);
  }
});

Deno.test("sendall() after the peer's end of the connection is no ClosedError [SPEC 7]", async () => {
  const [conn, peer] = connPair();
  const { transport } = await createConnection(() => new Protocol(), { conn });
  transport.sendall(new Uint8Array(200_000));
  peer.close();
  await turns(3);
  const error = await assertRejects(() => transport.sendall(bytes("x")), Deno.errors.ConnectionReset);
  assertEquals(error instanceof ClosedError, false);
});

Deno.test("writelines() refuses what is no iterable of bytes and text, and writes nothing of it [W5]", async () => {
  const [conn, peer] = connPair();
  const { writer } = await openConnection({ conn });
  for (const wrong of [7, {}, null, undefined, true, Symbol("s"), () => {}]) {
    assertThrows(() => writer.writelines(wrong as never), TypeError, "Cannot write: the chunks must be an iterable");
  }
  for (const wrong of [[1], [null], new Uint8Array(3), new Set([{}]), ["ok", 7]]) {
    assertThrows(
      () => writer.writelines(wrong as never),
      TypeError,
      "Cannot write: data must be a Uint8Array or a string",
    );
  }
  writer.writelines(new Set(["a", bytes("b")]));
  writer.writelines(function* () {
    yield "c";
    yield "é";
  }());
  writer.close();
  const p = new Uint8Array(10);
  assertEquals(new TextDecoder().decode(p.subarray(0, (await peer.read(p))!)), "abcé");
  await writer.waitClosed();
  peer.close();
});

Deno.test("no promise of a writer or transport needs awaiting, in any state, whatever it rejects with [S3]", async () => {
  const program = `
    import { connPair, openConnection, startServer, startTls } from "@tideline/net";
    const turn = () => new Promise((resolve) => setTimeout(resolve));
    const failing = (how) => {
      const fail = () => Promise.reject(new Deno.errors.ConnectionReset("reset"));
      return { read: how === "read" ? fail : () => new Promise(() => {}), write: fail, close() {}, closeWrite: fail };
    };
    const file = await Deno.open(Deno.execPath());
    const calls = (writer) => {
      const aborted = AbortSignal.abort(new Error("aborted"));
      const later = new AbortController();
      for (const options of [undefined, { signal: aborted }, { signal: later.signal }]) {
        writer.drain(options);
        writer.sendall(new Uint8Array(100_000), options);
        writer.sendall(new Uint8Array(0), options);
        writer.sendall(7, options);
        writer.sendfile(Deno.execPath(), { count: 300_000, ...options });
        writer.sendfile("/no/such/file", options);
        writer.sendfile(file, { offset: 5, ...options });
        writer.sendfile(7, options);
        writer.waitClosed(options);
      }
      writer.transport.sendall(new Uint8Array(10));
      writer.transport.sendall(7);
      return later;
    };
    const states = {
      open: () => {},
      paused: (writer) => writer.write(new Uint8Array(200_000)),
      closing: (writer) => { writer.write(new Uint8Array(200_000)); writer.close(); },
      closed: async (writer) => { writer.close(); await turn(); },
      ended: (writer) => writer.writeEof(),
      aborted: (writer) => writer.abort(),
      lost: async (writer) => { writer.abort(); await turn(); },
      upgrading: (writer) => { writer.write(new Uint8Array(200_000)); writer.startTls({ serverName: "localhost" }); },
    };
    let n = 0;
    for (const state in states) {
      for (const finish of ["abort", "peer", "signal"]) {
        const [conn, peer] = connPair();
        const { writer } = await openConnection({ conn, closeTimeout: 50 });
        await states[state](writer);
        const later = calls(writer);
        writer.startTls({ serverName: "localhost" });
        writer.startTls({ nonsense: 1 });
        startTls(writer.transport, writer.transport.getProtocol(), { serverName: "localhost" });
        startTls({}, {}, {});
        await turn();
        if (finish === "abort") writer.abort();
        else if (finish === "peer") peer.close();
        else later.abort(new Error("late"));
        await turn();
        calls(writer);
        await turn();
        writer.abort();
        n++;
      }
    }
    for (const how of ["read", "write"]) {
      const { writer } = await openConnection({ conn: failing(how) });
      calls(writer);
      writer.close();
      await turn();
      calls(writer);
      await turn();
      n++;
    }
    // A peer that resets, over TCP.
    const server = await startServer(async (reader, writer) => { await reader.read(1); writer.abort(); }, { hostname: "127.0.0.1", port: 0 });
    const { writer } = await openConnection({ port: server.addrs[0].port });
    writer.write("x");
    for (let i = 0; i < 50; i++) { try { calls(writer); } catch {} await turn(); }
    writer.close();
    await server.shutdown({ grace: 0 });
    file.close();
    console.log("survived", n);
  `;
  const outcome = await runProgram(program);
  assertEquals([outcome.code, outcome.stdout.trim()], [0, "survived 26"], outcome.stderr);
});

Deno.test("options of calls that wait are checked, and a typo is told [V2]", async () => {
  const [conn, peer] = connPair();
  const { writer } = await openConnection({ conn });
  const bad: [unknown, string][] = [
    [{ signal: 7 }, "signal must be an AbortSignal"],
    [{ signl: undefined }, 'did you mean "signal"?'],
    [null, "the options must be an object"],
  ];
  for (const [options, message] of bad) {
    const any = options as never;
    await assertRejects(() => writer.drain(any), TypeError, message);
    await assertRejects(() => writer.sendall(bytes("x"), any), TypeError, message);
    await assertRejects(() => writer.sendfile("/dev/null", any), TypeError, message);
    await assertRejects(() => writer.waitClosed(any), TypeError, message);
  }
  writer.write("fine");
  await writer.drain({ signal: undefined });
  await writer.sendall(bytes("!"), {});
  assertEquals(await peer.read(new Uint8Array(10)), 5);
  await writer.close();
  peer.close();
});

Deno.test("an error is still told to who awaits it [S3]", async () => {
  const [conn, peer] = connPair();
  const { writer }: StreamConnection = await openConnection({ conn });
  const sending = writer.sendall(new Uint8Array(1_000_000));
  peer.close();
  await turns(5);
  assertInstanceOf(await sending.catch((error) => error), Error);
  assertInstanceOf(await writer.waitClosed().catch((error) => error), Error);
});
