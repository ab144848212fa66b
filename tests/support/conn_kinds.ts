/**
 * Every kind of conn there is, each as a way to make a connected pair, with what it may legitimately do differently.
 *
 * @module
 */
import { duplexPair } from "node:stream";
import type { ConnLike } from "../../src/conn/conn.ts";
import { socketPair, tcpPair, unixPair } from "./conns.ts";
import { connPair } from "../../src/conn/conn_pair.ts";
import { connFromStreams } from "../../src/conn/conn_from_streams.ts";
import { connFromNode } from "../../src/conn/conn_from_node.ts";

export interface ConnKind {
  name: string;
  pair(): Promise<[ConnLike, ConnLike]>;
  /** The most bytes that writes accept while the peer does not read. */
  bound: number;
  /** A second read or write while one waits is refused. Deno's own conns let it wait for its turn instead. */
  busy: boolean;
  /** One direction can end alone. `Deno.Conn.readable` and `.writable` close the whole conn at the end of one. */
  halfClose: boolean;
  /** Writes fail once the peer is closed. A `duplexPair` does not tell: what is written to a destroyed side just waits. */
  failsWrites: boolean;
}

const MiB = 1 << 20;
// More than any system buffers for a socket.
const SYSTEM_BOUND = 32 * MiB;

export const kinds: ConnKind[] = [
  {
    name: "connPair",
    pair: () => Promise.resolve(connPair()),
    bound: 65536,
    busy: true,
    halfClose: true,
    failsWrites: true,
  },
  { name: "TCP", pair: tcpPair, bound: SYSTEM_BOUND, busy: false, halfClose: true, failsWrites: true },
  { name: "Unix", pair: unixPair, bound: SYSTEM_BOUND, busy: false, halfClose: true, failsWrites: true },
  {
    name: "connFromStreams over TransformStreams",
    pair() {
      const there = new TransformStream<Uint8Array, Uint8Array>();
      const back = new TransformStream<Uint8Array, Uint8Array>();
      return Promise.resolve([
        connFromStreams({ readable: back.readable, writable: there.writable }),
        connFromStreams({ readable: there.readable, writable: back.writable }),
      ]);
    },
    // A write is done when the other side has taken it.
    bound: 65536,
    busy: true,
    halfClose: true,
    failsWrites: true,
  },
  {
    name: "connFromStreams over Deno.Conn streams",
    async pair() {
      const [a, b] = await tcpPair();
      return [connFromStreams(a), connFromStreams(b)];
    },
    bound: SYSTEM_BOUND,
    busy: true,
    halfClose: false,
    failsWrites: true,
  },
  {
    name: "connFromNode over node:net",
    async pair() {
      const [a, b] = await socketPair();
      return [connFromNode(a), connFromNode(b)];
    },
    bound: SYSTEM_BOUND,
    busy: true,
    halfClose: true,
    failsWrites: true,
  },
  {
    name: "connFromNode over duplexPair",
    pair() {
      const [a, b] = duplexPair();
      return Promise.resolve([connFromNode(a), connFromNode(b)]);
    },
    // One chunk, which the other side has buffered before it says that it is full.
    bound: 65536,
    busy: true,
    halfClose: true,
    failsWrites: false,
  },
];
