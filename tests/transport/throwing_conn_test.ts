/** A conn that throws where its contract has it reject: whatever the call, it loses its connection and nothing else. */
import { assertEquals, assertRejects } from "@std/assert";
import { createConnection, openConnection, Protocol, type Transport } from "../../mod.ts";
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

for (const n of [-1, NaN]) {
  Deno.test(`a conn that reports ${n} bytes read loses the connection, for protocols and for streams`, async () => {
    const conn = () => ({ read: () => Promise.resolve(n), write: () => Promise.resolve(1), close() {} });
    const { protocol } = await createConnection(() => new Recorder(), { conn: conn() });
    await turn();
    assertEquals(protocol.lost, [`Cannot read: the connection reports ${n} bytes where there was room for 1536`]);
    const { reader } = await openConnection({ conn: conn() });
    await assertRejects(() => reader.read(10), RangeError, `reports ${n} bytes`);
  });
}
