/** A conn that throws where its contract has it reject: whatever the call, it loses its connection and nothing else. */
import { assertEquals } from "@std/assert";
import { createConnection, Protocol, type Transport } from "../../mod.ts";
import { ManualConn, turn } from "./manual_conn.ts";

type Call = "read" | "write" | "closeWrite";

class ThrowingConn extends ManualConn {
  broken: Call | null = null;
  override read(p: Uint8Array) {
    return this.#unlessBroken("read", () => super.read(p));
  }
  override write(p: Uint8Array) {
    return this.#unlessBroken("write", () => super.write(p));
  }
  override closeWrite() {
    return this.#unlessBroken("closeWrite", () => super.closeWrite());
  }
  #unlessBroken<T>(call: Call, make: () => T): T {
    if (this.broken === call) throw new Error(`${call} is broken`);
    return make();
  }
}

class Recorder extends Protocol {
  readonly lost: (string | undefined)[] = [];
  override connectionLost(error: Error | null): void {
    this.lost.push(error?.message);
  }
}

const uses: [what: string, Call, use: (transport: Transport, conn: ThrowingConn) => unknown][] = [
  ["read() after a message", "read", (_, conn) => conn.bring("message")],
  ["write() of a lone write", "write", (transport) => transport.write("lone")],
  ["write() of a large write", "write", (transport) => transport.write(new Uint8Array(65536))],
  ["write() of sendall()", "write", (transport) => void transport.sendall(new Uint8Array(10)).catch(() => {})],
  ["closeWrite() of writeEof()", "closeWrite", (transport) => transport.writeEof()],
];
for (const [what, call, use] of uses) {
  Deno.test(`a conn that throws in the ${what} loses the connection with that error`, async () => {
    const conn = new ThrowingConn();
    const { transport, protocol } = await createConnection(() => new Recorder(), { conn });
    conn.broken = call;
    await use(transport, conn);
    await turn();
    assertEquals(protocol.lost, [`${call} is broken`]);
    assertEquals([conn.closed, transport.isClosing()], [1, true]);
  });
}
