/**
 * What bounds the work that may fall short of its aim, what was tried, and what that gave. Printed with the results.
 *
 * @module
 */

/** For the id of a row: a paragraph of Markdown. */
export const bounds: Readonly<Record<string, string>> = {
  "echo-1k":
    "Over an instant connection a protocol takes 0.3 µs more than raw, streams 0.5, `readinto` with `sendall` 0.15, a BufferedProtocol " +
    "with `sendall` 0.06; the rest of the difference is put down to caches, as the garbage is what differs: an echo makes 3.3 KB in Deno " +
    "itself, and 0.4 (protocol), 0.7 (streams) or 0.2 more here, in a new space larger than the second cache. A promise with its two " +
    "functions is 0.3 KB, a `then` 0.1, a view 0.1. Gained: a write that was alone the time before leaves at once (protocol 0.90 to 0.97 " +
    "× raw, streams 0.83 to 0.88), no closure and no array for a read and a write (1 to 3 %), no promises for `readinto` and `sendall` but those " +
    "of the calls themselves (0.91 to 0.94 and 0.95 to 0.99 × raw). That is not to be had for `read`, which others may end by `setException` or " +
    "`feedEof`. Tried: `new Promise` with a shared executor instead of `Promise.withResolvers`, within the noise.",
  "echo-1k-100":
    "As for 10 connections, with a new space that Deno grows to 16 MB, so that garbage is colder still. Gained: 8 MiB of blocks are " +
    "kept, so that 100 writes in one turn make no new ones (0.64 to 0.85 × raw by processor time). And answers leave before the next " +
    "reads are begun, as they do in a plain loop: while one follows the other closely, the other side need not be woken for each, which " +
    "costs the sender (protocol 0.81 to 0.89 and 0.82 to 0.91 × raw); for the same reason lone writes of many connections are begun in " +
    "one go (streams 0.77 to 0.81 and 0.81 to 0.84). Reading three hops later instead of one was worse. What is left is put down to " +
    "caches: over instant connections streams take 0.45 µs more than raw with 100 as with 10.",
  "echo-10k":
    "Bytes that are handed out are never written again, so each message is a copy in fresh memory: 1.1 µs to make, 1 to 2 for " +
    "the collector, whose helper threads share the server's core here, for V8 marks its heap anew every 3,000 messages or so. With " +
    "one hot block handed out again and again, which a user must not be given, protocols take 9.4 µs where they take 11.4. Tried: " +
    "an array for each message, blocks of 32, 64, 112 and 256 KiB to cut from, a freed block of 30 MiB that makes the allocator " +
    "keep its pages (kept: 0.66 to 0.71 × raw), an untouched array of 32 to 256 MiB that makes V8 collect less often (nothing). Gained " +
    "besides: a write that was alone the time before leaves at once (protocol 0.63 to 0.72 × raw, streams 0.58 to 0.60). `readinto` with " +
    "`sendall`, and a BufferedProtocol with `sendall`, have no copy and no such cost.",
  "echo-100k":
    "As at 10 KiB: of 65 to 80 µs two copies, into fresh memory and into what is sent, take 18, the collector's helper threads 9 and its part of the main thread some more; `node:net` " +
    "hands out fresh memory as well, but sends the caller's own memory, which must then be left alone; asyncio and uvloop have " +
    "theirs back at once, by reference counts. Gained: a read of 16 KiB that fills is followed by one into a large block " +
    "(63 to 47 µs by protocol), which few connections keep for the next message (streams 92 to 76 µs, protocols 76 to 71 and, in another run, 84 to 86), writes that leave at " +
    "once (0.35 to 0.40 × raw). Tried and dropped: reading right into fresh memory, at half the speed; an untouched array of 1 GiB that makes V8 " +
    "collect less often, 14 % faster, but a program's business, not a library's. Streams of `read(65536)` cut a message in three.",
  "lines-tcp":
    "A loop that echoes chunks makes two promises for 16 lines, and `readline`, `write` and `drain` make 32: 0.27 µs a line on " +
    "top of 0.47. All 16 lines leave in one system call since writes wait for the microtask queue to fall quiet (0.12 to 0.61 × " +
    "raw).",
  "bulk-sink":
    "At its limit the load generator is the bottleneck; by processor time the difference is one promise a read.",
  "bulk-source":
    "64 KiB at a time is 12 µs of system call and one promise each; what falls short of raw is within what two runs of raw " +
    "differ by on a machine that is not quiet.",
  "tls": "Nothing stands between a stream and the connection but a promise a call; the cost is that of the cipher.",
  "churn":
    "A connection is some twelve objects, 1.6 KiB by protocol and 3.3 by streams, made and dropped with each; by processor " +
    "time that is no more than what raw spends on closing.",
  "idle-memory":
    "An idle stream connection has a read of 2 KiB pending as raw has, and beyond it the objects of a transport, two pumps, a " +
    "protocol, a reader and a writer, about 4 KiB. A protocol connection has no more than raw.",
  "import":
    "About 0.15 ms for each of some 45 files, TLS and processes included; `node:*` and what needs it is loaded when it is " +
    "first used.",
  "growth-readexactly":
    "The cost of a byte rises as that of a plain copy does when it leaves the caches, and of fresh memory beyond that.",
};
