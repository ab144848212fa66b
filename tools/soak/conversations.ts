/**
 * The conversations of a soak, each a few messages with a server: orderly ones, whose bytes must come back, and faulty
 * ones, which must not disturb others.
 *
 * @module
 */
import {
  connPair,
  createConnection,
  createDatagramEndpoint,
  createSubprocessExec,
  DatagramProtocol,
  type DatagramTransport,
  openConnection,
  openUnixConnection,
  Protocol,
  type StreamConnection,
  subprocessExec,
  SubprocessProtocol,
  type Transport,
} from "../../mod.ts";
import { sockConnect, sockRecv, sockSendall } from "../../src/sock/mod.ts";
import { faultyConn, type SeededRandom } from "../../src/testing/mod.ts";
import { Checksum, randomPiece } from "./payload.ts";
import { type Kind, KINDS, LIMIT, portOf, type Scene } from "./scene.ts";
import { check, fail, receive, roundTrip, send } from "./transfer.ts";

/** Runs a conversation; resolves with the number of bytes that were verified, rejects after a fault. */
export type Conversation = (scene: Scene, random: SeededRandom) => Promise<number>;

/** All conversations, each with its weight. */
export const conversations: Record<string, [weight: number, Conversation]> = {
  "streams": [6, (scene, random) => askFor("echo", scene, random, {})],
  "zero-copy streams": [4, (scene, random) => askFor("zerocopy", scene, random, {})],
  "slow readers": [3, (scene, random) => askFor("echo", scene, random, { slow: true })],
  "aborted reads": [3, (scene, random) => askFor("echo", scene, random, { aborts: true })],
  "web streams": [2, (scene, random) => askFor("pipe", scene, random, {})],
  "lines": [5, lines],
  "frames": [3, frames],
  "half-closes": [4, halfClose],
  "floods": [3, flood],
  "floods of lines": [1, lineFlood],
  "files": [2, file],
  "protocols": [5, protocols],
  "STARTTLS": [4, startTls],
  "sockets": [3, sockets],
  "memory with faults": [3, memoryWithFaults],
  "datagrams": [3, datagrams],
  "pipes of processes": [1, pipes],
  "processes that are killed": [1, killed],
  "a crowd at the cap": [2, crowd],
  "resets": [4, reset],
  "handlers that throw": [3, handlerThrows],
  "protocols that throw": [3, protocolThrows],
  "aborted connects": [4, abortedConnect],
  "refused connects": [2, refusedConnect],
  "garbage for TLS": [3, garbage],
  "clients that vanish": [3, vanish],
};

const kindOf = (random: SeededRandom): Kind => KINDS[random.integer(0, KINDS.length - 1)]!;

async function askFor(
  verb: string,
  scene: Scene,
  random: SeededRandom,
  options: { slow?: boolean; aborts?: boolean },
): Promise<number> {
  const readAhead = random.next() < 0.3;
  await using connection = await scene.connect(kindOf(random), { readAhead });
  connection.writer.write(`${verb}\n`);
  const size = random.next() < 0.1 ? random.integer(1, 2_000_000) : random.size(300_000);
  const bytes = await roundTrip(connection, random, { size, ...options });
  await end(connection);
  return bytes;
}

/** Ends writing, waits for the EOF of the server, and closes. */
async function end({ reader, writer }: StreamConnection): Promise<void> {
  writer.writeEof();
  const rest = await reader.read();
  if (rest.length > 0) fail(`"${rest.length}" bytes came after the last`);
  await writer.close();
}

