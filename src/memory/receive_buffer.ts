/**
 * Where the bytes of a connection land that are given away, never to be written again (SPEC M1).
 *
 * Theory of operation. Small pieces land in a lent block and are copied, many of them close together: an idle connection
 * costs 1.5 KiB, and 100 connections do not each walk through memory of their own, which would be cold. Larger pieces land
 * right in fresh memory and are not copied: a connection has a *region*, in which one piece comes to lie behind the other,
 * until the rest of it has no room for the next. For memory is made by filling it with zeros, which the processor does at
 * twice the speed of a copy into memory that it has not seen for long, and the system then finds it in the caches (echo of 10
 * KiB in a plain loop with the collector out of the way: 0.79 to 0.85 x raw).
 *
 * Regions count while their connections wait, which may be for long: beyond a bound in all, connections wait with a lent
 * block, and only what comes behind a block that was filled lands in a region. What is left of a region that its
 * connection has no use for goes to the next one that wants a region, so that a short connection does not cost a whole one.
 *
 * @module
 */
import type { Bytes } from "../common/bytes.ts";
import { LEAST_EXPECTED } from "./read_size_predictor.ts";
import { acquireBlock, copyOf, freshMemory, releaseBlock } from "./pool.ts";

/** The least size of a region, in bytes: room for several messages of the usual sizes. */
const REGION_SIZE = 65536;
/** For how many messages of a larger size there is room, and up to which size of a region, in bytes. */
const MESSAGES_IN_REGION = 3;
const LARGEST_REGION = 524288;
/**
 * As long as fewer bytes than this are in regions; else there is room for one such message: with 100 KiB, 10 connections were
 * faster with room for three (one 0.77, two 0.82, three 0.86 x raw; in a later run two were as fast as three), and 100
 * connections with room for one (0.61, 0.55, 0.47).
 */
const ROOMY_BELOW = 4 << 20;
/** What is added, in bytes, so that messages of a usual size hardly ever fill a region, which would mean that there is more. */
const SPARE = 1000;
/** How many bytes connections may have in regions while they wait, all together. */
const MOST_IN_REGIONS = 32 << 20;
/** What other connections wait with, at most, in bytes. */
const MOST_LENT = 16384;
/** How many rests of regions are kept for others. */
const MOST_RESTS = 16;

const NO_MEMORY: Bytes = new Uint8Array(0);

let inRegions = 0;
const rests: Bytes[] = [];

/** What one connection has in its region, as it counts: an object of its own, which outlives a {@linkcode ReceiveBuffer}. */
class Share {
  #bytes = 0;

  set(bytes: number): void {
    inRegions += bytes - this.#bytes;
    this.#bytes = bytes;
  }
}

// A protocol of streams that another one took the place of is not told that its connection is lost.
const forgotten = new FinalizationRegistry<Share>((share) => share.set(0));

type Place = "nowhere" | "block" | "region";

/** The memory that one connection's reads land in, one read at a time. */
export class ReceiveBuffer {
  #place: Place = "nowhere";
  /** What was offered last. */
  #offered: Bytes = NO_MEMORY;
  /** What is left of the region. */
  #region: Bytes = NO_MEMORY;
  #share: Share | null = null;
  /** Whether the last read filled what it was offered, so that more is there. */
  #filled = false;

  /**
   * Offers memory to read into, for bytes to be given away. What was offered before is taken back.
   *
   * @param expected How many bytes will come, as far as one can tell; where memory is short, less is offered
   * @param most The most to offer, in bytes
   * @returns The memory
   */
  offer(expected: number, most: number): Bytes {
    if (this.#place !== "nowhere") this.takeBack();
    if (expected <= LEAST_EXPECTED || (inRegions > MOST_IN_REGIONS && !this.#filled)) {
      if (this.#region !== NO_MEMORY) this.#leaveRegion();
      return this.lend(Math.min(expected, MOST_LENT));
    }
    if (this.#region.length < expected) this.#enterRegion(expected);
    this.#place = "region";
    const region = this.#region;
    return this.#offered = region.length > most ? region.subarray(0, most) : region;
  }

  /**
   * Offers a lent block, for bytes that will be copied anyway. What was offered before is taken back.
   *
   * @param size How many bytes to have room for
   * @returns The block
   */
  lend(size: number): Bytes {
    if (this.#place !== "nowhere") this.takeBack();
    this.#place = "block";
    return this.#offered = acquireBlock(size);
  }

  /**
   * What landed, to be copied before anything else is done here.
   *
   * @param n How many bytes landed at the start of what was offered
   * @returns A view of them
   */
  look(n: number): Bytes {
    this.#filled = n === this.#offered.length;
    return this.#filled ? this.#offered : this.#offered.subarray(0, n);
  }

  /**
   * Gives away what landed.
   *
   * @param n How many bytes landed at the start of what was offered
   * @returns The bytes
   */
  accept(n: number): Bytes {
    const landed = this.look(n);
    if (this.#place === "block") {
      const bytes = copyOf(landed, n);
      this.takeBack();
      return bytes;
    }
    const rest = this.#region.length - n;
    this.#setRegion(rest > LEAST_EXPECTED ? this.#region.subarray(n) : NO_MEMORY);
    this.takeBack();
    return landed;
  }

  /** Takes back what was offered: nothing landed there that counts, and nothing will. */
  takeBack(): void {
    if (this.#place === "block") releaseBlock(this.#offered);
    this.#place = "nowhere";
    this.#offered = NO_MEMORY;
  }

  /** Lets go of everything. */
  release(): void {
    this.takeBack();
    this.#leaveRegion();
  }

  /** Lets go of everything, maybe while a read is under way, which may write there still: nobody else gets that memory. */
  abandon(): void {
    if (this.#place === "region") this.#setRegion(NO_MEMORY);
    this.#place = "nowhere";
    this.release();
  }

  #enterRegion(size: number): void {
    this.#setRegion(NO_MEMORY);
    if (this.#share === null) forgotten.register(this, this.#share = new Share());
    const rest = rests.pop();
    this.#setRegion(rest !== undefined && rest.length >= size ? rest : freshMemory(regionSize(size)));
  }

  #leaveRegion(): void {
    if (this.#region.length > LEAST_EXPECTED && rests.length < MOST_RESTS) rests.push(this.#region);
    this.#setRegion(NO_MEMORY);
  }

  #setRegion(region: Bytes): void {
    this.#region = region;
    this.#share?.set(region.length);
  }
}

function regionSize(size: number): number {
  const roomy = inRegions < ROOMY_BELOW ? Math.min(MESSAGES_IN_REGION * size, LARGEST_REGION) : size;
  return Math.max(REGION_SIZE, roomy) + SPARE;
}
