import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { type DatagramConnLike, sockDatagram, sockRecvfrom, sockSendto } from "../../src/sock/mod.ts";
import { bytes, text } from "../support/bytes.ts";
import { seesRefusals } from "../support/machine.ts";

const loopback = { localAddr: { hostname: "127.0.0.1" } };

Deno.test("sockSendto() and sockRecvfrom() exchange datagrams, empty ones too [D1]", async () => {
  using server = await sockDatagram(loopback);
  using client = await sockDatagram({ remoteAddr: server.addr });
  assertEquals(client.remoteAddr, server.addr);
  assertEquals(server.remoteAddr, null);
  assertEquals(await sockSendto(client, bytes("ping")), 4);
  const [ping, from] = await sockRecvfrom(server, 100);
  assertEquals(text(ping), "ping");
  assertEquals(from, client.addr);
  assertEquals(await sockSendto(server, new Uint8Array(0), from), 0);
  assertEquals((await sockRecvfrom(client, 100))[0].length, 0);
});

Deno.test("sockRecvfrom() drops what is beyond n, and keeps datagrams apart", async () => {
  using server = await sockDatagram(loopback);
  using client = await sockDatagram({ remoteAddr: server.addr });
  for (const data of ["abcdef", "ghi"]) await sockSendto(client, bytes(data));
  assertEquals(text((await sockRecvfrom(server, 4))[0]), "abcd");
  assertEquals(text((await sockRecvfrom(server, 4))[0]), "ghi");
});

Deno.test("sockRecvfrom() swallows nothing when aborted [R7]", async () => {
  using server = await sockDatagram(loopback);
  for (let i = 0; i < 3; i++) {
    const stop = new AbortController();
    const received = sockRecvfrom(server, 1, { signal: stop.signal });
    stop.abort("stop");
    assertEquals(await received.catch((reason) => reason), "stop");
  }
  await sockSendto(server, bytes("kept"), server.addr);
  assertEquals(text((await sockRecvfrom(server, 100))[0]), "kept");
});

Deno.test("sockSendto() keeps the order of calls that do not wait [W3]", async () => {
  using sock = await sockDatagram(loopback);
  const sent = Array.from({ length: 50 }, (_, i) => sockSendto(sock, bytes(`${i}`), sock.addr));
  await Promise.all(sent);
  for (let i = 0; i < 50; i++) assertEquals(text((await sockRecvfrom(sock, 10))[0]), `${i}`);
});

Deno.test("sockSendto() wants an address just where one is needed, and goes on after a failure [D2]", async () => {
  using free = await sockDatagram(loopback);
  using connected = await sockDatagram({ remoteAddr: free.addr });
  await assertRejects(() => sockSendto(free, bytes("x")), TypeError, "an address is needed");
  await assertRejects(() => sockSendto(connected, bytes("x"), connected.addr), TypeError, "is connected to");
  await assertRejects(() => sockSendto(connected, new Uint8Array(70000)), Error, "EMSGSIZE");
  await sockSendto(connected, bytes("on"));
  assertEquals(text((await sockRecvfrom(free, 10))[0]), "on");
});

Deno.test("sockRecvfrom() rejects when the peer refused, and goes on [D1]", async () => {
  if (!seesRefusals()) return;
  const gone = await sockDatagram(loopback);
  gone.close();
  using client = await sockDatagram({ remoteAddr: gone.addr });
  await sockSendto(client, bytes("anybody there?"));
  await assertRejects(() => sockRecvfrom(client, 10), Deno.errors.ConnectionRefused);
  const stop = new AbortController();
  const received = sockRecvfrom(client, 10, { signal: stop.signal });
  stop.abort("still open");
  assertEquals(await received.catch((reason) => reason), "still open");
});

Deno.test("sockDatagram() drops what comes beyond its bound [M4]", async () => {
  using server = await sockDatagram(loopback);
  using client = await sockDatagram({ remoteAddr: server.addr });
  // Each is sent when the one before has certainly come: UDP itself drops none.
  const many = 100;
  for (let i = 0; i < many; i++) {
    await sockSendto(client, new Uint8Array(8000).fill(i));
    await new Promise((resolve) => setTimeout(resolve));
  }
  // 256 KiB at 8064 bytes each.
  for (let i = 0; i < 32; i++) assertEquals((await sockRecvfrom(server, 1))[0][0], i);
  await sockSendto(client, bytes("new"));
  assertEquals(text((await sockRecvfrom(server, 10))[0]), "new");
});

Deno.test("sockRecvfrom() rejects when the socket is closed, and one more at a time with Busy", async () => {
  const sock = await sockDatagram(loopback);
  const received = sockRecvfrom(sock, 10);
  await assertRejects(() => sockRecvfrom(sock, 10), Deno.errors.Busy);
  sock.close();
  sock.close();
  await assertRejects(() => received, Deno.errors.ConnectionAborted);
  await assertRejects(() => sockRecvfrom(sock, 10), Deno.errors.ConnectionAborted);
  await assertRejects(() => sockSendto(sock, bytes("x"), sock.addr), Deno.errors.ConnectionAborted);
});

Deno.test("sockRecvfrom() and sockSendto() work over anything of the shape of Deno.DatagramConn", async () => {
  const peer: Deno.NetAddr = { transport: "udp", hostname: "192.0.2.1", port: 7 };
  const calls: unknown[] = [];
  const sock: DatagramConnLike = {
    receive(p) {
      p.set(bytes("hello"));
      return Promise.resolve([p.subarray(0, 5), peer]);
    },
    send(p, addr) {
      calls.push([text(p), addr]);
      return Promise.resolve(p.length);
    },
  };
  const [data, from] = await sockRecvfrom(sock, 100);
  assertEquals(text(data), "hello");
  assertStrictEquals(from, peer);
  assertEquals(await sockSendto(sock, bytes("hi"), peer), 2);
  assertEquals(calls, [["hi", peer]]);
  for (const n of [-1, NaN, 0.5]) await assertRejects(() => sockRecvfrom(sock, n), RangeError);
  await assertRejects(() => sockRecvfrom({} as never, 1), TypeError);
  await assertRejects(() => sockSendto(sock, "text" as never, peer), TypeError);
});
