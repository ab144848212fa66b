/**
 * A server that speaks the protocol of Redis: strings, counters, lists, hashes, expiry and channels, in memory.
 *
 *     deno run --allow-net=127.0.0.1 examples/redis_server.ts [port]
 *
 * Talk to it with redis-cli -p 6380, any driver, or by hand with examples/netcat.ts 127.0.0.1 6380.
 *
 * A codec turns bytes into requests and replies into bytes. The server takes all requests that have come, writes their replies,
 * and then waits once until the client has taken them: so a pipeline costs one wait, and a client that does not read is not
 * read from. A subscriber that does not keep up is disconnected.
 */
import { type Bytes, startServer, type Transport } from "@tideline/net";
import { type ByteQueue, type ByteSink, type Codec, framed, FramingError } from "@tideline/net/framing";

/** The most bytes of a request. */
const LONGEST_REQUEST = 1 << 20;
const LONGEST_LINE = 65536;
const MOST_ARGUMENTS = 65536;
/** The most bytes that wait for a subscriber. */
const MOST_UNSENT = 8 << 20;

/** A status, a value, a number, nothing, an error, or several of them. */
export type Reply = string | Bytes | number | null | Error | readonly Reply[];
/** The name of a command and its arguments. */
export type Request = readonly Bytes[];

const STAR = "*".charCodeAt(0);
const DOLLAR = "$".charCodeAt(0);
const CR = 13;
const LF = 10;

/** RESP, version 2. A request is an array of strings, or a line of words. */
class Resp implements Codec<Request, Reply> {
  /** Of requests that have begun: where their next argument begins, and the ends of those before. */
  readonly #begun = new WeakMap<ByteQueue, { taken: number; at: number; bounds: number[] }>();
  /** Where the number ends that was read last. */
  #at = 0;

  decode(bytes: ByteQueue): Request | undefined {
    // Empty requests are skipped.
    while (bytes.length > 0) {
      const request = bytes.at(0) === STAR ? this.#array(bytes) : this.#line(bytes);
      if (request === undefined || request.length > 0) return request;
    }
  }

  encode(reply: Reply, out: ByteSink): void {
    if (reply instanceof Uint8Array) {
      out.putText(`$${reply.length}\r\n`);
      out.put(reply);
      out.putText("\r\n");
    } else if (typeof reply === "string") {
      out.putText(`+${reply}\r\n`);
    } else if (typeof reply === "number") {
      out.putText(`:${reply}\r\n`);
    } else if (reply === null) {
      out.putText("$-1\r\n");
    } else if (reply instanceof Error) {
      out.putText(`-${reply.message}\r\n`);
    } else {
      out.putText(`*${reply.length}\r\n`);
      for (const one of reply) this.encode(one, out);
    }
  }

  #array(bytes: ByteQueue): Request | undefined {
    const count = this.#number(bytes, 0, MOST_ARGUMENTS);
    if (count === undefined) return undefined;
    const begun = this.#begun.get(bytes);
    const goesOn = begun?.taken === bytes.taken;
    const bounds = goesOn ? begun.bounds : [];
    if (goesOn) this.#at = begun.at;
    while (bounds.length < 2 * count) {
      const start = this.#at;
      if (start < bytes.length && bytes.at(start) !== DOLLAR) throw new FramingError("expected '$'", start + 1);
      const length = this.#number(bytes, start, LONGEST_REQUEST);
      const end = this.#at + (length ?? 0) + 2;
      if (end > LONGEST_REQUEST) throw new FramingError("too big a request", this.#at);
      if (length === undefined || end > bytes.length) {
        this.#begun.set(bytes, { taken: bytes.taken, at: start, bounds });
        return undefined;
      }
      bounds.push(this.#at, end - 2);
      this.#at = end;
    }
    const whole = bytes.take(this.#at);
    const request: Bytes[] = [];
    for (let i = 0; i < bounds.length; i += 2) request.push(whole.subarray(bounds[i], bounds[i + 1]));
    return request;
  }

  /** The number after a sign, which a line holds; the next line begins at `#at`. */
  #number(bytes: ByteQueue, sign: number, most: number): number | undefined {
    let number = 0;
    for (let at = sign + 1; at < bytes.length; at++) {
      const byte = bytes.at(at);
      if (byte === CR && at > sign + 1) {
        this.#at = at + 2;
        return at + 1 < bytes.length ? number : undefined;
      }
      number = 10 * number + byte - 48;
      if (byte < 48 || byte > 57 || number > most) throw new FramingError("invalid length", at + 1);
    }
  }

  #line(bytes: ByteQueue): Request | undefined {
    const end = bytes.indexOf(LF);
    if (end < 0 && bytes.length <= LONGEST_LINE) return undefined;
    if (end < 0 || end > LONGEST_LINE) throw new FramingError("too big inline request", LONGEST_LINE + 1);
    const words = new TextDecoder().decode(bytes.take(end + 1)).trim().split(/\s+/);
    return words[0] === "" ? [] : words.map((word) => new TextEncoder().encode(word));
  }
}

