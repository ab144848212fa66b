/** The Redis server against redis-cli, redis-benchmark and ioredis, and by bytes of our own. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { openConnection } from "../../mod.ts";
import { chunkers } from "../../src/testing/chunkers.ts";
import { resp } from "../../examples/redis_server.ts";
import { decodePieces } from "../framing/codec_cases.ts";
import { Example } from "./kit.ts";
import { bytes, text } from "../support/bytes.ts";
import { findProgram, skip } from "../support/machine.ts";

const cli = await findProgram("redis-cli");
const benchmark = await findProgram("redis-benchmark");
const ioredis = await hasIoredis();

/** Whether the driver can be had: it is in no lock file, as only this test uses it. */
async function hasIoredis(): Promise<boolean> {
  const { success } = await deno('import "npm:ioredis@5.4.1"');
  if (!success) skip("the tests against ioredis", "npm does not have it for us");
  return success;
}

async function deno(program: string): Promise<Deno.CommandOutput> {
  return await new Deno.Command(Deno.execPath(), { args: ["eval", "--no-lock", "--no-config", program] }).output();
}

/** Asks one thing after the other; each answer is read whole, by its first line or by its number of bytes. */
async function conversation(port: number, parts: readonly [sent: string, answer: string][]): Promise<void> {
  await using connection = await openConnection({ hostname: "127.0.0.1", port });
  const { reader, writer } = connection;
  for (const [sent, answer] of parts) {
    writer.write(sent);
    await writer.drain();
    assertEquals(text(await reader.readexactly(answer.length)), answer, sent);
  }
}

Deno.test("redis_server.ts decodes requests however they are split, arrays and lines, and refuses others [F1]", () => {
  const wire = bytes("*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\nPING  one\r\n\r\n*0\r\n*1\r\n$0\r\n\r\n*-1\r\n");
  for (const { name, chunk } of chunkers({ separator: "\r\n", sizes: [2, 7] })) {
    const { messages, error } = decodePieces(resp, chunk(wire));
    const shown = (messages as Uint8Array[][]).map((request) => request.map(text));
    assertEquals(shown, [["GET", "a\r\nb"], ["PING", "one"], [""]], name);
    assertEquals(error?.message, "invalid length", name);
  }
  for (const refused of ["*1\r\nx", "*1\r\n$9999999\r\n", "*99999999\r\n", "*1\r\n$x", "x".repeat(70_000)]) {
    assert(decodePieces(resp, [bytes(refused)]).error !== null, refused.slice(0, 20));
    assert(decodePieces(resp, [bytes(refused.slice(0, 1)), bytes(refused.slice(1))]).error !== null);
  }
});

