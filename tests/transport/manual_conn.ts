/** A conn whose calls settle when the test says so: for what happens between a call and its result. */
import type { ConnLike } from "../../mod.ts";

/** A call that waits. */
interface Call<T> extends PromiseWithResolvers<T> {
  p: Uint8Array;
}

/** The conn. Reads and writes wait until they are settled by hand. */
export class ManualConn implements ConnLike {
  readonly reads: Call<number | null>[] = [];
  readonly writes: Call<number>[] = [];
  readonly ends: PromiseWithResolvers<void>[] = [];
  /** All that was taken, as one piece. */
  readonly taken: number[] = [];
  closed = 0;
  /** How many reads were issued so far. */
  readCount = 0;
  /** How many writes were. */
  writeCount = 0;
  /** Called when a write is issued. */
  onWrite: () => void = () => {};

  read(p: Uint8Array): Promise<number | null> {
    this.readCount++;
    if (this.reads.length > 0) throw new Error("Cannot read: two reads at a time");
    const call = { ...Promise.withResolvers<number | null>(), p };
    this.reads.push(call);
    return call.promise;
  }

  write(p: Uint8Array): Promise<number> {
    this.writeCount++;
    this.onWrite();
    if (this.writes.length > 0) throw new Error("Cannot write: two writes at a time");
    const call = { ...Promise.withResolvers<number>(), p };
    this.writes.push(call);
    return call.promise;
  }

  closeWrite(): Promise<void> {
    const end = Promise.withResolvers<void>();
    this.ends.push(end);
    return end.promise;
  }

  close(): void {
    this.closed++;
    for (const { reject } of this.reads.splice(0)) reject(new Deno.errors.Interrupted("operation canceled"));
    for (const { reject } of this.writes.splice(0)) reject(new Deno.errors.Interrupted("operation canceled"));
    for (const { reject } of this.ends.splice(0)) reject(new Deno.errors.Interrupted("operation canceled"));
  }

  /** Settles the read that waits, with text, the end, or an error; then lets what follows happen. */
  async bring(what: string | null | Error): Promise<void> {
    const read = this.reads.shift();
    if (read === undefined) throw new Error("Cannot bring anything: no read is under way");
    if (what instanceof Error) read.reject(what);
    else if (what === null) read.resolve(null);
    else {
      const bytes = new TextEncoder().encode(what);
      read.p.set(bytes);
      read.resolve(bytes.length);
    }
    await turn();
  }

  /** Settles the write that waits: takes so many bytes, or fails; then lets what follows happen. */
  async take(what?: number | Error): Promise<void> {
    const write = this.writes.shift();
    if (write === undefined) throw new Error("Cannot take anything: no write is under way");
    if (what instanceof Error) write.reject(what);
    else {
      const n = what ?? write.p.length;
      this.taken.push(...write.p.subarray(0, n));
      write.resolve(n);
    }
    await turn();
  }
}

/** Lets everything happen that needs no help. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
  // A timer that is due may come before the end of a turn, where flushes are.
  await new Promise((resolve) => setImmediate(resolve));
}
