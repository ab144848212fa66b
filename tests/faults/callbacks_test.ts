/** A protocol that ends its connection, or fails, inside any of its callbacks: the rest of the server never notices [C1, C4, C6, W7, W8]. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import type { BufferedProtocolLike, ProtocolLike, Server, Transport } from "../../mod.ts";
import { text } from "../support/bytes.ts";
import { until } from "../support/waiting.ts";
import { outcomeOf, realKinds } from "./kit.ts";
import type { Kind } from "../support/servers.ts";

type Callback =
  | "connectionMade"
  | "dataReceived"
  | "getBuffer"
  | "bufferUpdated"
  | "eofReceived"
  | "pauseWriting"
  | "resumeWriting"
  | "connectionLost";

const common: Callback[] = ["connectionMade", "eofReceived", "pauseWriting", "resumeWriting", "connectionLost"];
const callbacks: Record<"plain" | "buffered", Callback[]> = {
  plain: [...common, "dataReceived"],
  buffered: [...common, "getBuffer", "bufferUpdated"],
};

/** What a callback can do to its connection; what it throws is `oops`. */
const deeds: Record<string, (transport: Transport) => void> = {
  "abort()": (transport) => transport.abort(),
  "close()": (transport) => transport.close(),
  "a close() and an abort()": (transport) => {
    transport.close();
    transport.abort();
  },
  "a write() and an abort()": (transport) => {
    transport.write(new Uint8Array(300_000));
    transport.abort();
  },
  "an exception": () => {
    throw oops;
  },
  "a close() and an exception": (transport) => {
    transport.close();
    throw oops;
  },
};
const oops = new Error("oops");
/** Callbacks whose exceptions are only reported [C6]. */
const informative: Callback[] = ["pauseWriting", "resumeWriting", "connectionLost"];

const ANSWER = 2_000_000;

/**
 * Answers the first bytes with many, waits for EOF, and closes, so that every callback is called. In one of them it
 * does the deed as well.
 */
class Actor {
  readonly calls: Callback[] = [];
  lost: Error | null | undefined;
  #transport!: Transport;
  readonly #where: Callback | null;
  readonly #deed: (transport: Transport) => void;
  #answered = false;

  constructor(where: Callback | null, deed: (transport: Transport) => void) {
    this.#where = where;
    this.#deed = deed;
  }

  connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.#on("connectionMade");
  }

  pauseWriting(): void {
    this.#on("pauseWriting");
  }

  resumeWriting(): void {
    this.#on("resumeWriting");
  }

  eofReceived(): boolean {
    this.#transport.write("bye");
    this.#on("eofReceived");
    return false;
  }

  connectionLost(error: Error | null): void {
    this.lost = error;
    this.#on("connectionLost");
  }

  plain(): ProtocolLike {
    return Object.assign(this, {
      dataReceived: () => {
        this.#answer();
        this.#on("dataReceived");
      },
    });
  }

  buffered(): BufferedProtocolLike {
    const memory = new Uint8Array(100);
    return Object.assign(this, {
      getBuffer: () => {
        this.#on("getBuffer");
        return memory;
      },
      bufferUpdated: () => {
        this.#answer();
        this.#on("bufferUpdated");
      },
    });
  }

  #answer(): void {
    if (!this.#answered) this.#transport.write(new Uint8Array(ANSWER));
    this.#answered = true;
  }

  #on(callback: Callback): void {
    this.calls.push(callback);
    if (callback === this.#where) this.#deed(this.#transport);
  }
}

/** Plays a client to the end, however it comes; tells what was received. */
async function play(kind: Kind, server: Server): Promise<Uint8Array | null> {
  const connection = await outcomeOf(kind.openConnection(server));
  if ("error" in connection) return null;
  const { reader, writer } = connection.value;
  writer.write("?");
  const answer = await outcomeOf(reader.readexactly(ANSWER));
  if ("value" in answer) {
    await outcomeOf(Promise.resolve().then(() => writer.writeEof()));
  }
  const rest = await outcomeOf(reader.read());
  await outcomeOf(writer.close());
  return "value" in answer && "value" in rest ? rest.value : null;
}

for (const kind of realKinds) {
  Deno.test(`${kind.name}: without a deed every callback is called, and everything arrives`, async () => {
    for (const make of ["plain", "buffered"] as const) {
      const actor = new Actor(null, () => {});
      await using server = await kind.createServer(() => actor[make]());
      assertEquals(text((await play(kind, server))!), "bye");
      await until(() => server.connections === 0);
      for (const callback of callbacks[make]) assert(actor.calls.includes(callback), callback);
    }
  });

  for (const [what, deed] of Object.entries(deeds)) {
    Deno.test(`${kind.name}: ${what} in every callback ends that connection alone, in order, and once [C1, C6]`, async () => {
      const throws = what.includes("exception");
      const actors: Actor[] = [];
      const reported: Error[] = [];
      let next: () => ProtocolLike | BufferedProtocolLike;
      await using server = await kind.createServer(() => next(), { onError: (error) => reported.push(error) });
      for (const make of ["plain", "buffered"] as const) {
        for (const callback of callbacks[make]) {
          const actor = new Actor(callback, deed);
          actors.push(actor);
          next = () => actor[make]();
          await play(kind, server);
          await until(() => server.connections === 0);

          const where = `${make}, ${callback}: ${actor.calls}`;
          assertEquals(actor.calls[0], "connectionMade", where);
          assertEquals(actor.calls.at(-1), "connectionLost", where);
          assertEquals(actor.calls.filter((name) => name === "connectionLost").length, 1, where);
          assert(actor.calls.filter((name) => name === "eofReceived").length <= 1, where);
          assert(actor.calls.includes(callback), where);
          if (!throws) {
            assertEquals(actor.lost, null, where);
            assertEquals(reported, [], where);
          } else {
            // After a resumeWriting that throws a second one may.
            for (const error of reported) assertStrictEquals(error, oops, where);
            assert(reported.length > 0, where);
            if (!informative.includes(callback)) assertEquals(reported.length, 1, where);
            assertStrictEquals(actor.lost, informative.includes(callback) ? null : oops, where);
            reported.length = 0;
          }
          const { length } = actor.calls;
          next = () => new Actor(null, () => {})[make]();
          assertEquals(text((await play(kind, server))!), "bye", where);
          assertEquals(actor.calls.length, length, `${where}, and after it`);
        }
      }
      assertEquals(reported, []);
    });
  }
}