Deno.test("redis_server.ts answers pipelines, lines by hand, limits and errors as Redis does", async () => {
  await using example = await Example.start("redis_server.ts", ["0"]);
  const port = await example.port();
  await conversation(port, [
    ["PING\r\n", "+PONG\r\n"],
    ["SET a 1\r\nINCR a\r\nGET a\r\nGET none\r\n", "+OK\r\n:2\r\n$1\r\n2\r\n$-1\r\n"],
    ["RPUSH l x y z\r\nLRANGE l 0 -1\r\n", ":3\r\n*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n"],
    ["LRANGE l -2 1\r\nLPOP l 9\r\nEXISTS l\r\n", "*1\r\n$1\r\ny\r\n*3\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n:0\r\n"],
    ["HSET h f 1 g 2\r\nHGETALL h\r\n", ":2\r\n*4\r\n$1\r\nf\r\n$1\r\n1\r\n$1\r\ng\r\n$1\r\n2\r\n"],
    ["SET e 1 PX 1\r\nEXPIRE none 5\r\nTTL a\r\n", "+OK\r\n:0\r\n:-1\r\n"],
    ["EXPIRE a 100\r\nTTL a\r\nEXPIRE a -1\r\nGET a\r\n", ":1\r\n:100\r\n:1\r\n$-1\r\n"],
    ["SET n x\r\nINCR n\r\n", "+OK\r\n-ERR value is not an integer or out of range\r\n"],
    ["LLEN n\r\n", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"],
    ["NOPE\r\nGET\r\n", "-ERR unknown command 'NOPE'\r\n-ERR wrong number of arguments for 'get' command\r\n"],
    ["SET k v NX\r\nSET k w NX\r\nSET k w XX\r\nGET k\r\n", "+OK\r\n$-1\r\n+OK\r\n$1\r\nw\r\n"],
    ["*2\r\n$3\r\nGET\r\n$2000000\r\n", "-ERR Protocol error: invalid length\r\n"],
  ]);
  await conversation(port, [["QUIT\r\n", "+OK\r\n"]]);
});

Deno.test("redis_server.ts passes messages to subscribers, and disconnects one that does not read", async () => {
  await using example = await Example.start("redis_server.ts", ["0"]);
  const port = await example.port();
  await using subscriber = await openConnection({ hostname: "127.0.0.1", port });
  await using deaf = await openConnection({ hostname: "127.0.0.1", port });
  for (const { reader, writer } of [subscriber, deaf]) {
    writer.write("SUBSCRIBE news\r\n");
    const confirmed = "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n";
    assertEquals(text(await reader.readexactly(confirmed.length)), confirmed);
  }
  await using publisher = await openConnection({ hostname: "127.0.0.1", port });
  const size = 500_000;
  const frame = "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$500000\r\n".length + size + 2;
  let told = 2;
  for (let i = 0; told === 2 && i < 200; i++) {
    publisher.writer.write(`*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$${size}\r\n${"x".repeat(size)}\r\n`);
    told = Number(/:(\d)/.exec(text(await publisher.reader.readuntil("\r\n")))![1]);
    await subscriber.reader.readexactly(frame);
  }
  assertEquals(told, 1);
});

Deno.test({
  name: "redis_server.ts talks to redis-cli",
  ignore: cli === null,
  async fn() {
    await using example = await Example.start("redis_server.ts", ["0"]);
    const port = String(await example.port());
    const asked: [args: string[], printed: string][] = [
      [["SET", "key", "grüezi \r\n 🎉"], "OK\n"],
      [["GET", "key"], "grüezi \r\n 🎉\n"],
      [["INCRBY", "n", "41"], "41\n"],
      [["INCR", "n"], "42\n"],
      [["LPUSH", "l", "a", "b"], "2\n"],
      [["LRANGE", "l", "0", "-1"], "b\na\n"],
      [["HSET", "h", "f", "v"], "1\n"],
      [["HGETALL", "h"], "f\nv\n"],
      [["TYPE", "h"], "hash\n"],
      [["DBSIZE"], "4\n"],
      [["DEL", "h", "l", "none"], "2\n"],
      [["FLUSHALL"], "OK\n"],
      [["DBSIZE"], "0\n"],
    ];
    for (const [args, printed] of asked) {
      const { stdout } = await new Deno.Command(cli!, { args: ["-p", port, ...args] }).output();
      assertEquals(text(stdout), printed, args.join(" "));
    }
  },
});

Deno.test({
  name: "redis_server.ts stands redis-benchmark, pipelined and not",
  ignore: benchmark === null,
  async fn() {
    await using example = await Example.start("redis_server.ts", ["0"]);
    const port = String(await example.port());
    for (const pipeline of ["1", "16"]) {
      const args = ["-p", port, "-P", pipeline, "-n", "2000", "-c", "20", "-r", "100", "--csv"];
      const tests = ["-t", "ping,set,get,incr,lpush,rpush,lpop,rpop,hset,lrange_100,mset"];
      const { success, stdout, stderr } = await new Deno.Command(benchmark!, { args: [...args, ...tests] }).output();
      assert(success, text(stderr));
      for (const name of ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "HSET", "LRANGE_100", "MSET"]) {
        assertMatch(text(stdout), new RegExp(`^"${name}`, "m"));
      }
      assertEquals(/error/i.test(text(stdout) + text(stderr)), false, text(stderr));
    }
  },
});

const DRIVER = (port: number) =>
  `
  import Redis from "npm:ioredis@5.4.1";
  const assert = (ok, what) => { if (!ok) throw new Error(what); };
  const redis = new Redis(${port}, "127.0.0.1", { maxRetriesPerRequest: 0 });
  assert(await redis.set("a", "1") === "OK", "set");
  assert(await redis.incr("a") === 2, "incr");
  const binary = new Uint8Array(256).map((_, i) => i);
  await redis.set("binary", Buffer.from(binary));
  assert((await redis.getBuffer("binary")).equals(Buffer.from(binary)), "binary");
  await redis.hset("h", { x: "1", y: "2" });
  const hash = await redis.hgetall("h");
  assert(hash.x === "1" && hash.y === "2", "hgetall");
  const pipeline = redis.pipeline();
  for (let i = 0; i < 1000; i++) pipeline.rpush("l", "item" + i);
  const results = await pipeline.exec();
  assert(results.every(([error, length], i) => error === null && length === i + 1), "pipeline");
  assert((await redis.lrange("l", 998, -1)).join() === "item998,item999", "lrange");
  const failed = await redis.incr("h").catch((error) => error.message);
  assert(failed.startsWith("WRONGTYPE"), failed);
  await redis.set("gone", "x", "PX", 20);
  while (await redis.get("gone") !== null) await new Promise((resolve) => setTimeout(resolve, 5));
  const subscriber = redis.duplicate();
  const message = new Promise((resolve) => subscriber.on("message", (...args) => resolve(args.join(" "))));
  await subscriber.subscribe("news");
  assert(await redis.publish("news", "hello") === 1, "publish");
  assert(await message === "news hello", "message");
  await Promise.all([subscriber.quit(), redis.quit()]);
  console.log("done");
`.replace(/^/, 'import { Buffer } from "node:buffer";');

Deno.test({
  name: "redis_server.ts serves ioredis: values, pipelines, errors, expiry and channels",
  ignore: !ioredis,
  async fn() {
    await using example = await Example.start("redis_server.ts", ["0"]);
    const { stdout, stderr } = await deno(DRIVER(await example.port()));
    assertEquals({ stdout: text(stdout), stderr: text(stderr) }, { stdout: "done\n", stderr: "" });
  },
});
