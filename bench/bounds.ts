/**
 * What limits the rows that may fall short of their aim, what was tried, and what it brought. Printed with the results.
 *
 * @module
 */

/** A paragraph of Markdown for the id of a row. */
export const bounds: Readonly<Record<string, string>> = {
  "echo-1k":
    "Over an instant connection a protocol takes 0.4 µs more than raw, streams 0.5, `readinto` with `sendall` 0.15, a BufferedProtocol " +
    "with `sendall` 0.06. The rest of the difference is attributed to caches, because only the garbage differs: an echo makes 3.3 KB in Deno " +
    "itself, and 0.4 (protocol), 0.7 (streams) or 0.2 more here. That a message shares its buffer with no other connection (M5) costs 0.1 µs: " +
    "small messages of one connection share buffers of 8 KiB. A buffer for each would cost 0.5 µs (0.90 × raw by processor time, where shared " +
    "buffers of 4 KiB gave 0.95).",
  "echo-1k-100":
    "As for 10 connections, with a new space that Deno grows to 16 MB, so that garbage is colder still. 8 MiB of blocks are " +
    "kept, so that 100 writes in one turn make no new ones. Answers leave before the next reads are issued, as they do in a plain loop, and lone " +
    "writes of many connections are flushed together.",
  "echo-10k":
    "Bytes that are handed out are a copy in fresh memory, which the garbage collector reclaims: V8 marks its heap, 3 to 6 ms, each time the " +
    "memory of buffers has grown by a tenth. Tuned, it waits until scavenges, 0.2 ms, have reclaimed them. Blocks that are read into and used again, with a " +
    "copy into memory that is not zeroed first, are quicker than reading right into fresh memory, which is (0.90 against 0.81 × raw by processor time). " +
    "`readinto` with `sendall`, and a BufferedProtocol with `sendall`, have no copy and no such cost.",
  "echo-100k":
    "As at 10 KiB: of 38 µs by protocol 34 are the plain loop's, which reads and writes 64 and 36 KiB where this is one of each. " +
    "The allocator of Linux gives freed memory back to the system and pays for it again page by page; tuned, it keeps it. uvloop frees what it " +
    "hands out at once, by reference counts, and so finds it in the caches again. Streams that `read(65536)` take and write such a message in " +
    "two pieces. The copy that `write` makes is needed, because whether the system took everything is known only later.",
  "lines-tcp":
    "A loop that echoes chunks makes two promises for 16 lines, and `readline`, `write` and `drain` make 32: 0.34 µs a line on " +
    "top of 0.46. All 16 lines leave in one system call, when the reader has to wait. A codec makes one promise for 16 lines, or none; but a plain " +
    "protocol that echoes the chunks as they are is at 0.87 × raw by processor time, and to find, hand out, check, encode and write a line takes " +
    "0.16 µs more.",
  "reads-memory":
    "What is left of the calls that do not wait is the view that is handed out, 17 to 20 ns. `tryreadexactly` takes 23 ns, so that a frame, which is " +
    "one more number to read, cannot be much below the 34 that it takes; a promise made of it is 50 more.",
  "redis-16":
    "A plain loop that answers blocks with constant bytes takes 0.41 µs a request, redis-server 0.53 on the same machine. Beyond that loop " +
    "a GET takes 0.12 to decode, 0.07 to look up and 0.03 to encode, and the write and the garbage of each.",
  "bulk-sink":
    "At its limit the load generator is the bottleneck; by processor time the difference is one promise a read.",
  "bulk-source":
    "64 KiB at a time is 12 µs of system call and one promise each; the distance from raw is within the difference of two runs of raw " +
    "on a busy machine.",
  "tls-1k": "The engine is the same; this adds two promises a message and saves the read that finds nothing.",
  "tls":
    "Ciphertext comes from the engine in fresh memory, where plain `node:tls` hands the system a vector of its own. Deno's own " +
    "listener costs no crossing into JavaScript for a record.",
  "tls-100k":
    "One read takes more than the 64 KiB that plain `node:tls` reads, and memory of the engine is freed at once, without the collector.",
  "churn":
    "A connection is some twelve objects, 1.6 KiB by protocol and 3.3 by streams, made and dropped with each; by processor " +
    "time that is no more than raw spends on closing.",
  "idle-memory":
    "An idle stream connection has a read of 1.5 KiB pending where raw has 2, and beyond it the objects of a transport, two pumps, a " +
    "protocol, a reader and a writer, 2 KB more than raw. They survive a scavenge each, so that V8's young generation grows further.",
  "import":
    "About 0.14 ms for each of some 90 files. `node:*`, the engines of TLS, datagrams and the transport of processes are loaded on " +
    "first use; the checks of their options are not.",
  "growth-readexactly":
    "The cost of a byte rises as that of a plain copy does when it leaves the caches, and of fresh memory beyond that.",
};
