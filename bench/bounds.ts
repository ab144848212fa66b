/**
 * What bounds the work that may fall short of its aim, what was tried, and what that gave. Printed with the results.
 *
 * @module
 */

/** For the id of a row: a paragraph of Markdown. */
export const bounds: Readonly<Record<string, string>> = {
  "echo-1k":
    "What is above raw is one turn of promises: a read and a write that each settle a promise of their own cost 0.10 and " +
    "0.14 µs over an instant connection, against 0.03 µs of the bare call, out of 7 µs of a whole echo; `read` and `drain` " +
    "add the copy into memory that the caller keeps. Tried: writing at once instead of after ten quiet hops of the microtask " +
    "queue, within the noise; a wait of 4, 6, 8 or 12 hops, the same.",
  "echo-1k-100":
    "As for 10 connections; what was special, that 100 writes in one turn made 100 new blocks, is gone since 8 MiB of blocks " +
    "are kept (0.64 to 0.85 × raw by processor time).",
  "echo-10k":
    "Bytes that are handed out are never written again, so each message is a copy in fresh memory. With one hot block handed " +
    "out again and again, which a user must not be given, protocols take 9.4 µs and streams 10.3 where they take 11.4 and " +
    "13.0: the rest of the way to raw is fresh memory and its collection. Tried for that memory: an array for each message, " +
    "blocks of 32, 64, 112 and 256 KiB to cut from, and a freed block of 30 MiB that makes the allocator keep its pages (kept: " +
    "0.66 to 0.71 × raw). Writing at once what is 4 or 8 KiB or more: no gain here, and a fifth slower at 100 KiB. " +
    "`readinto` with `sendall`, and a BufferedProtocol with `sendall`, have no copy and no such cost.",
  "echo-100k":
    "As at 10 KiB: 100 KiB of fresh memory for each message, 4 µs by itself, a good 15 µs with the collector, whose helper " +
    "threads share the server's core here; `node:net` hands out fresh memory as well, asyncio and uvloop have theirs back at " +
    "once, by reference counts. What was gained: a read of 16 KiB that fills is followed by one into a large block that few " +
    "share, and both leave in one write (63 to 47 µs by protocol). Tried and dropped: a block of 64 or 256 KiB for each " +
    "connection, and reading right into fresh memory, at half the speed. Streams of `read(65536)` cut a message in three.",
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