/** The codec of all connections. */
export const resp: Codec<Request, Reply> = new Resp();

type Value = Bytes | Bytes[] | Map<string, Bytes>;

/** A key and its value, in a chain of those whose keys have the same hash. */
interface Entry {
  readonly key: Bytes;
  value: Value;
  /** When it is gone, as `Date.now()` tells. */
  expiry: number;
  next: Entry | undefined;
}

/**
 * What clients share: the values, and who listens to which channel.
 *
 * Keys are bytes. As strings in a `Map` they take a third of the time of a GET, because V8 first looks for each new string in its
 * table of all strings.
 */
export class Store {
  readonly channels = new Map<string, Set<Client>>();
  readonly #chains = new Map<number, Entry>();
  readonly #expiring = new Set<Entry>();
  /** Unknown to clients, so that they cannot choose keys of one chain. */
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(key: Bytes | undefined): Entry | undefined {
    if (key === undefined) throw new Error("ERR syntax error");
    let entry = this.#chains.get(this.#hash(key));
    while (entry !== undefined && !isSame(entry.key, key)) entry = entry.next;
    if (entry === undefined || entry.expiry === Infinity || entry.expiry > Date.now()) return entry;
    this.delete(entry.key);
  }

  /** The value of a key, which must be of a kind. */
  get<T extends Value>(key: Bytes | undefined, Class: abstract new (...args: never[]) => T): T | undefined {
    const value = this.find(key)?.value;
    if (value === undefined || value instanceof Class) return value as T | undefined;
    throw new Error("WRONGTYPE Operation against a key holding the wrong kind of value");
  }

  set(key: Bytes, value: Value, expiry = Infinity): void {
    let entry = this.find(key);
    if (entry === undefined) {
      const hash = this.#hash(key);
      entry = { key: key.slice(), value, expiry, next: this.#chains.get(hash) };
      this.#chains.set(hash, entry);
      this.#size++;
    }
    entry.value = value;
    this.expire(entry, expiry);
  }

  expire(entry: Entry, expiry: number): void {
    entry.expiry = expiry;
    if (expiry < Infinity) this.#expiring.add(entry);
    else if (this.#expiring.size > 0) this.#expiring.delete(entry);
  }

  delete(key: Bytes): void {
    const hash = this.#hash(key);
    let before: Entry | undefined;
    let entry = this.#chains.get(hash);
    for (; entry !== undefined && !isSame(entry.key, key); entry = entry.next) before = entry;
    if (entry === undefined) return;
    if (before !== undefined) before.next = entry.next;
    else if (entry.next !== undefined) this.#chains.set(hash, entry.next);
    else this.#chains.delete(hash);
    this.#expiring.delete(entry);
    this.#size--;
  }

  clear(): void {
    this.#chains.clear();
    this.#expiring.clear();
    this.#size = 0;
  }

  /** Forgets what has expired and is not asked for. */
  sweep(): void {
    const now = Date.now();
    for (const { key, expiry } of this.#expiring) if (expiry <= now) this.delete(key);
  }

  #hash(key: Bytes): number {
    let hash = this.#seed;
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i]!, 0x5bd1e995) ^ hash >>> 15;
    // A number that V8 does not have to allocate.
    return hash & 0x3fffffff;
  }
}

