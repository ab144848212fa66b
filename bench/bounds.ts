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
    "Bytes that are handed out are never written again, so each message lies in fresh memory, to be filled with zeros and collected, " +
    "about 1.2 µs; what is written is copied, 0.25 µs. Gained: V8 marked its heap, 3 to 6 ms, for every 8 MB that were handed out, once its " +
    "young generation had grown; an untouched array (ballast) lets it wait until scavenges, 0.2 ms, have reclaimed them (protocol 0.68 " +
    "to 0.86 × raw, streams 0.71 to 0.84). Messages land right in the memory that is handed out: to zero it takes half the time of a copy into " +
    "it (0.79 to 0.85 in a plain loop with the collector out of the way). Deno's timers are not loaded, 0.9 MB less to mark. A write that was alone the time before leaves at " +
    "once (0.63 to 0.72). Tried: an array for each message, blocks of 30, 60, 112 and 256 KiB to cut from, garbage that makes V8 scavenge sooner " +
    "(slower), ballast of 32 to 128 MiB (some of the gain), and of 1024 instead of 768 (no more). `readinto` with `sendall`, and a BufferedProtocol with `sendall`, have no copy and no such cost.",
  "echo-100k":
    "As at 10 KiB: of 38 µs by protocol 34 are the plain loop's, which reads and writes 64 and 36 KiB where this is one of each. Gained: ballast (with 256 MiB protocol 0.52 to 0.84 × raw, streams 0.50 to 0.70, where `node:net` " +
    "is 0.48 to 0.65; with 768 protocol to 0.91, also where the collector has a core of its own); one read a message (a plain loop with a buffer of 256 KiB takes 25 µs where one of 64 takes 34); regions with room for three messages (0.77 to 0.86, but 100 connections " +
    "are faster with room for one, 0.47 to 0.61, so there is room for three only while there are few). uvloop frees what it hands out at once, by reference counts, and so finds it in " +
    "the caches again; raw itself is 0.7 × uvloop's protocol. Streams that `read(65536)` take and write such a message in two pieces. The copy that `write` makes cannot be spared, as nobody can tell in time whether the system took all.",
  "lines-tcp":
    "A loop that echoes chunks makes two promises for 16 lines, and `readline`, `write` and `drain` make 32: 0.34 µs a line on " +
    "top of 0.46. Connections that wait for quiet hop together (0.57 to 0.58, with 100 connections 0.58 to 0.63 × raw). All 16 lines leave in one system call since writes wait for the microtask queue to fall quiet (0.12 to 0.61 × " +
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
    "protocol, a reader and a writer, 2 KB more than raw. They survive a scavenge each, so that V8's young generation grows further. Gained: 0.65 KB, by one object for what is around all transports of a server, closures made when they are needed first, and small blocks cut from one array.",
  "import":
    "About 0.2 ms for each of some 50 files, TLS and processes included; `node:*` and what needs it is loaded when it is " +
    "first used.",
  "growth-readexactly":
    "The cost of a byte rises as that of a plain copy does when it leaves the caches, and of fresh memory beyond that.",
};