async function lines(scene: Scene, random: SeededRandom): Promise<number> {
  await using connection = await scene.connect(kindOf(random));
  const { reader, writer } = connection;
  writer.write("lines\n");
  const answers: string[] = [];
  const writing = async () => {
    for (let i = random.integer(1, 40); i > 0; i--) {
      const length = random.next() < 0.1 ? LIMIT + random.integer(1, 50_000) : random.size(LIMIT);
      const line = String.fromCharCode(97 + random.integer(0, 25)).repeat(length);
      answers.push(length > LIMIT ? `dropped ${length + 1}` : line);
      writer.write(`${line}\n`);
      if (random.next() < 0.7) await writer.drain();
    }
    writer.writeEof();
  };
  const [read] = await Promise.all([Array.fromAsync(reader.lines()), writing()]);
  for (const [i, answer] of answers.entries()) {
    if (read[i] !== answer) fail(`line ${i} is "${read[i]?.slice(0, 50)}", not "${answer.slice(0, 50)}"`);
  }
  if (read.length > answers.length) fail(`"${read.length}" lines came instead of ${answers.length}`);
  await writer.close();
  return answers.join("").length;
}

async function frames(scene: Scene, random: SeededRandom): Promise<number> {
  await using connection = await scene.connect(kindOf(random));
  const { reader, writer } = connection;
  writer.write("frames\n");
  let total = 0;
  for (let i = random.integer(1, 20); i > 0; i--) {
    const frame = randomPiece(random, random.size(30_000));
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, frame.length);
    writer.writelines([head, frame]);
    const back = await reader.readexactly(frame.length);
    check("a frame", sumOf(back), sumOf(frame));
    total += 2 * frame.length;
  }
  writer.write(new Uint8Array(4));
  if ((await reader.read()).length > 0) fail("something came after the last frame");
  return total;
}

async function halfClose(scene: Scene, random: SeededRandom): Promise<number> {
  await using connection = await scene.connect(kindOf(random));
  const { reader, writer } = connection;
  writer.write("upload\n");
  const sent = await send(writer, random, random.size(200_000));
  writer.writeEof();
  check("a half-close", sumOf(await reader.read()), sent);
  await writer.close();
  return 2 * sent.length;
}

/** Floods a server with lines; meanwhile another connection is served [C10]. */
async function lineFlood(scene: Scene, random: SeededRandom): Promise<number> {
  const kind = kindOf(random);
  await using flooding = await scene.connect(kind);
  await using beside = await scene.connect(kind);
  beside.writer.write("echo\n");
  const count = random.integer(1_000_000, 2_000_000);
  let over = false;
  const flood = (async () => {
    flooding.writer.write("count\n");
    await flooding.writer.sendall(new Uint8Array(count).fill(10));
    flooding.writer.writeEof();
    return new TextDecoder().decode(await flooding.reader.readline());
  })().finally(() => over = true);
  flood.catch(() => {});
  let answers = 0;
  for (; !over; answers++) {
    beside.writer.write("?");
    await beside.reader.readexactly(1);
  }
  const counted = await flood;
  if (counted !== `${count}\n`) fail(`a flood of ${count} lines was counted as ${counted}`);
  if (answers < 3) fail(`a connection beside a flood of ${count} lines got "${answers}" answers`);
  await end(beside);
  return count + answers;
}

async function flood(scene: Scene, random: SeededRandom): Promise<number> {
  await using connection = await scene.connect(kindOf(random));
  const size = random.integer(1, 1_000_000);
  connection.writer.write(`flood ${size}\n`);
  const received = await receive(connection.reader, random, { size, slow: random.next() < 0.5 });
  if ((await connection.reader.read()).length > 0) fail("a flood went on after its end");
  await connection.writer.close();
  return received.length;
}

async function file(scene: Scene, random: SeededRandom): Promise<number> {
  await using connection = await scene.connect(kindOf(random));
  connection.writer.write("file\n");
  check("a file", sumOf(await connection.reader.read()), sumOf(scene.file.bytes));
  return scene.file.bytes.length;
}

/** Sends as fast as back pressure allows, and compares a checksum of what comes back. */
class Asker extends Protocol {
  readonly sent = new Checksum();
  readonly received = new Checksum();
  readonly ended = Promise.withResolvers<void>();
  readonly #random: SeededRandom;
  readonly #size: number;
  #transport!: Transport;
  #paused = false;

