/** A listener whose accepts the test settles. */
import { type ConnLike, connPair } from "../../mod.ts";

/** The listener. */
export class FakeListener implements Deno.Listener {
  readonly addr: Deno.Addr = { transport: "tcp", hostname: "127.0.0.1", port: 1 };
  /** When each accept was called, in milliseconds. */
  readonly accepts: number[] = [];
  closed = false;
  refs: string[] = [];
  readonly #results: (() => Promise<Deno.Conn>)[] = [];
  #waiting: PromiseWithResolvers<Deno.Conn> | null = null;

  /** Makes a client come; this is its end. */
  connect(): ConnLike {
    const [near, far] = connPair();
    this.#give(() => Promise.resolve(near as unknown as Deno.Conn));
    return far;
  }

  /** Makes one accept fail. */
  fail(error: Error): void {
    this.#give(() => Promise.reject(error));
  }

  accept(): Promise<Deno.Conn> {
    this.accepts.push(performance.now());
    if (this.closed) return Promise.reject(new Deno.errors.BadResource("Listener has been closed"));
    const result = this.#results.shift();
    if (result !== undefined) return result();
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  close(): void {
    if (this.closed) throw new Deno.errors.BadResource("Bad resource ID");
    this.closed = true;
    this.#waiting?.reject(new Deno.errors.BadResource("Listener has been closed"));
  }

  ref(): void {
    this.refs.push("ref");
  }

  unref(): void {
    this.refs.push("unref");
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Deno.Conn> {
    while (!this.closed) yield await this.accept();
  }

  #give(result: () => Promise<Deno.Conn>): void {
    if (this.#waiting === null) {
      this.#results.push(result);
      return;
    }
    this.#waiting.resolve(result());
    this.#waiting = null;
  }
}