function isSame(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A connection: the channels that it listens to, and how to tell it something. */
export class Client {
  readonly channels = new Set<string>();
  readonly #transport: () => Transport;
  readonly #send: (reply: Reply) => void;

  constructor(transport: () => Transport, send: (reply: Reply) => void) {
    this.#transport = transport;
    this.#send = send;
  }

  tell(reply: Reply): void {
    const transport = this.#transport();
    if (transport.isClosing()) return;
    if (transport.getWriteBufferSize() > MOST_UNSENT) transport.abort();
    else this.#send(reply);
  }

  close(): void {
    this.#transport().close();
  }
}

/** Does a command; gives its reply, or `undefined` if it has told the client all. */
type Command = [arity: number, run: (args: Request, store: Store, client: Client) => Reply | undefined];

const encoder = new TextEncoder();

/** A string with a character per byte, as the name of a channel or of a field. */
function nameOf(bytes: Bytes | undefined): string {
  if (bytes === undefined) throw new Error("ERR syntax error");
  if (bytes.length === 3) return String.fromCharCode(bytes[0]!, bytes[1]!, bytes[2]!); // "GET", "SET"
  let name = "";
  for (const byte of bytes) name += String.fromCharCode(byte);
  return name;
}

function bytesOf(name: string): Bytes {
  return Uint8Array.from(name, (character) => character.charCodeAt(0));
}

function numberOf(bytes: Bytes | undefined): number {
  const text = nameOf(bytes);
  const number = Number(text);
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new Error("ERR value is not an integer or out of range");
}

function increment(store: Store, key: Bytes, by: number): number {
  const entry = store.find(key);
  const value = (entry === undefined ? 0 : numberOf(store.get(key, Uint8Array<ArrayBuffer>))) + by;
  if (!Number.isSafeInteger(value)) throw new Error("ERR increment or decrement would overflow");
  store.set(key, encoder.encode(String(value)), entry?.expiry);
  return value;
}

function push(store: Store, [, key, ...values]: Request, add: "push" | "unshift"): number {
  const list = store.get(key, Array<Bytes>) ?? [];
  // A request is one piece of memory: only its values are to be kept.
  for (const value of values) list[add](value.slice());
  if (list.length === values.length) store.set(key!, list);
  return list.length;
}

function pop(store: Store, [, key, count]: Request, remove: "pop" | "shift"): Reply {
  const list = store.get(key, Array<Bytes>);
  if (list === undefined) return null;
  const popped: Bytes[] = [];
  const most = count === undefined ? 1 : numberOf(count);
  while (popped.length < most && list.length > 0) popped.push(list[remove]()!);
  if (list.length === 0) store.delete(key!);
  return count === undefined ? popped[0] ?? null : popped;
}

function set(store: Store, [, key, value, ...options]: Request): Reply {
  let expiry: number | undefined;
  for (let i = 0; i < options.length; i++) {
    const option = nameOf(options[i]).toUpperCase();
    if (option === "EX") expiry = Date.now() + 1000 * numberOf(options[++i]);
    else if (option === "PX") expiry = Date.now() + numberOf(options[++i]);
    else if (option !== "NX" && option !== "XX") throw new Error("ERR syntax error");
    else if ((store.find(key) === undefined) === (option === "XX")) return null;
  }
  store.set(key!, value!.slice(), expiry);
  return "OK";
}

function expire(store: Store, key: Bytes, ms: number): number {
  const entry = store.find(key);
  if (entry === undefined) return 0;
  if (ms > 0) store.expire(entry, Date.now() + ms);
  else store.delete(key);
  return 1;
}

function timeToLive(store: Store, key: Bytes, unit: number): number {
  const entry = store.find(key);
  if (entry === undefined) return -2;
  return entry.expiry === Infinity ? -1 : Math.ceil((entry.expiry - Date.now()) / unit);
}

function hset(store: Store, [, key, ...pairs]: Request): number {
  checkPairs(pairs);
  const hash = store.get(key, Map<string, Bytes>) ?? new Map<string, Bytes>();
  const before = hash.size;
  if (before === 0) store.set(key!, hash);
  for (let i = 0; i < pairs.length; i += 2) hash.set(nameOf(pairs[i]), pairs[i + 1]!.slice());
  return hash.size - before;
}

function hdel(store: Store, [, key, ...fields]: Request): number {
  const hash = store.get(key, Map<string, Bytes>);
  const deleted = fields.filter((field) => hash?.delete(nameOf(field))).length;
  if (hash?.size === 0) store.delete(key!);
  return deleted;
}

function checkPairs(pairs: Request): void {
  if (pairs.length % 2 !== 0) throw new Error("ERR wrong number of arguments");
}

function subscribe(store: Store, client: Client, channel: string): void {
  client.channels.add(channel);
  const clients = store.channels.get(channel);
  if (clients === undefined) store.channels.set(channel, new Set([client]));
  else clients.add(client);
  client.tell([encoder.encode("subscribe"), bytesOf(channel), client.channels.size]);
}

function leave(store: Store, client: Client, channel: string): void {
  client.channels.delete(channel);
  const clients = store.channels.get(channel);
  clients?.delete(client);
  if (clients?.size === 0) store.channels.delete(channel);
}

function publish(store: Store, channel: Bytes, message: Bytes): number {
  const clients = store.channels.get(nameOf(channel)) ?? new Set();
  for (const client of clients) client.tell([encoder.encode("message"), channel, message]);
  return clients.size;
}

/** As in Redis: how many words a command has, or at least if that is negative. */
const commands: Record<string, Command> = {
  PING: [-1, ([, message]) => message ?? "PONG"],
  ECHO: [2, ([, message]) => message!],
  GET: [2, ([, key], store) => store.get(key, Uint8Array<ArrayBuffer>) ?? null],
  SET: [-3, (args, store) => set(store, args)],
  MGET: [-2, ([, ...keys], store) => {
    return keys.map((key) => store.find(key)?.value).map((value) => isBytes(value) ? value : null);
  }],
  MSET: [-3, ([, ...pairs], store) => {
    checkPairs(pairs);
    for (let i = 0; i < pairs.length; i += 2) store.set(pairs[i]!, pairs[i + 1]!.slice());
    return "OK";
  }],
  DEL: [-2, ([, ...keys], store) => {
    const before = store.size;
    for (const key of keys) store.delete(key);
    return before - store.size;
  }],
  EXISTS: [-2, ([, ...keys], store) => keys.filter((key) => store.find(key)).length],
  TYPE: [2, ([, key], store) => typeOf(store.find(key)?.value)],
  INCR: [2, ([, key], store) => increment(store, key!, 1)],
  DECR: [2, ([, key], store) => increment(store, key!, -1)],
  INCRBY: [3, ([, key, by], store) => increment(store, key!, numberOf(by))],
  LPUSH: [-3, (args, store) => push(store, args, "unshift")],
  RPUSH: [-3, (args, store) => push(store, args, "push")],
  LPOP: [-2, (args, store) => pop(store, args, "shift")],
  RPOP: [-2, (args, store) => pop(store, args, "pop")],
  LLEN: [2, ([, key], store) => store.get(key, Array<Bytes>)?.length ?? 0],
  LRANGE: [4, ([, key, from, to], store) => {
    const last = numberOf(to);
    return (store.get(key, Array<Bytes>) ?? []).slice(numberOf(from), last === -1 ? undefined : last + 1);
  }],
  HSET: [-4, (args, store) => hset(store, args)],
  HGET: [3, ([, key, field], store) => store.get(key, Map<string, Bytes>)?.get(nameOf(field)) ?? null],
  HDEL: [-3, (args, store) => hdel(store, args)],
  HLEN: [2, ([, key], store) => store.get(key, Map<string, Bytes>)?.size ?? 0],
  HGETALL: [2, ([, key], store) => {
    return [...store.get(key, Map<string, Bytes>) ?? []].flatMap(([field, value]) => [bytesOf(field), value]);
  }],
  EXPIRE: [3, ([, key, seconds], store) => expire(store, key!, 1000 * numberOf(seconds))],
  PEXPIRE: [3, ([, key, ms], store) => expire(store, key!, numberOf(ms))],
  TTL: [2, ([, key], store) => timeToLive(store, key!, 1000)],
  PTTL: [2, ([, key], store) => timeToLive(store, key!, 1)],
  SUBSCRIBE: [-2, ([, ...channels], store, client) => {
    for (const channel of channels) subscribe(store, client, nameOf(channel));
    return undefined;
  }],
  UNSUBSCRIBE: [-1, ([, ...channels], store, client) => {
    const names = channels.length > 0 ? channels.map(nameOf) : [...client.channels];
    for (const name of names) {
      leave(store, client, name);
      client.tell([encoder.encode("unsubscribe"), bytesOf(name), client.channels.size]);
    }
    return names.length > 0 ? undefined : [encoder.encode("unsubscribe"), null, 0];
  }],
  PUBLISH: [3, ([, channel, message], store) => publish(store, channel!, message!)],
  DBSIZE: [1, (_, store) => store.size],
  FLUSHALL: [-1, (_, store) => {
    store.clear();
    return "OK";
  }],
  SELECT: [2, ([, index]) => numberOf(index) === 0 ? "OK" : new Error("ERR DB index is out of range")],
  // What tools and drivers ask when they connect.
  INFO: [-1, () => encoder.encode("redis_version:7.0.0\r\nloading:0\r\n")],
  CLIENT: [-2, () => "OK"],
  COMMAND: [-1, () => []],
  CONFIG: [-2, ([, , name]) => name === undefined ? [] : [name, encoder.encode("")]],
  QUIT: [1, (_, __, client) => {
    client.tell("OK");
    client.close();
    return undefined;
  }],
};

function isBytes(value: Value | undefined): value is Bytes {
  return value instanceof Uint8Array;
}

function typeOf(value: Value | undefined): string {
  if (value === undefined) return "none";
  return isBytes(value) ? "string" : Array.isArray(value) ? "list" : "hash";
}

const table = new Map(Object.entries(commands));

/** Does what a request asks for. */
export function execute(request: Request, store: Store, client: Client): Reply | undefined {
  const name = nameOf(request[0]);
  const command = table.get(name) ?? table.get(name.toUpperCase());
  if (command === undefined) return new Error(`ERR unknown command '${printable(name)}'`);
  const [arity, run] = command;
  if (arity >= 0 ? request.length !== arity : request.length < -arity) {
    return new Error(`ERR wrong number of arguments for '${name.toLowerCase()}' command`);
  }
  try {
    return run(request, store, client);
  } catch (error) {
    return error as Error;
  }
}

/** What a client sent, without line ends: it would look like a reply of its own. */
function printable(name: string): string {
  return name.slice(0, 64).replace(/[^ -~]/g, "?");
}

/** Ends what a client began, when its connection is lost. */
export function forget(store: Store, client: Client): void {
  for (const channel of client.channels) leave(store, client, channel);
}

if (import.meta.main) {
  const store = new Store();
  const server = await startServer(async (reader, writer) => {
    const messages = framed({ reader, writer }, resp);
    const client = new Client(() => writer.transport, (reply) => messages.push(reply));
    try {
      for await (const requests of messages.batches()) {
        for (const request of requests) {
          const reply = execute(request, store, client);
          if (reply !== undefined) messages.push(reply);
          if (writer.isClosing()) return;
        }
        await writer.drain();
      }
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      writer.write(`-ERR Protocol error: ${error.message}\r\n`);
    } finally {
      forget(store, client);
    }
  }, {
    hostname: "127.0.0.1",
    port: Number(Deno.args[0] ?? 6380),
    onError: (error) => console.error(error.message),
  });
  setInterval(() => store.sweep(), 1000);
  console.log(`Serving on port ${server.port}`);
  await server.serveForever();
}