  constructor(random: SeededRandom) {
    super();
    this.#random = random;
    this.#size = random.size(300_000);
  }

  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    this.#send();
  }

  override dataReceived(data: Uint8Array): void {
    this.received.add(data);
    if (this.received.length >= this.#size) this.#transport.close();
  }

  override pauseWriting(): void {
    this.#paused = true;
  }

  override resumeWriting(): void {
    this.#paused = false;
    this.#send();
  }

  override connectionLost(error: Error | null): void {
    if (error === null) this.ended.resolve();
    else this.ended.reject(error);
  }

  #send(): void {
    while (!this.#paused && this.sent.length < this.#size) {
      const piece = randomPiece(this.#random, Math.min(this.#size - this.sent.length, this.#random.size(50_000)));
      this.sent.add(piece);
      this.#transport.write(piece);
    }
  }
}

async function protocols({ servers }: Scene, random: SeededRandom): Promise<number> {
  const port = portOf(random.next() < 0.5 ? servers.protocol : servers.buffered);
  const { protocol } = await createConnection(() => new Asker(random), { port });
  await protocol.ended.promise;
  check("a protocol", protocol.received, protocol.sent);
  return 2 * protocol.sent.length;
}

async function startTls(scene: Scene, random: SeededRandom): Promise<number> {
  await using connection = await scene.connect(random.next() < 0.5 ? "tcp" : "unix");
  const { reader, writer } = connection;
  writer.write("starttls\n");
  const answer = new TextDecoder().decode(await reader.readline());
  if (answer !== "go\n") fail(`the answer to STARTTLS was "${answer}"`);
  await writer.startTls(scene.clientTls);
  const bytes = await roundTrip(connection, random, { size: random.size(200_000), aborts: random.next() < 0.3 });
  await end(connection);
  return bytes;
}

async function sockets({ servers }: Scene, random: SeededRandom): Promise<number> {
  using conn = await sockConnect({ port: portOf(servers.tcp) });
  await sockSendall(conn, new TextEncoder().encode("echo\n"));
  const bytes = randomPiece(random, random.size(200_000));
  const sum = new Checksum();
  const receiving = async () => {
    while (sum.length < bytes.length) {
      const signal = random.next() < 0.2 ? AbortSignal.timeout(1) : null;
      try {
        const piece = await sockRecv(conn, random.size(65536), signal === null ? {} : { signal });
        if (piece.length === 0) fail("the socket ended early");
        sum.add(piece);
      } catch (error) {
        if (error !== signal?.reason) throw error;
      }
    }
  };
  await Promise.all([sockSendall(conn, bytes), receiving()]);
  check("a socket", sum, sumOf(bytes));
  return 2 * bytes.length;
}

async function memoryWithFaults(_scene: Scene, random: SeededRandom): Promise<number> {
  const faults = {
    seed: random.integer(0, 1e9),
    shortReads: true,
    shortWrites: true,
    delayTurns: random.integer(0, 2),
  };
  const [a, b] = connPair({ capacity: random.size(65536) });
  await using near = await openConnection({ conn: faultyConn(a, faults) });
  await using far = await openConnection({ conn: faultyConn(b, faults) });
  const echoing = async () => {
    for (let data; (data = await far.reader.read(65536)).length > 0;) await far.writer.sendall(data);
    far.writer.writeEof();
  };
  const talking = async () => {
    const bytes = await roundTrip(near, random, { size: random.size(20_000) });
    near.writer.writeEof();
    if ((await near.reader.read()).length > 0) fail("something came after the last byte");
    return bytes;
  };
  const [bytes] = await Promise.all([talking(), echoing()]);
  return bytes;
}

