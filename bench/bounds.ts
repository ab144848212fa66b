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
    "one go (streams 0.77 to 0.81 and 0.81 to 0.84). Lone small writes of many connections share blocks (streams 0.78 to 0.83, protocols 0.85 to 0.90). The other side sleeps as often as with raw, once for 90 messages, and there are as many " +
    "system calls. Tried and dropped: reading three hops later instead of one; writes in bursts of 4, 8, 16 or 32 (no difference); reading right into the memory " +
    "that is handed out (5 % slower); views kept with the blocks instead of made for each message (0.05 µs less over instant connections, " +
    "protocols 3 to 7 % slower here, as what is kept is colder than what is made anew). What is left is put down to caches: over instant " +
    "connections streams take 0.45 µs more than raw with 100 as with 10.",
  "echo-10k":
    "Bytes that are handed out are never written again, so each message is a copy in fresh memory: 1.1 µs to make, and the collector. " +
    "A plain loop with that copy and the one that `write` makes (raw with copies) is as fast as protocols are (0.99 to 1.06) or an eighth to a quarter faster, perhaps as it has half the heap to mark: the collector has a " +
    "fast and a slow phase. V8 marks its heap, for 4 to 6 ms, when some 8 MB were handed out since it last reclaimed any; scavenges, of 0.2 ms, " +
    "reclaim them too, and come first as long as the young generation is small (protocol 9.1 to 10.4 µs a message), but not once it has grown, " +
    "after some 100,000 messages (12.7 to 16.2 µs, with a marking for each 1,300). `deno run --v8-flags=--max-semi-space-size=1` " +
    "keeps it small: 8.4 µs, 0.82 × raw, and streams 9.0, 0.76 × raw. Tried: " +
    "an array for each message, blocks of 30, 60, 64, 112 and 256 KiB to cut from, a freed block of 30 MiB that makes the allocator " +
    "keep its pages (kept: 0.66 to 0.71 × raw), an untouched array of 32 to 256 MiB that makes V8 collect less often (nothing), one of 33 MiB " +
    "now and then, or garbage of an eighth to a half of each message, that make it scavenge more often (slower, as it marks more often too; " +
    "and faster only until the young generation grows further). Gained " +
    "besides: a write that was alone the time before leaves at once (protocol 0.63 to 0.72 × raw, streams 0.58 to 0.60). `readinto` with " +
    "`sendall`, and a BufferedProtocol with `sendall`, have no copy and no such cost.",
  "echo-100k":
    "As at 10 KiB, and more of it. With the server on one core, as here, the plain loop with the two copies (raw with copies) was 0.91 and 0.94 × node:net in two runs, with the first copy alone 0.93, with the second alone, from memory that is handed out and written again, 1.5. With the server on both cores, and the collector's threads on the other one, that loop was 1.17 in one run beside other work and 0.96 in another, and protocols 0.92 and 0.94; in two runs with nothing beside, before reads of 64 KiB, protocols were 1.14 and 1.2: so what is out of reach on one core may not be on two. Protocols are 0.91 to 1.03 × that loop from run to run, once 0.83. `node:net` " +
    "hands out fresh memory as well, but sends the caller's own, which must then be left alone; asyncio and uvloop have " +
    "theirs back at once, by reference counts. Of 65 µs, 20 are what fresh memory costs beyond a copy into memory that is used again: " +
    "it is cold, and V8 marks its heap for it every 20 to 160 MB. Gained: a read of 16 KiB that fills is followed by one into a large block " +
    "(63 to 47 µs by protocol), which connections keep for the next message (streams 92 to 76 µs), of 64 KiB rather than 256, (100 connections: protocols 111 to 81 µs, streams 154 to 88); writes that leave at " +
    "once (0.35 to 0.40 × raw). Tried and dropped: reading right into fresh memory, at half the speed; an untouched array of 1 GiB that makes V8 " +
    "collect less often, 14 % faster, but a program's business, not a library's; blocks of 32, 48, 96 and 128 KiB (10 to 25 % slower).",
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
    "An idle stream connection has a read of 1.5 KiB pending where raw has 2, and beyond it the objects of a transport, two pumps, a " +
    "protocol, a reader and a writer, about 4 KiB. A protocol connection has no more than raw.",
  "import":
    "About 0.15 ms for each of some 45 files, TLS and processes included; `node:*` and what needs it is loaded when it is " +
    "first used.",
  "growth-readexactly":
    "The cost of a byte rises as that of a plain copy does when it leaves the caches, and of fresh memory beyond that.",
};
