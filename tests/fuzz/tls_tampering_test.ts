// An attacker between two peers that speak TLS changes bytes, from the first of the handshake to the last of close_notify:
// neither peer ever reads bytes that the other did not send, or takes a cut for EOF.
import { assert, assertEquals } from "@std/assert";
import { type ConnLike, openConnection, type StreamReader } from "../../mod.ts";
import { certificate, type Kind, portOf, tlsKinds } from "../support/servers.ts";
import { openDescriptors } from "../support/machine.ts";
import { pattern } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";
import { disguise } from "../support/conns.ts";
import { cases, isTyped, pick, randomBytes, run, type SeededRandom, watchErrors } from "./kit.ts";

const SENT = pattern(20_000);
const tls = { caCerts: [certificate.caCert], serverName: "localhost", shutdownTimeout: 200, handshakeTimeout: 1000 };

/** What is done to the bytes of one direction, once. */
interface Tampering {
  /** After how many bytes. */
  at: number;
  how: "flip" | "drop" | "repeat" | "insert" | "end" | "cut";
}

/** What a side read: the number of right bytes, and how reading ended. */
interface Reading {
  length: number;
  error: unknown;
}

for (const kind of tlsKinds) {
  for (const byNode of [false, true]) {
    Deno.test(`${kind.name}, ${byNode ? "a client by node:tls" : "a client by Deno"}: tampering with TLS is detected [T2, W7]`, async () => {
      using watch = watchErrors();
      const before = openDescriptors();
      for (const { name, random } of cases(30)) {
        const tampering: Tampering = {
          at: random.next() < 0.5 ? random.size(3000) : random.integer(0, 30_000),
          how: pick(random, ["flip", "drop", "repeat", "insert", "end", "cut"] as const),
        };
        const direction = pick(random, ["there", "back"] as const);
        await run(`${name}, ${JSON.stringify(tampering)} on the way ${direction}`, async () => {
          // Remains if the handshake fails: then the server never hears of the client.
          let reading: Reading = { length: 0, error: new Deno.errors.NotConnected("there was no connection") };
          const server = await kind.startServer(async (reader, writer) => {
            reading = await readAll(reader);
            writer.write(SENT.subarray(0, reading.length));
          }, { onError: watch.onError });
          await using meddler = new Meddler(portOf(server), direction, tampering, random);
          let client: Reading;
          try {
            const target = byNode
              ? { conn: disguise(await Deno.connect({ port: meddler.port })) }
              : { hostname: "127.0.0.1", port: meddler.port };
            await using connection = await openConnection({ ...target, tls });
            connection.writer.write(SENT);
            connection.writer.writeEof();
            client = await readAll(connection.reader);
          } catch (error) {
            client = { length: 0, error };
          }
          await server.shutdown({ grace: 1000 });
          for (const { error } of [client, reading]) assert(error === null || isTyped(error), `${error}`);
          // After an error of its own, Deno's TLS still sends close_notify.
          if (reading.error === null && (byNode || client.error === null)) assertEquals(reading.length, SENT.length);
          if (client.error === null && (isByNode(kind) || reading.error === null)) {
            assertEquals(client.length, reading.length);
          }
        });
      }
      await until(() => openDescriptors() <= before);
    });
  }
}

function isByNode({ name }: Kind): boolean {
  return name === "TLS";
}

/** Reads to the end, and finds out whether it is what was sent. */
async function readAll(reader: StreamReader): Promise<Reading> {
  let length = 0;
  try {
    for (let bytes; (bytes = await reader.read(65536)).length > 0; length += bytes.length) {
      assertEquals(bytes, SENT.slice(length, length + bytes.length), "other bytes came than were sent");
    }
    return { length, error: null };
  } catch (error) {
    return { length, error };
  }
}

/** Forwards one connection, and tampers with it. */
class Meddler implements AsyncDisposable {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #conns: ConnLike[] = [];
  readonly #random: SeededRandom;
  #done: Promise<unknown>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(port: number, direction: "there" | "back", tampering: Tampering, random: SeededRandom) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#random = random;
    this.#done = this.#listener.accept().then(async (near) => {
      const far = await Deno.connect({ port });
      this.#conns.push(near, far);
      await Promise.all([
        this.#pump(near, far, direction === "there" ? tampering : null),
        this.#pump(far, near, direction === "back" ? tampering : null),
      ]);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#done.catch(() => {});
    clearTimeout(this.#timer);
    this.#close();
  }

  async #pump(from: ConnLike, to: ConnLike, tampering: Tampering | null): Promise<void> {
    const memory = new Uint8Array(4096);
    let passed = 0;
    try {
      for (let n; (n = await from.read(memory)) !== null;) {
        let bytes = memory.slice(0, n);
        if (tampering !== null && passed <= tampering.at && tampering.at < passed + n) {
          bytes = this.#tamper(bytes, tampering.at - passed, tampering.how);
          // Peers may wait for what was dropped: not forever.
          this.#timer = setTimeout(() => this.#close(), 100);
        }
        passed += n;
        for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await to.write(rest));
        if (tampering?.how === "end" && passed > tampering.at) break;
      }
      await to.closeWrite!();
    } catch {
      // One of them has left.
      this.#close();
    }
  }

  #tamper(bytes: Uint8Array<ArrayBuffer>, at: number, how: Tampering["how"]): Uint8Array<ArrayBuffer> {
    const parts = (...all: Uint8Array<ArrayBuffer>[]) => Uint8Array.from(all.flatMap((part) => [...part]));
    const [head, tail] = [bytes.slice(0, at), bytes.slice(at)];
    switch (how) {
      case "flip":
        tail[0]! ^= 1 << this.#random.integer(0, 7);
        return parts(head, tail);
      case "drop":
        return parts(head, tail.slice(this.#random.integer(1, 50)));
      case "repeat":
        return parts(head, tail.slice(0, this.#random.integer(1, 2000)), tail);
      case "insert":
        return parts(head, randomBytes(this.#random, this.#random.size(100)), tail);
      case "end":
        return head;
      case "cut":
        this.#close();
        return head;
    }
  }

  #close(): void {
    for (const conn of this.#conns.splice(0)) conn.close();
  }
}