class Catcher extends DatagramProtocol {
  readonly ended = Promise.withResolvers<void>();
  readonly refused = Promise.withResolvers<Error>();
  #next = Promise.withResolvers<Uint8Array>();

  override datagramReceived(data: Uint8Array): void {
    this.#next.resolve(data);
  }

  override errorReceived(error: Error): void {
    this.refused.resolve(error);
  }

  override connectionLost(): void {
    this.ended.resolve();
  }

  /** Sends again until an answer comes, because datagrams may be lost. */
  async ask(transport: DatagramTransport, data: Uint8Array): Promise<Uint8Array> {
    this.#next = Promise.withResolvers();
    transport.sendto(data);
    const timer = setInterval(() => transport.sendto(data), 1000);
    const answer = await this.#next.promise;
    clearInterval(timer);
    return answer;
  }
}

async function datagrams(scene: Scene, random: SeededRandom): Promise<number> {
  const isOpen = random.next() < 0.8;
  const port = isOpen ? (scene.datagrams.getExtraInfo("sockname") as Deno.NetAddr).port : scene.closedPort;
  const { transport, protocol } = await createDatagramEndpoint(() => new Catcher(), { remoteAddr: { port } });
  let total = 0;
  if (isOpen) {
    for (let i = random.integer(1, 20); i > 0; i--) {
      const data = randomPiece(random, random.next() < 0.1 ? 0 : random.size(60_000));
      check("a datagram", sumOf(await protocol.ask(transport, data)), sumOf(data));
      total += 2 * data.length;
    }
  } else {
    transport.sendto(new Uint8Array(1));
    scene.ledger.error("a refused datagram", await protocol.refused.promise);
  }
  transport.close();
  await protocol.ended.promise;
  return total;
}

async function pipes(_scene: Scene, random: SeededRandom): Promise<number> {
  const cat = await createSubprocessExec("cat", [], { stdin: "piped", stdout: "piped" });
  const input = randomPiece(random, random.size(500_000));
  const { stdout } = await cat.communicate(input);
  check("cat", sumOf(stdout!), sumOf(input));
  if (cat.returncode !== 0) fail(`cat ended with "${cat.returncode}"`);
  return 2 * input.length;
}

class Watcher extends SubprocessProtocol {
  readonly ended = Promise.withResolvers<void>();
  override connectionLost(): void {
    this.ended.resolve();
  }
}

async function killed(_scene: Scene, random: SeededRandom): Promise<number> {
  const { transport, protocol } = await subprocessExec(() => new Watcher(), "cat", []);
  transport.getPipeTransport(0)!.write(randomPiece(random, random.size(200_000)));
  if (random.next() < 0.5) transport.close();
  else transport.terminate();
  await protocol.ended.promise;
  const code = transport.getReturncode();
  if (code !== -9 && code !== -15) fail(`a process that was killed ended with "${code}"`);
  return 0;
}

async function crowd({ servers }: Scene, random: SeededRandom): Promise<number> {
  const one = async () => {
    await using connection = await openConnection({ port: portOf(servers.capped) });
    const bytes = await roundTrip(connection, random, { size: random.size(10_000) });
    await end(connection);
    return bytes;
  };
  const all = await Promise.all(Array.from({ length: random.integer(2, 8) }, one));
  return all.reduce((sum, bytes) => sum + bytes, 0);
}

/** Closes with bytes unread, which makes the system reset the connection. */
async function reset({ servers, ledger }: Scene, random: SeededRandom): Promise<number> {
  const kind = random.next() < 0.5 ? "streams" : "protocol";
  const conn = await Deno.connect({ port: portOf(kind === "streams" ? servers.tcp : servers.protocol) });
  await conn.write(new TextEncoder().encode(kind === "streams" ? "flood 500000\n" : "x".repeat(30_000)));
  await conn.read(new Uint8Array(random.size(1000)));
  if (random.next() < 0.5) await conn.closeWrite().catch((error) => ledger.error("a reset conn", error));
  conn.close();
  return 0;
}

