/**
 * Echo in one process, client and server sharing the thread: one round trip of 1, 10 and 100 KiB at each level,
 * compared with a raw loop and `node:net`. The client is the same for all. `bench/throughput.ts` measures it between processes.
 *
 * @module
 */
import { type AddressInfo, createServer as createNodeServer } from "node:net";
import { createServer, type Server, startServer } from "../mod.ts";
import { BufferedEcho, Echo, streamEcho, zeroCopyEcho } from "./servers/echoes.ts";
import { rawEcho, writeAll } from "./servers/raw_echo.ts";
import { socketEcho } from "./servers/socket_echo.ts";

const KIB = 1024;
const BUFFER = 64 * KIB;
const LOCAL = { hostname: "127.0.0.1", port: 0 };

/** A level, and the port of a server that echoes at it. */
const levels: [name: string, port: number][] = [
  ["raw Deno.Conn", serveConns(rawEcho)],
  ["socket calls", serveConns(socketEcho)],
  ["protocol", portOf(await createServer(() => new Echo(), LOCAL))],
  ["protocol, buffered", portOf(await createServer(() => new BufferedEcho(BUFFER), LOCAL))],
  ["stream", portOf(await startServer((reader, writer) => streamEcho(reader, writer, BUFFER), LOCAL))],
  ["stream, zero-copy", portOf(await startServer((reader, writer) => zeroCopyEcho(reader, writer, BUFFER), LOCAL))],
  ["node:net", await serveNode()],
];

for (const size of [KIB, 10 * KIB, 100 * KIB]) {
  for (const [name, port] of levels) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    const message = new Uint8Array(size).fill(120);
    const answer = new Uint8Array(size);
    Deno.bench({
      name,
      group: `echo, ${size / KIB} KiB`,
      baseline: name === "raw Deno.Conn",
      fn: async () => {
        const sent = writeAll(conn, message, size);
        for (let got = 0; got < size;) got += await conn.read(answer) ?? Infinity;
        await sent;
      },
    });
  }
}

function serveConns(echo: (conn: Deno.Conn, buffer: number) => Promise<void>): number {
  const listener = Deno.listen(LOCAL);
  (async () => {
    for await (const conn of listener) {
      conn.setNoDelay(true);
      echo(conn, BUFFER);
    }
  })();
  return listener.addr.port;
}

function portOf(server: Server): number {
  return server.port;
}

function serveNode(): Promise<number> {
  const server = createNodeServer({ noDelay: true }, (socket) => {
    socket.on("data", (data) => socket.write(data));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}
