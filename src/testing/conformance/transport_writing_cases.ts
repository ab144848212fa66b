/**
 * The cases of the transport suite about writing: the rules W1 to W9, and those about memory.
 *
 * @module
 */
import { check, checkBytes, checkEqual, checkRejects, checkThrows, started } from "./checks.ts";
import { RecordingProtocol } from "../recording_protocol.ts";
import { SeededRandom } from "../seeded_random.ts";
import { type Scene, someBytes, type TransportCaseDefinition } from "./transport_scene.ts";
import { BufferedTransferEnd, PlainTransferEnd } from "./transport_transfer.ts";
import { turns } from "../turns.ts";

/** The cases about writing. */
export const writingCases: TransportCaseDefinition[] = [
  {
    what: "transfers bytes in both directions at once, between a Protocol and a BufferedProtocol",
    rule: "W3",
    async run(scene) {
      const { transferSize: size, seed, halfClose } = scene.settings;
      const endA = new PlainTransferEnd({ size, sendSeed: seed, receiveSeed: seed + 1, halfClose });
      const endB = new BufferedTransferEnd({ size, sendSeed: seed + 1, receiveSeed: seed, halfClose });
      const { a, b } = await scene.open(endA, endB);
      await Promise.all([endA.send(), endB.send(), endA.finished, endB.finished]);
      a.close();
      b.close();
      checkEqual(await endA.lost, null, "what one side was lost with");
      checkEqual(await endB.lost, null, "what the other side was lost with");
    },
  },
  {
    what: "never writes again to bytes that it handed out",
    rule: "M1",
    async run(scene) {
      const { b, protocolA } = await scene.openRecording();
      const sent = someBytes(1_000_000);
      for (let at = 0; at < sent.length; at += 1000) {
        b.write(sent.subarray(at, at + 1000));
        if (at % 50_000 === 0) await turns(10);
      }
      // The record holds the arrays that were handed out, not copies.
      checkBytes(await protocolA.waitForBytes(sent.length), sent, "what was handed out");
    },
  },
  {
    what: "uses the memory given to sendall() until its promise settles, and not after",
    rule: "M3",
    async run(scene) {
      const { a, b, protocolB } = await scene.openRecording();
      b.pauseReading();
      const sent = someBytes(4_000_000);
      const memory = sent.slice();
      const sending = started(a.sendall(memory).then(() => memory.fill(0xee)));
      b.resumeReading();
      await sending;
      checkBytes(await protocolB.waitForBytes(sent.length), sent, "what came");
    },
  },
  {
    what: "has write buffer limits, and refuses invalid ones",
    rule: "W1",
    async run(scene) {
      const { a } = await scene.openRecording();
      const limits = (high: number, low: number, how: string) => {
        const { high: foundHigh, low: foundLow } = a.getWriteBufferLimits();
        checkEqual([foundHigh, foundLow], [high, low], `[high, low] ${how}`);
      };
      limits(65536, 16384, "by default");
      a.setWriteBufferLimits({ high: 1003 });
      limits(1003, 250, "with high alone");
      a.setWriteBufferLimits({ low: 10 });
      limits(40, 10, "with low alone");
      a.setWriteBufferLimits({ high: 7, low: 7 });
      limits(7, 7, "with both");
      for (const wrong of [{ high: 1, low: 2 }, { low: -1 }, { high: -1 }, { high: NaN }]) {
        checkThrows(() => a.setWriteBufferLimits(wrong), [RangeError], `limits of ${JSON.stringify(wrong)}`);
      }
      limits(7, 7, "after limits were refused");
      a.setWriteBufferLimits({ high: 0 });
      limits(0, 0, "of nothing");
      a.setWriteBufferLimits();
      limits(65536, 16384, "after a reset");
    },
  },
  {
    what: "pauses writing inside the write that exceeds high, and resumes at low, in turn",
    rule: "W2",
    async run(scene) {
      const [high, low] = [100_000, 10_000];
      let paused = false;
      const sizes: number[] = [];
      const { a, b, protocolA, protocolB } = await scene.openRecording({
        onCall: ({ name }) => {
          if (name === "pauseWriting") paused = true;
          if (name !== "resumeWriting") return;
          paused = false;
          sizes.push(a.getWriteBufferSize());
        },
      });
      a.setWriteBufferLimits({ high, low });
      const random = new SeededRandom(scene.settings.seed);
      let written = 0;
      for (let round = 1; round <= 5; round++) {
        b.pauseReading();
        while (!paused) {
          const piece = new Uint8Array(random.integer(1, 20_000));
          a.write(piece);
          written += piece.length;
          const size = a.getWriteBufferSize();
          checkEqual(paused, size > high, `whether writing is paused at ${size} bytes`);
          if (random.next() < 0.2) await turns(random.integer(1, 3));
        }
        b.resumeReading();
        await protocolA.waitFor("resumeWriting", round);
      }
      const late = sizes.filter((size) => size > low);
      checkEqual(late, [], "the sizes above low at which it resumed");
      checkEqual((await protocolB.waitForBytes(written)).length, written, "what came");
      protocolA.assertOrder();
    },
  },
  {
    what: "sends whole pieces in the order of the calls, however they are written",
    rule: "W3",
    async run(scene) {
      const { a, protocolB } = await scene.openRecording();
      const random = new SeededRandom(scene.settings.seed);
      const sent: Uint8Array[] = [];
      const sending: Promise<void>[] = [];
      for (let i = 0; i < 300; i++) {
        const piece = random.fill(new Uint8Array(random.size(20_000)));
        sent.push(piece);
        const memory = piece.slice();
        const cut = random.integer(0, piece.length);
        switch (i % 4) {
          case 0:
            sending.push(started(a.sendall(piece)));
            continue;
          case 1:
            a.writelines([memory.subarray(0, cut), "", memory.subarray(cut)]);
            break;
          case 2:
            a.write("häß");
            sent.splice(-1, 0, new TextEncoder().encode("häß"));
            a.write(memory);
            break;
          default:
            a.write(memory);
        }
        // The memory is the caller's again [M2].
        memory.fill(0xee);
        if (i % 50 === 0) await turns();
      }
      await Promise.all(sending);
      const all = new Uint8Array(await new Blob(sent as Uint8Array<ArrayBuffer>[]).arrayBuffer());
      checkBytes(await protocolB.waitForBytes(all.length), all, "what came");
    },
  },
  {
    what: "sends a lone small write at once, and many in one turn together",
    rule: "W4",
    async run(scene) {
      const { a, protocolB } = await scene.openRecording();
      a.write("x");
      await protocolB.waitForBytes(1);
      for (let i = 0; i < 1000; i++) a.write(someBytes(10));
      await protocolB.waitForBytes(10_001);
      const { length } = protocolB.names;
      check(length <= 100, `1000 small writes came in ${length} pieces`);
    },
  },
  {
    what: "refuses data of a wrong type, and does nothing for empty data",
    rule: "W5",
    async run(scene) {
      const { a, protocolB } = await scene.openRecording();
      for (const wrong of [undefined, null, 1, [], {}, new ArrayBuffer(1), [1, 2]] as unknown as Uint8Array[]) {
        checkThrows(() => a.write(wrong), [TypeError], `write(${wrong})`);
        checkThrows(() => a.writelines([wrong]), [TypeError], `writelines([${wrong}])`);
        await checkRejects(promised(() => a.sendall(wrong)), [TypeError], `sendall(${wrong})`);
      }
      a.write("");
      a.write(new Uint8Array(0));
      a.writelines([]);
      a.writelines(["", new Uint8Array(0)]);
      await a.sendall(new Uint8Array(0));
      checkEqual(a.getWriteBufferSize(), 0, "the size of the write buffer");
      await scene.quiet();
      checkEqual(protocolB.names, ["connectionMade"], "the order of callbacks");
    },
  },
  {
    what: "refuses a write after writeEof, even an empty one",
    rule: "W5",
    needs: "halfClose",
    async run(scene) {
      const { a } = await scene.openRecording({ keepOpen: true }, { keepOpen: true });
      a.writeEof();
      checkThrows(() => a.write("x"), [Error], "write() after writeEof()");
      checkThrows(() => a.write(""), [Error], "an empty write() after writeEof()");
      checkThrows(() => a.writelines(["x"]), [Error], "writelines() after writeEof()");
      checkThrows(() => a.writelines([""]), [Error], "an empty writelines() after writeEof()");
      await checkRejects(promised(() => a.sendall(new Uint8Array(1))), [Error], "sendall() after writeEof()");
      await checkRejects(promised(() => a.sendall(new Uint8Array(0))), [Error], "an empty sendall() after writeEof()");
    },
  },
  ...(["closing", "lost"] as const).map((state): TransportCaseDefinition => ({
    what: `drops writes on a ${state} transport, and warns from the fifth on`,
    rule: "W6",
    async run(scene) {
      const { a, b, protocolA, protocolB } = await scene.openRecording();
      if (state === "closing") {
        b.pauseReading();
        a.write(someBytes(50_000_000));
        a.close();
      } else {
        a.abort();
        await protocolA.waitFor("connectionLost");
      }
      const size = a.getWriteBufferSize();
      for (let i = 1; i <= 4; i++) a.write("dropped");
      scene.checkReported();
      for (let i = 5; i <= 7; i++) a.write("dropped");
      checkEqual(scene.takeReports().length, 3, "the number of warnings");
      checkEqual(a.getWriteBufferSize(), size, "the size of the write buffer");
      a.abort();
      b.resumeReading();
      await scene.quiet();
      check(!new TextDecoder("latin1").decode(protocolB.received).includes("dropped"), "what was dropped came");
    },
  })),
  {
    what: "flushes before it closes, and reads no more",
    rule: "W7",
    run: (scene) => closeWithBytes(scene, 0),
  },
  {
    what: "delivers what it flushed although bytes were left unread",
    rule: "W7",
    needs: "survivesUnread",
    run: (scene) => closeWithBytes(scene, 100),
  },
  {
    what: "calls connectionLost after close(), not inside it",
    rule: "W7",
    async run(scene) {
      const { a, protocolA, protocolB } = await scene.openRecording();
      a.close();
      check(a.isClosing(), "isClosing() is false");
      checkEqual(protocolA.names, ["connectionMade"], "the order of callbacks");
      checkEqual((await protocolA.waitFor("connectionLost")).error, null, "what it was lost with");
      await protocolB.waitFor("eofReceived");
    },
  },
  {
    what: "empties the write buffer at abort(), and calls connectionLost later",
    rule: "W8",
    async run(scene) {
      const { a, b, protocolA, protocolB } = await scene.openRecording();
      b.pauseReading();
      const size = 50_000_000;
      a.write(new Uint8Array(size));
      await scene.quiet();
      check(a.getWriteBufferSize() > 0, "the write buffer is empty although the peer does not read");
      a.abort();
      checkEqual(a.getWriteBufferSize(), 0, "the size of the write buffer");
      check(a.isClosing(), "isClosing() is false");
      check(!protocolA.names.includes("connectionLost"), "connectionLost() was called inside abort()");
      checkEqual((await protocolA.waitFor("connectionLost")).error, null, "what it was lost with");
      b.resumeReading();
      await scene.quiet();
      check(protocolB.received.length < size, "everything came");
    },
  },
  {
    what: "rejects a pending sendall() at abort()",
    rule: "W8",
    async run(scene) {
      const { a, b } = await scene.openRecording();
      b.pauseReading();
      const sending = [50_000_000, 1].map((size) => started(a.sendall(new Uint8Array(size))));
      await scene.quiet();
      a.abort();
      for (const promise of sending) await checkRejects(promise, [Error], "sendall() during an abort");
    },
  },
  {
    what: "can be aborted while it closes",
    rule: "W8",
    async run(scene) {
      const { a, b, protocolA } = await scene.openRecording();
      b.pauseReading();
      a.write(new Uint8Array(50_000_000));
      a.close();
      await scene.quiet();
      check(!protocolA.names.includes("connectionLost"), "connectionLost() was called before everything was flushed");
      a.abort();
      checkEqual((await protocolA.waitFor("connectionLost")).error, null, "what it was lost with");
    },
  },
  {
    what: "flushes before it ends writing, and goes on reading",
    rule: "W9",
    needs: "halfClose",
    async run(scene) {
      const { a, b, protocolA, protocolB } = await scene.openRecording({ keepOpen: true }, { keepOpen: true });
      check(a.canWriteEof(), "canWriteEof() is false");
      const [question, answer] = [someBytes(4_000_000), someBytes(1_000_000, 2)];
      b.pauseReading();
      a.write(question);
      a.writeEof();
      check(!a.isClosing(), "isClosing() is true");
      await scene.quiet();
      b.resumeReading();
      await protocolB.waitFor("eofReceived");
      checkBytes(protocolB.received, question, "the question");
      b.write(answer);
      b.close();
      await protocolA.waitFor("eofReceived");
      checkBytes(protocolA.received, answer, "the answer");
      checkEqual((await protocolB.waitFor("connectionLost")).error, null, "what the peer was lost with");
      a.close();
      checkEqual((await protocolA.waitFor("connectionLost")).error, null, "what it was lost with");
    },
  },
  {
    what: "refuses writeEof(), or closes instead",
    rule: "W9",
    lacks: "halfClose",
    async run(scene) {
      const { a, protocolB } = await scene.openRecording();
      a.write("x");
      if (a.canWriteEof()) {
        a.writeEof();
        await protocolB.waitFor("eofReceived");
      } else {
        checkThrows(() => a.writeEof(), [Error], "writeEof()");
        a.write("y");
        await protocolB.waitForBytes(2);
      }
      checkEqual(protocolB.received[0], 120, "the first byte that came");
    },
  },
];

async function closeWithBytes(scene: Scene, unread: number): Promise<void> {
  const protocolA = new RecordingProtocol();
  const { a, b, protocolB } = await scene.open(protocolA, new RecordingProtocol());
  a.pauseReading();
  b.write(new Uint8Array(unread));
  b.pauseReading();
  await scene.quiet();
  const sent = someBytes(4_000_000);
  a.write(sent);
  await scene.quiet();
  a.close();
  check(a.isClosing(), "isClosing() is false");
  check(!a.isReading(), "isReading() is true");
  await scene.quiet();
  b.resumeReading();
  await protocolB.waitFor("eofReceived");
  checkBytes(protocolB.received, sent, "what came");
  checkEqual((await protocolA.waitFor("connectionLost")).error, null, "what it was lost with");
  checkEqual(protocolA.received.length, 0, "what was received after close()");
}

/** Turns a throw into a rejection. */
async function promised(call: () => Promise<void>): Promise<void> {
  await call();
}