async function handlerThrows(scene: Scene, random: SeededRandom): Promise<number> {
  await using connection = await scene.connect(kindOf(random));
  connection.writer.write("throw\n");
  const text = new TextDecoder().decode(await connection.reader.read());
  if (text !== "about to throw\n") fail(`of a handler that threw came "${text}"`);
  return text.length;
}

async function protocolThrows({ servers, ledger }: Scene): Promise<number> {
  const { reader, writer } = await openConnection({ port: portOf(servers.throwing) });
  writer.write("x");
  const outcome = await reader.read().catch((error) => error);
  if (outcome instanceof Error) ledger.error("a client of a protocol that threw", outcome);
  else if (outcome.length > 0) fail(`of a protocol that threw came "${outcome.length}" bytes`);
  writer.abort();
  return 0;
}

async function abortedConnect(scene: Scene, random: SeededRandom): Promise<number> {
  const stop = new AbortController();
  const reason = new DOMException("enough", "AbortError");
  const turns = random.integer(0, 4);
  const kind = kindOf(random);
  if (turns === 0) stop.abort(reason);
  const connecting = scene.connect(kind, { signal: stop.signal });
  for (let i = 1; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, 0));
  stop.abort(reason);
  try {
    await (await connecting)[Symbol.asyncDispose]();
  } catch (error) {
    if (error !== reason) fail(`an aborted connect failed with ${error}, not with the reason of its signal`);
    scene.ledger.error("an aborted connect", error);
  }
  return 0;
}

async function refusedConnect({ closedPort, ledger, file }: Scene, random: SeededRandom): Promise<number> {
  const connecting = random.next() < 0.7
    ? openConnection({ hostname: random.next() < 0.5 ? "localhost" : "127.0.0.1", port: closedPort })
    : openUnixConnection({ path: file.path });
  const outcome = await connecting.then(() => null, (error) => error);
  if (outcome === null) fail("a connect succeeded where nobody listens");
  ledger.error("a refused connect", outcome);
  return 0;
}

async function garbage({ servers }: Scene, random: SeededRandom): Promise<number> {
  const conn = await Deno.connect({ port: portOf(random.next() < 0.5 ? servers.tls : servers.tlsByNode) });
  const bytes = new Uint8Array(random.size(5000));
  random.fill(bytes);
  // Sometimes the beginning of a record, so that the server waits for the rest.
  if (random.next() < 0.5) bytes.set([22, 3, 1, 64, 0].slice(0, bytes.length));
  await conn.write(bytes).catch(() => {});
  if (random.next() < 0.5) await conn.closeWrite().catch(() => {});
  // Deno's own TLS keeps the descriptor of a failed handshake until the client closes.
  const timer = setTimeout(() => conn.close(), random.next() < 0.05 ? 2500 : random.integer(0, 200));
  for (let n: number | null = 1; n !== null;) n = await conn.read(new Uint8Array(100)).catch(() => null);
  clearTimeout(timer);
  closeQuietly(conn);
  return 0;
}

/** Aborts in the middle of a transfer. */
async function vanish(scene: Scene, random: SeededRandom): Promise<number> {
  const connection = await scene.connect(kindOf(random));
  const { reader, writer } = connection;
  const closed = writer.waitClosed();
  writer.write(["echo\n", "lines\n", "frames\n", "upload\n", "pipe\n", "zerocopy\n", "star"][random.integer(0, 6)]!);
  writer.write(randomPiece(random, random.size(50_000)));
  if (random.next() < 0.5) await reader.read(random.size(1000), { signal: AbortSignal.timeout(5) }).catch(() => {});
  writer.abort();
  await closed;
  return 0;
}

function closeQuietly(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function sumOf(bytes: Uint8Array): Checksum {
  const sum = new Checksum();
  sum.add(bytes);
  return sum;
}
