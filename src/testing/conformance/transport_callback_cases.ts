/**
 * The cases of the transport suite about callbacks: the rules C1 and C3 to C9.
 *
 * @module
 */
import type { Transport } from "../../transport/types.ts";
import { check, checkBytes, checkEqual } from "./checks.ts";
import {
  type CallbackName,
  RecordingBufferedProtocol,
  type RecordingOptions,
  RecordingProtocol,
} from "../recording_protocol.ts";
import { type Recording, recordings, someBytes, type TransportCaseDefinition } from "./transport_scene.ts";

/** The cases about callbacks. */
export const callbackCases: TransportCaseDefinition[] = [
  {
    what: "calls the protocol in order",
    rule: "C1",
    async run(scene) {
      const { a, b, protocolA, protocolB } = await scene.openRecording();
      check(protocolA.transport === a && protocolB.transport === b, "connectionMade() was given another transport");
      check(a.getProtocol() === protocolA && b.getProtocol() === protocolB, "getProtocol() tells another protocol");
      a.write("ping");
      await protocolB.waitForBytes(4);
      b.write("pong");
      await protocolA.waitForBytes(4);
      a.close();
      checkLost(await lossOf(protocolA), null);
      checkLost(await lossOf(protocolB), null);
      await scene.quiet();
      checkNames(protocolA, ["connectionMade", "dataReceived", "connectionLost"]);
      checkNames(protocolB, ["connectionMade", "dataReceived", "eofReceived", "connectionLost"]);
    },
  },
  {
    what: "calls nothing after connectionLost, whatever the peer does",
    rule: "C1",
    async run(scene) {
      const { a, b, protocolA } = await scene.openRecording();
      a.abort();
      b.write(someBytes(100_000));
      await lossOf(protocolA);
      await scene.quiet();
      checkNames(protocolA, ["connectionMade", "connectionLost"]);
    },
  },
  {
    what: "loses the connection when the peer aborts it",
    rule: "C1",
    async run(scene) {
      const { b, protocolA } = await scene.openRecording();
      b.abort();
      await lossOf(protocolA);
      protocolA.assertOrder();
    },
  },
  {
    what: "loses the connection when the peer aborts it with bytes unsent",
    rule: "C1",
    needs: "noticesAbort",
    async run(scene) {
      const { a, b, protocolA } = await scene.openRecording();
      a.pauseReading();
      b.write(new Uint8Array(50_000_000));
      await scene.quiet();
      b.abort();
      a.resumeReading();
      await lossOf(protocolA);
      protocolA.assertOrder();
    },
  },
  ...each((kind, record) => ({
    what: `delivers nothing to a ${kind} that pauses in connectionMade, until it resumes`,
    rule: "C3",
    async run(scene) {
      const protocol: Recording = record({ onCall: pauseIn("connectionMade", () => protocol) });
      const { a, b } = await scene.open(protocol, new RecordingProtocol());
      check(!a.isReading(), "isReading() is true");
      b.write(someBytes(1000));
      await scene.quiet();
      checkNames(protocol, ["connectionMade"]);
      a.resumeReading();
      check(a.isReading(), "isReading() is false after resumeReading()");
      checkBytes(await protocol.waitForBytes(1000), someBytes(1000), "what came");
      protocol.assertOrder();
    },
  })),
  {
    what: "accepts repeated calls in any state",
    rule: "C4",
    async run(scene) {
      const { halfClose } = scene.settings;
      const { a, b, protocolA, protocolB } = await scene.openRecording();
      const pauseTwice = () => [a, a].forEach((transport) => transport.pauseReading());
      const resumeTwice = () => [a, a].forEach((transport) => transport.resumeReading());
      const endTwice = () => [a, a].forEach((transport) => halfClose && transport.writeEof());
      resumeTwice();
      pauseTwice();
      check(!a.isReading(), "isReading() is true while paused");
      resumeTwice();
      check(a.isReading(), "isReading() is false after resumeReading()");
      b.write("x");
      await protocolA.waitForBytes(1);
      endTwice();
      for (const end of [() => a.close(), () => a.close(), () => a.abort(), () => a.abort(), () => a.close()]) {
        end();
        check(a.isClosing(), "isClosing() is false");
        check(!a.isReading(), "isReading() is true on a closing transport");
        resumeTwice();
        pauseTwice();
        endTwice();
      }
      await lossOf(protocolA);
      for (const call of [resumeTwice, pauseTwice, endTwice, () => a.close(), () => a.abort()]) call();
      await lossOf(protocolB);
      await scene.quiet();
      checkNames(protocolA, ["connectionMade", "dataReceived", "connectionLost"]);
    },
  },
  ...each((kind, record) => ({
    what: `delivers one piece at a time to a ${kind} that pauses in its callback`,
    rule: "C5",
    async run(scene) {
      const received = kind === "Protocol" ? "dataReceived" : "bufferUpdated";
      const protocol: Recording = record({ onCall: pauseIn(received, () => protocol) });
      const { a, b } = await scene.open(protocol, new RecordingProtocol());
      const sent = someBytes(100_000);
      b.write(sent);
      b.close();
      await protocol.waitFor(received);
      await scene.quiet();
      checkNames(protocol, ["connectionMade", received]);
      for (let pieces = 1; protocol.received.length < sent.length; pieces++) {
        a.resumeReading();
        await protocol.waitFor(received, pieces + 1);
        checkEqual(protocol.names.length, pieces + 2, "the number of callbacks");
      }
      await scene.quiet();
      checkEqual(protocol.names.at(-1), received, "the last callback while paused");
      a.resumeReading();
      await lossOf(protocol);
      checkBytes(protocol.received, sent, "what came");
      protocol.assertOrder();
    },
  })),
  ...each((kind, record) => ({
    what: `withholds from a paused ${kind} what a read in flight brings, until it resumes`,
    rule: "C5",
    async run(scene) {
      const { a, b, protocolA } = await scene.open(record(), new RecordingProtocol());
      await scene.quiet();
      a.pauseReading();
      b.write("kept");
      await scene.quiet();
      checkNames(protocolA, ["connectionMade"]);
      a.resumeReading();
      a.pauseReading();
      await scene.quiet();
      checkNames(protocolA, ["connectionMade"]);
      a.resumeReading();
      checkEqual(new TextDecoder().decode(await protocolA.waitForBytes(4)), "kept", "what came");
    },
  })),
  {
    what: "withholds EOF from a paused protocol",
    rule: "C5",
    async run(scene) {
      const { a, b, protocolA } = await scene.openRecording();
      await scene.quiet();
      a.pauseReading();
      b.close();
      await scene.quiet();
      checkNames(protocolA, ["connectionMade"]);
      a.resumeReading();
      await lossOf(protocolA);
      checkNames(protocolA, ["connectionMade", "eofReceived", "connectionLost"]);
    },
  },
  {
    what: "aborts, and reports, when connectionMade throws",
    rule: "C6",
    async run(scene) {
      const error = new Error("by connectionMade");
      const protocolA = new RecordingProtocol({ onCall: throwIn("connectionMade", error) });
      // On the client opening rejects; on the server only connectionLost() is called.
      const opened = await scene.open(protocolA, new RecordingProtocol()).catch((thrown) => thrown);
      check(opened === error || !(opened instanceof Error), `opening failed with "${opened}"`);
      checkLost(await lossOf(protocolA), error);
      // The other end may report a handshake that failed.
      checkEqual(scene.takeReports().filter((one) => one === error).length, 1, "how often it was reported");
    },
  },
  ...each((kind, record) => ({
    what: `aborts, and reports, when the callback that brings bytes to a ${kind} throws`,
    rule: "C6",
    async run(scene) {
      const error = new Error("by the callback with bytes");
      const received = kind === "Protocol" ? "dataReceived" : "bufferUpdated";
      const protocol = record({ onCall: throwIn(received, error) });
      const { b, protocolB } = await scene.open(protocol, new RecordingProtocol());
      b.write("x");
      checkLost(await lossOf(protocol), error);
      await lossOf(protocolB);
      checkNames(protocol, ["connectionMade", received, "connectionLost"]);
      scene.checkReported(error);
    },
  })),
  {
    what: "aborts, and reports, when eofReceived throws",
    rule: "C6",
    async run(scene) {
      const error = new Error("by eofReceived");
      const { b, protocolA } = await scene.openRecording({ onCall: throwIn("eofReceived", error) });
      b.close();
      checkLost(await lossOf(protocolA), error);
      scene.checkReported(error);
    },
  },
  {
    what: "only reports what pauseWriting, resumeWriting and connectionLost throw",
    rule: "C6",
    async run(scene) {
      const errors = new Map<CallbackName, Error>(
        (["pauseWriting", "resumeWriting", "connectionLost"] as const).map((name) => [name, new Error(`by ${name}`)]),
      );
      const onCall: RecordingOptions["onCall"] = ({ name }) => {
        const error = errors.get(name);
        if (error !== undefined) throw error;
      };
      const { a, protocolA, protocolB } = await scene.openRecording({ onCall });
      a.setWriteBufferLimits({ high: 10 });
      a.write(someBytes(1000));
      await protocolA.waitFor("resumeWriting");
      a.write(someBytes(5));
      checkEqual((await protocolB.waitForBytes(1005)).length, 1005, "what came");
      a.close();
      checkLost(await lossOf(protocolA), null);
      await scene.quiet();
      scene.checkReported(...errors.values());
    },
  },
  {
    what: "closes after flushing unless eofReceived returns true",
    rule: "C7",
    needs: "halfClose",
    async run(scene) {
      const answer = someBytes(1_000_000);
      const { b, protocolA, protocolB } = await scene.openRecording(
        { onCall: ({ name }) => name === "eofReceived" && protocolA.transport.write(answer) },
        { keepOpen: true },
      );
      b.writeEof();
      checkLost(await lossOf(protocolA), null);
      await protocolB.waitFor("eofReceived");
      checkBytes(protocolB.received, answer, "what came");
    },
  },
  {
    what: "keeps the writing direction open if eofReceived returns true",
    rule: "C7",
    needs: "halfClose",
    async run(scene) {
      const { a, b, protocolA, protocolB } = await scene.openRecording({ keepOpen: true }, { keepOpen: true });
      b.writeEof();
      await protocolA.waitFor("eofReceived");
      await scene.quiet();
      check(!a.isClosing(), "isClosing() is true");
      const answer = someBytes(1_000_000);
      a.write(answer);
      checkBytes(await protocolB.waitForBytes(answer.length), answer, "what came");
      a.close();
      checkLost(await lossOf(protocolA), null);
      await protocolB.waitFor("eofReceived");
    },
  },
  {
    what: "switches the protocol, and its kind, at any time, without losing a byte",
    rule: "C8",
    async run(scene) {
      const sent = someBytes(200_000);
      const protocols: Recording[] = [];
      let a: Transport;
      const add = (joins: boolean): Recording => {
        // Three of each kind in turn, so that each kind follows each.
        const record = protocols.length % 6 < 3 ? recordings.Protocol : recordings.BufferedProtocol;
        const protocol = record({
          joins,
          onCall: ({ name, data }) => {
            if (name === "connectionMade") a = protocol.transport;
            else if (data !== undefined) switchProtocol();
          },
        });
        protocols.push(protocol);
        return protocol;
      };
      const switchProtocol = () => {
        const next = add(true);
        a.setProtocol(next);
        check(a.getProtocol() === next, "getProtocol() tells another protocol");
      };
      const { b } = await scene.open(add(false), new RecordingProtocol());
      // While a read is in flight, from outside any callback.
      await scene.quiet();
      switchProtocol();
      b.write(sent);
      b.close();
      const total = () => protocols.reduce((sum, { received }) => sum + received.length, 0);
      while (total() < sent.length) await protocols.at(-1)!.waitForBytes(1);
      await lossOf(protocols.at(-1)!);
      checkBytes(concat(protocols.map(({ received }) => received)), sent, "what came");
      for (const protocol of protocols) protocol.assertOrder();
      const told = protocols.slice(0, -1).filter(({ names }) => names.includes("connectionLost"));
      checkEqual(told.length, 0, "the number of former protocols whose connectionLost() was called");
    },
  },
  {
    what: "aborts, and reports, when getBuffer returns an empty array",
    rule: "C9",
    async run(scene) {
      // Reading starts when both ends exist: the other one may still be in a handshake.
      const onCall = pauseIn("connectionMade", () => protocol);
      const protocol: RecordingBufferedProtocol = new RecordingBufferedProtocol({ bufferSize: 0, onCall });
      const { a, b } = await scene.open(protocol, new RecordingProtocol());
      a.resumeReading();
      b.write("x");
      const error = await lossOf(protocol);
      check(error !== null, "connectionLost() was called without an error");
      scene.checkReported(error);
    },
  },
];

type Kind = keyof typeof recordings;

function each(make: (kind: Kind, record: (typeof recordings)[Kind]) => TransportCaseDefinition) {
  return (Object.keys(recordings) as Kind[]).map((kind) => make(kind, recordings[kind]));
}

function pauseIn(callback: CallbackName, protocol: () => Recording): RecordingOptions["onCall"] & object {
  return ({ name }) => {
    if (name === callback) protocol().transport.pauseReading();
  };
}

function throwIn(callback: CallbackName, error: Error): RecordingOptions["onCall"] & object {
  return ({ name }) => {
    if (name === callback) throw error;
  };
}

async function lossOf(protocol: Recording): Promise<Error | null> {
  return (await protocol.waitFor("connectionLost")).error!;
}

function checkLost(error: Error | null, expected: Error | null): void {
  check(error === expected, `connectionLost() was called with "${error}", not with "${expected}"`);
}

/** Compares the names of the callbacks; several calls in a row for pieces of data count as one. */
function checkNames(protocol: Recording, expected: CallbackName[]): void {
  const names = protocol.names.filter((name, i, all) => name !== all[i - 1]);
  checkEqual(names, expected, "the order of callbacks");
  protocol.assertOrder();
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(pieces.flatMap((piece) => [...piece]));
}
