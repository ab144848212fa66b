/** The stack of an error that a call rejects with names the function that called, as that of `Deno.connect` does. */
import { assert, assertRejects } from "@std/assert";
import * as net from "../mod.ts";
import * as sock from "../src/sock/mod.ts";
import { tcpPair } from "./support/conns.ts";
import { turns } from "./support/waiting.ts";

const large = new Uint8Array(100_000);

/** A conn whose reads and writes wait, until it is told to fail or to end. */
class WaitingConn implements net.ConnLike {
  readonly #read = Promise.withResolvers<null>();
  readonly #write = Promise.withResolvers<number>();

  read(): Promise<null> {
    return this.#read.promise;
  }

  write(): Promise<number> {
    return this.#write.promise;
  }

  close(): void {
    this.fail();
  }

  /** Fails as a conn does that the peer resets: the error has no frames at all. */
  fail(): void {
    const error = new Deno.errors.ConnectionReset("Connection reset by peer (os error 104)");
    error.stack = String(error);
    this.#read.promise.catch(nothing);
    this.#write.promise.catch(nothing);
    this.#read.reject(error);
    this.#write.reject(error);
  }

  end(): void {
    this.#read.resolve(null);
  }
}

interface Scene extends net.StreamConnection {
  conn: WaitingConn;
}

const reset = ({ conn }: Scene) => conn.fail();
const end = ({ conn }: Scene) => conn.end();
const nothing = () => {};

/** Calls that fail, and what they fail by while they wait. */
const calls: Record<string, [(scene: Scene) => Promise<unknown>, (scene: Scene) => void]> = {
  "read() after a reset": [({ reader }) => reader.read(9), reset],
  "readline() after a reset": [({ reader }) => reader.readline(), reset],
  "readexactly() after a reset": [({ reader }) => reader.readexactly(9), reset],
  "readuntil() after a reset": [({ reader }) => reader.readuntil("\n"), reset],
  "readinto() after a reset": [({ reader }) => reader.readinto(new Uint8Array(9)), reset],
  "peek() after a reset": [({ reader }) => reader.peek(9), reset],
  "skipuntil() after a reset": [({ reader }) => reader.skipuntil("\n"), reset],
  "for await after a reset": [async ({ reader }) => {
    for await (const _ of reader);
  }, reset],
  "lines() after a reset": [async ({ reader }) => {
    for await (const _ of reader.lines());
  }, reset],
  "readexactly() at the end": [({ reader }) => reader.readexactly(9), end],
  "readuntil() at the end": [({ reader }) => reader.readuntil("\n"), end],
  "drain() while it waits": [({ writer }) => {
    writer.write(large);
    return writer.drain();
  }, reset],
  "sendall() while it waits": [({ writer }) => writer.sendall(large), reset],
  "sendall() that is refused": [async ({ reader, writer }) => {
    await reader.read().catch(nothing);
    await turns(1);
    await writer.sendall(large);
  }, reset],
  "sendfile() while it waits": [({ writer }) => writer.sendfile(import.meta.filename!), reset],
  "waitClosed() after a reset": [({ reader, writer }) => {
    reader.read().catch(nothing);
    return writer.waitClosed();
  }, reset],
  "close() after a reset": [({ writer }) => {
    writer.write(large);
    return writer.close();
  }, reset],
  "drain() on a lost connection": [async ({ reader, writer }) => {
    await reader.read().catch(nothing);
    await writer.drain();
  }, reset],
  "sendfile() of no file": [({ writer }) => writer.sendfile("/no/such/file"), nothing],
  "startTls() with a peer that leaves": [({ writer }) => writer.startTls({ serverName: "localhost" }), reset],
};

for (const [what, [call, fate]] of Object.entries(calls)) {
  Deno.test(`${what}: the stack names the caller`, async () => {
    const conn = new WaitingConn();
    const scene = { ...await net.openConnection({ conn }), conn } as Scene;
    async function theCaller(): Promise<void> {
      await call(scene);
    }
    const calling = theCaller();
    calling.catch(nothing);
    await turns(1);
    fate(scene);
    const error = await assertRejects(() => calling) as Error;
    assert(error.stack!.includes("theCaller"), error.stack);
    scene.writer.abort();
  });
}

const path = "/no/such/socket";
const here = { hostname: "127.0.0.1", port: 1 };
const protocol = () => new net.Protocol();
const opening: Record<string, () => Promise<unknown>> = {
  "openConnection()": () => net.openConnection(here),
  "openConnection() by name": () => net.openConnection({ hostname: "localhost", port: 1 }),
  "openConnection() with a signal": () => net.openConnection({ ...here, signal: new AbortController().signal }),
  "openConnection() to an unknown host": () => net.openConnection({ hostname: "no-such-host.invalid", port: 1 }),
  "openConnection() with wrong options": () => net.openConnection({ port: "80" } as never),
  "openUnixConnection()": () => net.openUnixConnection({ path }),
  "createConnection()": () => net.createConnection(protocol, here),
  "createUnixConnection()": () => net.createUnixConnection(protocol, { path }),
  "createServer() on a port that is taken": async () => {
    await using server = await net.createServer(protocol, { hostname: "127.0.0.1", port: 0 });
    await net.createServer(protocol, { hostname: "127.0.0.1", port: (server.addrs[0] as Deno.NetAddr).port });
  },
  "startUnixServer() where there is no directory": () => net.startUnixServer(() => {}, { path }),
  "createDatagramEndpoint() to an unknown host": () =>
    net.createDatagramEndpoint(() => new net.DatagramProtocol(), {
      remoteAddr: { hostname: "no-such-host.invalid", port: 1 },
    }),
  "createSubprocessExec() of no program": () => net.createSubprocessExec("/no/such/program", []),
  "sockConnect()": () => sock.sockConnect(here),
  "sockRecv() on a closed conn": async () => {
    const [conn, peer] = await tcpPair();
    peer.close();
    conn.close();
    await sock.sockRecv(conn, 9);
  },
  "sockSendall() on a closed conn": async () => {
    const [conn, peer] = await tcpPair();
    peer.close();
    conn.close();
    await sock.sockSendall(conn, new Uint8Array(9));
  },
};

for (const [what, call] of Object.entries(opening)) {
  Deno.test(`${what}: the stack names the caller`, async () => {
    async function theCaller(): Promise<void> {
      await call();
    }
    const error = await assertRejects(theCaller);
    assert((error as Error).stack!.includes("theCaller"), (error as Error).stack);
  });
}
