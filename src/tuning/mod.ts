/**
 * Makes V8 faster for programs that handle much data. Nothing of it is done unless a program asks for it.
 *
 * @module
 */
import { describe } from "../common/describe.ts";

/** 768 MiB. */
const DEFAULT_HEADROOM = 768 << 20;

/**
 * A block of this size, once freed, makes the allocator of Linux (glibc) keep up to twice as much freed memory, instead of
 * returning it to the system and paying for it again page by page.
 */
const KEPT_BY_ALLOCATOR = 30 << 20;

// Referenced here, as nothing else in a program needs to.
const reserved = new Set<ArrayBuffer>();

/**
 * Reserves memory so that V8 collects garbage less often, for programs that receive much data in messages of 10 KiB and more.
 *
 * V8 marks its whole heap, 3 to 6 ms of a core, each time the memory of array buffers has grown by a tenth since the last time.
 * A program that holds little and receives much does so every few milliseconds. An array that is never touched makes that tenth
 * larger: scavenges, of 0.2 ms, then reclaim the buffers first. The system has no memory behind the array, except on Windows,
 * which accounts for it; but `Deno.memoryUsage().external` counts it, and garbage may take up to a tenth of it more.
 *
 * Two flags of V8 do most of the same, `--v8-flags=--external-memory-max-growing-factor=8,--min-semi-space-size=16` on the
 * command line or in the environment variable `DENO_V8_FLAGS`. `bench/RESULTS.md` compares programs as they are with programs that
 * do both: an echo by protocol of 10 KiB ran 1.5 times as fast, of 100 KiB 2.2 times.
 *
 * On Linux it also makes the allocator keep up to 60 MiB of freed memory from then on, which helps programs that mostly write as
 * well. That stays when the headroom is released.
 *
 * Each call reserves its own headroom; those of several calls add up.
 *
 * @param bytes The size of the headroom, in bytes; 768 MiB by default, more brought nothing
 * @returns Releases the headroom when it is disposed; until then it stays reserved, whether or not the object is kept
 * @throws {TypeError} If the size is not a number
 * @throws {RangeError} If it is not a whole number from 0, or there is no address space for it
 *
 * @example For as long as the program runs
 * ```ts
 * import { reserveGcHeadroom } from "@tideline/net/tuning";
 *
 * reserveGcHeadroom();
 * ```
 *
 * @example For a while
 * ```ts
 * import { reserveGcHeadroom } from "@tideline/net/tuning";
 * import { assert } from "@std/assert";
 *
 * const before = Deno.memoryUsage().external;
 * {
 *   using _headroom = reserveGcHeadroom(256 << 20);
 *   assert(Deno.memoryUsage().external - before >= 256 << 20);
 * }
 * assert(Deno.memoryUsage().external - before < 256 << 20);
 * ```
 */
export function reserveGcHeadroom(bytes: number = DEFAULT_HEADROOM): Disposable {
  if (typeof bytes !== "number") {
    throw new TypeError(`Cannot reserve GC headroom: the size must be a number, not ${describe(bytes)}`);
  }
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new RangeError(
      `Cannot reserve GC headroom: the size must be a whole number of bytes, not ${describe(bytes)}`,
    );
  }
  const headroom = allocate(bytes);
  reserved.add(headroom);
  allocate(KEPT_BY_ALLOCATOR).transfer(0);
  return {
    [Symbol.dispose]() {
      if (!reserved.delete(headroom)) return;
      // Frees the memory at once, not when the garbage collector comes to it.
      headroom.transfer(0);
    },
  };
}

function allocate(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (cause) {
    throw new RangeError(`Cannot reserve GC headroom: there is no room for ${bytes} bytes`, { cause });
  }
}
