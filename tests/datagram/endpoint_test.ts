import { assertEquals, assertInstanceOf, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { showAddress } from "../../src/common/address.ts";
import { createDatagramEndpoint, type DatagramEndpointOptions } from "../../src/datagram/endpoint.ts";
import { type ErrorContext, setExceptionHandler } from "../../src/transport/exception_handler.ts";
import { DatagramProtocol } from "../../src/transport/protocols.ts";
import type { DatagramTransport } from "../../src/transport/types.ts";
import { bytes } from "../support/bytes.ts";
import { runProgram } from "../support/programs.ts";
import { hasIpv6, hasProgram, seesRefusals } from "../support/machine.ts";

interface Received {
  text: string;
  data: Uint8Array;
  from: Deno.NetAddr;
}

/** A protocol whose callbacks can be waited for. */
class Inbox extends DatagramProtocol {
  transport!: DatagramTransport;
  readonly errors: Error[] = [];
  readonly lost = Promise.withResolvers<Error | null>();
  #arrived: Received[] = [];
  #wake = Promise.withResolvers<void>();

  override connectionMade(transport: DatagramTransport) {
    this.transport = transport;
  }
  override datagramReceived(data: Uint8Array, from: Deno.NetAddr) {
    this.#arrived.push({ text: new TextDecoder().decode(data), data, from });
    this.#happened();
  }
  override errorReceived(error: Error) {
    this.errors.push(error);
    this.#happened();
  }
  override connectionLost(error: Error | null) {
    this.lost.resolve(error);
  }
  #happened() {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
  async next(): Promise<Received> {
    while (this.#arrived.length === 0) await this.#wake.promise;
    return this.#arrived.shift()!;
  }
  async error(): Promise<Error> {
    while (this.errors.length === 0) await this.#wake.promise;
    return this.errors.shift()!;
  }
  sockname() {
    return this.transport.getExtraInfo("sockname") as Deno.NetAddr;
  }
  /** Closes, and fails if it was lost to an error. */
  async [Symbol.asyncDispose]() {
    this.transport.close();
    assertEquals(await this.lost.promise, null);
  }
}

async function open(options: DatagramEndpointOptions): Promise<Inbox> {
  const { transport, protocol } = await createDatagramEndpoint(() => new Inbox(), options);
  assertStrictEquals(protocol.transport, transport);
  return protocol;
}

/** The address of an endpoint that is gone, so that the system refuses what is sent there. */
async function deadAddress(hostname: string): Promise<Deno.NetAddr> {
  await using inbox = await open({ localAddr: { hostname } });
  return inbox.sockname();
}

const loopback = { hostname: "127.0.0.1" };

for (const hostname of ["127.0.0.1", "::1"]) {
  Deno.test(`createDatagramEndpoint() exchanges datagrams over ${hostname}, connected and not [D1]`, async () => {
    if (hostname === "::1" && !hasIpv6) return;
    await using server = await open({ localAddr: { hostname, port: 0 } });
    await using client = await open({ remoteAddr: server.sockname() });
    assertEquals(client.sockname().hostname, hostname);
    assertEquals(client.transport.getExtraInfo("peername"), server.sockname());
    assertEquals(server.transport.getExtraInfo("peername"), undefined);

    client.transport.sendto(bytes("ping"));
    const ping = await server.next();
    assertEquals(ping.text, "ping");
    assertEquals(ping.from, client.sockname());
    server.transport.sendto(bytes("pong"), ping.from);
    const pong = await client.next();
    assertEquals(pong.text, "pong");
    assertEquals(pong.from, server.sockname());
    assertEquals(pong.from.transport, "udp");
  });

  Deno.test(`createDatagramEndpoint() tells of a refusal over ${hostname} and lives [D1]`, async () => {
    if (hostname === "::1" && !hasIpv6 || !seesRefusals()) return;
    const remoteAddr = await deadAddress(hostname);
    await using client = await open({ remoteAddr });
    for (let i = 0; i < 2; i++) {
      client.transport.sendto(bytes("anybody there?"));
      const error = await client.error();
      assertInstanceOf(error, Deno.errors.ConnectionRefused);
      assertEquals(error.message, `Cannot send a datagram to ${showAddress(remoteAddr)}: it was refused`);
    }
    // Not one datagram falls victim to the refusal of the one before.
    await using server = await open({ localAddr: remoteAddr });
    client.transport.sendto(bytes("now?"));
    assertEquals((await server.next()).text, "now?");
    assertEquals(client.errors, []);
  });
}

Deno.test("createDatagramEndpoint() receives and sends empty datagrams [D1]", async () => {
  await using server = await open({ localAddr: loopback });
  await using client = await open({ remoteAddr: server.sockname() });
  client.transport.sendto(new Uint8Array(0));
  const { text, from } = await server.next();
  assertEquals(text, "");
  server.transport.sendto(new Uint8Array(0), from);
  assertEquals((await client.next()).text, "");
});

Deno.test("createDatagramEndpoint() sends many in call order [W3]", async () => {
  await using server = await open({ localAddr: loopback });
  await using client = await open({ remoteAddr: server.sockname() });
  // Few enough for the receive buffer of any system, as nothing else keeps UDP from losing some.
  for (let i = 0; i < 100; i++) client.transport.sendto(bytes(`${i}`));
  for (let i = 0; i < 100; i++) assertEquals((await server.next()).text, `${i}`);
});

Deno.test("createDatagramEndpoint() sends and receives the largest datagram, and reports a larger one [D1]", async () => {
  await using server = await open({ localAddr: loopback });
  await using client = await open({ remoteAddr: server.sockname() });
  client.transport.sendto(new Uint8Array(65507).fill(7));
  const { data } = await server.next();
  assertEquals(data.length, 65507);
  assertEquals(data.every((byte) => byte === 7), true);
  client.transport.sendto(new Uint8Array(65508));
  const { message } = await client.error();
  assertStringIncludes(message, "Cannot send a datagram of 65508 bytes to 127.0.0.1:");
  assertStringIncludes(message, "EMSGSIZE");
  client.transport.sendto(bytes("still here"));
  assertEquals((await server.next()).text, "still here");
});

Deno.test("createDatagramEndpoint() gives bytes that are the protocol's, in memory no larger than they [M1]", async () => {
  await using server = await open({ localAddr: loopback });
  await using client = await open({ remoteAddr: server.sockname() });
  client.transport.sendto(bytes("kept"));
  const { data } = await server.next();
  for (let i = 0; i < 20; i++) client.transport.sendto(bytes("OVER"));
  for (let i = 0; i < 20; i++) await server.next();
  assertEquals(new TextDecoder().decode(data), "kept");
  assertStrictEquals(Object.getPrototypeOf(data), Uint8Array.prototype);
  assertEquals(data.buffer.byteLength, 4);
});

Deno.test("createDatagramEndpoint() receives from the connected peer alone", async () => {
  await using server = await open({ localAddr: loopback });
  await using client = await open({ remoteAddr: server.sockname() });
  await using stranger = await open({ localAddr: loopback });
  stranger.transport.sendto(bytes("psst"), client.sockname());
  // Seen by the stranger itself: the datagram before it is delivered by then, or dropped.
  stranger.transport.sendto(bytes("self"), stranger.sockname());
  await stranger.next();
  server.transport.sendto(bytes("hello"), client.sockname());
  assertEquals((await client.next()).text, "hello");
});

Deno.test("createDatagramEndpoint() resolves host names, for itself and in sendto()", async () => {
  await using server = await open({ localAddr: { hostname: "localhost" } });
  const { hostname, port } = server.sockname();
  await using client = await open({ localAddr: { hostname }, remoteAddr: { hostname: "localhost", port } });
  client.transport.sendto(bytes("by name"));
  assertEquals((await server.next()).text, "by name");
  await using third = await open({ localAddr: { hostname } });
  third.transport.sendto(bytes("name in sendto"), { transport: "udp", hostname: "localhost", port });
  assertEquals((await server.next()).text, "name in sendto");
});

Deno.test("createDatagramEndpoint() reports a name that is not known, to where it was used [D1]", async () => {
  const hostname = "no.such.host.invalid";
  await assertRejects(
    () => open({ remoteAddr: { hostname, port: 1 } }),
    Deno.errors.NotFound,
    `Cannot resolve "${hostname}"`,
  );
  await using inbox = await open({ localAddr: loopback });
  inbox.transport.sendto(bytes("x"), { transport: "udp", hostname, port: 1 });
  assertStringIncludes((await inbox.error()).message, `${hostname}:1`);
  inbox.transport.sendto(bytes("to myself"), inbox.sockname());
  assertEquals((await inbox.next()).text, "to myself");
});

Deno.test("createDatagramEndpoint() sends to a broadcast address just with broadcast [D1]", async () => {
  await using plain = await open({ localAddr: { hostname: "127.0.0.1" } });
  // The broadcast address of the loopback net.
  const to: Deno.NetAddr = { transport: "udp", hostname: "127.255.255.255", port: plain.sockname().port };
  plain.transport.sendto(bytes("no"), to);
  assertStringIncludes((await plain.error()).message, "to 127.255.255.255:");

  await using server = await open({ localAddr: { hostname: "0.0.0.0" } });
  await using sender = await open({ localAddr: { hostname: "127.0.0.1" }, broadcast: true });
  sender.transport.sendto(bytes("to all"), { ...to, port: server.sockname().port });
  const { text, from } = await server.next();
  assertEquals(text, "to all");
  assertEquals(from, sender.sockname());
});

Deno.test("with broadcast a remote address filters nothing: the answers to a broadcast are received [D1]", async () => {
  await using server = await open({ localAddr: { hostname: "0.0.0.0" } });
  const remoteAddr = { hostname: "127.255.255.255", port: server.sockname().port };
  await using asker = await open({ remoteAddr, broadcast: true });
  asker.transport.sendto(bytes("who is there?"));
  const question = await server.next();
  assertEquals(question.text, "who is there?");
  // The answer comes from an address that the question was not sent to.
  server.transport.sendto(bytes("I am"), question.from);
  const answer = await asker.next();
  assertEquals(answer.text, "I am");
  assertEquals(answer.from.hostname, "127.0.0.1");
  await using stranger = await open({ localAddr: loopback });
  stranger.transport.sendto(bytes("me too"), asker.sockname());
  assertEquals((await asker.next()).text, "me too");
});

Deno.test("permission errors of datagrams are rejections, or reach errorReceived, and say what could not be done [V3, D1]", async () => {
  const program = `
    import { createDatagramEndpoint, DatagramProtocol } from "@tideline/net";
    const failed = Promise.withResolvers();
    class Inbox extends DatagramProtocol {
      errorReceived(error) {
        failed.resolve(error);
      }
    }
    const open = (options) => createDatagramEndpoint(() => new Inbox(), options);
    const isTyped = (error) => error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied;
    for (const hostname of ["127.0.0.2", "0.0.0.0", "localhost"]) {
      const error = await open({ localAddr: { hostname } }).catch((error) => error);
      if (!isTyped(error) || !error.message.startsWith("Cannot ")) console.log(hostname, error);
    }
    const { transport } = await open({ localAddr: { hostname: "127.0.0.1" } });
    transport.sendto(new Uint8Array(1), { transport: "udp", hostname: "127.0.0.9", port: 9 });
    const error = await failed.promise;
    console.log(error.name, error.message);
    transport.close();
  `;
  const { stdout, stderr } = await runProgram(program, { permissions: ["--allow-net=127.0.0.1"] });
  assertEquals(stderr, "");
  assertEquals(
    stdout,
    "NotCapable Cannot send a datagram of 1 bytes to 127.0.0.9:9: it needs the permission --allow-net=127.0.0.9:9\n",
  );
});

Deno.test("createDatagramEndpoint() shares an address just with reuseAddr", async () => {
  await using first = await open({ localAddr: loopback, reuseAddr: true });
  const localAddr = first.sockname();
  const error = await assertRejects(() => open({ localAddr }), Deno.errors.AddrInUse);
  assertStringIncludes(error.message, `Cannot bind a datagram endpoint to 127.0.0.1:${localAddr.port}`);
  await using second = await open({ localAddr, reuseAddr: true });
  assertEquals(second.sockname(), localAddr);
});

Deno.test("createDatagramEndpoint() binds as narrowly as it can", async () => {
  await using server = await open({ localAddr: { port: 0 } });
  assertEquals(server.sockname().hostname, "0.0.0.0");
  await using wide = await open({ localAddr: { port: 0 }, remoteAddr: { port: server.sockname().port } });
  assertEquals(wide.sockname().hostname, "0.0.0.0");
  assertEquals(wide.transport.getExtraInfo("peername"), {
    transport: "udp",
    hostname: "127.0.0.1",
    port: server.sockname().port,
  });
});

Deno.test("createDatagramEndpoint() pauses writing above the mark and resumes when it is sent [W2]", async () => {
  const calls: string[] = [];
  const resumed = Promise.withResolvers<void>();
  class Paused extends Inbox {
    override pauseWriting() {
      calls.push("pause");
    }
    override resumeWriting() {
      calls.push("resume");
      resumed.resolve();
    }
  }
  await using server = await open({ localAddr: loopback });
  const { transport, protocol } = await createDatagramEndpoint(() => new Paused(), { remoteAddr: server.sockname() });
  await using _ = protocol;
  transport.setWriteBufferLimits({ high: 2000 });
  for (let i = 0; i < 3; i++) transport.sendto(new Uint8Array(1000));
  assertEquals(calls, ["pause"]);
  assertEquals(transport.getWriteBufferSize(), 3000);
  await resumed.promise;
  assertEquals(calls, ["pause", "resume"]);
  for (let i = 0; i < 3; i++) assertEquals((await server.next()).data.length, 1000);
});

Deno.test("DatagramTransport.close() sends what was queued before it loses the connection [W7]", async () => {
  await using server = await open({ localAddr: loopback });
  const client = await open({ remoteAddr: server.sockname() });
  for (let i = 0; i < 10; i++) client.transport.sendto(bytes(`${i}`));
  client.transport.close();
  assertEquals(await client.lost.promise, null);
  for (let i = 0; i < 10; i++) assertEquals((await server.next()).text, `${i}`);
});

Deno.test("DatagramTransport.close() has freed the address when connectionLost() is called", async () => {
  let localAddr: DatagramEndpointOptions["localAddr"] = loopback;
  for (let i = 0; i < 10; i++) {
    await using inbox = await open({ localAddr });
    localAddr = inbox.sockname();
  }
});

Deno.test("createDatagramEndpoint() rejects with what connectionMade() throws, and closes [C2] [C6]", async () => {
  const error = new Error("from connectionMade");
  const reports: ErrorContext[] = [];
  setExceptionHandler((context) => void reports.push(context));
  let port = 0;
  const lost = Promise.withResolvers<Error | null>();
  class Throwing extends DatagramProtocol {
    override connectionMade(transport: DatagramTransport) {
      port = (transport.getExtraInfo("sockname") as Deno.NetAddr).port;
      throw error;
    }
    override connectionLost(error: Error | null) {
      lost.resolve(error);
    }
  }
  try {
    const rejection = await assertRejects(() =>
      createDatagramEndpoint(() => new Throwing(), { localAddr: { hostname: "127.0.0.1" } })
    );
    assertStrictEquals(rejection, error);
    assertStrictEquals(await lost.promise, error);
  } finally {
    setExceptionHandler(null);
  }
  assertEquals(reports.map((report) => report.error), [error]);
  await using _ = await open({ localAddr: { hostname: "127.0.0.1", port } }); // the port is free again
});

Deno.test("createDatagramEndpoint() rejects with what the factory throws, or if it makes no protocol, and closes", async () => {
  const options = { localAddr: { hostname: "127.0.0.1" } };
  const error = new Error("from the factory");
  const fail = () => {
    throw error;
  };
  assertStrictEquals(await assertRejects(() => createDatagramEndpoint(fail, options)), error);
  await assertRejects(() => createDatagramEndpoint(() => ({}) as never, options), TypeError, "datagramReceived()");
});

Deno.test("createDatagramEndpoint() refuses addresses that are none [V2]", async () => {
  const refused = (options: unknown, kind: new (message: string) => Error, message: string) =>
    assertRejects(() => open(options as never), kind, message);
  await refused({}, TypeError, "neither localAddr nor remoteAddr is given");
  await refused({ localAddr: {}, family: 4 }, TypeError, 'there is no option "family"');
  await refused({ localAddr: {}, broadcast: 1 }, TypeError, "broadcast must be a boolean");
  await refused({ localAddr: "127.0.0.1" }, TypeError, "localAddr must be an object");
  await refused({ remoteAddr: {} }, RangeError, "the port must be an integer from 1 to 65535");
  await refused({ remoteAddr: { port: 65536 } }, RangeError, "not 65536");
  await refused({ localAddr: { port: -1 } }, RangeError, "the port must be an integer from 0 to 65535");
  await refused({ localAddr: { port: NaN } }, RangeError, "not NaN");
  await refused({ localAddr: { port: "1" } }, TypeError, "the port must be a number");
  await refused({ localAddr: { hostname: "" } }, TypeError, "the hostname");
  await refused({ localAddr: { transport: "tcp", port: 0 } }, TypeError, 'not "tcp"');
  await refused(
    { localAddr: { hostname: "::1" }, remoteAddr: { hostname: "127.0.0.1", port: 9 } },
    TypeError,
    '"::1" and "127.0.0.1" are of different address families',
  );
  await refused({ localAddr: { hostname: "192.0.2.1" } }, Deno.errors.AddrNotAvailable, "192.0.2.1:0");
});

/** Runs a program that has only these permissions; returns what it printed. */
async function run(flags: string[], program: string): Promise<string> {
  const module = new URL("../../src/datagram/endpoint.ts", import.meta.url).href;
  const protocols = new URL("../../src/transport/protocols.ts", import.meta.url).href;
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      path,
      `import { createDatagramEndpoint } from "${module}"; import { DatagramProtocol } from "${protocols}"; ${program}`,
    );
    const args = ["run", "--no-prompt", "--no-check", ...flags, path];
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, env: { NO_COLOR: "1" } }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("createDatagramEndpoint() needs no permission but that for the net [D1]", async () => {
  const output = await run(
    ["--allow-net=127.0.0.1"],
    `const a = await createDatagramEndpoint(() => new DatagramProtocol(), { localAddr: { hostname: "127.0.0.1" } });
     class Client extends DatagramProtocol {
       datagramReceived(data) { console.log("got", data.length); b.transport.close(); a.transport.close(); }
     }
     const b = await createDatagramEndpoint(() => new Client(), { remoteAddr: a.transport.getExtraInfo("sockname") });
     a.transport.sendto(new Uint8Array(3), b.transport.getExtraInfo("sockname"));`,
  );
  assertEquals(output, "got 3\n");
});

Deno.test("createDatagramEndpoint() without the permission rejects, and nothing more", async () => {
  const output = await run(
    [],
    `await createDatagramEndpoint(() => new DatagramProtocol(), { localAddr: { hostname: "127.0.0.1" } })
       .catch((error) => console.log(error.name));`,
  );
  assertEquals(output, "NotCapable\n");
});

Deno.test("createDatagramEndpoint() talks to a server in Python", async () => {
  const program = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True:
    data, addr = s.recvfrom(65536)
    s.sendto(data[::-1], addr)
    if data == b"bye":
        break
`;
  if (!await hasProgram("python3", "a test of datagrams against python3")) return;
  const python = new Deno.Command("python3", { args: ["-c", program], stdout: "piped" }).spawn();
  const stdout = python.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number((await stdout.read()).value);
  await using client = await open({ remoteAddr: { hostname: "127.0.0.1", port } });
  for (const text of ["abc", "", "x".repeat(20000), "bye"]) {
    client.transport.sendto(bytes(text));
    assertEquals((await client.next()).text, [...text].reverse().join(""));
  }
  await stdout.cancel();
  assertEquals((await python.status).success, true);
});

Deno.test("createDatagramEndpoint() refuses what is no factory, before anything is opened", async () => {
  for (const factory of [undefined, null, {}, "factory"]) {
    await assertRejects(
      () => createDatagramEndpoint(factory as never, { localAddr: { hostname: "127.0.0.1" } }),
      TypeError,
      "Cannot create a datagram endpoint: protocolFactory must be a function",
    );
  }
});
